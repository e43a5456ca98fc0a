//! What is backed up.
//!
//! A [`Source`] brings its state, as of one moment, into files, says how far that moment can be trusted ([`Consistency`]), and notes
//! [facts](Collected::facts) about it that a restore must show again: row counts, hashes, positions.
//!
//! | source | how | consistency |
//! |---|---|---|
//! | [`Folders`] | as they are | [`Crash`](Consistency::Crash) |
//! | `Sqlite` (feature `sqlite`) | an online backup under one read transaction | [`Application`](Consistency::Application) |
//! | [`PostgresBase`] | `pg_basebackup` with the log it needs | [`PointInTime`](Consistency::PointInTime) |
//! | [`PostgresDump`] | `pg_dump` in one transaction | [`Application`](Consistency::Application) |
//! | [`Redis`] | the snapshot that a replica is given | [`Application`](Consistency::Application) |
//! | [`State`] | the service writes it | [`Application`](Consistency::Application) |
//! | [`Group`] | several of them, held still together by [`Hooks`] | the least of theirs |

mod excludes;
mod folders;
mod group;
mod hold;
mod hooks;
pub(crate) mod postgres;
pub(crate) mod redis;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
mod state;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use buttress_core::{BoxFuture, Violations};
use serde::{Deserialize, Serialize};

pub use excludes::Excludes;
pub use folders::{Folders, FoldersConfig};
pub use group::Group;
pub use hold::Hold;
pub use hooks::{Hooks, HooksConfig};
pub use postgres::{PostgresBase, PostgresConfig, PostgresDump};
pub use redis::{Redis, RedisConfig};
#[cfg(feature = "sqlite")]
pub use sqlite::{Sqlite, SqliteCheck, SqliteConfig};
pub use state::{Part, State};

use crate::Error;

/// Something that can be backed up.
pub trait Source: Send + Sync + 'static {
    /// Its name: stable, and the first part of its paths in a snapshot.
    fn name(&self) -> &str;

    /// Brings its state, as of one moment, into files: its own, left where they are, or copies in `scratch`, an empty folder that is this
    /// source's alone until the snapshot is done.
    ///
    /// Dropped before it is done, or told to stop by the shutdown of its context, it ends what it has begun.
    fn collect(&self, scratch: &Path) -> impl Future<Output = Result<Collected, Error>> + Send;
}

/// How far the moment can be trusted that a copy shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "position")]
pub enum Consistency {
    /// Each file is as it was at some moment, and no two of them at the same: as after a crash, or worse.
    Crash,
    /// One moment, at which the application's own promises held: no transaction is there by half.
    Application,
    /// As [`Application`](Self::Application), at a position of its log from which it can be carried on to any later one.
    PointInTime(String),
}

/// A file or a folder that goes into a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Root {
    /// Where it is now.
    pub on_disk: PathBuf,
    /// Where it is in the snapshot: `/NAME/…`, with the name of the source.
    pub in_snapshot: String,
    /// What of a folder is left out.
    pub excludes: Excludes,
}

impl Root {
    /// What is at `on_disk` goes to `path` below the name of its `source`.
    pub fn new(on_disk: impl Into<PathBuf>, source: &str, path: &str) -> Self {
        let path = path.trim_matches('/');
        let in_snapshot = format!("/{source}/{path}");
        Self { on_disk: on_disk.into(), in_snapshot, excludes: Excludes::default() }
    }
}

/// What a source has brought together. Keep it until the snapshot is done, then [`release`](Self::release) it.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "what is held for the snapshot is let go when this is dropped"]
pub struct Collected {
    /// The files and folders.
    pub roots: Vec<Root>,
    /// How far they can be trusted.
    pub consistency: Consistency,
    /// The moment that they show, or the earliest of the moments.
    pub taken: SystemTime,
    /// What a restore must show again, by name.
    pub facts: BTreeMap<String, String>,
    /// What is held still meanwhile.
    pub hold: Hold,
}

impl Collected {
    /// What lies at these roots, taken at this moment, with nothing held.
    pub fn new(roots: Vec<Root>, consistency: Consistency, taken: SystemTime) -> Self {
        let (facts, hold) = (BTreeMap::new(), Hold::nothing());
        Self { roots, consistency, taken, facts, hold }
    }

    /// Adds a fact.
    pub fn fact(mut self, name: impl Into<String>, value: &impl ToString) -> Self {
        self.facts.insert(name.into(), value.to_string());
        self
    }

    /// What is known about it, to be kept beside it.
    #[must_use]
    pub fn record(&self, source: &str) -> Record {
        Record {
            source: source.to_owned(),
            consistency: self.consistency.clone(),
            taken: self.taken,
            facts: self.facts.clone(),
        }
    }

    /// Lets go what was held. To be called when the snapshot is done.
    ///
    /// # Errors
    ///
    /// The hold was lost before, so the files may have changed under the snapshot: it must not count. Or letting go failed, and
    /// somebody must look.
    pub async fn release(self) -> Result<(), Error> {
        self.hold.release().await
    }
}

/// What is known about a copy: the part of [`Collected`] that outlives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The name of the source.
    pub source: String,
    /// How far the copy can be trusted.
    pub consistency: Consistency,
    /// The moment that it shows.
    pub taken: SystemTime,
    /// What a restore must show again, by name.
    pub facts: BTreeMap<String, String>,
}

/// Any [`Source`] behind a pointer: what configuration has chosen. Cheap to clone.
#[derive(Clone)]
pub struct DynSource(Arc<dyn ErasedSource>);

impl DynSource {
    /// Wraps a source.
    pub fn new(source: impl Source) -> Self {
        Self(Arc::new(source))
    }
}

impl std::fmt::Debug for DynSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DynSource({})", Source::name(self))
    }
}

impl Source for DynSource {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn collect(&self, scratch: &Path) -> Result<Collected, Error> {
        self.0.collect(scratch).await
    }
}

trait ErasedSource: Send + Sync {
    fn name(&self) -> &str;
    fn collect<'a>(&'a self, scratch: &'a Path) -> BoxFuture<'a, Result<Collected, Error>>;
}

impl<S: Source> ErasedSource for S {
    fn name(&self) -> &str {
        Source::name(self)
    }

    fn collect<'a>(&'a self, scratch: &'a Path) -> BoxFuture<'a, Result<Collected, Error>> {
        Box::pin(Source::collect(self, scratch))
    }
}

/// Notes that `name` cannot name a source, unless it can: it becomes a folder of snapshots.
pub(crate) fn require_name(name: &str, wrong: &mut Violations) {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let holds = (1..=64).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('.');
    wrong.require(
        holds,
        "name",
        name,
        "must be 1 to 64 letters, digits, `-`, `_` or `.`, and not begin with `.`",
    );
}

/// Why a source refuses.
pub(crate) fn refused(of: &str, problem: impl Into<String>) -> Error {
    Error::Source { of: of.to_owned(), problem: problem.into(), source: None }
}

/// Why a source refuses, and what caused it.
pub(crate) fn failed(
    of: &str,
    problem: impl Into<String>,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::Source { of: of.to_owned(), problem: problem.into(), source: Some(source.into()) }
}
