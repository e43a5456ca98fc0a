//! URLs that a server may open for somebody else: no private addresses, by whatever spelling, name or redirect.
//!
//! To look at a URL is not enough. Its name may resolve to loopback, and to something else the second time (DNS rebinding); the answer may
//! be a redirect. So a [`SafeUrl`] is opened in three steps:
//!
//! 1. [`UrlPolicy::parse`] judges scheme, host, port and an address in any spelling;
//! 2. [`SafeUrl::resolve`] judges *all* addresses of the name, and hands out the very ones to connect to ([`Pinned`]);
//! 3. [`SafeUrl::redirect`] judges where an answer leads to, by the same policy; the client must follow none by itself.
//!
//! ```
//! use buttress_validate::{Code, SafeUrl};
//!
//! for trick in ["http://0x7f.1/", "http://[::ffff:169.254.169.254]/", "http://2130706433/", "http://localhost/", "ftp://example.org/"] {
//!     assert!(trick.parse::<SafeUrl>().is_err());
//! }
//! let url: SafeUrl = "https://example.org/feed".parse()?;
//! let onward = url.redirect("//10.0.0.1/admin").unwrap_err();
//! assert_eq!(onward.code(), Code::Address);
//! # Ok::<(), buttress_validate::Invalid>(())
//! ```
//!
//! With reqwest: `Client::builder().redirect(Policy::none()).no_proxy().resolve_to_addrs(pinned.host(), pinned.addresses())`, one client for
//! each pinned host, and [`SafeUrl::redirect`] where an answer has a `Location`.

mod address;
mod config;
mod hosts;
mod policy;
mod ports;
mod reason;
mod resolve;
mod rule;
mod safe;

pub use address::{Reach, classify};
pub use config::UrlConfig;
pub use hosts::{Host, HostRules};
pub use policy::UrlPolicy;
pub use reason::Reason;
pub use resolve::{Resolve, SystemResolver};
pub use rule::{Rule, RuleError};
pub use safe::{Pinned, SafeUrl};
