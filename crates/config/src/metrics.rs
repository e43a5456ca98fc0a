//! What the reloader counts.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

/// Reloads by `outcome`: `success`, `failure`.
const RELOADS: &str = "buttress_config_reloads_total";
/// The version of the configuration in use; it starts at 1 and rises with each change.
const VERSION: &str = "buttress_config_version";

pub(crate) struct Metrics {
    pub(crate) succeeded: Counter,
    pub(crate) failed: Counter,
    pub(crate) version: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        describe_counter!(RELOADS, "Reloads of the configuration, by outcome");
        describe_gauge!(VERSION, "Version of the configuration in use, counted from 1");
        Self {
            succeeded: counter!(RELOADS, "outcome" => "success"),
            failed: counter!(RELOADS, "outcome" => "failure"),
            version: gauge!(VERSION),
        }
    }
}
