//! What a policy of URLs decides by.

use std::time::Duration;

use buttress_core::{ByteSize, Validate, Violations, units};
use serde::{Deserialize, Serialize};

use super::rule::Rule;

/// Which URLs are taken.
///
/// | field | default | |
/// |---|---|---|
/// | `schemes` | `http`, `https` | schemes; both have hosts |
/// | `only` | none | if there are any, no other hosts |
/// | `allow` | none | networks, addresses and names that are taken though they are private |
/// | `deny` | none | networks, addresses and names (with all below them) that are never taken |
/// | `ports` | none | if there are any, no other ports; else all but those of databases, mail and the like |
/// | `max_bytes` | 8 KiB | of a URL |
/// | `redirects` | 5 | one after the other |
/// | `resolve_within` | 5s | for a name's addresses |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UrlConfig {
    /// The schemes, in lower case: `http` or `https`.
    pub schemes: Vec<String>,
    /// The only hosts, if any.
    pub only: Vec<Rule>,
    /// What is taken though it is private.
    pub allow: Vec<Rule>,
    /// What is never taken.
    pub deny: Vec<Rule>,
    /// The only ports, if any.
    pub ports: Vec<u16>,
    /// The most bytes of a URL.
    pub max_bytes: ByteSize,
    /// The most redirects one after the other.
    pub redirects: u8,
    /// The limit for resolving a name.
    #[serde(with = "units::duration")]
    pub resolve_within: Duration,
}

impl Default for UrlConfig {
    fn default() -> Self {
        Self {
            schemes: vec!["http".into(), "https".into()],
            only: Vec::new(),
            allow: Vec::new(),
            deny: Vec::new(),
            ports: Vec::new(),
            max_bytes: ByteSize::kib(8),
            redirects: 5,
            resolve_within: Duration::from_secs(5),
        }
    }
}

impl Validate for UrlConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let known = |scheme: &String| matches!(scheme.as_str(), "http" | "https");
        let schemes = !self.schemes.is_empty() && self.schemes.iter().all(known);
        wrong.require(schemes, "schemes", self.schemes.join(","), "must be `http`, `https` or both");
        let bytes = self.max_bytes.bytes();
        wrong.require(
            (16..=65_536).contains(&bytes),
            "max_bytes",
            self.max_bytes,
            "must be 16B to 64KiB; 8KiB is usual",
        );
        let within = units::format_duration(self.resolve_within);
        wrong.require(
            !self.resolve_within.is_zero(),
            "resolve_within",
            within,
            "must be more than 0; 5s is usual",
        );
        wrong.into_result()
    }
}
