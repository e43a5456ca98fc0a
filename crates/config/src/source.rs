//! Where a value came from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where the value that counts was written. `Display` gives the form that editors and people jump to:
/// `docproc.toml:3:9`, `variable DOCPROC_LIMITS__PAGES`, `flag limits.pages`, `default`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Source {
    /// Nobody wrote it: the type's own default.
    Default,
    /// A place in a file.
    File {
        /// The file, as it was named.
        path: Arc<Path>,
        /// The line, counted from 1.
        line: usize,
        /// The column in characters, counted from 1.
        column: usize,
    },
    /// An environment variable.
    Env {
        /// Its whole name.
        variable: Arc<str>,
    },
    /// A flag on the command line.
    Flag {
        /// The key as it was given.
        name: Arc<str>,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Env { variable } => write!(f, "variable {variable}"),
            Self::Flag { name } => write!(f, "flag {name}"),
        }
    }
}
