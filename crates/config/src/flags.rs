//! Switches for features: by hand, by percentage, by who is asking.

use std::collections::{BTreeMap, BTreeSet};

use buttress_core::{Validate, Violations};
use serde::{Deserialize, Serialize};

/// Switches by name, as a part of any configuration.
///
/// ```
/// use buttress_config::{FlagConfig, FlagContext, FlagsConfig, Why};
///
/// let mut flags = FlagsConfig::default();
/// flags.insert("new-chunker", FlagConfig::on().percent(25.0).allow(["qa-1"]).only("plan", ["pro", "team"]));
///
/// let qa = FlagContext::new("qa-1");
/// assert!(flags.is_on("new-chunker", &qa));
/// assert_eq!(flags.decide("new-chunker", &qa).why, Why::Allowed);
///
/// let free = FlagContext::new("user-42").attributes(&[("plan", "free")]);
/// assert_eq!(flags.decide("new-chunker", &free).why, Why::NotTargeted);
/// assert!(!flags.is_on("no-such-flag", &qa));
/// ```
///
/// In a file:
///
/// ```toml
/// [flags.new-chunker]
/// enabled = true
/// percent = 25
/// allow = ["qa-1"]
/// when = { plan = ["pro", "team"] }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FlagsConfig(BTreeMap<String, FlagConfig>);

/// One switch. The rules are asked in this order, and the first that decides does: `enabled`, `deny`, `allow`,
/// `when`, `percent`.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `enabled` | `false` | `false` turns it off for everybody, whatever else is said |
/// | `deny` | none | keys for which it is off |
/// | `allow` | none | keys for which it is on, whatever `when` and `percent` say |
/// | `when` | none | attributes that must all be there, each with one of the values listed |
/// | `percent` | `100` | the share of the remaining keys for which it is on, 0 to 100, decimals allowed |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FlagConfig {
    /// Whether it can be on at all.
    pub enabled: bool,
    /// The share of keys for which it is on, 0 to 100.
    pub percent: f64,
    /// Keys for which it is on.
    pub allow: BTreeSet<String>,
    /// Keys for which it is off.
    pub deny: BTreeSet<String>,
    /// Attributes that must all be there, each with one of these values.
    pub when: BTreeMap<String, BTreeSet<String>>,
}

impl Default for FlagConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            percent: 100.0,
            allow: BTreeSet::new(),
            deny: BTreeSet::new(),
            when: BTreeMap::new(),
        }
    }
}

impl FlagConfig {
    /// On for everybody.
    #[must_use]
    pub fn on() -> Self {
        Self { enabled: true, ..Self::default() }
    }

    /// On for this share of the keys, 0 to 100.
    #[must_use]
    pub fn percent(mut self, percent: f64) -> Self {
        self.percent = percent;
        self
    }

    /// On for these keys, whatever the percentage and the attributes.
    #[must_use]
    pub fn allow<S: Into<String>>(mut self, keys: impl IntoIterator<Item = S>) -> Self {
        self.allow.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Off for these keys.
    #[must_use]
    pub fn deny<S: Into<String>>(mut self, keys: impl IntoIterator<Item = S>) -> Self {
        self.deny.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Only where `attribute` has one of `values`.
    #[must_use]
    pub fn only<S: Into<String>>(
        mut self,
        attribute: impl Into<String>,
        values: impl IntoIterator<Item = S>,
    ) -> Self {
        self.when.entry(attribute.into()).or_default().extend(values.into_iter().map(Into::into));
        self
    }
}

/// Who is asking: a key (a user, a tenant, a document) and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagContext<'a> {
    key: &'a str,
    attributes: &'a [(&'a str, &'a str)],
}

impl<'a> FlagContext<'a> {
    /// Somebody of whom nothing but the key is known.
    #[must_use]
    pub fn new(key: &'a str) -> Self {
        Self { key, attributes: &[] }
    }

