//! Redis: [`Redis`], one shared connection that finds its way back; [`Connections`], a pool of them for what needs one of
//! its own; [`Subscription`], messages of channels.
//!
//! Beside one server, an address may name a master by its sentinels, or a cluster: see [`Address`].

mod connections;
mod link;
mod place;
mod sentinel;
mod servers;
mod subscription;
mod watched;

use std::time::Duration;

use buttress_core::{ErrorClass, Probe, SharedClock, Vitality};
pub use redis as client;
use redis::{Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RetryMethod, ScriptInvocation};

pub use self::connections::{Connection, Connections};
use self::link::Link;
use self::servers::Servers;
pub use self::subscription::{MOST_WAITING, Subscription, Told};
use crate::error::Told as Cause;
use crate::{Address, ConnectionConfig, Error};

/// A connection to Redis. Cheap to clone: commands of clones travel down the same connection.
#[derive(Clone)]
pub struct Redis {
    link: Link,
    servers: Servers,
    limit: Duration,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redis({})", self.servers.address())
    }
}

impl Redis {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] for an address that the client does not take, [`Error::File`] for certificates that cannot
    /// be read, [`Error::Failed`] when the server cannot be reached or does not let us in.
    pub async fn connect(address: &Address, config: &ConnectionConfig) -> Result<Self, Error> {
        let servers = Servers::new(address, config)?;
        let link = servers.connect(config.timeout).await.map_err(|error| failed(address, &error))?;
        Ok(Self { link, servers, limit: config.timeout })
    }

    /// Sends one command.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] when the server refuses it or does not answer in time; the command may have been carried out
    /// then.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        let answer = command.query_async(&mut self.link.clone()).await;
        answer.map_err(|error| self.failed(&error))
    }

    /// Sends several commands in one go; atomically, if the pipeline is. In a cluster, all their keys have to be
    /// of one slot.
    ///
    /// # Errors
    ///
    /// As [`query`](Redis::query).
    pub async fn pipe<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Error> {
        let answer = commands.query_async(&mut self.link.clone()).await;
        answer.map_err(|error| self.failed(&error))
    }

    /// Runs a script; the server is taught it first if it does not know it. In a cluster, all its keys have to be of
    /// one slot.
    ///
    /// # Errors
    ///
    /// As [`query`](Redis::query).
    pub async fn invoke<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Error> {
        let answer = script.invoke_async(&mut self.link.clone()).await;
        answer.map_err(|error| self.failed(&error))
    }

    /// Hears `channels`, on a connection of its own whose server is asked every `beat` whether it is there. Nothing
    /// happens before the first [`Subscription::next`].
    #[must_use]
    pub fn subscribe<C: Into<String>>(
        &self,
        channels: impl IntoIterator<Item = C>,
        beat: Duration,
        clock: SharedClock,
    ) -> Subscription {
        let channels = channels.into_iter().map(Into::into).collect();
        Subscription::new(self.servers.clone(), channels, beat, self.limit, clock)
    }

    /// Whether there are many servers, each with its own part of the keys and its own clock.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        matches!(self.link, Link::Cluster(_))
    }

    fn failed(&self, error: &RedisError) -> Error {
        failed(self.servers.address(), error)
    }
}

fn failed(address: &Address, error: &RedisError) -> Error {
    let class = match error.kind() {
        _ if error.is_timeout() => ErrorClass::Timeout,
        ErrorKind::AuthenticationFailed => ErrorClass::Unauthenticated,
        _ if error.code() == Some("NOPERM") => ErrorClass::Forbidden,
        _ if error.code() == Some("OOM") => ErrorClass::Overloaded,
        ErrorKind::Io => ErrorClass::Unavailable,
        _ if error.is_connection_dropped() || error.is_connection_refusal() => ErrorClass::Unavailable,
        // The server is loading, or no longer the master.
        _ if !matches!(error.retry_method(), RetryMethod::NoRetry) => ErrorClass::Unavailable,
        _ => ErrorClass::Internal,
    };
    Error::Failed {
        backend: "Redis",
        place: address.to_string(),
        class,
        source: Cause(error.to_string()).into(),
    }
}

impl Probe for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    async fn check(&self) -> Vitality {
        match self.query::<String>(&redis::cmd("PING")).await {
            Ok(_) => Vitality::Pass,
            Err(error) => Vitality::Fail(error.to_string()),
        }
    }
}
