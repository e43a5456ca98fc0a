//! Logs by configuration.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use buttress_core::{Ctx, Validate, Violations, units};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

#[cfg(feature = "postgres")]
use super::postgres::{PostgresWal, PostgresWalConfig};
#[cfg(feature = "sqlite")]
use super::sqlite::{SqlitePages, SqlitePagesConfig};
use super::{Log, LogConfig, Shipper};
use crate::Error;

/// A log that is shipped, as configuration names it: its `kind`, and the fields of [`Shipped`].
///
/// | `kind` | `source` |
/// |---|---|
/// | `"postgres"` (feature `postgres`) | `PostgresWalConfig` |
/// | `"sqlite"` (feature `sqlite`) | `SqlitePagesConfig` |
///
/// ```toml
/// [[logs]]
/// kind = "postgres"
/// folder = "/var/lib/shop/db-log"
/// log = { name = "db", blobs = { url = "/mnt/backups/shop" } }
/// source = { url = "postgres://backup@db.internal/shop", folder = "/var/lib/shop/wal" }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ShippedConfig {
    /// The write-ahead log of a PostgreSQL server.
    #[cfg(feature = "postgres")]
    Postgres(Shipped<PostgresWalConfig>),
    /// The pages of a SQLite database.
    #[cfg(feature = "sqlite")]
    Sqlite(Shipped<SqlitePagesConfig>),
}

/// Where a log comes from and goes to.
///
/// | field | default | |
/// |---|---|---|
/// | `log` | | its name and where it is kept: see [`LogConfig`] |
/// | `source` | | what is shipped |
/// | `folder` | `"log"` | how far it went: a folder of its own on a disk that survives a restart |
/// | `rpo` | `"5s"` | so far may it be behind before the probe fails |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Shipped<S> {
    /// Its name and where it is kept.
    pub log: LogConfig,
    /// What is shipped.
    pub source: S,
    /// How far it went.
    pub folder: PathBuf,
    /// So far may it be behind.
    #[serde(with = "units::duration")]
    pub rpo: Duration,
}

impl<S: Default> Default for Shipped<S> {
    fn default() -> Self {
        Self {
            log: LogConfig::default(),
            source: S::default(),
            folder: "log".into(),
            rpo: Duration::from_secs(5),
        }
    }
}

impl<S: Validate + fmt::Debug> Validate for Shipped<S> {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.nest("log", &self.log);
        wrong.nest("source", &self.source);
        let shown = units::format_duration;
        let remedy = format!("must be more than `log.interval`, \"{}\"", shown(self.log.interval));
        wrong.require(self.rpo > self.log.interval, "rpo", shown(self.rpo), remedy);
        wrong.into_result()
    }
}

impl ShippedConfig {
    /// Where it is kept.
    #[must_use]
    pub fn log(&self) -> &LogConfig {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(shipped) => &shipped.log,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(shipped) => &shipped.log,
        }
    }

    /// Ships in the background until the context's shutdown. A log that is not there yet is made, with this password.
    ///
    /// # Errors
    ///
    /// Those of [`Log::open`] and [`Log::create`], of the source, and of [`Shipper::start`].
    pub async fn start(&self, password: &SecretString, ctx: &Ctx) -> Result<Shipper, Error> {
        let log = match Log::open(self.log(), password, ctx).await {
            Err(Error::NoRepository { .. }) => Log::create(self.log(), password, ctx).await?,
            opened => opened?,
        };
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(Shipped { source, folder, rpo, .. }) => {
                Shipper::start(log, PostgresWal::start(source, ctx).await?, folder, *rpo)
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(Shipped { source, folder, rpo, .. }) => {
                Shipper::start(log, SqlitePages::new(source, ctx)?, folder, *rpo)
            }
        }
    }
}

impl Validate for ShippedConfig {
    fn validate(&self) -> Result<(), Violations> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(shipped) => shipped.validate(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(shipped) => shipped.validate(),
        }
    }
}
