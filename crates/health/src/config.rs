//! How often and how patiently checks run.

use std::time::Duration;

use buttress_core::units::format_duration;
use buttress_core::{Validate, Violations};
use serde::{Deserialize, Serialize};

/// The schedule and patience of checks that do not set their own.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `interval` | `"5s"` | from the end of one run of a check to the start of the next |
/// | `timeout` | `"1s"` | a check that takes longer has failed |
/// | `jitter` | `0.1` | the share of the interval by which a run may come early, so that replicas do not march in step |
/// | `failure_threshold` | `3` | failures in a row that turn a passing check |
/// | `success_threshold` | `1` | passes in a row that turn a failing check |
/// | `heartbeat_limit` | `"10s"` | liveness fails when the runtime has not run a trivial task for so long |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HealthConfig {
    /// From the end of one run of a check to the start of the next.
    #[serde(with = "buttress_core::units::duration")]
    pub interval: Duration,
    /// How long a check may take.
    #[serde(with = "buttress_core::units::duration")]
    pub timeout: Duration,
    /// The share of the interval by which a run may come early, 0 to 1.
    pub jitter: f64,
    /// Failures in a row that turn a passing check.
    pub failure_threshold: u32,
    /// Passes in a row that turn a failing check.
    pub success_threshold: u32,
    /// How long the runtime may go without running a trivial task.
    #[serde(with = "buttress_core::units::duration")]
    pub heartbeat_limit: Duration,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            jitter: 0.1,
            failure_threshold: 3,
            success_threshold: 1,
            heartbeat_limit: Duration::from_secs(10),
        }
    }
}

impl Validate for HealthConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        for (field, value, usual) in [
            ("interval", self.interval, "5s"),
            ("timeout", self.timeout, "1s"),
            ("heartbeat_limit", self.heartbeat_limit, "10s"),
        ] {
            wrong.require(
                !value.is_zero(),
                field,
                format_duration(value),
                format!("must be longer than nothing; {usual} is usual"),
            );
        }
        wrong.require(
            (0.0..=1.0).contains(&self.jitter),
            "jitter",
            self.jitter,
            "must be from 0 to 1; 0.1 is usual",
        );
        for (field, value) in
            [("failure_threshold", self.failure_threshold), ("success_threshold", self.success_threshold)]
        {
            wrong.require(value >= 1, field, value, "must be at least 1");
        }
        wrong.into_result()
    }
}
