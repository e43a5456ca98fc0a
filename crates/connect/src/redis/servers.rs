//! The servers behind an address, and how each is reached.

use std::sync::Arc;
use std::time::Duration;

use redis::cluster::ClusterClientBuilder;
use redis::{Client, IntoConnectionInfo, ProtocolVersion, RedisError, RedisResult, TlsCertificates};

use super::link::Link;
use super::place::{Place, Wrong};
use super::sentinel::Finder;
use super::watched::Watched;
use crate::{Address, ConnectionConfig, Error};

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Servers(Arc<Inner>);

struct Inner {
    address: Address,
    certificates: Option<TlsCertificates>,
    kind: Kind,
}

enum Kind {
    One(Box<Client>),
    Sentinel(Box<Finder>),
    /// Some of the nodes.
    Cluster(Vec<Client>),
}

impl Servers {
    /// Reads the address. Nothing is connected.
    pub(super) fn new(address: &Address, config: &ConnectionConfig) -> Result<Self, Error> {
        let wrong = |problem: String| Error::Address { address: address.to_string(), problem };
        let certificates = certificates(config)?;
        let open = |url: &String| {
            let client = open(url.as_str(), certificates.as_ref());
            client.map_err(|error| wrong(error.to_string()))
        };
        let all = |urls: &[String]| urls.iter().map(open).collect::<Result<Vec<_>, _>>();
        let kind = match address.expose().parse().map_err(|Wrong(problem)| wrong(problem))? {
            Place::One(url) => Kind::One(open(&url)?.into()),
            Place::Sentinel { sentinels, master, server } => {
                let (sentinels, server) = (all(&sentinels)?, open(&server)?);
                Kind::Sentinel(Box::new(Finder { sentinels, master, server, limit: config.timeout }))
            }
            Place::Cluster(nodes) => Kind::Cluster(all(&nodes)?),
        };
        Ok(Self(Arc::new(Inner { address: address.clone(), certificates, kind })))
    }

    pub(super) fn address(&self) -> &Address {
        &self.0.address
    }

    /// A connection for all.
    pub(super) async fn connect(&self, limit: Duration) -> RedisResult<Link> {
        match &self.0.kind {
            Kind::One(server) => self.watch(server, limit).await,
            Kind::Sentinel(finder) => self.watch(&finder.server, limit).await,
            Kind::Cluster(nodes) => {
                let nodes = nodes.iter().map(|node| node.get_connection_info().clone());
                let mut cluster = ClusterClientBuilder::new(nodes)
                    .connection_timeout(limit)
                    .response_timeout(limit)
                    .retries(2);
                if let Some(certificates) = &self.0.certificates {
                    cluster = cluster.certs(certificates.clone());
                }
                Ok(Link::Cluster(cluster.build()?.get_async_connection().await?))
            }
        }
    }

    async fn watch(&self, like: &Client, limit: Duration) -> RedisResult<Link> {
        let database = like.get_connection_info().redis_settings().db();
        Ok(Link::Server(Watched::connect(self, limit, database).await?))
    }

    /// The only server, or the master, or the first of the nodes.
    pub(super) async fn find(&self) -> RedisResult<Client> {
        self.node(0).await
    }

    /// The only server, or the master, or one of the nodes, another on each `attempt`.
    async fn node(&self, attempt: u32) -> RedisResult<Client> {
        match &self.0.kind {
            Kind::One(client) => Ok(Client::clone(client)),
            Kind::Sentinel(finder) => finder.find().await,
            Kind::Cluster(nodes) => {
                let attempt = usize::try_from(attempt).unwrap_or_default();
                let node = nodes.get(attempt % nodes.len().max(1));
                node.cloned()
                    .ok_or((redis::ErrorKind::InvalidClientConfig, "the cluster has no nodes").into())
            }
        }
    }

    /// The same, made to speak `protocol`.
    pub(super) async fn pick(&self, attempt: u32, protocol: ProtocolVersion) -> RedisResult<Client> {
        let client = self.node(attempt).await?;
        let info = client.get_connection_info();
        let settings = info.redis_settings().clone().set_protocol(protocol);
        Client::open(info.clone().set_redis_settings(settings))
    }
}

/// A client; its address keeps the certificates.
fn open(
    address: impl IntoConnectionInfo,
    certificates: Option<&TlsCertificates>,
) -> Result<Client, RedisError> {
    match certificates {
        Some(certificates) => Client::build_with_tls(address, certificates.clone()),
        None => Client::open(address),
    }
}

fn certificates(config: &ConnectionConfig) -> Result<Option<TlsCertificates>, Error> {
    let Some(path) = &config.ca_file else { return Ok(None) };
    let root = std::fs::read(path)
        .map_err(|error| Error::File { path: path.display().to_string(), problem: error.to_string() })?;
    Ok(Some(TlsCertificates { client_tls: None, root_cert: Some(root) }))
}