    /// Adds what is known, as names and values.
    #[must_use]
    pub fn attributes(mut self, attributes: &'a [(&'a str, &'a str)]) -> Self {
        self.attributes = attributes;
        self
    }

    fn has(&self, name: &str, values: &BTreeSet<String>) -> bool {
        self.attributes.iter().any(|(key, value)| *key == name && values.contains(*value))
    }
}

/// The answer, and which rule gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// Whether the feature is on.
    pub on: bool,
    /// Which rule decided.
    pub why: Why,
}

/// Which rule decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// There is no such flag: off.
    Unknown,
    /// It is not enabled: off.
    Disabled,
    /// The key is in `deny`: off.
    Denied,
    /// The key is in `allow`: on.
    Allowed,
    /// An attribute that `when` asks for is not there: off.
    NotTargeted,
    /// The percentage decided, either way.
    Percentage,
}

impl FlagsConfig {
    /// Adds a flag, or replaces it.
    pub fn insert(&mut self, name: impl Into<String>, flag: FlagConfig) {
        self.0.insert(name.into(), flag);
    }

    /// A flag's rules.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&FlagConfig> {
        self.0.get(name)
    }

    /// All flags, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &FlagConfig)> {
        self.0.iter().map(|(name, flag)| (name.as_str(), flag))
    }

    /// Whether the feature `name` is on for whoever is asking. A flag that is not configured is off.
    ///
    /// The answer depends on nothing but the configuration and the arguments. A key keeps its answer between calls,
    /// processes and releases; raising the percentage never turns the feature off for a key; flags decide
    /// independently of one another.
    #[must_use]
    pub fn is_on(&self, name: &str, who: &FlagContext<'_>) -> bool {
        self.decide(name, who).on
    }

    /// The same, with the rule that decided.
    #[must_use]
    pub fn decide(&self, name: &str, who: &FlagContext<'_>) -> Decision {
        let Some(flag) = self.0.get(name) else { return Decision { on: false, why: Why::Unknown } };
        let (on, why) = if !flag.enabled {
            (false, Why::Disabled)
        } else if flag.deny.contains(who.key) {
            (false, Why::Denied)
        } else if flag.allow.contains(who.key) {
            (true, Why::Allowed)
        } else if !flag.when.iter().all(|(attribute, values)| who.has(attribute, values)) {
            (false, Why::NotTargeted)
        } else {
            (place(name, who.key) < flag.percent, Why::Percentage)
        };
        Decision { on, why }
    }
}

impl Validate for FlagsConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        for (name, flag) in &self.0 {
            let field = crate::path::KeyPath::default().child(name).child("percent").to_string();
            let in_range = (0.0..=100.0).contains(&flag.percent);
            wrong.require(in_range, &field, flag.percent, "must be 0 to 100");
        }
        wrong.into_result()
    }
}

/// Where a key stands for a flag, evenly spread over 0 to 100 (without 100). Part of the contract: another function
/// would move every key of every flag in use.
fn place(flag: &str, key: &str) -> f64 {
    // FNV-1a over both names, with a byte between them that UTF-8 does not have. Its high bits are weak, so
    // MurmurHash3's finaliser mixes them.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in flag.bytes().chain([0xff]).chain(key.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 33;
    // The 53 bits that an f64 holds exactly.
    (hash >> 11) as f64 / (1_u64 << 53) as f64 * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of keys must never move; these were computed by another implementation of the same function.
    #[test]
    fn places_are_frozen() {
        for (flag, key, expected) in FROZEN {
            assert!((place(flag, key) - expected).abs() < 1e-9, "{flag} {key} {}", place(flag, key));
        }
    }

    const FROZEN: [(&str, &str, f64); 3] = [
        ("new-chunker", "user-1", 55.881_166_759_359),
        ("new-chunker", "user-2", 74.499_100_727_615),
        ("", "", 10.835_817_485_023),
    ];
}
