//! Verifiers by configuration.

use std::path::Path;

use buttress_core::{Ctx, Validate, Violations};
use serde::{Deserialize, Serialize};

use super::{
    Command, CommandConfig, DynVerifier, Files, FilesConfig, Postgres, PostgresConfig, Redis, RedisConfig,
};
use crate::Error;

/// A verifier as configuration names it: its `kind`, and the fields of that kind.
///
/// | `kind` | fields |
/// |---|---|
/// | `"files"` | [`FilesConfig`] |
/// | `"sqlite"` (feature `sqlite`) | `SqliteConfig` |
/// | `"postgres"` | [`PostgresConfig`] |
/// | `"redis"` | [`RedisConfig`] |
/// | `"command"` | [`CommandConfig`] |
///
/// It judges the snapshots that have the source with which its `path` begins; a command, which has no path, all of them.
///
/// ```toml
/// [[backup.verifiers]]
/// kind = "sqlite"
/// name = "orders"
/// path = "shop/orders.db"
/// queries = [{ sql = "SELECT count(*) FROM orders", at_least = 1000 }]
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum VerifierConfig {
    /// Restored files.
    Files(FilesConfig),
    /// A restored SQLite database.
    #[cfg(feature = "sqlite")]
    Sqlite(super::SqliteConfig),
    /// A restored PostgreSQL cluster.
    Postgres(PostgresConfig),
    /// A restored snapshot of a Redis.
    Redis(RedisConfig),
    /// A program.
    Command(CommandConfig),
}

impl VerifierConfig {
    /// The source whose copy it judges; none: whatever there is.
    pub(crate) fn source(&self) -> Option<String> {
        let path = match self {
            Self::Files(files) => &files.path,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => &sqlite.path,
            Self::Postgres(postgres) => &postgres.path,
            Self::Redis(redis) => &redis.path,
            Self::Command(_) => return None,
        };
        Some(first(path))
    }

    /// The verifier.
    pub(crate) fn open(&self, ctx: &Ctx) -> Result<DynVerifier, Error> {
        Ok(match self.clone() {
            Self::Files(files) => DynVerifier::new(Files::new(files, ctx)?),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => DynVerifier::new(super::Sqlite::new(sqlite, ctx)?),
            Self::Postgres(postgres) => DynVerifier::new(Postgres::new(postgres, ctx)?),
            Self::Redis(redis) => DynVerifier::new(Redis::new(redis, ctx)?),
            Self::Command(command) => DynVerifier::new(Command::new(command, ctx)?),
        })
    }
}

fn first(path: &Path) -> String {
    path.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned()).unwrap_or_default()
}

impl Validate for VerifierConfig {
    fn validate(&self) -> Result<(), Violations> {
        match self {
            Self::Files(files) => files.validate(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.validate(),
            Self::Postgres(postgres) => postgres.validate(),
            Self::Redis(redis) => redis.validate(),
            Self::Command(command) => command.validate(),
        }
    }
}
