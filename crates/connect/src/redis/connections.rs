//! Redis connections for one user at a time: what blocking commands, `WATCH` and `MULTI` need.

use std::time::Duration;

use buttress_core::{Classify, Ctx, ErrorClass};
use buttress_pool::{Condition, Manager, Pool, PoolConfig};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, Pipeline, ProtocolVersion};

use super::{Servers, failed};
use crate::{Address, ConnectionConfig, Error};

/// Makes connections to Redis for a [`Pool`].
///
/// ```no_run
/// use buttress_connect::redis::{Connections, client};
/// use buttress_connect::{Address, ConnectionConfig};
/// use buttress_core::Ctx;
/// use buttress_pool::PoolConfig;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let address: Address = "redis://cache.internal".parse()?;
/// let pool = Connections::new(&address, &ConnectionConfig::default())?
///     .pool(PoolConfig::default(), &Ctx::default())?;
///
/// let mut connection = pool.get().await?;
/// let (_, job): (String, String) =
///     connection.query(client::cmd("BLPOP").arg("jobs").arg(5)).await?;
/// # Ok(())
/// # }
/// ```
pub struct Connections {
    servers: Servers,
    limit: Duration,
}

impl Connections {
    /// Connections to `address`. Nothing is opened yet.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] for an address that the client does not take, [`Error::File`] for certificates that cannot
    /// be read.
    pub fn new(address: &Address, config: &ConnectionConfig) -> Result<Self, Error> {
        Ok(Self { servers: Servers::new(address, config)?, limit: config.timeout })
    }

    /// A pool of them.
    ///
    /// # Errors
    ///
    /// [`buttress_pool::Error::Config`].
    pub fn pool(self, config: PoolConfig, ctx: &Ctx) -> Result<Pool<Self>, buttress_pool::Error> {
        Pool::new(self, config, ctx)
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connections({})", self.servers.address())
    }
}

/// One connection. It hangs up when it is dropped.
pub struct Connection {
    link: MultiplexedConnection,
    address: Address,
    /// Whether it was lost, or did not answer: what comes next may be the answer to something else.
    broken: bool,
}

impl Connection {
    /// Sends one command. A command that blocks has to come back within [`ConnectionConfig::timeout`].
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] when the server refuses it or does not answer in time; the command may have been carried out
    /// then.
    pub async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, Error> {
        // A future dropped in between leaves an answer behind.
        self.broken = true;
        let answer = command.query_async(&mut self.link).await;
        self.note(answer)
    }

    /// Sends several commands in one go; atomically, if the pipeline is.
    ///
    /// # Errors
    ///
    /// As [`query`](Connection::query).
    pub async fn pipe<T: FromRedisValue>(&mut self, commands: &Pipeline) -> Result<T, Error> {
        self.broken = true;
        let answer = commands.query_async(&mut self.link).await;
        self.note(answer)
    }

    fn note<T>(&mut self, answer: redis::RedisResult<T>) -> Result<T, Error> {
        let answer = answer.map_err(|error| failed(&self.address, &error));
        self.broken = match &answer {
            Ok(_) => false,
            Err(error) => matches!(error.class(), ErrorClass::Unavailable | ErrorClass::Timeout),
        };
        answer
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("address", &self.address)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

impl Manager for Connections {
    type Object = Connection;
    type Error = Error;

    async fn create(&self) -> Result<Connection, Error> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.limit))
            .set_response_timeout(Some(self.limit));
        let address = self.servers.address();
        let connect = async {
            let client = self.servers.pick(0, ProtocolVersion::RESP2).await?;
            client.get_multiplexed_async_connection_with_config(&config).await
        };
        let link = connect.await.map_err(|error| failed(address, &error))?;
        Ok(Connection { link, address: address.clone(), broken: false })
    }

    async fn check(&self, connection: &mut Connection) -> Result<(), Error> {
        connection.query::<String>(&redis::cmd("PING")).await.map(|_| ())
    }

    fn condition(&self, connection: &Connection) -> Condition {
        if connection.broken { Condition::Broken } else { Condition::Good }
    }
}
