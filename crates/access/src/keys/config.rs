//! How API keys are made and looked at.

use std::time::Duration;

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Serialize};

use super::text::is_prefix;

/// How API keys are made and looked at.
///
/// | setting | default | |
/// |---|---|---|
/// | `prefix` | `"key"` | what every key begins with: 1 to 16 small letters, digits and `_`; name the application and the stage |
/// | `lifetime` | `"365d"` | how long a key is good, unless it is issued for another time |
/// | `cache_for` | `"10s"` | how long a record that was good is not asked for again: a key that another process revokes is good for so long at most |
/// | `cache_most` | 10000 | records kept so, at most |
/// | `last_use_every` | `"1m"` | how exact, and how often written, the time of last use is |
/// | `within` | `"2s"` | how long the store may take |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ApiKeysConfig {
    /// What every key begins with.
    pub prefix: String,
    /// How long a key is good.
    #[serde(with = "units::duration")]
    pub lifetime: Duration,
    /// How long a record is kept without asking the store again.
    #[serde(with = "units::duration")]
    pub cache_for: Duration,
    /// How many records are kept so.
    pub cache_most: usize,
    /// How often the time of last use is written.
    #[serde(with = "units::duration")]
    pub last_use_every: Duration,
    /// How long the store may take.
    #[serde(with = "units::duration")]
    pub within: Duration,
}

impl Default for ApiKeysConfig {
    fn default() -> Self {
        Self {
            prefix: "key".to_owned(),
            lifetime: Duration::from_hours(365 * 24),
            cache_for: Duration::from_secs(10),
            cache_most: 10_000,
            last_use_every: Duration::from_mins(1),
            within: Duration::from_secs(2),
        }
    }
}

impl Validate for ApiKeysConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let shown = |duration: Duration| units::format_duration(duration);
        let quoted = format!("{:?}", self.prefix);
        let remedy = "must be 1 to 16 small letters, digits and `_` between them, a letter first";
        wrong.require(is_prefix(&self.prefix), "prefix", quoted, remedy);
        let years = Duration::from_hours(24 * 366 * 10);
        let lasts = (Duration::from_mins(1)..=years).contains(&self.lifetime);
        wrong.require(lasts, "lifetime", shown(self.lifetime), "must be 1m to ten years; 365d is usual");
        let short = self.cache_for <= Duration::from_mins(10);
        wrong.require(short, "cache_for", shown(self.cache_for), "must be at most 10m; 10s is usual");
        let few = (1..=10_000_000).contains(&self.cache_most);
        wrong.require(few, "cache_most", self.cache_most, "must be 1 to 10000000; 10000 is usual");
        let every = (Duration::from_secs(1)..=Duration::from_hours(24)).contains(&self.last_use_every);
        wrong.require(every, "last_use_every", shown(self.last_use_every), "must be 1s to 24h; 1m is usual");
        let within = (Duration::from_millis(1)..=Duration::from_mins(1)).contains(&self.within);
        wrong.require(within, "within", shown(self.within), "must be 1ms to 1m; 2s is usual");
        wrong.into_result()
    }
}
