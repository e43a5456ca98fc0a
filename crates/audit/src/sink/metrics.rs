//! What followers count. Every metric has the label `sink`, the follower's name.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

/// Entries that a sink has taken.
pub const SINK_ENTRIES: &str = "buttress_audit_sink_entries_total";
/// Batches that a sink has not taken.
pub const SINK_FAILURES: &str = "buttress_audit_sink_failures_total";
/// Entries that a sink is behind the log: alert on what does not come down.
pub const SINK_BEHIND: &str = "buttress_audit_sink_behind";

/// Handles, resolved once.
pub(super) struct Metrics {
    pub(super) entries: Counter,
    pub(super) failures: Counter,
    pub(super) behind: Gauge,
}

impl Metrics {
    pub(super) fn new(sink: &str) -> Self {
        describe_counter!(SINK_ENTRIES, "Entries that a sink has taken");
        describe_counter!(SINK_FAILURES, "Batches that a sink has not taken");
        describe_gauge!(SINK_BEHIND, "Entries that a sink is behind the log");
        let sink = || sink.to_owned();
        Self {
            entries: counter!(SINK_ENTRIES, "sink" => sink()),
            failures: counter!(SINK_FAILURES, "sink" => sink()),
            behind: gauge!(SINK_BEHIND, "sink" => sink()),
        }
    }
}
