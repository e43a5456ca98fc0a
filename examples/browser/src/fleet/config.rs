//! How many browsers there are, and when one is replaced.

use std::time::Duration;

use buttress_core::{ByteSize, Validate, Violations, units};
use serde::{Deserialize, Serialize};

/// How many browsers there are, and when one is replaced.
///
/// | field | default | |
/// |---|---|---|
/// | `browsers` | 2 | browsers at most |
/// | `tabs` | 6 | jobs in one browser at the same time, each in a context of its own |
/// | `spare` | 1 | contexts kept ready, so that a job need not wait for one; from the first job on |
/// | `uses` | 100 | a browser is replaced after so many contexts |
/// | `age` | `"30m"` | and when it is this old |
/// | `memory` | 1GiB | and when its processes hold this much; at twice as much it is killed |
/// | `idle` | `"5m"` | a browser that nobody needs is closed after so long |
/// | `wait` | `"30s"` | how long a job waits for a context |
/// | `watch` | `"2s"` | how often browsers in use are asked whether they answer, and measured |
/// | `answer` | `"2s"` | a browser that does not answer within this, twice in a row, is killed |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FleetConfig {
    /// Browsers at most.
    pub browsers: usize,
    /// Jobs in one browser at the same time.
    pub tabs: usize,
    /// Contexts kept ready.
    pub spare: usize,
    /// A browser is replaced after so many contexts.
    pub uses: u64,
    /// A browser is replaced when it is this old.
    #[serde(with = "units::duration")]
    pub age: Duration,
    /// A browser is replaced when its processes hold this much.
    pub memory: ByteSize,
    /// A browser that nobody needs is closed after so long.
    #[serde(with = "units::duration")]
    pub idle: Duration,
    /// How long a job waits for a context.
    #[serde(with = "units::duration")]
    pub wait: Duration,
    /// How often browsers in use are looked at.
    #[serde(with = "units::duration")]
    pub watch: Duration,
    /// How long a browser may take to answer that.
    #[serde(with = "units::duration")]
    pub answer: Duration,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            browsers: 2,
            tabs: 6,
            spare: 1,
            uses: 100,
            age: Duration::from_mins(30),
            memory: ByteSize::gib(1),
            idle: Duration::from_mins(5),
            wait: Duration::from_secs(30),
            watch: Duration::from_secs(2),
            answer: Duration::from_secs(2),
        }
    }
}

impl Validate for FleetConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let browsers = (1..=64).contains(&self.browsers);
        wrong.require(browsers, "browsers", self.browsers, "must be 1 to 64; 2 is usual");
        wrong.require((1..=64).contains(&self.tabs), "tabs", self.tabs, "must be 1 to 64; 6 is usual");
        let spare = self.spare < self.browsers * self.tabs;
        wrong.require(spare, "spare", self.spare, "must be less than `browsers` times `tabs`; 1 is usual");
        wrong.require(self.uses >= 1, "uses", self.uses, "must be at least 1; 100 is usual");
        let memory = self.memory >= ByteSize::mib(128);
        wrong.require(memory, "memory", self.memory, "must be at least \"128MiB\"; \"1GiB\" is usual");
        for (field, value, usual) in [
            ("age", self.age, "30m"),
            ("idle", self.idle, "5m"),
            ("wait", self.wait, "30s"),
            ("watch", self.watch, "2s"),
            ("answer", self.answer, "2s"),
        ] {
            let fits = (Duration::from_millis(10)..=Duration::from_hours(24)).contains(&value);
            let remedy = format!("must be \"10ms\" to \"1d\"; \"{usual}\" is usual");
            wrong.require(fits, field, units::format_duration(value), remedy);
        }
        wrong.into_result()
    }
}

impl FleetConfig {
    /// Jobs at the same time, in all browsers.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.browsers * self.tabs
    }
}
