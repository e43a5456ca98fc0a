//! What is counted of secrets.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::anomaly::Anomaly;
use crate::lifecycle::Stage;

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

/// Counts a step of a rotation. Resolved each time: there is one in a month.
pub(crate) fn step(step: &'static str, made: bool) {
    describe_counter!(STEPS, "Steps of rotations, by step and outcome");
    let outcome = if made { "done" } else { "failed" };
    counter!(STEPS, "step" => step, "outcome" => outcome).increment(1);
}

/// How a secret was had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    Cached,
    Loaded,
    Stale,
    Failed,
}

impl Read {
    const ALL: [Self; 4] = [Self::Cached, Self::Loaded, Self::Stale, Self::Failed];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Loaded => "loaded",
            Self::Stale => "stale",
            Self::Failed => "failed",
        }
    }
}

/// Handles, resolved once.
pub(crate) struct Metrics {
    reads: [Counter; 4],
    checks: [Counter; 4],
    anomalies: [Counter; 3],
    load_time: Histogram,
    stale: Gauge,
}

const CHECKED: [Option<Stage>; 4] = [Some(Stage::Current), Some(Stage::Previous), Some(Stage::Next), None];
const SIGNALS: [Anomaly; 3] = [Anomaly::NewReader, Anomaly::Burst, Anomaly::OffHours];

impl Metrics {
    pub(crate) fn new() -> Self {
        describe_counter!(READS, "Secrets given out, by outcome: cached, loaded, stale, failed");
        describe_counter!(CHECKS, "Candidates checked, by the version that fits");
        describe_counter!(ANOMALIES, "Unusual accesses, by signal");
        describe_histogram!(LOAD_TIME, "Seconds that the store took for a secret");
        describe_gauge!(STALE, "Secrets that are used as last known good");
        Self {
            reads: Read::ALL.map(|read| counter!(READS, "outcome" => read.as_str())),
            checks: CHECKED.map(|stage| counter!(CHECKS, "outcome" => stage.map_or("none", Stage::as_str))),
            anomalies: SIGNALS.map(|signal| counter!(ANOMALIES, "signal" => signal.as_str())),
            load_time: histogram!(LOAD_TIME),
            stale: gauge!(STALE),
        }
    }

    pub(crate) fn read(&self, how: Read) {
        add(&self.reads, Read::ALL.iter().position(|read| *read == how));
    }

    pub(crate) fn checked(&self, fitting: Option<Stage>) {
        add(&self.checks, CHECKED.iter().position(|stage| *stage == fitting));
    }

    pub(crate) fn anomaly(&self, signal: Anomaly) {
        add(&self.anomalies, SIGNALS.iter().position(|known| *known == signal));
    }

    pub(crate) fn loaded(&self, took: Duration) {
        self.load_time.record(took.as_secs_f64());
    }

    pub(crate) fn stale(&self, secrets: usize) {
        self.stale.set(secrets as f64);
    }
}

fn add(counters: &[Counter], position: Option<usize>) {
    if let Some(counter) = position.and_then(|position| counters.get(position)) {
        counter.increment(1);
    }
}
