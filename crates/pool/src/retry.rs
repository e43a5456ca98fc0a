//! When to try again to create an object.

use std::time::Duration;

use buttress_core::Random;

/// What a failure to create asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    /// Try again after so long.
    Retry(Duration),
    /// Do not; the circuit is open.
    Open,
}

/// Pauses that double, from the first to the longest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryRules {
    pub(crate) first: Duration,
    pub(crate) most: Duration,
}

impl RetryRules {
    /// The pause after so many failures in a row: between half and all of it, so that many pools do not knock at once.
    pub(crate) fn pause(&self, failures: u32, random: &Random) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        doubled.min(self.most).mul_f64(0.5 + 0.5 * random.fraction())
    }
}
