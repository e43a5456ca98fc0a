//! What is wrong, where, and what would do.

use std::fmt;
use std::path::PathBuf;

use buttress_core::{Classify, ErrorClass};

use crate::source::Source;

/// Why there is no configuration, or no new one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something is wrong with what was written; all of it, one problem a line, in the order of the layers.
    #[error("{}", Lines(.0))]
    Invalid(Vec<Problem>),
    /// A file that was asked for is not there.
    #[error("{}: no such file; {reason}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// Who asked for it, and what would do.
        reason: String,
    },
    /// A file is there and cannot be read.
    #[error("{}: cannot be read; see that it is a file, and who may read it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is larger than a configuration may be.
    #[error("{}: larger than {limit} bytes; move data into a file of its own", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The name of an environment cannot be part of a file's name.
    #[error("`{0}` cannot name an environment; use letters, digits, `-` and `_`, as in `production`")]
    EnvironmentName(String),
    /// The type's own default has no form as text (a map with keys that are neither text nor numbers).
    #[error("the default configuration cannot be written down: {0}; give the type another form")]
    Defaults(String),
    /// A reload changes what cannot change while the process runs; nothing of it was taken.
    #[error("{}", Lines(.0))]
    RestartRequired(Vec<Problem>),
}

impl Error {
    /// The problems, where the error consists of such.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid(problems) | Self::RestartRequired(problems) => problems,
            _ => &[],
        }
    }
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Missing { .. } => ErrorClass::NotFound,
            Self::Read { .. } => ErrorClass::Unavailable,
            Self::TooLarge { .. } => ErrorClass::TooLarge,
            Self::RestartRequired(_) => ErrorClass::Conflict,
            Self::Defaults(_) => ErrorClass::Internal,
            Self::Invalid(_) | Self::EnvironmentName(_) => ErrorClass::Invalid,
        }
    }
}

/// One thing wrong with what somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Where it was written.
    pub source: Source,
    /// The path of the value, empty when the whole file is meant: `"limits.pages"`.
    pub key: String,
    /// The value found and what would do, without secrets.
    pub message: String,
}

impl Problem {
    /// Something wrong with the form of a source, before there are keys.
    pub(crate) fn of_source(source: Source, message: &str) -> Self {
        Self { source, key: String::new(), message: message.to_owned() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.message)
    }
}

struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}
