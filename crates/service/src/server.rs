//! Accepts connections and serves them, until told to close.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use buttress_core::{ByteSize, SharedClock};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use metrics::{Gauge, gauge};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt;

use crate::client_addr::Peer;
use crate::error::Error;
use crate::metrics::CONNECTIONS;

/// How long accepting pauses after an error such as running out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the connections of one port may take.
#[derive(Clone)]
pub(crate) struct ConnectionLimits {
    pub(crate) connections: usize,
    pub(crate) headers: ByteSize,
    pub(crate) header_timeout: Duration,
}

/// An open port. Dropping it breaks off its connections.
pub(crate) struct Server {
    close: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Opens a port.
pub(crate) async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })?;
    let bound = listener.local_addr().map_err(|source| Error::Bind { address, source })?;
    Ok((listener, bound))
}

impl Server {
    /// Serves what comes in at `listener`. `port` names it in the metrics.
    pub(crate) fn start(
        listener: TcpListener,
        app: Router,
        limits: ConnectionLimits,
        clock: SharedClock,
        port: &'static str,
    ) -> Self {
        let (close, closing) = oneshot::channel();
        let acceptor = Acceptor {
            permits: Arc::new(Semaphore::new(limits.connections)),
            open: gauge!(CONNECTIONS, "port" => port),
            app,
            limits,
            clock,
        };
        Self { close: Some(close), task: tokio::spawn(acceptor.run(listener, closing)) }
    }

    /// Takes no new connection, closes those that are idle, and those that are busy after their answer.
    pub(crate) fn close(&mut self) {
        if let Some(close) = self.close.take() {
            // Fails only when the task has ended, and then there is nothing to close.
            let _ = close.send(());
        }
    }

    /// Completes when every connection has ended, after [`close`](Server::close).
    pub(crate) async fn closed(&mut self) {
        // An error means that the task panicked or was aborted: nothing is open either way.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Acceptor {
    app: Router,
    limits: ConnectionLimits,
    clock: SharedClock,
    permits: Arc<Semaphore>,
    open: Gauge,
}

impl Acceptor {
    async fn run(self, listener: TcpListener, mut closing: oneshot::Receiver<()>) {
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                _ = &mut closing => break,
                Some(_) = connections.join_next() => {}
                accepted = self.accept(&listener) => {
                    let (stream, peer, open) = accepted;
                    let connection = self.serve(stream, peer, graceful.watcher());
                    connections.spawn(async move {
                        connection.await;
                        drop(open);
                    });
                }
            }
        }
        drop(listener);
        graceful.shutdown().await;
        // What is left in `connections` has ended; on an abort of this task it breaks them off.
    }

    /// The next connection, once there is room for one. Beyond that, clients wait in the kernel's queue.
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, SocketAddr, Open) {
        loop {
            // The semaphore is never closed, so this does not fail.
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            match listener.accept().await {
                Ok((stream, peer)) => {
                    self.open.increment(1.0);
                    return (stream, peer, Open { _permit: permit.ok(), open: self.open.clone() });
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    let error = error.to_string();
                    tracing::warn!(target: "buttress::service", error, "cannot accept connections; trying again");
                    self.clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        watcher: Watcher,
    ) -> impl Future<Output = ()> + use<> {
        // Answers are written whole; waiting to fill a packet only adds latency. A socket that refuses still works.
        let _ = stream.set_nodelay(true);
        let app = self.app.clone();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            app.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_buf_size(self.limits.headers.as_usize())
            .serve_connection(TokioIo::new(stream), service);
        let connection = watcher.watch(connection);
        async move {
            if let Err(error) = connection.await {
                let error = error.to_string();
                tracing::debug!(target: "buttress::service", error, %peer, "the connection broke off");
            }
        }
    }
}

/// Whether the error is about the connection that was being accepted, and the next may be fine.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Counts an open connection.
struct Open {
    _permit: Option<tokio::sync::OwnedSemaphorePermit>,
    open: Gauge,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.open.decrement(1.0);
    }
}
