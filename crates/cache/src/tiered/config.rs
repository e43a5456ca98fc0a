//! How the second tier is treated.

use std::time::Duration;

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Serialize};

/// How the second tier is treated, and for how long nodes may disagree.
///
/// | field | default | |
/// |---|---|---|
/// | `staleness` | `"2s"` | no node serves what was changed longer ago than this |
/// | `within` | `"250ms"` | limit of one call to the tier |
/// | `failures` | 5 | calls that fail in a row until the tier is left alone |
/// | `open_for` | `"1s"` | for how long; then one call tries it |
/// | `lease` | `"10s"` | for how long a fleet waits for a node that died while it loaded |
/// | `pending` | 1024 | changes that wait to be told while the tier does not answer; more are forgotten, and what they changed may be found in it until it ends |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TierConfig {
    /// No node serves what was changed longer ago than this.
    #[serde(with = "units::duration")]
    pub staleness: Duration,
    /// Limit of one call to the tier.
    #[serde(with = "units::duration")]
    pub within: Duration,
    /// Calls that fail in a row until the tier is left alone.
    pub failures: u32,
    /// For how long; then one call tries it.
    #[serde(with = "units::duration")]
    pub open_for: Duration,
    /// For how long a fleet waits for a node that died while it loaded.
    #[serde(with = "units::duration")]
    pub lease: Duration,
    /// Changes that wait to be told while the tier does not answer; also those that are remembered, to be told again.
    pub pending: usize,
}

impl Default for TierConfig {
    fn default() -> Self {
        Self {
            staleness: Duration::from_secs(2),
            within: Duration::from_millis(250),
            failures: 5,
            open_for: Duration::from_secs(1),
            lease: Duration::from_secs(10),
            pending: 1024,
        }
    }
}

impl Validate for TierConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let (usual, shown) = (Self::default(), units::format_duration);
        for (field, value, least, usual) in [
            ("staleness", self.staleness, Duration::from_millis(100), usual.staleness),
            ("within", self.within, Duration::from_millis(1), usual.within),
            ("open_for", self.open_for, Duration::from_millis(1), usual.open_for),
            ("lease", self.lease, Duration::from_millis(100), usual.lease),
        ] {
            let holds = (least..=Duration::from_hours(1)).contains(&value);
            let remedy = format!("must be \"{}\" to \"1h\"; \"{}\" is usual", shown(least), shown(usual));
            wrong.require(holds, field, shown(value), remedy);
        }
        wrong.require(self.failures >= 1, "failures", self.failures, "must be at least 1; 5 is usual");
        let few = self.pending <= 1_000_000;
        wrong.require(few, "pending", self.pending, "must be at most 1000000; 1024 is usual");
        wrong.into_result()
    }
}
