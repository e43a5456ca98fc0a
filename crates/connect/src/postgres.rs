//! PostgreSQL: [`Postgres`], one connection that many tasks share, made again when it is lost; and [`Connections`], a pool
//! of them for what needs one of its own.

mod connections;
mod dialer;

use std::sync::Arc;

use buttress_core::{Ctx, ErrorClass, Probe, Vitality};
use tokio::sync::Mutex;
pub use tokio_postgres as client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

pub use self::connections::{Connection, Connections, Reset};
use self::dialer::{Dialer, settings};
use crate::error::Told;
use crate::{Address, AddressSource, ConnectionConfig, Error};

/// A connection to PostgreSQL. Cheap to clone: statements of clones travel down the same connection, one behind the
/// other, without waiting for each other's answers.
///
/// There is no way to begin a transaction, so no two tasks can find themselves in the same one: a statement is
/// a transaction of its own.
#[derive(Clone)]
pub struct Postgres(Arc<Shared>);

struct Shared {
    dialer: Dialer,
    client: Mutex<Option<Arc<Client>>>,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Postgres({})", self.0.dialer.place())
    }
}

impl Postgres {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] for an address that PostgreSQL's client does not take, [`Error::Failed`] when the server
    /// cannot be reached or does not let us in.
    pub async fn connect(address: &Address, config: &ConnectionConfig, ctx: &Ctx) -> Result<Self, Error> {
        settings(address)?;
        Self::connect_by(address.clone(), config, ctx).await
    }

    /// Connects to where `source` says, also when the connection is made again.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); [`Error::Failed`] when the source does not say.
    pub async fn connect_by(
        source: impl AddressSource,
        config: &ConnectionConfig,
        ctx: &Ctx,
    ) -> Result<Self, Error> {
        let dialer = Dialer::new(source, config, ctx)?;
        let postgres = Self(Arc::new(Shared { dialer, client: Mutex::default() }));
        postgres.client().await?;
        Ok(postgres)
    }

    /// Runs one statement and returns its rows.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] when the server refuses it or does not answer in time. A statement whose connection broke
    /// may have been carried out.
    pub async fn query(&self, sql: &str, values: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, Error> {
        let client = self.client().await?;
        self.0.dialer.within_limit(client.query_typed(sql, values)).await
    }

    /// Runs statements without values, as a schema has them.
    ///
    /// # Errors
    ///
    /// As [`query`](Postgres::query).
    pub async fn execute(&self, sql: &str) -> Result<(), Error> {
        let client = self.client().await?;
        self.0.dialer.within_limit(client.batch_execute(sql)).await
    }

    /// The connection, a new one if the last was lost.
    async fn client(&self) -> Result<Arc<Client>, Error> {
        let mut current = self.0.client.lock().await;
        if let Some(client) = current.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let client = self.0.dialer.dial(|error| {
            tracing::warn!(target: "buttress::connect", %error, "PostgreSQL hung up");
        });
        let client = Arc::new(client.await?);
        *current = Some(Arc::clone(&client));
        Ok(client)
    }
}

fn refused(place: String, error: &tokio_postgres::Error) -> Error {
    let class = match error.code() {
        None => ErrorClass::Unavailable,
        Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
            ErrorClass::Unauthenticated
        }
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => ErrorClass::Forbidden,
        Some(&SqlState::INVALID_CATALOG_NAME) => ErrorClass::NotFound,
        // 08 connection, 57 intervention of an operator; 53 out of something; 40 a conflict of transactions.
        Some(code) => match code.code().get(..2) {
            Some("08" | "57" | "40") => ErrorClass::Unavailable,
            Some("53") => ErrorClass::Overloaded,
            _ => ErrorClass::Internal,
        },
    };
    failed(place, class, Told(explain(error)))
}

fn failed(place: String, class: ErrorClass, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Failed { backend: "PostgreSQL", place, class, source: source.into() }
}

/// What the server said, in one line: the client's own text is only "db error".
fn explain(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    match (error.as_db_error(), error.source()) {
        (Some(told), _) => format!("{} ({})", told.message(), told.code().code()),
        (None, Some(source)) => source.to_string(),
        (None, None) => error.to_string(),
    }
}

impl Probe for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    async fn check(&self) -> Vitality {
        match self.query("SELECT 1", &[]).await {
            Ok(_) => Vitality::Pass,
            Err(error) => Vitality::Fail(error.to_string()),
        }
    }
}
