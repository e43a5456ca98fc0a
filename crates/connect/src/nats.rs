//! NATS with JetStream.

use std::sync::Arc;

pub use async_nats as client;
use async_nats::jetstream::Context;
use async_nats::{Client, ConnectErrorKind, ConnectOptions};
use buttress_core::{ErrorClass, Probe, Vitality};
use bytes::Bytes;

use crate::error::Told;
use crate::{Address, BoxError, ConnectionConfig, Error};

/// A connection to NATS. Cheap to clone; lost, it is made again in the background.
#[derive(Clone)]
pub struct Nats {
    client: Client,
    jetstream: Context,
    address: Arc<Address>,
}

impl std::fmt::Debug for Nats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Nats({})", self.address)
    }
}

impl Nats {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] when no server can be reached, or none lets us in.
    pub async fn connect(address: &Address, config: &ConnectionConfig) -> Result<Self, Error> {
        let mut options = ConnectOptions::new()
            .name("buttress")
            .connection_timeout(config.timeout)
            .request_timeout(Some(config.timeout));
        if let Some(path) = &config.ca_file {
            options = options.add_root_certificates(path.clone());
        }
        let address = Arc::new(address.clone());
        let servers: Vec<&str> = address.expose().split(',').map(str::trim).collect();
        let client = options.connect(servers).await.map_err(|error| {
            let class = match error.kind() {
                ConnectErrorKind::ServerParse => ErrorClass::Invalid,
                ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                    ErrorClass::Unauthenticated
                }
                ConnectErrorKind::TimedOut => ErrorClass::Timeout,
                _ => ErrorClass::Unavailable,
            };
            failed(&address, class, error)
        })?;
        let mut jetstream = async_nats::jetstream::new(client.clone());
        jetstream.set_timeout(config.timeout);
        Ok(Self { client, jetstream, address })
    }

    /// The connection itself.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Streams and consumers.
    #[must_use]
    pub fn jetstream(&self) -> &Context {
        &self.jetstream
    }

    /// An error of the client as one of ours.
    #[must_use]
    pub fn failed(&self, class: ErrorClass, source: impl Into<BoxError>) -> Error {
        failed(&self.address, class, source)
    }
}

fn failed(address: &Address, class: ErrorClass, source: impl Into<BoxError>) -> Error {
    let source = Told(source.into().to_string());
    Error::Failed { backend: "NATS", place: address.to_string(), class, source: source.into() }
}

impl Probe for Nats {
    fn name(&self) -> &'static str {
        "nats"
    }

    async fn check(&self) -> Vitality {
        // Any answer will do: a server without JetStream has nobody who answers.
        match self.client.request("$JS.API.INFO", Bytes::new()).await {
            Ok(_) => Vitality::Pass,
            Err(error) => Vitality::Fail(format!("JetStream does not answer: {error}")),
        }
    }
}
