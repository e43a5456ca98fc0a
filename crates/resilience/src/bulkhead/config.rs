//! How many calls there may be at once, and who waits or is sent away.

use std::time::Duration;

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Serialize};

use super::adaptive::{Adapt, Limit};
use super::line::Line;
use crate::config::{thousandths, time};

/// How many calls there may be at once, and who waits or is sent away.
///
/// | field | default | |
/// |---|---|---|
/// | `limit` | 100 | calls at once; where it adapts, to begin with |
/// | `adapt` | `"fixed"` | or `"aimd"`, `"gradient2"`: see [`Adapt`] |
/// | `least` | 1 | the lowest limit that it adapts to |
/// | `most` | 1000 | the highest |
/// | `waiters` | 100 | calls that may wait for a place; 0 refuses at once |
/// | `wait` | `"1s"` | how long a call waits at most |
/// | `normal_share` | 1.0 | calls of normal priority come in while less than this share of the limit is in use |
/// | `low_share` | 1.0 | the same for low priority: 0.7 sheds them first |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BulkheadConfig {
    /// Calls at once.
    pub limit: u32,
    /// How the limit follows what calls tell.
    pub adapt: Adapt,
    /// The lowest limit that it adapts to.
    pub least: u32,
    /// The highest.
    pub most: u32,
    /// Calls that may wait for a place.
    pub waiters: u32,
    /// How long a call waits at most.
    #[serde(with = "units::duration")]
    pub wait: Duration,
    /// The share of the limit that is open to normal priority.
    pub normal_share: f64,
    /// The share of the limit that is open to low priority.
    pub low_share: f64,
}

impl Default for BulkheadConfig {
    fn default() -> Self {
        Self {
            limit: 100,
            adapt: Adapt::Fixed,
            least: 1,
            most: 1000,
            waiters: 100,
            wait: Duration::from_secs(1),
            normal_share: 1.0,
            low_share: 1.0,
        }
    }
}

impl Validate for BulkheadConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let largest = 1_000_000;
        for (field, value, usual) in
            [("limit", self.limit, 100), ("least", self.least, 1), ("most", self.most, 1000)]
        {
            let holds = (1..=largest).contains(&value);
            wrong.require(holds, field, value, format!("must be 1 to {largest}; {usual} is usual"));
        }
        if self.adapt != Adapt::Fixed {
            let holds = (self.least..=self.most).contains(&self.limit);
            wrong.require(holds, "limit", self.limit, "must be between `least` and `most`");
        }
        wrong.require(
            self.waiters <= largest,
            "waiters",
            self.waiters,
            "must be at most 1000000; 100 is usual",
        );
        time(&mut wrong, "wait", self.wait, Self::default().wait);
        for (field, share) in [("normal_share", self.normal_share), ("low_share", self.low_share)] {
            wrong.require(
                (0.001..=1.0).contains(&share),
                field,
                share,
                "must be 0.001 to 1; 1 sheds nobody first",
            );
        }
        let ordered = self.low_share <= self.normal_share;
        wrong.require(ordered, "low_share", self.low_share, "must not be more than `normal_share`");
        wrong.into_result()
    }
}

impl BulkheadConfig {
    pub(super) fn line(&self) -> Line {
        let shares = [1000, thousandths(self.normal_share), thousandths(self.low_share)];
        Line::new(self.limit, self.waiters, shares)
    }

    /// Nothing where it stays as it is.
    pub(super) fn adaptive(&self) -> Option<Limit> {
        let limit = Limit::new(self.adapt, self.limit, self.least, self.most);
        (self.adapt != Adapt::Fixed).then_some(limit)
    }
}
