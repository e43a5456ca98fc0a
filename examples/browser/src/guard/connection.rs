//! One client of the proxy: its head is read, its target judged, and its bytes carried.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use buttress_core::timeout;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Host;

use super::Reason;
use super::answer;
use super::error::{Error, Result};
use super::head::{Ask, HeadError, HeadReader, RequestHead};
use super::policy::target;
use super::proxy::Shared;
use super::refusals::Refusal;
use super::relay::{self, End, Meter, Request};

/// Addresses of one host that are tried.
const TRIED: usize = 8;
/// How long a client may take to read an answer, or to see that the connection is over.
const LINGER: Duration = Duration::from_secs(2);
/// What is read and dropped of a client that still sends when it was answered.
const DROPPED: u64 = 1 << 20;

/// Serves one client to its end.
pub(crate) async fn serve(shared: &Shared, mut client: TcpStream) {
    let _best_effort = client.set_nodelay(true);
    match request(shared, &mut client).await {
        Ok(Done::Whole) => finish(shared, &mut client).await,
        // A client must not take a part for the whole: it sees a reset, not an end.
        Ok(Done::Cut) => {
            let _best_effort = client.set_zero_linger();
        }
        Err(Failure::Gone) => {}
        Err(Failure::Answer(status, reason, text)) => {
            answer(shared, &mut client, &answer::own(status, reason, &text)).await;
        }
    }
}

/// Tells a client that there is no room.
pub(crate) async fn turn_away(shared: &Shared, mut client: TcpStream) {
    let most = shared.guard.config().connections;
    let text = format!("The proxy has {most} connections open and takes no more now; try again.");
    answer(shared, &mut client, &answer::own(503, None, &text)).await;
}

/// How a connection ended that was let through.
enum Done {
    Whole,
    Cut,
}

/// Why a connection was not let through.
enum Failure {
    /// The client left before there was anything to say.
    Gone,
    /// The status, why the target was refused, and a text.
    Answer(u16, Option<Reason>, String),
}

impl From<HeadError> for Failure {
    fn from(error: HeadError) -> Self {
        let status = match error {
            HeadError::Malformed(_) | HeadError::Scheme => 400,
            HeadError::TooLong => 431,
            HeadError::NoLength => 411,
            HeadError::Version => 505,
        };
        Self::Answer(status, None, error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Refused { .. } => 403,
            Error::Timeout { .. } => 504,
            _ => 502,
        };
        Self::Answer(status, error.reason(), error.to_string())
    }
}

async fn request(shared: &Shared, client: &mut TcpStream) -> Result<Done, Failure> {
    let config = shared.guard.config();
    let (head, rest) = timeout(&*shared.clock, config.head_within, read_head(client))
        .await
        .map_err(|elapsed| Failure::Answer(408, None, format!("the request's head was {elapsed}")))??;
    let mut server = shared.reach(&head.host, head.port).await?;
    let meter = Meter::new(shared.clock.clone(), config.idle, config.bytes.bytes());
    let Ask::Forward { head: bytes, body } = head.ask else {
        let established = client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
        established.await.map_err(|_| Failure::Gone)?;
        let done = relay::tunnel(client, &mut server, &rest, &meter).await;
        return Ok(if done.is_ok() { Done::Whole } else { Done::Cut });
    };
    let answered = AtomicBool::new(false);
    let request = Request { head: &bytes, body, rest: &rest };
    match relay::forward(client, &mut server, request, &answered, &meter).await {
        Ok(()) => Ok(Done::Whole),
        Err(End::Left) => Err(Failure::Gone),
        Err(_) if answered.into_inner() => Ok(Done::Cut),
        Err(end) => {
            let (status, problem) = match end {
                End::Idle => (504, "did not answer in time"),
                End::TooMuch => (502, "was sent more than one connection may carry"),
                End::NotHttp => (502, "does not answer in HTTP/1.1"),
                End::Broken | End::Left => (502, "broke off without an answer"),
            };
            Err(Failure::Answer(status, None, format!("{} {problem}", target(&head.host, head.port))))
        }
    }
}

