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

mod config;
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

pub use config::SourceConfig;
pub use folders::{Folders, FoldersConfig};
pub use group::Group;
pub use hold::Hold;
pub use hooks::{Hooks, HooksConfig};
pub use postgres::{PostgresBase, PostgresConfig, PostgresDump};
pub use redis::{Redis, RedisConfig};
#[cfg(feature = "sqlite")]
pub use sqlite::{Sqlite, SqliteCheck, SqliteConfig};
pub use state::{Part, State};

use crate::{BackupJob, Error, Root};

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

/// What is at `on_disk` goes to `path` below the name of its `source`.
fn root(on_disk: impl Into<PathBuf>, source: &str, path: &str) -> Root {
    let path = path.trim_start_matches('/');
    Root { on_disk: on_disk.into(), in_snapshot: format!("/{source}/{path}").into() }
}

/// What a source has brought together. Keep it until the snapshot is done, then [`release`](Self::release) it.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "what is held for the snapshot is let go when this is dropped"]
pub struct Collected {
    /// The files and folders: `/NAME/…` in the snapshot, with the name of the source.
    pub roots: Vec<Root>,
    /// What of the folders is left out, as [`BackupJob::exclude`] takes it, and of no other source's.
    pub excludes: Vec<String>,
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
        Self { roots, excludes: Vec::new(), consistency, taken, facts, hold }
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

    /// Adds the files and folders to a backup, and beside them the [`Record`], which is written to `scratch`, the folder that the source
    /// `source` was given.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when the record cannot be written.
    pub async fn add_to(&self, job: BackupJob, source: &str, scratch: &Path) -> Result<BackupJob, Error> {
        let record = serde_json::to_vec_pretty(&self.record(source))
            .map_err(|error| failed(source, "its record cannot be written", error))?;
        // No source makes a file of such a name.
        let path = scratch.join(".record");
        tokio::fs::write(&path, record).await.map_err(|error| Error::file("write", &path, error))?;
        let job = self.roots.iter().fold(job, |job, root| job.root(&root.on_disk, &root.in_snapshot));
        let job = self.excludes.iter().fold(job, BackupJob::exclude);
        Ok(job.root(path, format!("/{RECORDS}/{source}.json")))
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

/// The folder of a snapshot in which the records are; no source has such a name.
const RECORDS: &str = ".sources";

impl Record {
    /// That of one source of the [`Group`] that this is of.
    #[must_use]
    pub fn of(&self, source: &str) -> Self {
        let prefix = format!("{source}.");
        let own =
            |(fact, value): (&String, &String)| Some((fact.strip_prefix(&prefix)?.to_owned(), value.clone()));
        Self { source: source.to_owned(), facts: self.facts.iter().filter_map(own).collect(), ..self.clone() }
    }

    /// The record of `source`, as it was restored into the folder `restored`.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when it is not there, [`Error::Source`] when it is none.
    pub async fn read(restored: &Path, source: &str) -> Result<Self, Error> {
        let path = restored.join(RECORDS).join(format!("{source}.json"));
        let text = tokio::fs::read(&path).await.map_err(|error| Error::file("read", &path, error))?;
        serde_json::from_slice(&text)
            .map_err(|error| failed(source, format!("{} is no record of a source", path.display()), error))
    }
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
