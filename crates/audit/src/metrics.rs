//! What a log counts.

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

/// Entries that are in the log.
pub const ENTRIES: &str = "buttress_audit_entries_total";
/// Groups that became durable together.
pub const GROUPS: &str = "buttress_audit_groups_total";
/// Bytes of queued entries.
pub const QUEUED: &str = "buttress_audit_queued_bytes";
/// Seconds that a group took until it was durable.
pub const COMMIT: &str = "buttress_audit_commit_seconds";
/// Writes and syncs that failed.
pub const DISK_FAILURES: &str = "buttress_audit_disk_failures_total";
/// Segments begun.
pub const SEGMENTS: &str = "buttress_audit_segments_total";
/// Checkpoints signed.
pub const CHECKPOINTS: &str = "buttress_audit_checkpoints_total";
/// Checkpoints that a witness did not take.
pub const WITNESS_FAILURES: &str = "buttress_audit_witness_failures_total";
/// Events that went through the spill file.
pub const SPILLED: &str = "buttress_audit_spilled_total";
/// Events that could not be kept anywhere. Each is in the program's own log.
pub const LOST: &str = "buttress_audit_lost_total";
/// Segments dropped by retention.
pub const DROPPED_SEGMENTS: &str = "buttress_audit_dropped_segments_total";

/// Handles, resolved once.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) entries: Counter,
    pub(crate) groups: Counter,
    pub(crate) queued: Gauge,
    pub(crate) commit: Histogram,
    pub(crate) disk_failures: Counter,
    pub(crate) segments: Counter,
    pub(crate) checkpoints: Counter,
    pub(crate) witness_failures: Counter,
    pub(crate) spilled: Counter,
    pub(crate) lost: Counter,
    pub(crate) dropped: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        describe_counter!(ENTRIES, "Entries that are in the log");
        describe_counter!(GROUPS, "Groups that became durable together");
        describe_gauge!(QUEUED, "Bytes of queued entries");
        describe_histogram!(COMMIT, "Seconds that a group took until it was durable");
        describe_counter!(DISK_FAILURES, "Writes and syncs that failed");
        describe_counter!(SEGMENTS, "Segments begun");
        describe_counter!(CHECKPOINTS, "Checkpoints signed");
        describe_counter!(WITNESS_FAILURES, "Checkpoints that a witness did not take");
        describe_counter!(SPILLED, "Events that went through the spill file");
        describe_counter!(LOST, "Events that could not be kept anywhere");
        describe_counter!(DROPPED_SEGMENTS, "Segments dropped by retention");
        Self {
            entries: counter!(ENTRIES),
            groups: counter!(GROUPS),
            queued: gauge!(QUEUED),
            commit: histogram!(COMMIT),
            disk_failures: counter!(DISK_FAILURES),
            segments: counter!(SEGMENTS),
            checkpoints: counter!(CHECKPOINTS),
            witness_failures: counter!(WITNESS_FAILURES),
            spilled: counter!(SPILLED),
            lost: counter!(LOST),
            dropped: counter!(DROPPED_SEGMENTS),
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}
