//! How often and after what waits a call is tried again.

use std::time::Duration;

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::backoff::Rules;
use crate::config::{thousandths, time};

/// How often and after what waits a call is tried again.
///
/// | field | default | |
/// |---|---|---|
/// | `attempts` | 3 | attempts altogether; 1 is no retry |
/// | `first` | `"100ms"` | the longest first wait; it doubles with each failure, and the wait is random below it |
/// | `most` | `"10s"` | the longest wait |
/// | `asked_most` | `"30s"` | a callee that asks for a longer wait (`Retry-After`) is not tried again |
/// | `budget` | see [`BudgetConfig`] | retries beside calls |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryConfig {
    /// Attempts altogether.
    pub attempts: u32,
    /// The longest first wait.
    #[serde(with = "units::duration")]
    pub first: Duration,
    /// The longest wait.
    #[serde(with = "units::duration")]
    pub most: Duration,
    /// The longest wait that a callee may ask for.
    #[serde(with = "units::duration")]
    pub asked_most: Duration,
    /// Retries beside calls.
    pub budget: BudgetConfig,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: 3,
            first: Duration::from_millis(100),
            most: Duration::from_secs(10),
            asked_most: Duration::from_secs(30),
            budget: BudgetConfig::default(),
        }
    }
}

impl Validate for RetryConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let usual = Self::default();
        let attempts = (1..=100).contains(&self.attempts);
        wrong.require(attempts, "attempts", self.attempts, "must be 1 to 100; 3 is usual");
        time(&mut wrong, "first", self.first, usual.first);
        time(&mut wrong, "most", self.most, usual.most);
        time(&mut wrong, "asked_most", self.asked_most, usual.asked_most);
        wrong.nest("budget", &self.budget);
        wrong.into_result()
    }
}

impl RetryConfig {
    pub(super) fn rules(&self) -> Rules {
        Rules { attempts: self.attempts, first: self.first, most: self.most, asked_most: self.asked_most }
    }
}

/// How many retries there may be beside how many calls.
///
/// | field | default | |
/// |---|---|---|
/// | `share` | 0.1 | retries for each call |
/// | `least` | 10 | retries a second in any case |
/// | `burst` | 100 | retries at once, saved up while none was needed |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BudgetConfig {
    /// Retries for each call.
    pub share: f64,
    /// Retries a second in any case.
    pub least: u32,
    /// Retries at once.
    pub burst: u32,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { share: 0.1, least: 10, burst: 100 }
    }
}

impl Validate for BudgetConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let share = (0.0..=1.0).contains(&self.share);
        wrong.require(share, "share", self.share, "must be 0 to 1; 0.1 is usual");
        let most = 1_000_000;
        wrong.require(self.least <= most, "least", self.least, "must be at most 1000000; 10 is usual");
        let burst = (1..=most).contains(&self.burst);
        wrong.require(burst, "burst", self.burst, "must be 1 to 1000000; 100 is usual");
        wrong.into_result()
    }
}

impl BudgetConfig {
    pub(super) fn account(&self) -> Account {
        Account::new(thousandths(self.share), self.least, self.burst)
    }
}
