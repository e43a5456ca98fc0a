//! What logs count. All have the label `log`, the log's name.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

/// Segments that the store acknowledged.
pub const SEGMENTS: &str = "buttress_backup_log_segments_total";
/// Their bytes, compressed and sealed.
pub const BYTES: &str = "buttress_backup_log_bytes_total";
/// Rounds that failed.
pub const FAILURES: &str = "buttress_backup_log_failures_total";
/// The moment up to which the store has everything, in seconds since 1970: now minus this is what a loss would cost.
pub const COMPLETE: &str = "buttress_backup_log_complete_timestamp_seconds";

/// Handles, resolved once.
pub(super) struct Metrics {
    pub(super) segments: Counter,
    pub(super) bytes: Counter,
    pub(super) failures: Counter,
    pub(super) complete: Gauge,
}

impl Metrics {
    pub(super) fn new(log: &str) -> Self {
        describe_counter!(SEGMENTS, "Segments of a log that the store acknowledged");
        describe_counter!(BYTES, "Bytes of these segments, compressed and sealed");
        describe_counter!(FAILURES, "Rounds of shipping a log that failed");
        describe_gauge!(COMPLETE, "The moment up to which the store has everything, in seconds since 1970");
        let log = log.to_owned();
        Self {
            segments: counter!(SEGMENTS, "log" => log.clone()),
            bytes: counter!(BYTES, "log" => log.clone()),
            failures: counter!(FAILURES, "log" => log.clone()),
            complete: gauge!(COMPLETE, "log" => log),
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}
