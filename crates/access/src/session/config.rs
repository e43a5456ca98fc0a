//! How long sessions live, and how their cookie looks.

use std::time::Duration;

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Serialize};

/// How long sessions live, and how their cookie looks.
///
/// | field | default | |
/// |---|---|---|
/// | `idle` | `"30m"` | without a request for so long, it ends |
/// | `lifetime` | `"12h"` | since it began, it ends whatever was requested |
/// | `touch_every` | `"1m"` | uses within so long are noted once, which saves a write; a session may end so much early |
/// | `most_per_user` | 10 | for one more, the oldest ends |
/// | `cookie` | | see [`CookieConfig`] |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Without a request for so long, it ends.
    #[serde(with = "units::duration")]
    pub idle: Duration,
    /// Since it began, it ends whatever was requested.
    #[serde(with = "units::duration")]
    pub lifetime: Duration,
    /// Uses within so long are noted once.
    #[serde(with = "units::duration")]
    pub touch_every: Duration,
    /// For one more, the oldest ends.
    pub most_per_user: usize,
    /// How its cookie looks.
    pub cookie: CookieConfig,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            idle: Duration::from_mins(30),
            lifetime: Duration::from_hours(12),
            touch_every: Duration::from_mins(1),
            most_per_user: 10,
            cookie: CookieConfig::default(),
        }
    }
}

impl Validate for SessionConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let shown = units::format_duration;
        let year = Duration::from_hours(24 * 366);
        let idle = (Duration::from_secs(1)..=year).contains(&self.idle);
        wrong.require(idle, "idle", shown(self.idle), "must be 1s to 366d; 30m is usual");
        let lifetime = (self.idle..=year).contains(&self.lifetime);
        wrong.require(
            lifetime,
            "lifetime",
            shown(self.lifetime),
            "must be as long as `idle` at least, and at most 366d",
        );
        let touch = self.touch_every < self.idle;
        wrong.require(touch, "touch_every", shown(self.touch_every), "must be shorter than `idle`");
        let most = (1..=1000).contains(&self.most_per_user);
        wrong.require(most, "most_per_user", self.most_per_user, "must be 1 to 1000; 10 is usual");
        wrong.nest("cookie", &self.cookie);
        wrong.into_result()
    }
}

/// How a cookie looks. It is `HttpOnly` and for the path `/`, always.
///
/// | field | default | |
/// |---|---|---|
/// | `name` | `"__Host-session"` | with the prefix `__Host-`, browsers take it only over TLS, from this host, for this host |
/// | `secure` | true | only over TLS; `false` is for a development machine, and needs another name |
/// | `same_site` | `"lax"` | `"strict"`: not on following a link from elsewhere; `"none"`: from everywhere, which asks for `csrf` all the more |
/// | `domain` | none | for its subdomains too; needs another name |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CookieConfig {
    /// Its name.
    pub name: String,
    /// Only over TLS.
    pub secure: bool,
    /// Whether it comes with requests from other sites.
    pub same_site: SameSite,
    /// For its subdomains too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// Whether a cookie comes with requests from other sites (RFC 6265bis).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SameSite {
    /// Never.
    Strict,
    /// When somebody follows a link.
    Lax,
    /// Always.
    None,
}

impl SameSite {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self { name: "__Host-session".to_owned(), secure: true, same_site: SameSite::Lax, domain: None }
    }
}

impl Validate for CookieConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let quoted = format!("{:?}", self.name);
        let token = (1..=64).contains(&self.name.len()) && self.name.bytes().all(super::cookie::is_name_byte);
        wrong.require(token, "name", &quoted, "must be 1 to 64 letters, digits, `_` and `-`");
        // Browsers compare prefixes without regard to case.
        let lower = self.name.to_ascii_lowercase();
        let (host, prefixed) = (lower.starts_with("__host-"), lower.starts_with("__"));
        wrong.require(
            self.secure || !prefixed,
            "secure",
            self.secure,
            "must be true for a name with a prefix",
        );
        let none = self.same_site == SameSite::None;
        wrong.require(
            self.secure || !none,
            "secure",
            self.secure,
            "must be true with `same_site = \"none\"`",
        );
        if let Some(domain) = &self.domain {
            wrong.require(!host, "domain", domain, "must not be there for a name with `__Host-`");
            let sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
            let good = (1..=253).contains(&domain.len()) && domain.bytes().all(sign) && domain.contains('.');
            wrong.require(good, "domain", format!("{domain:?}"), "must be a domain like \"example.org\"");
        }
        wrong.into_result()
    }
}
