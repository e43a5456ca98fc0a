//! The metrics of the checks. Names of checks come from the code, so the series are few.

use std::time::Duration;

use buttress_core::Vitality;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::check::Group;
use crate::report::Status;

const STATUS: &str = "buttress_health_check_status";
const RUNS: &str = "buttress_health_check_runs_total";
const DURATION: &str = "buttress_health_check_duration_seconds";

pub(crate) fn describe() {
    metrics::describe_gauge!(STATUS, "What a check counts for: 1 passes, 0.5 warns, 0 fails.");
    metrics::describe_counter!(RUNS, "Runs of a check by outcome.");
    metrics::describe_histogram!(DURATION, "How long a check took, in seconds.");
}

/// The handles of one check.
pub(crate) struct CheckMetrics {
    status: Gauge,
    passed: Counter,
    warned: Counter,
    failed: Counter,
    duration: Histogram,
}

impl CheckMetrics {
    pub(crate) fn new(group: Group, check: &str) -> Self {
        let labels = [("group", group.as_str().to_owned()), ("check", check.to_owned())];
        let runs = |outcome: &'static str| counter!(RUNS, "group" => group.as_str(), "check" => check.to_owned(), "outcome" => outcome);
        Self {
            status: gauge!(STATUS, &labels),
            passed: runs("pass"),
            warned: runs("warn"),
            failed: runs("fail"),
            duration: histogram!(DURATION, &labels),
        }
    }

    pub(crate) fn ran(&self, result: &Vitality, took: Duration) {
        match result {
            Vitality::Pass => self.passed.increment(1),
            Vitality::Warn(_) => self.warned.increment(1),
            Vitality::Fail(_) => self.failed.increment(1),
        }
        self.duration.record(took.as_secs_f64());
    }

    pub(crate) fn is(&self, status: Status) {
        self.status.set(match status {
            Status::Pass => 1.0,
            Status::Warn => 0.5,
            Status::Fail => 0.0,
        });
    }
}
