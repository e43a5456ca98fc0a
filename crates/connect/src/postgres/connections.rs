//! PostgreSQL connections for one user at a time: what transactions, cursors and session state need.

use std::ops::{Deref, DerefMut};

use buttress_core::Ctx;
use buttress_pool::{Condition, Manager, Pool, PoolConfig};
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::dialer::{Dialer, settings};
use crate::{Address, AddressSource, ConnectionConfig, Error};

/// What becomes of a connection's session when it goes back to its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reset {
    /// A transaction left open is rolled back: one round trip after each use, in the background.
    #[default]
    Rollback,
    /// Everything is forgotten, as `DISCARD ALL` does: settings, prepared statements, temporary tables, locks.
    Discard,
    /// It stays as it is: for users who leave no transaction open.
    None,
}

/// Makes connections to PostgreSQL for a [`Pool`].
///
/// ```no_run
/// use buttress_connect::postgres::{Connections, Reset};
/// use buttress_connect::{Address, ConnectionConfig};
/// use buttress_core::Ctx;
/// use buttress_pool::PoolConfig;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let address: Address = "postgres://app@db.internal/shop".parse()?;
/// let ctx = Ctx::default();
/// let connections = Connections::new(&address, &ConnectionConfig::default(), &ctx)?.reset(Reset::Rollback);
/// let pool = connections.pool(PoolConfig::default(), &ctx)?;
///
/// let mut connection = pool.get().await?;
/// let transaction = connection.transaction().await?;
/// transaction.execute("UPDATE stock SET left = left - 1", &[]).await?;
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
pub struct Connections {
    dialer: Dialer,
    reset: Reset,
}

impl Connections {
    /// Connections to `address`. Nothing is opened yet.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] for an address that PostgreSQL's client does not take, [`Error::File`] for certificates that
    /// cannot be read.
    pub fn new(address: &Address, config: &ConnectionConfig, ctx: &Ctx) -> Result<Self, Error> {
        settings(address)?;
        Self::by(address.clone(), config, ctx)
    }

    /// Connections to where `source` says, which is asked for each. Nothing is opened yet.
    ///
    /// # Errors
    ///
    /// [`Error::File`] for certificates that cannot be read.
    pub fn by(source: impl AddressSource, config: &ConnectionConfig, ctx: &Ctx) -> Result<Self, Error> {
        Ok(Self { dialer: Dialer::new(source, config, ctx)?, reset: Reset::default() })
    }

    /// What becomes of a session after use.
    #[must_use]
    pub fn reset(mut self, reset: Reset) -> Self {
        self.reset = reset;
        self
    }

    /// A pool of them.
    ///
    /// # Errors
    ///
    /// [`buttress_pool::Error::Config`].
    pub fn pool(self, config: PoolConfig, ctx: &Ctx) -> Result<Pool<Self>, buttress_pool::Error> {
        Pool::new(self, config, ctx)
    }

    async fn run(&self, client: &Client, sql: &str) -> Result<(), Error> {
        self.dialer.within_limit(client.batch_execute(sql)).await
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connections({})", self.dialer.place())
    }
}

/// One connection: a [`Client`] of `tokio_postgres`. It hangs up when it is dropped.
pub struct Connection(Client);

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.0
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.0
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("closed", &self.0.is_closed()).finish_non_exhaustive()
    }
}

impl Manager for Connections {
    type Object = Connection;
    type Error = Error;

    async fn create(&self) -> Result<Connection, Error> {
        // The pool tells of what it loses.
        let client = self.dialer.dial(|error| {
            tracing::debug!(target: "buttress::connect", %error, "PostgreSQL hung up");
        });
        client.await.map(Connection)
    }

    async fn check(&self, connection: &mut Connection) -> Result<(), Error> {
        self.run(connection, "").await
    }

    fn condition(&self, connection: &Connection) -> Condition {
        if connection.is_closed() {
            Condition::Broken
        } else if self.reset != Reset::None {
            Condition::Dirty
        } else {
            Condition::Good
        }
    }

    async fn reset(&self, connection: &mut Connection) -> Result<(), Error> {
        let sql = match self.reset {
            Reset::None => return Ok(()),
            Reset::Rollback => "ROLLBACK",
            Reset::Discard => "ROLLBACK; DISCARD ALL",
        };
        self.run(connection, sql).await
    }
}
