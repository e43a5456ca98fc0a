//! Whether what was restored is what is needed.
//!
//! A backup that restores may still be stale, empty, or of the wrong database. A [`Verifier`] looks at restored files and judges: each
//! [`Check`] of its [`Verdict`] names what was looked at, what was expected and what was found. A verdict without a check has not
//! [passed](Verdict::passed).
//!
//! | verifier | looks at |
//! |---|---|
//! | [`Files`] | hashes of all files, the age of the newest |
//! | `Sqlite` (feature `sqlite`) | the database's integrity, its schema and row counts as recorded, queries |
//! | [`Postgres`] | a server started on the restored cluster, its identity, all rows of a database, queries |
//! | [`Redis`] | the snapshot's checksum, its number of keys, its age |
//! | [`Command`] | what a program of yours says |

mod command;
mod config;
mod files;
mod postgres;
mod query;
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::future::Future;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::SystemTime;

use buttress_core::{BoxFuture, Violations};
use serde::Serialize;

pub use command::{Command, CommandConfig};
pub use config::VerifierConfig;
pub use files::{Files, FilesConfig, Manifest};
pub use postgres::{Postgres, PostgresConfig};
pub use query::Query;
pub use redis::{Redis, RedisConfig};
#[cfg(feature = "sqlite")]
pub use sqlite::{Sqlite, SqliteConfig};

use crate::Error;

/// Judges restored files.
pub trait Verifier: Send + Sync + 'static {
    /// Its name in reports.
    fn name(&self) -> &str;

    /// Looks at what was restored into the folder `restored`, in which each source has a folder of its name. The files may be changed: a
    /// server that is started on them writes. They were backed up at the time `made`, from which ages count.
    ///
    /// What is wrong with them is no error but a check that has not passed.
    ///
    /// # Errors
    ///
    /// When nothing can be said about them: a program is missing, a shutdown came.
    fn verify(
        &self,
        restored: &Path,
        made: SystemTime,
    ) -> impl Future<Output = Result<Verdict, Error>> + Send;
}

/// What a verifier found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// Everything that was looked at.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What.
    pub what: String,
    /// What should have been there.
    pub expected: String,
    /// What was there.
    pub found: String,
    /// Whether that will do.
    pub passed: bool,
}

impl Verdict {
    /// Nothing was looked at yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether something was looked at, and all of it will do.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.passed)
    }

    /// What will not do.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.passed)
    }

    /// Adds a check.
    pub fn add(
        &mut self,
        what: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
        passed: bool,
    ) {
        self.checks.push(Check { what: what.into(), expected: expected.into(), found: found.into(), passed });
    }

    /// Adds the check that something is as it was recorded.
    pub fn same(&mut self, what: impl Into<String>, expected: &str, found: &str) {
        self.add(what, expected, found, expected == found);
    }
}

/// Any [`Verifier`] behind a pointer: what configuration has chosen. Cheap to clone.
#[derive(Clone)]
pub struct DynVerifier(Arc<dyn ErasedVerifier>);

impl DynVerifier {
    /// Wraps a verifier.
    pub fn new(verifier: impl Verifier) -> Self {
        Self(Arc::new(verifier))
    }
}

impl std::fmt::Debug for DynVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DynVerifier({})", Verifier::name(self))
    }
}

impl Verifier for DynVerifier {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn verify(&self, restored: &Path, made: SystemTime) -> Result<Verdict, Error> {
        self.0.verify(restored, made).await
    }
}

trait ErasedVerifier: Send + Sync {
    fn name(&self) -> &str;
    fn verify<'a>(&'a self, restored: &'a Path, made: SystemTime) -> BoxFuture<'a, Result<Verdict, Error>>;
}

impl<V: Verifier> ErasedVerifier for V {
    fn name(&self) -> &str {
        Verifier::name(self)
    }

    fn verify<'a>(&'a self, restored: &'a Path, made: SystemTime) -> BoxFuture<'a, Result<Verdict, Error>> {
        Box::pin(Verifier::verify(self, restored, made))
    }
}

/// Notes that `path` does not stay in the folder it is restored into, unless it does.
fn require_inside(path: &Path, wrong: &mut Violations) {
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    let holds = plain && path.components().next().is_some();
    wrong.require(
        holds,
        "path",
        path.display(),
        "must be relative to the restored folder, like \"jobs/queue.db\"",
    );
}
