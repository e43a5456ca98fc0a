//! When a circuit opens, and for how long.

use std::time::Duration;

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Serialize};

use super::circuit::Rules;
use super::window::Window;
use crate::config::{thousandths, time};

/// Which calls a breaker looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WindowConfig {
    /// The last so many, 1 to 10,000; a byte of memory each.
    Calls(u32),
    /// Those of the last so long, to a tenth of it. A call costs a look at the clock more.
    #[serde(with = "units::duration")]
    Time(Duration),
}

/// When a circuit opens, and for how long.
///
/// | field | default | |
/// |---|---|---|
/// | `window` | `{ calls = 100 }` | the calls it looks at; or `{ time = "10s" }` |
/// | `least` | 20 | calls in the window below which it stays closed |
/// | `failure_rate` | 0.5 | opens when so large a share of the calls failed |
/// | `slow_after` | none | a call that takes so long is slow; none: none is |
/// | `slow_rate` | 1.0 | opens when so large a share of the calls was slow |
/// | `probes` | 3 | calls let through when its wait is over; it closes when all of them went well |
/// | `open_first` | `"1s"` | the first wait; it doubles each time in a row, and is up to a fifth shorter |
/// | `open_most` | `"10s"` | the longest wait, also of those that a callee asks for |
/// | `half_open_most` | `"60s"` | probes that take longer have failed |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BreakerConfig {
    /// The calls it looks at.
    pub window: WindowConfig,
    /// Calls in the window below which it stays closed.
    pub least: u32,
    /// The share of failed calls at which it opens.
    pub failure_rate: f64,
    /// A call that takes so long is slow.
    #[serde(with = "units::optional_duration")]
    pub slow_after: Option<Duration>,
    /// The share of slow calls at which it opens.
    pub slow_rate: f64,
    /// Calls let through when its wait is over.
    pub probes: u32,
    /// The first wait.
    #[serde(with = "units::duration")]
    pub open_first: Duration,
    /// The longest wait.
    #[serde(with = "units::duration")]
    pub open_most: Duration,
    /// Probes that take longer have failed.
    #[serde(with = "units::duration")]
    pub half_open_most: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: WindowConfig::Calls(100),
            least: 20,
            failure_rate: 0.5,
            slow_after: None,
            slow_rate: 1.0,
            probes: 3,
            open_first: Duration::from_secs(1),
            open_most: Duration::from_secs(10),
            half_open_most: Duration::from_mins(1),
        }
    }
}

impl Validate for BreakerConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let usual = Self::default();
        match self.window {
            WindowConfig::Calls(calls) => {
                let holds = (1..=10_000).contains(&calls);
                wrong.require(holds, "window.calls", calls, "must be 1 to 10000; 100 is usual");
                let least = (1..=calls.max(1)).contains(&self.least);
                wrong.require(least, "least", self.least, "must be 1 to `window.calls`; 20 is usual");
            }
            WindowConfig::Time(length) => {
                time(&mut wrong, "window.time", length, Duration::from_secs(10));
                wrong.require(self.least >= 1, "least", self.least, "must be at least 1; 20 is usual");
            }
        }
        for (field, rate) in [("failure_rate", self.failure_rate), ("slow_rate", self.slow_rate)] {
            wrong.require((0.001..=1.0).contains(&rate), field, rate, "must be 0.001 to 1; 0.5 is usual");
        }
        let probes = (1..=1_000).contains(&self.probes);
        wrong.require(probes, "probes", self.probes, "must be 1 to 1000; 3 is usual");
        time(&mut wrong, "slow_after", self.slow_after.unwrap_or(usual.open_first), Duration::from_secs(2));
        time(&mut wrong, "open_first", self.open_first, usual.open_first);
        time(&mut wrong, "open_most", self.open_most, usual.open_most);
        time(&mut wrong, "half_open_most", self.half_open_most, usual.half_open_most);
        wrong.into_result()
    }
}

impl BreakerConfig {
    pub(super) fn rules(&self) -> Rules {
        Rules {
            failed: thousandths(self.failure_rate),
            slow: thousandths(self.slow_rate),
            least: u64::from(self.least),
            probes: self.probes,
            open_first: self.open_first,
            open_most: self.open_most,
            half_open_most: self.half_open_most,
        }
    }

    pub(super) fn window(&self) -> Window {
        match self.window {
            WindowConfig::Calls(calls) => Window::of_calls(calls),
            WindowConfig::Time(length) => Window::of_time(length),
        }
    }
}
