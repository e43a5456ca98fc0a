//! What is counted of secrets.

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

/// Secrets given out, by `outcome`: `cached`, `loaded`, `stale` (the last known good one, since the store failed), `failed`.
pub const READS: &str = "buttress_secrets_reads_total";
/// Candidates that were checked, by `outcome`: `current`, `previous`, `next` (the version that fits), `none`.
pub const CHECKS: &str = "buttress_secrets_checks_total";
/// Seconds that the store took for a secret.
pub const LOAD_TIME: &str = "buttress_secrets_load_seconds";
/// Secrets that are served as last known good, at the moment.
pub const STALE: &str = "buttress_secrets_stale";
/// Steps of rotations, by `step`: `create`, `switch`, `retire`; and by `outcome`: `done`, `failed`.
pub const STEPS: &str = "buttress_secrets_rotation_steps_total";
/// Stores of a chain that were passed over, by `store`.
pub const FALLBACKS: &str = "buttress_secrets_fallbacks_total";
/// Unusual accesses, by `signal`: `new_reader`, `burst`, `off_hours`.
pub const ANOMALIES: &str = "buttress_secrets_anomalies_total";

/// Counts a store that was passed over. Resolved each time: it has failed, which takes longer.
pub(crate) fn fallback(store: &'static str) {
    describe_counter!(FALLBACKS, "Stores of a chain that were passed over");
    counter!(FALLBACKS, "store" => store).increment(1);
}
