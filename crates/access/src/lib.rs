//! Who is asking, and whether they may.
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
