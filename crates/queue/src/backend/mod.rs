//! Where jobs are kept.

#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::time::Duration;

use buttress_connect::Backend;
use buttress_core::{Ctx, Key};

use crate::{AnyQueue, Error, QueueConfig, Stats};

/// The back end that `config` names.
pub(crate) async fn open(config: &QueueConfig, ctx: &Ctx) -> Result<AnyQueue, Error> {
    match config.url.backend() {
        #[cfg(feature = "sqlite")]
        Backend::Sqlite => sqlite::SqliteQueue::open(config, ctx).await.map(AnyQueue::new),
        #[cfg(feature = "postgres")]
        Backend::Postgres => postgres::PostgresQueue::open(config, ctx).await.map(AnyQueue::new),
        #[cfg(feature = "redis")]
        Backend::Redis => redis::RedisQueue::open(config, ctx).await.map(AnyQueue::new),
        #[cfg(feature = "nats")]
        Backend::Nats => nats::NatsQueue::open(config, ctx).await.map(AnyQueue::new),
        // Only with features left out is anything left here.
        #[allow(unreachable_patterns)]
        other => {
            let _ = ctx;
            Err(other.not_compiled().into())
        }
    }
}

/// A stored key; it was checked when it was pushed.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis", feature = "nats"))]
fn key(text: &str) -> Result<Key, Error> {
    Key::new(text).map_err(|error| Error::Corrupt { problem: format!("its key: {error}") })
}

/// The figures of a table: ready, leased, delayed, dead, and the age of the oldest ready job in milliseconds.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn stats([ready, leased, delayed, dead, oldest]: [i64; 5]) -> Stats {
    Stats::new(unsigned(ready), unsigned(leased), unsigned(delayed), unsigned(dead), unsigned(oldest))
}

/// Databases count with a sign, and what is counted has none.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
