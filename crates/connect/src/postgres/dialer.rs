//! How a connection is made.

use std::time::Duration;

use buttress_core::{Classify, Ctx, ErrorClass, SharedClock, timeout};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{explain, failed, refused};
use crate::{Address, AddressSource, ConnectionConfig, Error, tls};

/// Makes connections to where its source says.
pub(super) struct Dialer {
    source: Box<dyn AddressSource>,
    tls: MakeRustlsConnect,
    clock: SharedClock,
    /// How long a connection and an answer may take.
    limit: Duration,
}

impl Dialer {
    pub(super) fn new(
        source: impl AddressSource,
        config: &ConnectionConfig,
        ctx: &Ctx,
    ) -> Result<Self, Error> {
        Ok(Self {
            source: Box::new(source),
            tls: MakeRustlsConnect::new(tls::client(config.ca_file.as_deref())?),
            clock: ctx.clock.clone(),
            limit: config.timeout,
        })
    }

    /// The server as errors name it.
    pub(super) fn place(&self) -> String {
        self.source.place()
    }

    /// A new connection. `hung_up` is told when the server ends it.
    pub(super) async fn dial(&self, hung_up: fn(&tokio_postgres::Error)) -> Result<Client, Error> {
        let dialing = timeout(&*self.clock, self.limit, self.dial_unhurried(hung_up)).await;
        dialing.unwrap_or_else(|elapsed| Err(failed(self.place(), elapsed.class(), elapsed)))
    }

    async fn dial_unhurried(&self, hung_up: fn(&tokio_postgres::Error)) -> Result<Client, Error> {
        let address = self.source.address().await.map_err(|source| Error::Failed {
            backend: "PostgreSQL",
            place: self.place(),
            class: ErrorClass::Unavailable,
            source,
        })?;
        let mut config = settings(&address)?;
        config.connect_timeout(self.limit);
        let (client, connection) =
            config.connect(self.tls.clone()).await.map_err(|error| refused(address.to_string(), &error))?;
        // Ends by itself once the client is dropped, and tells the client when the server hangs up.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                hung_up(&error);
            }
        });
        Ok(client)
    }

    /// Runs something on a connection, within the limit.
    pub(super) async fn within_limit<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        timeout(&*self.clock, self.limit, work)
            .await
            .map_err(|elapsed| failed(self.place(), elapsed.class(), elapsed))?
            .map_err(|error| refused(self.place(), &error))
    }
}

/// How `address` is connected to, if it is one of PostgreSQL.
pub(super) fn settings(address: &Address) -> Result<Config, Error> {
    let mut settings: Config = address.expose().parse().map_err(|error: tokio_postgres::Error| {
        Error::Address { address: address.to_string(), problem: explain(&error) }
    })?;
    if settings.get_application_name().is_none() {
        settings.application_name("buttress");
    }
    Ok(settings)
}
