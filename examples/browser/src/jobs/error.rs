//! Why jobs and artifacts cannot be kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use buttress_core::{ByteSize, Classify, ErrorClass, Key, Rejection, Violations};

use super::id::JobId;

/// A result whose error is that of jobs.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why jobs or artifacts cannot be kept, or are not as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error("jobs cannot be kept with this configuration")]
    Config(#[from] Violations),
    /// Another process uses the folder.
    #[error("another process uses {}; give each its own `folder`, or stop the other", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The database was written by a later version.
    #[error("{} is of version {found}, newer than {known}; run the program that wrote it", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The last version known here.
        known: i64,
    },
    /// The database refuses.
    #[error("the database of jobs cannot be used")]
    Database(#[from] rusqlite::Error),
    /// A file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The task that used the disk was stopped.
    #[error("the store of jobs was stopped at its work; ask again")]
    Stopped,
    /// Too many jobs wait.
    #[error("{waiting} jobs {}wait already; try again when some have run", if *.tenant { "of this tenant " } else { "" })]
    Full {
        /// How many wait.
        waiting: u64,
        /// Whether the limit is the tenant's rather than that of all.
        tenant: bool,
        /// The refusal.
        source: Rejection,
    },
    /// A job is larger than it may be.
    #[error("a job of {bytes} bytes is over the limit of {limit}; make its workflow or inputs smaller")]
    JobTooLarge {
        /// The workflow, its name and its inputs.
        bytes: u64,
        /// The configured limit.
        limit: ByteSize,
    },
    /// An idempotency key was used before for something else.
    #[error("the key {key} was used for job {job}, whose workflow or inputs differ; use another key")]
    Conflict {
        /// The key.
        key: Key,
        /// The job that has it.
        job: JobId,
    },
    /// There is no such job, or none that the tenant may see.
    #[error("there is no job {0}; it may have been forgotten")]
    NotFound(JobId),
    /// Who reports on a job does not hold it any more.
    #[error("job {0} is not held by this attempt any more; what it reports is dropped")]
    NotHeld(JobId),
    /// What is stored of a job does not read back.
    #[error("the {what} of job {job} does not read back")]
    CorruptJob {
        /// Which part.
        what: &'static str,
        /// Which job.
        job: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// What a job brings cannot be written as JSON.
    #[error("the {what} cannot be written as JSON")]
    Json {
        /// Which part.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// An artifact's file does not hold what was put there.
    #[error("the file of artifact {hash} is damaged; to run its job again would make it anew")]
    CorruptArtifact {
        /// The artifact.
        hash: String,
    },
    /// An artifact is larger than all artifacts may be.
    #[error("an artifact of {bytes} bytes is over the quota of {quota} for all; raise `artifacts`")]
    ArtifactTooLarge {
        /// Its size.
        bytes: u64,
        /// The quota.
        quota: ByteSize,
    },
    /// All artifacts are too new to be removed.
    #[error(
        "no room for an artifact of {bytes} bytes: all others are in use; raise `artifacts` above {quota}"
    )]
    NoRoom {
        /// Its size.
        bytes: u64,
        /// The quota.
        quota: ByteSize,
        /// The refusal.
        source: Rejection,
    },
}

impl Error {
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Config(_) | Self::Newer { .. } => ErrorClass::Internal,
            Self::Locked { .. } | Self::Conflict { .. } | Self::NotHeld(_) => ErrorClass::Conflict,
            Self::Database(_) | Self::File { .. } | Self::Stopped => ErrorClass::Unavailable,
            Self::Full { source, .. } | Self::NoRoom { source, .. } => source.class(),
            Self::JobTooLarge { .. } | Self::ArtifactTooLarge { .. } => ErrorClass::TooLarge,
            Self::NotFound(_) => ErrorClass::NotFound,
            Self::CorruptJob { .. } | Self::CorruptArtifact { .. } => ErrorClass::Corrupt,
            Self::Json { .. } => ErrorClass::Invalid,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Full { source, .. } | Self::NoRoom { source, .. } => source.retry_after(),
            _ => None,
        }
    }
}
