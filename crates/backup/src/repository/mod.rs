//! A repository: what can be done with it.

mod backup;
mod blobs;
mod browse;
mod check;
mod copy;
mod diff;
mod forget;
mod index;
mod keys;
mod lock;
mod objects;
mod people;
mod read;
mod repair;
mod restore;
mod stats;
#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]
mod strange;
mod written;

use std::sync::Arc;
use std::time::Duration;

use buttress_core::Ctx;
use secrecy::SecretString;

pub use backup::{BackupJob, BackupReport, Progress, Root};
pub use browse::Entry;
pub use check::{CheckDepth, CheckReport};
pub use copy::{CopiedSnapshot, CopyReport};
pub use diff::{Change, Changed, Difference};
pub use forget::PruneReport;
pub use keys::KeyInfo;
pub use read::FoundEntry;
pub use repair::{RepairIndexReport, RepairSnapshotsReport, RepairedSnapshot};
pub use restore::{RestoreJob, RestoreReport};
pub use stats::Stats;

use crate::format::crypto::SealKey;
use crate::store::{DynStore, Store};
use crate::{Error, threads};
use objects::Objects;
pub(crate) use people::hostname;
use written::Written;

/// An open repository. Cheap to clone.
///
/// Its methods do their work on threads that may wait, and read through all indexes each time they are called: what other processes have
/// written meanwhile is seen. A method whose future is dropped stops soon, at a place where nothing is lost.
#[derive(Clone)]
pub struct Repository {
    store: DynStore,
    key: Arc<SealKey>,
    /// The key object that it was opened with.
    opened_with: crate::Id,
    id: Arc<str>,
    patience: Duration,
    snapshots_written: Written,
    ctx: Ctx,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Repository({})", self.store.place())
    }
}

impl Repository {
    /// Makes a repository in an empty place, with a new master key that `password` seals.
    ///
    /// # Errors
    ///
    /// [`Error::RepositoryExists`]; what a store answers.
    pub async fn init(store: DynStore, password: &SecretString, ctx: &Ctx) -> Result<Self, Error> {
        keys::init(store, password.clone(), ctx).await
    }

    /// Opens the repository that is in a place.
    ///
    /// # Errors
    ///
    /// [`Error::NoRepository`], [`Error::WrongPassword`], [`Error::Unsupported`], [`Error::Damaged`]; what a store answers.
    pub async fn open(store: DynStore, password: &SecretString, ctx: &Ctx) -> Result<Self, Error> {
        keys::open(store, password.clone(), ctx).await
    }

    /// Waits so long for somebody else who works on it, where it would fail at once with [`Error::Locked`].
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The id that it has for as long as it lives, 64 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn store(&self) -> &DynStore {
        &self.store
    }

    /// Where it is, for people.
    #[must_use]
    pub fn place(&self) -> String {
        self.store.place()
    }

    /// One that was opened with this key object.
    fn new(store: DynStore, key: Arc<SealKey>, opened_with: crate::Id, id: String, ctx: &Ctx) -> Self {
        let (id, patience, snapshots_written) = (id.into(), Duration::ZERO, Written::default());
        Self { store, key, opened_with, id, patience, snapshots_written, ctx: ctx.clone() }
    }

    fn objects(&self) -> Objects {
        let mut objects = Objects::new(self.store.clone(), Arc::clone(&self.key), self.ctx.clone());
        objects.patience = self.patience;
        objects.snapshots_written = self.snapshots_written.clone();
        objects
    }

    /// Runs `work` on a thread that may wait. It is told to stop when nobody waits for it any more.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Objects) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let objects = self.objects();
        let _give_up = objects.give_up_on_drop();
        blocking(move || work(&objects)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|gone| Err(if gone.is_panic() { threads::panicked() } else { Error::Stopped }))
}
