//! Copies of the log elsewhere: in a database that answers questions, in an object store that outlives the machine, on
//! standard output for whoever collects it.
//!
//! A sink is behind, never in the way: it is fed from the log, not from those who write to it. A [`Follower`] asks the
//! sink where it stands, reads on from there and hands over batches. A sink that was away for a day goes on where it
//! was; one that was given a batch twice has it once. Where it stands lies in the sink itself, written together with the
//! entries, so that the two cannot disagree.
//!
//! A sink that has an entry with another hash under the same number answers [`Error::Diverged`]: one of the two
//! was rewritten, and following stops until somebody has looked.

mod any;
mod blobs;
mod committed;
mod config;
#[cfg(feature = "test-util")]
pub mod contract;
mod follower;
mod lines;
pub mod metrics;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod rows;
mod source;
#[cfg(feature = "sqlite")]
mod sqlite;

use crate::Error;
use crate::query::{Filter, Page};

pub use self::any::AnySink;
pub use self::blobs::BlobSink;
pub use self::committed::Committed;
pub use self::config::{FollowerConfig, Place, SinkConfig};
pub use self::follower::{Follower, Source, Standing};
pub use self::lines::LineSink;
#[cfg(feature = "postgres")]
pub use self::postgres::PostgresSink;
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteSink;

/// A copy of one log.
pub trait Replica: Send + Sync {
    /// The sequence that it wants next: it has all before, durably, that it was given.
    ///
    /// # Errors
    ///
    /// When it cannot be reached.
    fn next(&self) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Takes entries, which come in order and without a gap among them; durably, and all or none, when this returns.
    /// Entries that it has are passed over.
    ///
    /// # Errors
    ///
    /// [`Error::Diverged`] for an entry that it has with another hash; whatever the back end says.
    fn put(&self, batch: &[Committed]) -> impl Future<Output = Result<(), Error>> + Send;
}

/// A copy that answers questions.
pub trait Searchable: Replica {
    /// The first `most` entries that fit.
    ///
    /// # Errors
    ///
    /// Whatever the back end says; [`Error::Malformed`] for stored bytes that are no entry.
    fn search(&self, filter: &Filter, most: usize) -> impl Future<Output = Result<Page, Error>> + Send;
}
