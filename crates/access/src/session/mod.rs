//! Sessions of browsers: an opaque id in a cookie, and what it stands for in a store.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use buttress_access::session::{MemorySessions, SessionConfig, Sessions};
//! use buttress_access::{Principal, PrincipalKind};
//! use buttress_core::Ctx;
//!
//! let sessions = Sessions::new(&SessionConfig::default(), MemorySessions::new(100_000), &Ctx::default())?;
//!
//! // The password was right: a new session, whatever the browser had before.
//! let ann = Principal::new(PrincipalKind::Session, "ann".try_into()?);
//! let started = sessions.start(&ann).await?;
//! let set_cookie = sessions.cookie(&started.id); // `__Host-session=..; Path=/; Secure; HttpOnly; SameSite=Lax`
//!
//! // The next request.
//! let session = sessions.find(started.id.expose()).await?;
//! assert_eq!(session.principal.id.as_str(), "ann");
//!
//! // A privilege was gained or lost: the old id is worth nothing from here on.
//! let renewed = sessions.renew(started.id.expose(), &ann).await?;
//! assert!(sessions.find(started.id.expose()).await.is_err());
//! sessions.end_all(&ann, None).await?;
//! assert!(sessions.find(renewed.id.expose()).await.is_err());
//! # let _ = set_cookie; Ok(()) }
//! ```
//!
//! # What it promises
//!
//! - An id is 256 random bits, and only its SHA-256 is stored: who reads the store can use none of its sessions. A look-up goes by the
//!   hash, so its time tells nothing of an id.
//! - A session ends when it was not used for `idle`, when it is older than `lifetime`, when it is ended, and when its user begins more
//!   than `most_per_user`: the oldest goes then.
//! - An id is never taken from a browser: it changes when a session begins and when it is renewed.
//! - Requests that change something must come from one's own pages: see [`csrf`].

mod config;
#[cfg(feature = "test-util")]
pub mod contract;
pub mod cookie;
pub mod csrf;
mod id;
#[cfg(feature = "tower")]
pub mod layer;
mod memory;
mod sessions;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;

pub use config::{CookieConfig, SameSite, SessionConfig};
pub use id::{SessionHash, SessionId};
pub use memory::MemorySessions;
pub use sessions::{Session, Sessions, Started};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteSessions;
pub use store::{Answer, Record, SessionStore, User, Which};
