//! Bringing back what was backed up.

#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
mod hostile;
mod metadata;
mod plan;
mod write;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::backup::Progress;
use super::blobs::Trees;
use super::index::Index;
use super::lock::ReadLock;
use super::objects::Objects;
use super::{Repository, browse};
use crate::Error;
use crate::error::Failure;
use crate::format::snapshot::Snapshot;
use plan::Plan;

/// What to bring back, and where to.
#[derive(Debug, Clone)]
#[must_use]
pub struct RestoreJob {
    target: PathBuf,
    path: PathBuf,
    overwrite: bool,
    sync: bool,
    progress: Progress,
}

impl RestoreJob {
    /// All of a snapshot, with its paths below the folder `target`, which is made, or is empty.
    pub fn new(target: impl Into<PathBuf>) -> Self {
        let progress = Progress::new();
        Self { target: target.into(), path: PathBuf::from("/"), overwrite: false, sync: false, progress }
    }

    /// Only this: what is in a folder of the snapshot comes into the target itself, and so does a file.
    pub fn only(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = path.into();
        self
    }

    /// Into a folder that has something in it. What the snapshot has replaces what is there under the same path; the rest stays.
    pub fn overwrite(mut self) -> Self {
        self.overwrite = true;
        self
    }

    /// Does not return before all is on the disk. Otherwise the system writes it in its own time, as after `cp`.
    pub fn synced(mut self) -> Self {
        self.sync = true;
        self
    }

    /// Tells here how far it is.
    pub fn progress(mut self, progress: &Progress) -> Self {
        self.progress = progress.clone();
        self
    }
}

/// What was brought back.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RestoreReport {
    /// Regular files.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Links and what else there is.
    pub others: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Why no lock could be written, if none could: nothing kept others from removing what was being read.
    pub without_lock: Option<String>,
}

impl Repository {
    /// Brings back files, folders, links and named pipes: content, permissions, times, extended attributes; owners and devices if this process
    /// runs as root. Holes of files are holes again, and hard links one file.
    ///
    /// It holds a shared lock meanwhile. Where none can be written, on a disk that is full or read-only or with credentials that may only read, it goes
    /// on without one, and says so.
    ///
    /// Each blob is proved to be what was backed up. Memory: some 200 bytes a file, some 80 a blob, and two packs.
    ///
    /// # Errors
    ///
    /// [`Error::Incomplete`] when some files could not be brought back. It names them all; one whose content is damaged has `.damaged` after its
    /// name. [`Error::NoEntry`]; [`Error::File`] for a target that has something in it;
    /// [`Error::Locked`]; what a store answers.
    pub async fn restore(&self, snapshot: &Snapshot, job: RestoreJob) -> Result<RestoreReport, Error> {
        let snapshot = snapshot.clone();
        self.run(move |objects| run(objects, &snapshot, &job)).await
    }
}

fn run(objects: &Objects, snapshot: &Snapshot, job: &RestoreJob) -> Result<RestoreReport, Error> {
    let lock = ReadLock::take(objects)?;
    // What a damaged index knew may be in another one, or not be asked for.
    let (index, damaged) = Index::load_whole_ones(objects, None)?;
    let trees = Trees::new(objects, &index);
    let found = browse::find(&trees, snapshot, &job.path)?;
    prepare(&job.target, job.overwrite)?;
    let plan = Plan::make(objects, &index, &trees, found, &job.target, &job.progress)?;
    // What it keeps in memory is not needed any more.
    drop(trees);
    let mut report = plan.report();
    let failures = write::write(objects, &index, &lock, plan, job)?;
    if job.sync {
        let sync = || -> io::Result<()> { Ok(rustix::fs::syncfs(fs::File::open(&job.target)?)?) };
        sync().map_err(|error| Error::file("sync", &job.target, error))?;
    }
    if failures.is_empty() {
        report.without_lock = lock.without();
        return Ok(report);
    }
    let damaged = damaged.iter().map(|(object, error)| Failure::new(object.path(), error));
    let failures = damaged.chain(failures).collect();
    let done = format!("snapshot {} was restored to {}", snapshot.id.short(), job.target.display());
    Err(Error::Incomplete { done, failures })
}

/// Makes the target, which must be empty unless the user wants it otherwise.
fn prepare(target: &Path, overwrite: bool) -> Result<(), Error> {
    fs::create_dir_all(target).map_err(|error| Error::file("make", target, error))?;
    let mut entries = fs::read_dir(target).map_err(|error| Error::file("list", target, error))?;
    if overwrite || entries.next().is_none() {
        return Ok(());
    }
    let problem = "it is not empty; restore into an empty folder, or say that what is there may be replaced";
    Err(Error::file("restore into", target, io::Error::new(io::ErrorKind::DirectoryNotEmpty, problem)))
}
