//! Where jobs are kept.

#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
mod shared;
#[cfg(feature = "sqlite")]
mod sqlite;

use buttress_connect::Backend;
use buttress_core::Ctx;

use crate::{AnyQueue, Error, QueueConfig};

/// The back end that `config` names.
#[cfg_attr(
    not(any(feature = "nats", feature = "postgres", feature = "redis", feature = "sqlite")),
    allow(clippy::unused_async, reason = "nothing is waited for where nothing is compiled in")
)]
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
        other => {
            let _ = ctx; // With no back end compiled in, nobody asks for it.
            Err(Backend::not_compiled(other).into())
        }
    }
}
