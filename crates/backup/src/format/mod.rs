//! restic's repository format, version 2, as values: what lies in a store and how it is read and written.
//!
//! Everything here is a function of bytes, without a store, a clock or a disk. The format is documented in `doc/design.rst` of restic's sources.

#[cfg(feature = "test-util")]
pub mod any;
pub(crate) mod config;
pub(crate) mod crypto;
pub(crate) mod index;
pub(crate) mod key_file;
pub(crate) mod lock;
#[cfg(test)]
#[allow(clippy::expect_used, reason = "a test")]
pub(crate) mod newer;
pub(crate) mod pack;
pub(crate) mod quote;
pub(crate) mod snapshot;
pub(crate) mod tree;
pub(crate) mod unpacked;
pub(crate) mod zstandard;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) String);

impl Malformed {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }

    pub(crate) fn json(what: &str, error: &serde_json::Error) -> Self {
        Self(format!("{what}: {error}"))
    }
}

/// What a blob holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BlobKind {
    /// A part of a file.
    Data,
    /// The entries of a folder.
    Tree,
}
