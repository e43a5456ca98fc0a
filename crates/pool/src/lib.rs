//! A pool for anything expensive: a browser that takes half a second to start, a database connection, a model session.
//!
//! ```
//! use buttress_core::{Ctx, Elapsed};
//! use buttress_pool::{Checkout, Manager, Pool, PoolConfig, Priority};
//! use std::time::Duration;
//!
//! struct Connections;
//!
//! impl Manager for Connections {
//!     type Object = String;
//!     type Error = Elapsed;
//!
//!     async fn create(&self) -> Result<String, Elapsed> {
//!         Ok("a connection".to_owned())
//!     }
//!
//!     async fn check(&self, _: &mut String) -> Result<(), Elapsed> {
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), buttress_pool::Error> {
//! let mut config = PoolConfig::default();
//! config.max = 8;
//! let pool = Pool::new(Connections, config, &Ctx::default())?;
//!
//! let connection = pool.get().await?; // waits its turn if all are in use
//! assert_eq!(*connection, "a connection");
//! drop(connection); // goes back
//!
//! let urgent = Checkout::default().priority(Priority::High).within(Duration::from_millis(50));
//! assert_eq!(pool.get_with(urgent).await?.len(), 12);
//! assert_eq!(pool.status().size, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! - There are never more than `max` objects, or `max + overflow` while callers wait, those on their way in and out
//!   included.
//! - Callers are served in the order in which they came, those of a higher [`Priority`] first. Nobody overtakes: an
//!   object that comes back goes to the first who waits.
//! - A future of [`get`](Pool::get) may be dropped at any await. Its place in line, the object it was just given and the
//!   creation it asked for go to the next.
//! - Waiting is bounded twice: by a deadline, and by how many may wait. Past either the caller is told so, with when to
//!   come back.
//! - An object is handed out only if nothing is known against it. After one turned out to be broken, every other is
//!   checked before its next use; so nobody gets a connection from before a server's restart.
//! - Creating is retried with growing waits, by the pool and not by its callers. Too many failures in a row open a
//!   circuit: callers are told at once, with the cause, and one creation at a time is tried until one succeeds.
//! - What a manager does has a limit, may fail, hang or panic; what was in its hands is closed then.
//!
//! # Life of an object
//!
//! ```text
//!            create                 get                     drop
//! (nothing) -------> idle <---------------------> in use ---------> Good:   idle, or to the first who waits
//!                     |                                             Dirty:  reset, then idle
//!                     +--> check in the background                  Broken: closed
//! ```
//!
//! It is closed, for a [reason](Closed) that is counted, when it was idle for too long, is too old, was used often
//! enough, is one too many, or does not work.
//!
//! # On exhaustion
//!
//! | what should happen | how |
//! |---|---|
//! | wait in line | the default; [`PoolConfig::wait`], [`Checkout::within`] |
//! | be refused at once, with when to come back | [`Checkout::no_wait`], or `waiters = 0` for all |
//! | a bounded burst more | `overflow = 4` |
//! | share what is in use | [`Sharing`] |
//!
//! # Engines
//!
//! Checkout and return are a few dozen instructions under a lock that is held for nothing else. With the features
//! `deadpool` and `bb8` the same managers run in those pools, behind [`engine::Engine`]; they keep the basic promises
//! and none of the others.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `bb8` | no | [`engine`]: bb8 behind the same managers |
//! | `deadpool` | no | [`engine`]: deadpool behind the same managers |
//! | `test-util` | no | `contract`: what every engine promises, as tests |

mod config;
pub mod contract;
mod desk;
pub mod engine;
mod error;
mod guard;
mod manager;
pub mod metrics;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // Failing is what a test is for.
mod model;
mod pool;
mod retry;
mod sharing;
mod state;
mod status;
mod sync;
mod tally;
mod tasks;
mod time;
mod verdict;
mod waiters;

pub use config::{CheckPolicy, PoolConfig};
pub use error::{Cause, Error};
pub use guard::Guard;
pub use manager::{Condition, Manager};
pub use pool::{Checkout, Pool};
pub use sharing::{Shared, Sharing};
pub use status::{Closed, ObjectStatus, Standing, Status};
pub use waiters::Priority;
