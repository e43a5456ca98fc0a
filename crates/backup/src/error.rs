//! What can go wrong with a backup.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use buttress_core::{Classify, ErrorClass, Violations};

use crate::drill::DrillReport;
use crate::id::Object;

/// Why a backup, a restore or anything else did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error("the backup's configuration is wrong: {0}")]
    Config(Violations),
    /// The store failed.
    #[error("cannot {doing} `{object}` in {place}")]
    Store {
        /// What was tried: "read", "write", "list", "delete".
        doing: &'static str,
        /// With what: the path of an object, or a folder of them.
        object: String,
        /// In which store.
        place: String,
        /// What it means.
        class: ErrorClass,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The object is not in the store.
    #[error("`{object}` is not in {place}")]
    Missing {
        /// Which.
        object: Object,
        /// In which store.
        place: String,
    },
    /// The store holds no repository.
    #[error("there is no repository in {place}; make one with `init`")]
    NoRepository {
        /// Which store.
        place: String,
    },
    /// The store holds a repository where a new one was asked for.
    #[error("there is a repository in {place} already; open it")]
    RepositoryExists {
        /// Which store.
        place: String,
    },
    /// No key of the repository opens with the password.
    #[error("the password opens none of the {keys} keys of the repository in {place}")]
    WrongPassword {
        /// Which store.
        place: String,
        /// How many keys were tried.
        keys: usize,
    },
    /// It is made by something newer or foreign.
    #[error("{what} is not supported: {problem}")]
    Unsupported {
        /// What.
        what: String,
        /// Why not, and what would do.
        problem: String,
    },
    /// An object is not as it was written.
    #[error("`{object}` in {place} is damaged: {problem}")]
    Damaged {
        /// Which: an object's path, and what in it.
        object: String,
        /// In which store.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// Somebody else works on the repository.
    #[error("the repository in {place} is locked by {holder}; wait, or if that process is gone, `unlock`")]
    Locked {
        /// Which store.
        place: String,
        /// Who: host, user, process, since when.
        holder: String,
    },
    /// The lock could not be kept, so somebody else may have taken the repository. Nothing that others rely on was written.
    #[error("the lock of the repository in {place} was lost: {problem}; run again")]
    LockLost {
        /// Which store.
        place: String,
        /// How.
        problem: String,
    },
    /// There is no such snapshot.
    #[error("no snapshot is `{wanted}`: {problem}")]
    NoSnapshot {
        /// What was asked for.
        wanted: String,
        /// Why none is.
        problem: String,
    },
    /// There is no such thing in a snapshot.
    #[error("`{path}` is not in snapshot {snapshot}")]
    NoEntry {
        /// What was asked for.
        path: String,
        /// In which snapshot.
        snapshot: String,
    },
    /// A file of this machine cannot be read or written.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was tried: "read", "write", "make", "list".
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// What should be backed up, or restored into, refuses.
    #[error("{of}: {problem}")]
    Source {
        /// Which: its name in the configuration.
        of: String,
        /// What is wrong, and what would do.
        problem: String,
        /// Why, if there is more to say.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Some of it was done and some could not be. Nothing was hidden: each part that is missing is named.
    #[error("{done}, but {} could not be: {}", counted(.failures.len()), first(.failures))]
    Incomplete {
        /// What was done.
        done: String,
        /// What was not, and why.
        failures: Vec<Failure>,
    },
    /// A drill has shown that what there is cannot be relied on.
    #[error("the drill failed: {}", report.summary())]
    Drill {
        /// What it has shown.
        report: Box<DrillReport>,
    },
    /// A log cannot be made or continued as was asked.
    #[error("the log `{log}` in {place}: {problem}")]
    Log {
        /// Its name.
        log: String,
        /// In which store.
        place: String,
        /// Why not, and what would do.
        problem: String,
    },
    /// It was asked to stop.
    #[error("stopped before it was done")]
    Stopped,
    /// It took longer than it may.
    #[error("{what} was not done within {}", buttress_core::units::format_duration(*.limit))]
    Timeout {
        /// What.
        what: String,
        /// The limit.
        limit: Duration,
    },
    /// A fault of this crate or of its surroundings.
    #[error("{problem}")]
    Internal {
        /// Which.
        problem: String,
    },
}

/// One thing that could not be done, of many.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Failure {
    /// What: a path, an object.
    pub of: String,
    /// Why not.
    pub problem: String,
}

impl Failure {
    /// That `of` could not be done because of `error`.
    pub fn new(of: impl Into<String>, error: &dyn std::error::Error) -> Self {
        Self { of: of.into(), problem: buttress_core::chain(error) }
    }
}

fn counted(failures: usize) -> String {
    if failures == 1 { "one".to_owned() } else { failures.to_string() }
}

fn first(failures: &[Failure]) -> String {
    failures.first().map(|one| format!("{}: {}", one.of, one.problem)).unwrap_or_default()
}

impl Error {
    pub(crate) fn file(doing: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::File { doing, path: path.as_ref().to_owned(), source }
    }
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Config(_) => ErrorClass::Invalid,
            Self::Store { class, .. } => *class,
            Self::Drill { report } if report.interrupted => ErrorClass::Unavailable,
            Self::Missing { .. } | Self::Damaged { .. } | Self::Incomplete { .. } | Self::Drill { .. } => {
                ErrorClass::Corrupt
            }
            Self::NoRepository { .. } | Self::NoSnapshot { .. } | Self::NoEntry { .. } => {
                ErrorClass::NotFound
            }
            Self::RepositoryExists { .. }
            | Self::Locked { .. }
            | Self::LockLost { .. }
            | Self::Log { .. } => ErrorClass::Conflict,
            Self::WrongPassword { .. } => ErrorClass::Unauthenticated,
            Self::Unsupported { .. } => ErrorClass::Unsupported,
            Self::File { source, .. } => class_of_io(source),
            Self::Source { .. } => ErrorClass::Unavailable,
            Self::Stopped => ErrorClass::Cancelled,
            Self::Timeout { .. } => ErrorClass::Timeout,
            Self::Internal { .. } => ErrorClass::Internal,
        }
    }
}

/// What a failure of the file system means.
pub(crate) fn class_of_io(error: &io::Error) -> ErrorClass {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorClass::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorClass::Forbidden,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorClass::Overloaded,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => ErrorClass::Invalid,
        _ => ErrorClass::Unavailable,
    }
}
