//! Carrying bytes both ways, within limits.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use buttress_core::SharedClock;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::answer::AnswerReader;

/// What one read takes at most; each direction holds one such buffer.
const PIECE: usize = 16 << 10;

/// Why carrying ended before both sides were done.
#[derive(Debug)]
pub(crate) enum End {
    /// A side broke off.
    Broken,
    /// The client left.
    Left,
    /// Nothing moved for too long.
    Idle,
    /// It was more than one connection may carry.
    TooMuch,
    /// The server's answer is not HTTP.
    NotHttp,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

/// Counts the bytes of one connection, and watches that they move.
pub(crate) struct Meter {
    clock: SharedClock,
    moved_at: Mutex<Instant>,
    bytes: AtomicU64,
    idle: Duration,
    most: u64,
}

impl Meter {
    pub(crate) fn new(clock: SharedClock, idle: Duration, most: u64) -> Self {
        let moved_at = Mutex::new(clock.now());
        Self { clock, moved_at, bytes: AtomicU64::new(0), idle, most }
    }

    fn count(&self, bytes: usize) -> Result<(), End> {
        *self.moved_at.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.now();
        let bytes = bytes as u64;
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.most { Err(End::TooMuch) } else { Ok(()) }
    }

    /// Completes when nothing has moved for too long.
    async fn idle(&self) -> End {
        loop {
            let moved_at = *self.moved_at.lock().unwrap_or_else(PoisonError::into_inner);
            if self.clock.now().saturating_duration_since(moved_at) >= self.idle {
                return End::Idle;
            }
            self.clock.sleep_until(moved_at + self.idle).await;
        }
    }
}

/// Carries bytes both ways until both sides have said that there is no more. `rest` came from the client already.
pub(crate) async fn tunnel(
    client: &mut TcpStream,
    server: &mut TcpStream,
    rest: &[u8],
    meter: &Meter,
) -> Result<(), End> {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let up = async {
        meter.count(rest.len())?;
        to_server.write_all(rest).await?;
        pump(&mut from_client, &mut to_server, meter).await?;
        Ok(to_server.shutdown().await?)
    };
    let down = async {
        pump(&mut from_server, &mut to_client, meter).await?;
        Ok(to_client.shutdown().await?)
    };
    tokio::select! {
        done = async { tokio::try_join!(up, down) } => done.map(|_| ()),
        end = meter.idle() => Err(end),
    }
}

/// One request to forward: its head, and what is known of its body.
pub(crate) struct Request<'a> {
    pub(crate) head: &'a [u8],
    /// The body's bytes, those of `rest` included.
    pub(crate) body: u64,
    /// What came from the client behind the head.
    pub(crate) rest: &'a [u8],
}

/// Sends one request and carries its answer back, until the server closes. `answered` says whether the client has
/// got anything.
pub(crate) async fn forward(
    client: &mut TcpStream,
    server: &mut TcpStream,
    request: Request<'_>,
    answered: &AtomicBool,
    meter: &Meter,
) -> Result<(), End> {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let up = async {
        let begun = usize::try_from(request.body).unwrap_or(usize::MAX).min(request.rest.len());
        let begun = request.rest.get(..begun).unwrap_or_default();
        let mut body = (&mut from_client).take(request.body - begun.len() as u64);
        let send = async {
            meter.count(request.head.len() + begun.len())?;
            to_server.write_all(request.head).await?;
            to_server.write_all(begun).await?;
            pump(&mut body, &mut to_server, meter).await
        };
        match send.await {
            Err(End::TooMuch) => return End::TooMuch,
            Ok(()) if body.limit() > 0 => return End::Left,
            // A server that takes no more of the body may have answered already.
            Ok(()) | Err(_) => {}
        }
        // No second request goes through: what else comes is read only to see the client leave.
        match pump(&mut from_client, &mut tokio::io::sink(), meter).await {
            Err(End::TooMuch) => End::TooMuch,
            Ok(()) | Err(_) => End::Left,
        }
    };
    let down = async {
        let mut reader = AnswerReader::default();
        let mut piece = Vec::with_capacity(PIECE);
        'head: loop {
            piece.clear();
            if from_server.read_buf(&mut piece).await? == 0 {
                return Err(End::Broken);
            }
            meter.count(piece.len())?;
            reader.push(&piece);
            while let Some(head) = reader.next().map_err(|_| End::NotHttp)? {
                answered.store(true, Ordering::Relaxed);
                to_client.write_all(&head.bytes).await?;
                if !head.is_interim {
                    break 'head;
                }
            }
        }
        to_client.write_all(&reader.into_rest()).await?;
        pump(&mut from_server, &mut to_client, meter).await
    };
    tokio::select! {
        biased;
        done = down => done,
        end = up => Err(end),
        end = meter.idle() => Err(end),
    }
}

/// Carries one direction to its end. The buffer is bounded: a reader waits for the writer.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    meter: &Meter,
) -> Result<(), End> {
    let mut piece = Vec::with_capacity(PIECE);
    loop {
        piece.clear();
        if from.read_buf(&mut piece).await? == 0 {
            return Ok(());
        }
        meter.count(piece.len())?;
        to.write_all(&piece).await?;
    }
}
