//! How passwords are hashed and looked at.

use std::time::Duration;

use buttress_core::{ByteSize, Validate, Violations, units};
use serde::{Deserialize, Serialize};

use super::phc::Cost;

/// How passwords are hashed and looked at.
///
/// | setting | default | |
/// |---|---|---|
/// | `memory` | `"19MiB"` | of one hash; with `passes` at least what OWASP asks for |
/// | `passes` | 2 | over the memory |
/// | `lanes` | 1 | of the memory; more make no hash faster here |
/// | `at_once` | 2 | hashes that are computed at the same time: they take `at_once` times `memory` |
/// | `waiting` | 64 | hashes that wait for that; a further one is refused |
/// | `shortest` | 8 | characters of a new password; 15 where nothing else is asked for (NIST SP 800-63B-4) |
/// | `common` | none | further passwords that are refused: the name of the service, for example |
/// | `throttle` | | see [`ThrottleConfig`] |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PasswordsConfig {
    /// Memory of one hash.
    pub memory: ByteSize,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes of the memory.
    pub lanes: u32,
    /// Hashes at the same time.
    pub at_once: usize,
    /// Hashes that wait.
    pub waiting: usize,
    /// Characters of a new password, at least.
    pub shortest: usize,
    /// Further passwords that are refused.
    pub common: Vec<String>,
    /// How failures slow down attempts.
    pub throttle: ThrottleConfig,
}

impl Default for PasswordsConfig {
    fn default() -> Self {
        Self {
            memory: ByteSize::mib(19),
            passes: 2,
            lanes: 1,
            at_once: 2,
            waiting: 64,
            shortest: 8,
            common: Vec::new(),
            throttle: ThrottleConfig::default(),
        }
    }
}

/// How failures slow down attempts: the first few cost nothing, each further one twice as long as the one before.
///
/// Somebody who fails on purpose keeps the owner of the account waiting too; `longest` says how long at most.
///
/// | setting | default | |
/// |---|---|---|
/// | `free` | 5 | failures of an account before it waits |
/// | `free_for_address` | 20 | the same of an address (IPv6: of its /64), behind which there may be many people |
/// | `first` | `"1s"` | the first wait |
/// | `longest` | `"5m"` | the longest wait |
/// | `forget_after` | `"1h"` | after how long without an attempt failures are forgotten |
/// | `most` | 100000 | accounts and addresses that are remembered, at most |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ThrottleConfig {
    /// Failures of an account before it waits.
    pub free: u32,
    /// The same of an address.
    pub free_for_address: u32,
    /// The first wait.
    #[serde(with = "units::duration")]
    pub first: Duration,
    /// The longest wait.
    #[serde(with = "units::duration")]
    pub longest: Duration,
    /// After how long failures are forgotten.
    #[serde(with = "units::duration")]
    pub forget_after: Duration,
    /// Accounts and addresses that are remembered.
    pub most: usize,
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self {
            free: 5,
            free_for_address: 20,
            first: Duration::from_secs(1),
            longest: Duration::from_mins(5),
            forget_after: Duration::from_hours(1),
            most: 100_000,
        }
    }
}

impl PasswordsConfig {
    pub(super) fn cost(&self) -> Cost {
        let memory = u32::try_from(self.memory.bytes() / 1_024).unwrap_or(u32::MAX);
        Cost { memory, passes: self.passes, lanes: self.lanes }
    }
}

impl Validate for PasswordsConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        // The OWASP Password Storage Cheat Sheet: these are worth the same.
        let worth = [(46, 1), (19, 2), (12, 3), (9, 4), (7, 5)];
        let enough = |(mib, passes)| self.memory >= ByteSize::mib(mib) && self.passes >= passes;
        let remedy = "must be 19MiB with 2 passes, or what is worth as much: 46MiB with 1, 12MiB with 3, 9MiB with 4, 7MiB with 5";
        wrong.require(worth.into_iter().any(enough), "memory", self.memory, remedy);
        let most = self.memory <= ByteSize::mib(512);
        wrong.require(most, "memory", self.memory, "must be at most 512MiB; 19MiB is usual");
        wrong.require(self.passes <= 64, "passes", self.passes, "must be at most 64; 2 is usual");
        let lanes = (1..=16).contains(&self.lanes);
        wrong.require(lanes, "lanes", self.lanes, "must be 1 to 16; 1 is usual");
        let at_once = (1..=256).contains(&self.at_once);
        wrong.require(at_once, "at_once", self.at_once, "must be 1 to 256; 2 is usual");
        wrong.require(
            self.waiting <= 100_000,
            "waiting",
            self.waiting,
            "must be at most 100000; 64 is usual",
        );
        let shortest = (8..=64).contains(&self.shortest);
        wrong.require(shortest, "shortest", self.shortest, "must be 8 to 64; 8 or 15 is usual");
        wrong.nest("throttle", &self.throttle);
        wrong.into_result()
    }
}

impl Validate for ThrottleConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        for (field, free) in [("free", self.free), ("free_for_address", self.free_for_address)] {
            wrong.require((1..=1_000).contains(&free), field, free, "must be 1 to 1000; 5 and 20 are usual");
        }
        let shown = |duration: Duration| units::format_duration(duration);
        let first = (Duration::from_millis(1)..=self.longest).contains(&self.first);
        wrong.require(first, "first", shown(self.first), "must be 1ms to `longest`; 1s is usual");
        let longest = self.longest <= self.forget_after;
        wrong.require(longest, "longest", shown(self.longest), "must be at most `forget_after`; 5m is usual");
        let day = self.forget_after <= Duration::from_hours(24);
        wrong.require(day, "forget_after", shown(self.forget_after), "must be at most 24h; 1h is usual");
        let most = (2..=10_000_000).contains(&self.most);
        wrong.require(most, "most", self.most, "must be 2 to 10000000; 100000 is usual");
        wrong.into_result()
    }
}
