//! A whole policy, from a configuration file.

use std::time::Duration;

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Serialize};

use crate::breaker::BreakerConfig;
use crate::bulkhead::BulkheadConfig;
use crate::config::{name, time};
use crate::hedge::HedgeConfig;
use crate::retry::RetryConfig;

/// A part of a policy that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// Trying again.
    Retry,
    /// Asking a second time.
    Hedge,
    /// The circuit breaker.
    Breaker,
    /// The limit on calls at once.
    Bulkhead,
}

/// A whole policy. Its parts are in one order, whatever that of `parts`.
///
/// | field | default | |
/// |---|---|---|
/// | `name` | `"policy"` | in metrics and events |
/// | `deadline` | `"30s"` | for the whole: waits, attempts and the waits between them |
/// | `timeout` | `"10s"` | for one attempt |
/// | `parts` | `["retry", "breaker", "bulkhead"]` | what is in use; also `"hedge"` |
/// | `retry` | see [`RetryConfig`] | |
/// | `hedge` | see [`HedgeConfig`] | |
/// | `breaker` | see [`BreakerConfig`] | |
/// | `bulkhead` | see [`BulkheadConfig`] | |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ResilienceConfig {
    /// In metrics and events.
    pub name: String,
    /// For the whole.
    #[serde(with = "units::duration")]
    pub deadline: Duration,
    /// For one attempt.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
    /// What is in use.
    pub parts: Vec<Part>,
    /// Trying again.
    pub retry: RetryConfig,
    /// Asking a second time.
    pub hedge: HedgeConfig,
    /// The circuit breaker.
    pub breaker: BreakerConfig,
    /// The limit on calls at once.
    pub bulkhead: BulkheadConfig,
}

impl Default for ResilienceConfig {
    fn default() -> Self {
        Self {
            name: "policy".to_owned(),
            deadline: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            parts: vec![Part::Retry, Part::Breaker, Part::Bulkhead],
            retry: RetryConfig::default(),
            hedge: HedgeConfig::default(),
            breaker: BreakerConfig::default(),
            bulkhead: BulkheadConfig::default(),
        }
    }
}

impl Validate for ResilienceConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let usual = Self::default();
        name(&mut wrong, &self.name);
        time(&mut wrong, "deadline", self.deadline, usual.deadline);
        time(&mut wrong, "timeout", self.timeout, usual.timeout);
        let fits = self.timeout <= self.deadline;
        let shown = units::format_duration(self.timeout);
        wrong.require(fits, "timeout", shown, "must not be more than `deadline`");
        wrong.nest("retry", &self.retry);
        wrong.nest("hedge", &self.hedge);
        wrong.nest("breaker", &self.breaker);
        wrong.nest("bulkhead", &self.bulkhead);
        wrong.into_result()
    }
}

impl ResilienceConfig {
    pub(super) fn uses(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}
