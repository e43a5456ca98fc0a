//! Which headers all answers have.

use std::time::Duration;

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Serialize};

use super::cors::CorsConfig;
use super::csp::CspConfig;
use super::permissions::PermissionsPolicy;

/// Which headers all answers have. Of none of them a handler's own is replaced, but with `replace`.
///
/// | field | default | header |
/// |---|---|---|
/// | `csp` | see [`CspConfig`] | `Content-Security-Policy`, and `X-Frame-Options` of what it says of `frame-ancestors` |
/// | `hsts` | see [`HstsConfig`] | `Strict-Transport-Security`; browsers heed it only over TLS |
/// | `nosniff` | true | `X-Content-Type-Options: nosniff` |
/// | `referrer` | `"strict-origin-when-cross-origin"` | `Referrer-Policy` |
/// | `permissions` | see [`PermissionsPolicy`] | `Permissions-Policy` |
/// | `opener` | `"same-origin"` | `Cross-Origin-Opener-Policy` |
/// | `resource` | `"same-origin"` | `Cross-Origin-Resource-Policy` |
/// | `embedder` | `"off"` | `Cross-Origin-Embedder-Policy` |
/// | `no_store` | true | `Cache-Control: no-store`, where the request had a cookie or `Authorization` |
/// | `replace` | false | replaces what handlers set |
/// | `cors` | none | see [`CorsConfig`] |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools, reason = "each is a header of its own")]
pub struct HeadersConfig {
    /// What pages may load.
    pub csp: CspConfig,
    /// Whether browsers come over TLS only.
    pub hsts: HstsConfig,
    /// Whether the type of an answer is what its header says.
    pub nosniff: bool,
    /// What the next page is told of the last.
    pub referrer: ReferrerPolicy,
    /// What pages may use of the browser.
    pub permissions: PermissionsPolicy,
    /// Which windows share a group with these pages.
    pub opener: Opener,
    /// Who may load answers into its pages.
    pub resource: ResourcePolicy,
    /// What pages may load that was not given to them.
    pub embedder: Embedder,
    /// Whether answers to requests that say who is asking are kept out of caches.
    pub no_store: bool,
    /// Whether what handlers set is replaced.
    pub replace: bool,
    /// Which other origins may call.
    pub cors: Option<CorsConfig>,
}

impl Default for HeadersConfig {
    fn default() -> Self {
        Self {
            csp: CspConfig::default(),
            hsts: HstsConfig::default(),
            nosniff: true,
            referrer: ReferrerPolicy::StrictOriginWhenCrossOrigin,
            permissions: PermissionsPolicy::default(),
            opener: Opener::SameOrigin,
            resource: ResourcePolicy::SameOrigin,
            embedder: Embedder::Off,
            no_store: true,
            replace: false,
            cors: None,
        }
    }
}

impl Validate for HeadersConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.nest("csp", &self.csp);
        wrong.nest("hsts", &self.hsts);
        wrong.nest("permissions", &self.permissions);
        if let Some(cors) = &self.cors {
            wrong.nest("cors", cors);
        }
        wrong.into_result()
    }
}

/// Whether browsers come over TLS only (RFC 6797).
///
/// | field | default | |
/// |---|---|---|
/// | `max_age` | `"365d"` | for so long; `"0s"` leaves the header out |
/// | `include_subdomains` | true | also to subdomains |
/// | `preload` | false | asks to be in the lists that browsers come with, which is hard to take back |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HstsConfig {
    /// For so long.
    #[serde(with = "units::duration")]
    pub max_age: Duration,
    /// Also to subdomains.
    pub include_subdomains: bool,
    /// Asks to be in the lists that browsers come with.
    pub preload: bool,
}

impl Default for HstsConfig {
    fn default() -> Self {
        Self { max_age: Duration::from_hours(365 * 24), include_subdomains: true, preload: false }
    }
}

impl Validate for HstsConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let year = self.max_age >= Duration::from_hours(365 * 24);
        let listed = !self.preload || (year && self.include_subdomains);
        wrong.require(
            listed,
            "preload",
            self.preload,
            "needs a `max_age` of 365d at least, and `include_subdomains`",
        );
        wrong.into_result()
    }
}

impl HstsConfig {
    #[cfg(feature = "tower")]
    pub(super) fn value(&self) -> Option<String> {
        if self.max_age.is_zero() {
            return None;
        }
        let subdomains = if self.include_subdomains { "; includeSubDomains" } else { "" };
        let preload = if self.preload { "; preload" } else { "" };
        Some(format!("max-age={}{subdomains}{preload}", self.max_age.as_secs()))
    }
}

/// A word of a header; `off` leaves the header out.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word])* #[serde(rename = $text)] $variant,)*
            /// Leaves the header out.
            #[serde(rename = "off")]
            Off,
        }

        impl $name {
            /// The header's value.
            #[must_use]
            pub fn value(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($text),)*
                    Self::Off => None,
                }
            }
        }
    };
}

words! {
    /// `Referrer-Policy`. With `no-referrer`, browsers name `null` as the origin of forms, which checks against forged requests refuse.
    ReferrerPolicy {
        /// Nothing.
        NoReferrer = "no-referrer",
        /// The address to one's own pages, nothing to others.
        SameOrigin = "same-origin",
        /// The origin; nothing from TLS to none.
        StrictOrigin = "strict-origin",
        /// The address to one's own pages, the origin to others; nothing from TLS to none.
        StrictOriginWhenCrossOrigin = "strict-origin-when-cross-origin",
    }
}

words! {
    /// `Cross-Origin-Opener-Policy`.
    Opener {
        /// Only windows of the same origin.
        SameOrigin = "same-origin",
        /// Also those that the pages open themselves: for a login in a window of its own.
        SameOriginAllowPopups = "same-origin-allow-popups",
        /// All.
        UnsafeNone = "unsafe-none",
    }
}

words! {
    /// `Cross-Origin-Resource-Policy`.
    ResourcePolicy {
        /// Only pages of the same origin.
        SameOrigin = "same-origin",
        /// Pages of the same site.
        SameSite = "same-site",
        /// All pages.
        CrossOrigin = "cross-origin",
    }
}

words! {
    /// `Cross-Origin-Embedder-Policy`.
    Embedder {
        /// What others load has to be given by CORS or `Cross-Origin-Resource-Policy`.
        RequireCorp = "require-corp",
        /// What others load comes without cookies.
        Credentialless = "credentialless",
    }
}
