//! Making snapshots.

mod file;
mod folders;
mod job;
pub(super) mod packer;
mod walk;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) use job::matches;
pub use job::{BackupJob, Root};

use super::blobs::Trees;
use super::index::{Index, pack_sizes};
use super::lock::Lock;
use super::objects::Objects;
use super::{Repository, browse, people};
use crate::error::Failure;
use crate::format::BlobKind;
use crate::format::snapshot::{Snapshot, Summary};
use crate::{Error, Id, Object, ObjectKind};

/// How far a backup or a restore is. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    files: AtomicU64,
    bytes: AtomicU64,
    total_files: AtomicU64,
    total_bytes: AtomicU64,
}

impl Progress {
    /// Nothing done yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Files that are done.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.0.files.load(Ordering::Relaxed)
    }

    /// Bytes of files that are done.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Files that were found, which of a backup grows while it looks.
    #[must_use]
    pub fn total_files(&self) -> u64 {
        self.0.total_files.load(Ordering::Relaxed)
    }

    /// Bytes of the files that were found.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.0.total_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn found(&self, bytes: u64) {
        self.0.total_files.fetch_add(1, Ordering::Relaxed);
        self.0.total_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn done_bytes(&self, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn done_file(&self) {
        self.0.files.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a backup made.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct BackupReport {
    /// The id of the snapshot.
    pub id: Id,
    /// The snapshot.
    pub snapshot: Snapshot,
    /// What was found, and what of it was new.
    pub summary: Summary,
}

/// What all threads of a backup share.
struct Shared<'a> {
    objects: &'a Objects,
    index: &'a Index,
    lock: &'a Lock,
    job: &'a BackupJob,
    people: walk::People,
    /// Blobs of this run that some thread has taken on.
    new: Mutex<HashSet<(BlobKind, Id)>>,
    uploads: packer::Uploads,
    failures: Mutex<Vec<Failure>>,
    counts: Counted,
}

/// What becomes the [`Summary`].
#[derive(Default)]
struct Counted {
    files_new: AtomicU64,
    files_changed: AtomicU64,
    files_unmodified: AtomicU64,
    dirs_new: AtomicU64,
    dirs_changed: AtomicU64,
    dirs_unmodified: AtomicU64,
    data_blobs: AtomicU64,
    tree_blobs: AtomicU64,
    data_added: AtomicU64,
    total_bytes: AtomicU64,
}

/// The most failures that are told one by one.
const MOST_FAILURES: usize = 1_000;

impl Shared<'_> {
    /// Notes that something was left out.
    fn fail(&self, of: impl Into<String>, error: &Error) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() < MOST_FAILURES {
            failures.push(Failure::new(of, error));
        }
    }

    /// Whether this thread is the one that has to store this blob.
    fn take_on(&self, kind: BlobKind, id: &Id) -> bool {
        !self.index.contains(kind, id)
            && self.new.lock().unwrap_or_else(PoisonError::into_inner).insert((kind, *id))
    }
}

impl Repository {
    /// Makes a snapshot. When this returns it is in the store, with all it needs.
    ///
    /// Files that are as in the snapshot before (size, times, number of the file) are not read. What the repository has already is not stored again.
    /// Cost: memory for the index (some 60 bytes a blob) and some 100 MiB.
    ///
    /// # Errors
    ///
    /// [`Error::Incomplete`] when a snapshot was made but something could not be read; it says which snapshot. Otherwise none was made:
    /// [`Error::Locked`], [`Error::LockLost`], [`Error::Stopped`], what a store answers. What was stored until then is found by the next run.
    pub async fn backup(&self, job: BackupJob) -> Result<BackupReport, Error> {
        self.run(move |objects| run(objects, &job)).await
    }
}

