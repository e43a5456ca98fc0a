//! What the keeper has others do.

use std::future::Future;
use std::path::Path;

use buttress_core::Violations;

use crate::config::{BackupConfig, JobConfig};
use crate::id::Id;
use crate::retention::SnapshotInfo;
use crate::{Error, Failure};

/// A repository with the sources that go into it and the replicas that follow it, as a [`Keeper`](super::Keeper) sees it.
///
/// Each of its works may be dropped at any await: what was not done by then is done by the next.
pub trait Archive: Send + Sync + 'static {
    /// The host in its snapshots.
    fn host(&self) -> &str;

    /// Whether it has all that the configuration names.
    ///
    /// # Errors
    ///
    /// What it has not, and where it is named.
    fn has(&self, config: &BackupConfig) -> Result<(), Violations> {
        let _ = config;
        Ok(())
    }

    /// Its replicas, by names for people.
    fn replicas(&self) -> Vec<String>;

    /// All snapshots, as the store has them now.
    fn snapshots(&self) -> impl Future<Output = Result<Vec<SnapshotInfo>, Error>> + Send;

    /// Makes a snapshot of a job's sources with these tags; all is read again if it is `full`.
    fn back_up(
        &self,
        job: &JobConfig,
        tags: &[String],
        full: bool,
    ) -> impl Future<Output = Result<BackedUp, Error>> + Send;

    /// Removes snapshots, and what nothing needs any more.
    fn remove(&self, snapshots: &[Id]) -> impl Future<Output = Result<Removed, Error>> + Send;

    /// Checks the structure, or reads one of so many parts of the data. What is wrong is an error.
    fn check(&self, part: Option<Part>) -> impl Future<Output = Result<Checked, Error>> + Send;

    /// Restores a snapshot into an empty folder.
    fn restore(&self, snapshot: Id, into: &Path) -> impl Future<Output = Result<Restored, Error>> + Send;

    /// Whether what was restored is what it should be: what of it is not, and why.
    fn verify(
        &self,
        snapshot: &SnapshotInfo,
        restored: &Path,
    ) -> impl Future<Output = Result<Vec<Failure>, Error>> + Send;

    /// Brings a replica up to date: the one of this number in [`replicas`](Archive::replicas).
    fn replicate(&self, replica: usize) -> impl Future<Output = Result<Replicated, Error>> + Send;
}

/// A share of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which, from 1.
    pub number: u8,
    /// Of how many.
    pub of: u8,
}

/// A snapshot that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackedUp {
    /// Its id.
    pub id: Id,
    /// How many bytes were read.
    pub read: u64,
    /// How many bytes came into the store.
    pub added: u64,
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many bytes are free again.
    pub freed: u64,
    /// How many bytes the repository takes now.
    pub left: u64,
}

/// What was checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many bytes were read.
    pub read: u64,
}

/// What was restored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// How many files.
    pub files: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// What a replica was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replicated {
    /// How many objects.
    pub objects: u64,
    /// How many bytes.
    pub bytes: u64,
}
