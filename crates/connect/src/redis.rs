//! Redis: [`Redis`], one multiplexed connection that finds its way back; and [`Connections`], a pool of them for what needs
//! one of its own.

mod connections;

use std::sync::Arc;

use buttress_core::{ErrorClass, Probe, Vitality};
pub use redis as client;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{
    Client, Cmd, ErrorKind, FromRedisValue, RedisError, RetryMethod, ScriptInvocation, TlsCertificates,
};

pub use self::connections::{Connection, Connections};
use crate::error::Told;
use crate::{Address, ConnectionConfig, Error};

/// A connection to Redis. Cheap to clone: commands of clones travel down the same connection.
#[derive(Clone)]
pub struct Redis {
    manager: ConnectionManager,
    address: Arc<Address>,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redis({})", self.address)
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
        let client = client_of(address, config)?;
        let manager = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(config.timeout))
            .set_response_timeout(Some(config.timeout))
            .set_number_of_retries(2);
        let address = Arc::new(address.clone());
        let connected = ConnectionManager::new_with_config(client, manager).await;
        let manager = connected.map_err(|error| failed(&address, &error))?;
        Ok(Self { manager, address })
    }

    /// Sends one command.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] when the server refuses it or does not answer in time; the command may have been carried out
    /// then.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        let answer = command.query_async(&mut self.manager.clone()).await;
        answer.map_err(|error| failed(&self.address, &error))
    }

    /// Runs a script; the server is taught it first if it does not know it.
    ///
    /// # Errors
    ///
    /// As [`query`](Redis::query).
    pub async fn invoke<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Error> {
        let answer = script.invoke_async(&mut self.manager.clone()).await;
        answer.map_err(|error| failed(&self.address, &error))
    }
}

fn client_of(address: &Address, config: &ConnectionConfig) -> Result<Client, Error> {
    let wrong =
        |error: RedisError| Error::Address { address: address.to_string(), problem: error.to_string() };
    let Some(path) = &config.ca_file else { return Client::open(address.expose()).map_err(wrong) };
    let root = std::fs::read(path)
        .map_err(|error| Error::File { path: path.display().to_string(), problem: error.to_string() })?;
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(root) };
    Client::build_with_tls(address.expose(), certificates).map_err(wrong)
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
        source: Told(error.to_string()).into(),
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
