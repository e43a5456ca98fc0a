//! A real service on a free port, and a client that speaks HTTP over a socket.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests; each file uses its part

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use buttress_core::{Ctx, SystemClock};
use buttress_service::{Bound, Error, Handle, Service, ServiceConfig};
use buttress_telemetry::{Telemetry, TelemetryConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Telemetry is installed once a process, and tests of one file may share one.
pub(crate) fn telemetry() -> Telemetry {
    static TELEMETRY: OnceLock<Telemetry> = OnceLock::new();
    TELEMETRY
        .get_or_init(|| {
            Telemetry::init_to(&TelemetryConfig::default(), &Ctx::default(), std::io::sink()).unwrap()
        })
        .clone()
}

/// A configuration for a free port.
pub(crate) fn config() -> ServiceConfig {
    let mut config = ServiceConfig::default();
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config
}

pub(crate) struct Running {
    pub(crate) ctx: Ctx,
    pub(crate) handle: Handle,
    pub(crate) bound: Bound,
    pub(crate) ended: JoinHandle<Result<(), Error>>,
}

/// Builds a service around its context and waits until it serves.
pub(crate) async fn run(config: ServiceConfig, build: impl FnOnce(Service, &Ctx) -> Service) -> Running {
    let ctx = Ctx::default();
    let service = build(Service::new("test", config, ctx.clone(), telemetry()), &ctx);
    let handle = service.handle();
    let ended = tokio::spawn(service.run());
    let bound = handle.bound().await.expect("the service serves");
    Running { ctx, handle, bound, ended }
}

pub(crate) async fn serve(config: ServiceConfig, routes: Router) -> Running {
    run(config, |service, _| service.routes(routes)).await
}

impl Running {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        request(self.bound.main, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
            .await
    }

    pub(crate) async fn send(&self, head_and_body: &str) -> Answer {
        request(self.bound.main, head_and_body).await
    }

    pub(crate) async fn stop(self) -> Result<(), Error> {
        self.handle.stop();
        self.ended().await
    }

    pub(crate) async fn ended(self) -> Result<(), Error> {
        within(self.ended).await.unwrap()
    }
}

/// A hang fails the test instead of stopping the run. No test depends on how long something takes.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    buttress_core::timeout(&SystemClock, Duration::from_secs(30), work).await.expect("done in time")
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// Sends bytes and reads until the server closes the connection.
pub(crate) async fn request(address: SocketAddr, text: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    Answer::parse(&read_all(&mut stream).await)
}

pub(crate) async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset after the answer is how a server refuses the rest of a body.
    let _ = within(stream.read_to_end(&mut bytes)).await;
    String::from_utf8(bytes).unwrap()
}

/// Reads until `needle` has come.
pub(crate) async fn read_until(stream: &mut TcpStream, needle: &str) -> String {
    let mut text = String::new();
    let mut piece = [0; 4096];
    while !text.contains(needle) {
        let length = within(stream.read(&mut piece)).await.unwrap();
        assert!(length > 0, "closed before {needle:?}: {text:?}");
        text.push_str(std::str::from_utf8(&piece[..length]).unwrap());
    }
    text
}
