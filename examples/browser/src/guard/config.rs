//! What the guard lets through, and how much of it.

use std::time::Duration;

use buttress_core::{ByteSize, Validate, Violations, units};
use serde::{Deserialize, Serialize};

use super::Rule;

/// Entries that `allow` or `deny` may have.
const MOST_RULES: usize = 10_000;

/// What pages may reach.
///
/// | field | default | |
/// |---|---|---|
/// | `enabled` | `true` | `false` lets every address, name and port through; the proxy still runs |
/// | `allow` | none | exceptions: `10.1.0.0/16`, `127.0.0.1:8000`, `intranet.example`, `*.intranet.example:8080` |
/// | `deny` | none | refused although public: networks, and names with their sub-domains; goes before `allow` |
/// | `ports` | none | if given, the only ports; otherwise all but those of well-known other services |
/// | `connections` | 256 | connections at once; Chromium opens at most 32 to a proxy |
/// | `head_within` | `"15s"` | how long a request's head may take |
/// | `connect_within` | `"10s"` | how long resolving and connecting may take together |
/// | `idle` | `"60s"` | a connection on which nothing moves for so long is closed |
/// | `bytes` | `"1GiB"` | what one connection may carry, both ways together |
///
/// An allowed network or address may be reached under any name that resolves to it, as long as the name is not a
/// local one. An allowed name may resolve to loopback and to private addresses, but link-local addresses and those
/// where a cloud hands out credentials need an entry of their own. An entry with a port allows that port also if
/// it is one of another service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GuardConfig {
    /// Whether anything is refused.
    pub enabled: bool,
    /// Exceptions.
    pub allow: Vec<Rule>,
    /// Refused although public.
    pub deny: Vec<Rule>,
    /// The only ports, if there are any.
    pub ports: Vec<u16>,
    /// Connections at once.
    pub connections: usize,
    /// How long a request's head may take.
    #[serde(with = "units::duration")]
    pub head_within: Duration,
    /// How long resolving and connecting may take together.
    #[serde(with = "units::duration")]
    pub connect_within: Duration,
    /// A connection on which nothing moves for so long is closed.
    #[serde(with = "units::duration")]
    pub idle: Duration,
    /// What one connection may carry, both ways together.
    pub bytes: ByteSize,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            allow: Vec::new(),
            deny: Vec::new(),
            ports: Vec::new(),
            connections: 256,
            head_within: Duration::from_secs(15),
            connect_within: Duration::from_secs(10),
            idle: Duration::from_mins(1),
            bytes: ByteSize::gib(1),
        }
    }
}

impl Validate for GuardConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        for (field, rules) in [("allow", &self.allow), ("deny", &self.deny)] {
            let few = rules.len() <= MOST_RULES;
            wrong.require(few, field, rules.len(), "must have at most 10000 entries; name whole networks");
        }
        let ports = !self.ports.contains(&0);
        wrong.require(ports, "ports", 0, "must be 1 to 65535; leave the list empty for all web ports");
        let connections = (1..=10_000).contains(&self.connections);
        wrong.require(
            connections,
            "connections",
            self.connections,
            "must be 1 to 10000; 256 is usual, a browser opens at most 32",
        );
        let shown = units::format_duration;
        let (least, most) = (Duration::from_millis(10), Duration::from_hours(1));
        for (field, value, usual) in [
            ("head_within", self.head_within, "15s"),
            ("connect_within", self.connect_within, "10s"),
            ("idle", self.idle, "60s"),
        ] {
            let remedy = format!("must be \"10ms\" to \"1h\"; \"{usual}\" is usual");
            wrong.require((least..=most).contains(&value), field, shown(value), remedy);
        }
        let bytes = self.bytes.bytes() >= 1 << 10;
        wrong.require(bytes, "bytes", self.bytes, "must be at least \"1KiB\"; \"1GiB\" is usual");
        wrong.into_result()
    }
}
