//! Sources by configuration.

use buttress_core::{Validate, Violations};
use serde::{Deserialize, Serialize};

use super::{FoldersConfig, PostgresConfig, RedisConfig};

/// A source as configuration names it: its `kind`, and the fields of that kind.
///
/// | `kind` | fields | a drill |
/// |---|---|---|
/// | `"folders"` | [`FoldersConfig`] | restores it |
/// | `"sqlite"` (feature `sqlite`) | `SqliteConfig` | has SQLite check it, and compares schema and row counts with those recorded |
/// | `"postgres_base"` | [`PostgresConfig`] | starts a server on it, which must be the cluster recorded, and reads all rows |
/// | `"postgres_dump"` | [`PostgresConfig`] | restores its files; whether a server takes them is for a verifier of kind `command` |
/// | `"redis"` | [`RedisConfig`] | checks its sum and its number of keys |
///
/// ```toml
/// [[backup.sources]]
/// kind = "folders"
/// name = "blobs"
/// paths = ["/srv/blobs"]
///
/// [[backup.sources]]
/// kind = "postgres_base"
/// name = "db"
/// address = "postgres://backup@db.internal/shop"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SourceConfig {
    /// Folders and files as they are.
    Folders(FoldersConfig),
    /// A SQLite database.
    #[cfg(feature = "sqlite")]
    Sqlite(super::SqliteConfig),
    /// A PostgreSQL cluster, as its files.
    PostgresBase(PostgresConfig),
    /// A PostgreSQL database, as statements.
    PostgresDump(PostgresConfig),
    /// A Redis.
    Redis(RedisConfig),
}

impl SourceConfig {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Folders(folders) => &folders.name,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => &sqlite.name,
            Self::PostgresBase(postgres) | Self::PostgresDump(postgres) => &postgres.name,
            Self::Redis(redis) => &redis.name,
        }
    }
}

impl Validate for SourceConfig {
    fn validate(&self) -> Result<(), Violations> {
        match self {
            Self::Folders(folders) => folders.validate(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.validate(),
            Self::PostgresBase(postgres) | Self::PostgresDump(postgres) => postgres.validate(),
            Self::Redis(redis) => redis.validate(),
        }
    }
}
