//! Who is asking, and whether they may.
//!
//! Authentication turns what a caller shows (an API key, a token, a password) into a [`Principal`], and that is all that
//! authorisation looks at.
//!
//! ```
//! use buttress_access::keys::{ApiKeys, ApiKeysConfig, MemoryKeys, NewKey, Peppers};
//! use buttress_access::{Names, TenantId};
//! use buttress_core::Ctx;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let pepper = [7; 32];
//! let peppers = Peppers::new(1, &pepper)?; // 32 random bytes that the store does not hold
//! let keys = ApiKeys::open(&ApiKeysConfig::default(), peppers, MemoryKeys::default(), &Ctx::default()).await?;
//!
//! let wanted = NewKey::of("crawler".try_into()?)
//!     .tenant(TenantId::new("acme")?)
//!     .scopes(Names::new(["documents:read"])?);
//! let issued = keys.issue(wanted).await?; // shown once; the store has a keyed hash of it
//!
//! let principal = keys.verify(issued.expose()).await?;
//! assert_eq!(principal.id.as_str(), "crawler");
//! assert!(principal.scopes.contains("documents:read"));
//! # Ok(())
//! # }
//! ```
//!
//! | | |
//! |---|---|
//! | [`keys`] | API keys: issued once, stored as keyed hashes, rotated with an overlap |
//! | [`jwt`] | signed tokens: verified strictly, signed by keys that rotate, key sets of others |
//! | `passwords` | Argon2id on a bounded number of threads, costs that grow, attempts that slow down |
//! | `layer` | authentication in front of an HTTP service |
//! | [`policy`] | roles, permissions and conditions as data, and one decision that says why |
//! | [`session`] | sessions by cookie, and a check where changes come from |
//! | [`network`], [`headers`], [`origin`] | who may come from where, and what browsers are told |
//!
//! # What it promises
//!
//! - A secret is in no `Debug`, `Display`, error, event, metric or log, and in memory only where it is used, as far as we hold it.
//! - Secrets and their hashes are compared in constant time; `examples/timing.rs` measures it.
//! - A refusal tells the log why, and the caller nothing.
//! - Everything that a caller sends has a limit that is looked at before anything is decoded or stored, and every cache is bounded.
//! - Everything that is issued, rotated, revoked or refused is an [`Event`](buttress_core::Event).
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `passwords` | no | `passwords`: passwords by Argon2id |
//! | `sqlite` | no | `keys::SqliteKeys`, `session::SqliteSessions`: API keys and sessions in a SQLite file |
//! | `tower` | no | `layer`: authentication in front of an HTTP service; the layers of [`headers`], [`network`], [`policy`] and [`session`] |
//! | `test-util` | no | `contract`, `session::contract`: what every store promises, as tests |

#[cfg(feature = "test-util")]
pub mod contract;
mod error;
pub mod headers;
pub mod jwt;
pub mod keys;
#[cfg(feature = "tower")]
pub mod layer;
pub mod metrics;
pub mod network;
pub mod origin;
#[cfg(feature = "passwords")]
pub mod passwords;
pub mod policy;
mod principal;
#[cfg(feature = "tower")]
mod problem;
mod random;
mod refusal;
pub mod session;

pub use error::Error;
pub use principal::{Names, NamesError, Principal, PrincipalKind, TenantId};
pub use refusal::{Credential, Refusal};