fn run(objects: &Objects, job: &BackupJob) -> Result<BackupReport, Error> {
    let plan = job.plan()?;
    let begun = objects.now();
    let lock = Lock::take(objects, false)?;
    // What an index promises in packs that are gone has to be stored again.
    let index = Index::load(objects, Some(&pack_sizes(objects)?))?;
    let hostname = job.hostname.clone().unwrap_or_else(people::hostname);
    let paths = job.paths();
    let parent = parent(objects, job, &hostname, &paths)?;

    let shared = Shared {
        objects,
        index: &index,
        lock: &lock,
        job,
        people: walk::People::of_this_host(),
        new: Mutex::default(),
        uploads: packer::Uploads::new(objects),
        failures: Mutex::default(),
        counts: Counted::default(),
    };
    let trees = Trees::new(objects, &index);
    let tree = folders::store(&shared, &trees, &plan, parent.as_ref())?;
    let data_added_packed = shared.uploads.finish()?;

    let summary = shared.counts.summary(begun, objects.now(), data_added_packed);
    let mut snapshot = Snapshot {
        id: tree, // Until it has one.
        first_seen: None,
        time: job.time.unwrap_or(begun),
        parent: parent.map(|parent| parent.id),
        tree,
        paths,
        hostname,
        username: people::username(),
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        excludes: job.excludes.clone(),
        tags: job.tags.clone(),
        original: None,
        program_version: concat!("buttress-backup ", env!("CARGO_PKG_VERSION")).to_owned(),
        summary: Some(summary.clone()),
    };
    snapshot.id = publish(objects, &lock, &index, &snapshot)?;
    let failures = shared.failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failures.is_empty() {
        return Ok(BackupReport { id: snapshot.id, snapshot, summary });
    }
    Err(Error::Incomplete { done: format!("snapshot {} was made", snapshot.id.short()), failures })
}

/// Writes a snapshot all of whose blobs are in the store, as far as `index` and what was uploaded under `lock` go. Whoever prunes while the lock is
/// there afterwards has seen the snapshot. If it is not, or if what was relied on has gone, the snapshot may lack something, and is taken back.
pub(super) fn publish(
    objects: &Objects,
    lock: &Lock,
    index: &Index,
    snapshot: &Snapshot,
) -> Result<Id, Error> {
    lock.confirm()?;
    let id = objects.save(ObjectKind::Snapshot, snapshot)?;
    if let Err(error) = lock.confirm().and_then(|()| index.require_current(objects)) {
        objects.delete(Object::new(ObjectKind::Snapshot, id))?;
        return Err(error);
    }
    Ok(id)
}

/// The snapshot to compare with: the newest of the same paths on the same host.
fn parent(
    objects: &Objects,
    job: &BackupJob,
    hostname: &str,
    paths: &[String],
) -> Result<Option<Snapshot>, Error> {
    if job.reread {
        return Ok(None);
    }
    let (snapshots, _) = browse::load_snapshots(objects)?;
    let same = |snapshot: &Snapshot| snapshot.hostname == hostname && snapshot.paths == paths;
    Ok(snapshots.into_iter().filter(same).max_by_key(|snapshot| snapshot.time))
}

impl Counted {
    fn summary(
        &self,
        backup_start: jiff::Timestamp,
        backup_end: jiff::Timestamp,
        data_added_packed: u64,
    ) -> Summary {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let files = [&self.files_new, &self.files_changed, &self.files_unmodified];
        Summary {
            backup_start,
            backup_end,
            files_new: read(&self.files_new),
            files_changed: read(&self.files_changed),
            files_unmodified: read(&self.files_unmodified),
            dirs_new: read(&self.dirs_new),
            dirs_changed: read(&self.dirs_changed),
            dirs_unmodified: read(&self.dirs_unmodified),
            data_blobs: read(&self.data_blobs),
            tree_blobs: read(&self.tree_blobs),
            data_added: read(&self.data_added),
            data_added_packed,
            total_files_processed: files.into_iter().map(read).sum(),
            total_bytes_processed: read(&self.total_bytes),
        }
    }
}