async fn read_head(client: &mut TcpStream) -> Result<(RequestHead, Vec<u8>), Failure> {
    let mut reader = HeadReader::default();
    let mut piece = Vec::with_capacity(4096);
    loop {
        piece.clear();
        match client.read_buf(&mut piece).await {
            Ok(0) if !reader.is_empty() => return Err(HeadError::Malformed("it breaks off").into()),
            Ok(0) | Err(_) => return Err(Failure::Gone),
            Ok(_) => {}
        }
        if let Some(head) = reader.push(&piece)? {
            return Ok((head, reader.into_rest()));
        }
    }
}

/// Sends an answer of the proxy's own, and ends the connection so that the client gets to read it.
async fn answer(shared: &Shared, client: &mut TcpStream, bytes: &[u8]) {
    if let Ok(Ok(())) = timeout(&*shared.clock, LINGER, client.write_all(bytes)).await {
        finish(shared, client).await;
    }
}

/// Ends a connection in order: closed with bytes unread, it would be reset, and the client might lose the answer.
async fn finish(shared: &Shared, client: &mut TcpStream) {
    let ending = async {
        client.shutdown().await?;
        tokio::io::copy(&mut client.take(DROPPED), &mut tokio::io::sink()).await
    };
    let _best_effort = timeout(&*shared.clock, LINGER, ending).await;
}

impl Shared {
    /// Connects to one of the addresses of `host`, all of which were judged.
    async fn reach(&self, host: &Host, port: u16) -> Result<TcpStream> {
        let limit = self.guard.config().connect_within;
        let timed_out = || Error::Timeout { target: target(host, port), limit };
        let deadline = self.clock.now() + limit;
        let found = timeout(&*self.clock, limit, self.addresses(host, port)).await;
        let addresses = found.map_err(|_| timed_out())?.inspect_err(|error| {
            if let Some(reason) = error.reason() {
                let at = self.clock.wall();
                self.refusals.note(Refusal { host: host.to_string(), port, reason, at });
                tracing::info!(%host, port, reason = reason.as_str(), "the guard refused a connection");
            }
        })?;
        let mut last = None;
        for (tried, address) in addresses.iter().take(TRIED).enumerate() {
            // Each address has an equal part of what time is left, so that a dead one leaves some for the next.
            let parts = u32::try_from(addresses.len().min(TRIED) - tried).unwrap_or(1).max(1);
            let share = deadline.saturating_duration_since(self.clock.now()) / parts;
            let address = SocketAddr::new(*address, port);
            match timeout(&*self.clock, share, TcpStream::connect(address)).await {
                Ok(Ok(server)) => {
                    let _best_effort = server.set_nodelay(true);
                    return Ok(server);
                }
                Ok(Err(error)) => last = Some(error),
                Err(_) => {}
            }
        }
        let target = target(host, port);
        Err(last.map_or_else(timed_out, |source| Error::Unreachable { target, source }))
    }

    /// The addresses of `host`, every one of which may be reached.
    async fn addresses(&self, host: &Host, port: u16) -> Result<Vec<IpAddr>> {
        let refused = |reason| Error::Refused { target: target(host, port), reason };
        self.guard.check_target(host, port).map_err(refused)?;
        let addresses = match host {
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
            Host::Domain(name) => {
                let unresolved = |source| Error::Unresolved { host: name.clone(), source };
                let found = self.resolver.resolve(name).await.map_err(unresolved)?;
                if found.is_empty() {
                    return Err(unresolved(io::ErrorKind::NotFound.into()));
                }
                found
            }
        };
        for address in &addresses {
            // The unspecified address connects to loopback.
            let own = address.to_canonical() == self.address.ip() || address.is_unspecified();
            if own && port == self.address.port() {
                return Err(refused(Reason::Itself));
            }
            self.guard.check_address(host, *address, port).map_err(refused)?;
        }
        Ok(addresses)
    }
}
