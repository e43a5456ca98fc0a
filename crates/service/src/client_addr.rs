//! Who is asking: the peer, or whoever a trusted proxy says.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use buttress_core::{Cidr, ErrorClass, Validate, Violations};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Whose `X-Forwarded-For` counts. By default nobody's: the client is the peer.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `trusted` | none | networks of one's own proxies, as `"10.0.0.0/8"`; the client is the last address outside of them |
/// | `hops` | `0` | number of one's own proxies in front, where their addresses are not known; not together with `trusted` |
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ProxiesConfig {
    /// Networks of one's own proxies.
    pub trusted: Vec<Cidr>,
    /// Number of one's own proxies in front.
    pub hops: usize,
}

impl Validate for ProxiesConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let both = self.hops > 0 && !self.trusted.is_empty();
        wrong.require(!both, "hops", self.hops, "must be 0 where `trusted` names the proxies");
        wrong.into_result()
    }
}

impl ProxiesConfig {
    /// The client, from the peer's address and the `X-Forwarded-For` list, which proxies append to.
    ///
    /// Only what one's own proxies have written is believed: the list is read from its end, and reading stops at
    /// the first address that is not a trusted proxy's, or that does not read.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        let mut client = peer;
        let forwarded = headers
            .get_all(FORWARDED_FOR)
            .iter()
            .rev()
            .flat_map(|value| value.to_str().unwrap_or("").rsplit(','))
            .map(parse_address);
        for (hop, address) in forwarded.enumerate() {
            let believed = if self.trusted.is_empty() {
                hop < self.hops
            } else {
                self.trusted.iter().any(|network| network.contains(client))
            };
            match address {
                Some(address) if believed => client = address,
                _ => break,
            }
        }
        client
    }
}

/// An address with or without a port or brackets, as proxies write them.
fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .or_else(|_| text.trim_matches(['[', ']']).parse())
        .ok()?;
    Some(address.to_canonical())
}

/// The address of the client, for handlers and layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddr(
    /// An IPv4 address is never written as IPv6 here.
    pub IpAddr,
);

impl<S: Sync> FromRequestParts<S> for ClientAddr {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Absent only in a router that is not run by `Service`.
        parts.extensions.get().copied().ok_or_else(|| Problem::new(ErrorClass::Internal))
    }
}

/// The other end of the connection, put there by the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Finds out who is asking.
pub(crate) async fn layer(
    State(proxies): State<ProxiesConfig>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() {
        let client = ClientAddr(proxies.client(peer.ip(), request.headers()));
        request.extensions_mut().insert(client);
        tracing::Span::current().record("client", tracing::field::display(client.0));
    }
    next.run(request).await
}
