//! What can go wrong with a log.

use std::io;
use std::path::{Path, PathBuf};

use buttress_core::{Classify, ErrorClass, Violations};

/// Why a log did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error("the audit log's configuration is wrong: {0}")]
    Config(Violations),
    /// The entry cannot be logged as it is.
    #[error("the entry cannot be logged: {problem}")]
    Entry {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The entry is over the limit.
    #[error(
        "an entry of {bytes} bytes is over the limit of {limit} bytes; keep what is large elsewhere and log its hash"
    )]
    TooLong {
        /// How long it is, at least.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// Bytes are not what they should be: an entry, a proof, a note, a key.
    #[error("malformed: {problem}")]
    Malformed {
        /// What is wrong with them.
        problem: &'static str,
    },
    /// A proof does not prove what it should.
    #[error("the proof does not hold: {problem}")]
    Proof {
        /// What does not hold.
        problem: &'static str,
    },
    /// The log on the disk is not as it was written. It is left as it is; `verify` tells all that is wrong.
    #[error("the audit log is damaged: {problem} ({}); look with `audit verify` before anything else", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// There is no log in the folder.
    #[error("there is no audit log in {}; create one", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// There is a log in the folder where a new one was asked for.
    #[error("there is an audit log in {} already; open it", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// Another process writes to the log.
    #[error("another process writes to the audit log in {}", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The disk failed. What was to be logged may or may not be there after the log is opened again.
    #[error("cannot {doing} {}", path.display())]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The entry is no longer there: its segment was dropped by retention.
    #[error("entry {sequence} was dropped by retention; the log begins at {first}")]
    Dropped {
        /// Which.
        sequence: u64,
        /// The first that is there.
        first: u64,
    },
    /// The log has no such entry, or is not as large.
    #[error("the log has {size} entries; {sequence} is not there")]
    NotThere {
        /// What was asked for.
        sequence: u64,
        /// How many there are.
        size: u64,
    },
    /// The key file of subjects is not as it was written, or not of this master key.
    #[error("the subjects' keys in {} cannot be used: {problem}", path.display())]
    Subjects {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Another process has the key file of subjects.
    #[error("another process writes the subjects' keys in {}; open them to read", path.display())]
    SubjectsLocked {
        /// The file.
        path: PathBuf,
    },
    /// The key file of subjects takes no changes.
    #[error("the subjects' keys in {} cannot be changed: {problem}", path.display())]
    SubjectsClosed {
        /// The file.
        path: PathBuf,
        /// Why, and what would do.
        problem: &'static str,
    },
    /// There are as many subjects as there may be.
    #[error("there are {max} subjects already, as many as `max` allows")]
    TooManySubjects {
        /// The limit.
        max: usize,
    },
    /// No subject with a key has this id.
    #[error("subject {id} was erased, or is of another key file")]
    NoSubject {
        /// The id.
        id: String,
    },
    /// No master key can be had.
    #[error("no master key: {problem}")]
    MasterKey {
        /// What is wrong, and what would do.
        problem: String,
    },
    /// An entry about a subject came to a guard that has no keys.
    #[error("no subjects are known here: give the guard their keys with `sealing`")]
    Unsealed,
    /// The back end of a sink is not compiled in, cannot be reached, or failed.
    #[error(transparent)]
    Backend(#[from] buttress_connect::Error),
    /// A sink has another entry under this number: the log or the copy was rewritten.
    #[error(
        "the sink has another entry {sequence} than the log: one of them was rewritten; look with `audit verify`"
    )]
    Diverged {
        /// The first such entry.
        sequence: u64,
    },
    /// The sink's output broke while it was written.
    #[error("the sink's output broke; start it anew")]
    SinkBroken,
    /// A cipher refused what it was given, which a sound program does not see.
    #[error("the cipher refused its input")]
    Cipher,
    /// The log was closed.
    #[error("the audit log is closed")]
    Closed,
    /// The random generator of the system failed.
    #[error("the system gives no random bytes")]
    Random,
}

impl Error {
    pub(crate) fn entry(problem: &'static str) -> Self {
        Self::Entry { problem }
    }

    pub(crate) fn malformed(problem: &'static str) -> Self {
        Self::Malformed { problem }
    }

    pub(crate) fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn disk(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Disk { doing, path, source }
    }
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Config(_)
            | Self::Entry { .. }
            | Self::Malformed { .. }
            | Self::Proof { .. }
            | Self::MasterKey { .. } => ErrorClass::Invalid,
            Self::TooLong { .. } => ErrorClass::TooLarge,
            Self::Damaged { .. } | Self::Subjects { .. } | Self::Diverged { .. } => ErrorClass::Corrupt,
            Self::Missing { .. } | Self::Dropped { .. } | Self::NotThere { .. } | Self::NoSubject { .. } => {
                ErrorClass::NotFound
            }
            Self::Exists { .. } | Self::Locked { .. } | Self::SubjectsLocked { .. } => ErrorClass::Conflict,
            Self::Disk { .. } | Self::Closed | Self::SubjectsClosed { .. } | Self::SinkBroken => {
                ErrorClass::Unavailable
            }
            Self::TooManySubjects { .. } => ErrorClass::Overloaded,
            Self::Backend(error) => error.class(),
            Self::Unsealed => ErrorClass::Unsupported,
            Self::Cipher | Self::Random => ErrorClass::Internal,
        }
    }
}
