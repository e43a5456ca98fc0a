//! NATS with JetStream, on a port that it chooses itself.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::wait::READY_WITHIN;
use crate::{ProcessGroup, Program, wait_until};

/// A NATS server whose JetStream store lies in a temporary folder.
#[derive(Debug)]
pub struct Nats {
    addr: SocketAddr,
    process: ProcessGroup,
    folder: TempDir, // Last: it goes when nobody writes to it any more.
}

impl Nats {
    /// Starts a server and returns when it answers.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (addr, process) = serve("-1", folder.path());
        Self { addr, process, folder }
    }

    /// `kill -9`, and a new start at the same address with what is on the disk.
    pub fn crash(&mut self) {
        self.process.kill();
        (self.addr, self.process) = serve(&self.addr.port().to_string(), self.folder.path());
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address as clients want it, `nats://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.addr)
    }

    /// The server's process, for tests that stop or kill it.
    pub fn process(&mut self) -> &mut ProcessGroup {
        &mut self.process
    }

    /// Whether the server answers PING with PONG.
    #[must_use]
    pub fn ping(&self) -> bool {
        ping(self.addr).unwrap_or(false)
    }
}

/// Starts a server on `port`, -1 for any, and returns when it answers.
fn serve(port: &str, folder: &Path) -> (SocketAddr, ProcessGroup) {
    let mut process = ProcessGroup::spawn(
        Command::new(Program::NATS.path())
            .args(["--jetstream", "--addr", "127.0.0.1", "--port", port])
            .arg("--store_dir")
            .arg(folder.join("store"))
            .arg("--ports_file_dir")
            .arg(folder),
        &folder.join("nats.log"),
    );
    let ports_file = folder.join(format!("nats-server_{}.ports", process.id()));
    let addr = wait_until("nats-server to answer PING", READY_WITHIN, || {
        process.expect_running();
        let addr = addr_in(&std::fs::read_to_string(&ports_file).ok()?)?;
        ping(addr).ok()?.then_some(addr)
    });
    (addr, process)
}

/// The client address in a ports file: `{"nats": ["nats://127.0.0.1:4222"]}`. `None` while it is half written.
fn addr_in(ports: &str) -> Option<SocketAddr> {
    let ports: serde_json::Value = serde_json::from_str(ports).ok()?;
    ports["nats"][0].as_str()?.strip_prefix("nats://")?.parse().ok()
}

fn ping(addr: SocketAddr) -> std::io::Result<bool> {
    let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    (&stream).write_all(b"CONNECT {\"verbose\":false}\r\nPING\r\n")?;
    let mut lines = BufReader::new(&stream).lines();
    let greeting = lines.next().transpose()?.unwrap_or_default();
    let answer = lines.next().transpose()?.unwrap_or_default();
    Ok(greeting.starts_with("INFO ") && answer == "PONG")
}
