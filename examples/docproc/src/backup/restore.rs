//! From a snapshot to a folder that the service starts with.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use buttress_backup::keeper::{Archive, RepositoryArchive};
use buttress_backup::{Progress, Repository, RestoreJob, RestoreReport, Snapshot, SnapshotInfo};

use super::SOURCE;

/// Which snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The newest.
    Newest,
    /// The newest that shows this moment or one before it.
    At(SystemTime),
    /// The one whose id begins so.
    Id(String),
}

impl Wanted {
    /// The snapshot.
    ///
    /// # Errors
    ///
    /// When there is none, or it has no data of the service.
    pub async fn find(&self, repository: &Repository) -> Result<Snapshot> {
        let mut snapshots = match self {
            Self::Id(id) => vec![repository.snapshot(id).await?],
            _ => repository.snapshots().await?,
        };
        let total = snapshots.len();
        if let Self::At(time) = self {
            snapshots.retain(|snapshot| SystemTime::from(snapshot.time) <= *time);
        }
        let ours = format!("/{SOURCE}/");
        snapshots.retain(|snapshot| snapshot.paths.iter().any(|path| path.starts_with(&ours)));
        snapshots.pop().with_context(|| {
            format!("none of the {total} snapshots in {} is such a one of docproc", repository.place())
        })
    }
}

/// Restores the service's folder to `into`, which must be empty or not there. It is there when it is whole and was verified, and not before.
///
/// # Errors
///
/// When it cannot be restored, or is not what it was; what could be restored is left beside `into` then, and named.
pub async fn restore(
    archive: &RepositoryArchive,
    wanted: &Wanted,
    into: &Path,
    progress: &Progress,
) -> Result<(Snapshot, RestoreReport)> {
    let into = std::path::absolute(into)?;
    require_empty(&into)?;
    let repository = archive.repository().await?;
    let snapshot = wanted.find(repository).await?;
    let partial = beside(&into)?;
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("cannot remove {}", partial.display()))?;
    }
    let job = RestoreJob::new(&partial).synced().progress(progress);
    let left = || format!("what could be restored is in {}", partial.display());
    let report = repository.restore(&snapshot, job).await.with_context(left)?;
    let wrong = archive.verify(&SnapshotInfo::from(&snapshot), &partial).await.with_context(left)?;
    if !wrong.is_empty() {
        let wrong: Vec<_> = wrong.iter().map(|one| format!("\n  {}: {}", one.of, one.problem)).collect();
        bail!("what was restored is not what it was; it is in {}:{}", partial.display(), wrong.concat());
    }
    if into.exists() {
        fs::remove_dir(&into).with_context(|| format!("cannot replace {}", into.display()))?;
    }
    fs::rename(partial.join(SOURCE), &into).with_context(|| format!("cannot make {}", into.display()))?;
    fs::remove_dir_all(&partial).with_context(|| format!("cannot remove {}", partial.display()))?;
    Ok((snapshot, report))
}

fn require_empty(folder: &Path) -> Result<()> {
    let first = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot look into {}", folder.display())),
    };
    if first.is_some() {
        bail!("{} has something in it: move it away, or restore to another folder", folder.display());
    }
    Ok(())
}

/// Where it is until it is whole: on the same disk.
fn beside(folder: &Path) -> Result<PathBuf> {
    let name = folder.file_name().with_context(|| format!("{} is no folder's name", folder.display()))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".restoring");
    Ok(folder.with_file_name(hidden))
}
