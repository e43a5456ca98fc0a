//! Redis on a free port.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::wait::READY_WITHIN;
use crate::{ProcessGroup, Program, wait_until};

/// A Redis server.
#[derive(Debug)]
pub struct Redis {
    addr: SocketAddr,
    /// Whether every write is on the disk before it is answered.
    durable: bool,
    process: ProcessGroup,
    folder: TempDir, // Last: it goes when nobody writes to it any more.
}

impl Redis {
    /// Starts a server that keeps everything in memory, and returns when it answers.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// Starts a server whose answer to a write means that it is on the disk.
    #[must_use]
    pub fn durable() -> Self {
        Self::start_with(true)
    }

    /// Starts a server on a copy of the snapshot `rdb`, as a restore leaves it.
    #[must_use]
    pub fn start_on(rdb: &Path) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::copy(rdb, folder.path().join("dump.rdb")).expect("the temporary folder takes a file");
        let addr = free_addr();
        let process = serve(addr, false, folder.path());
        Self { addr, durable: false, process, folder }
    }

    fn start_with(durable: bool) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let addr = free_addr();
        let process = serve(addr, durable, folder.path());
        Self { addr, durable, process, folder }
    }

    /// `kill -9`, and a new start at the same address with what is on the disk.
    pub fn crash(&mut self) {
        self.process.kill();
        self.process = serve(self.addr, self.durable, self.folder.path());
    }

    /// A copy of what is on the disk.
    #[must_use]
    pub fn snapshot(&self) -> TempDir {
        let copy = tempfile::tempdir().expect("temporary folder");
        copy_log(self.folder.path(), copy.path());
        copy
    }

    /// As [`crash`](Redis::crash), with what was on the disk earlier: as after the loss of writes that were answered.
    pub fn crash_back_to(&mut self, snapshot: &TempDir) {
        self.process.kill();
        copy_log(snapshot.path(), self.folder.path());
        self.process = serve(self.addr, self.durable, self.folder.path());
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address as clients want it, `redis://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    /// The server's process, for tests that stop or kill it.
    pub fn process(&mut self) -> &mut ProcessGroup {
        &mut self.process
    }

    /// Sends one command and returns the first 64 KiB of the raw (RESP) answer: enough to see what a test left behind.
    ///
    /// # Errors
    ///
    /// When the server is not there or hangs up.
    pub fn command(&self, words: &[&str]) -> std::io::Result<String> {
        command(self.addr, words)
    }
}

/// Copies the files of the append-only log.
fn copy_log(from: &Path, to: &Path) {
    let (from, to) = (from.join("appendonlydir"), to.join("appendonlydir"));
    std::fs::create_dir_all(&to).expect("the temporary folder takes a folder");
    for file in from.read_dir().expect("a server that is durable has a log").flatten() {
        std::fs::copy(file.path(), to.join(file.file_name())).expect("the temporary folder takes a file");
    }
}

fn serve(addr: SocketAddr, durable: bool, folder: &Path) -> ProcessGroup {
    let appendonly = if durable { "yes" } else { "no" };
    serve_with(addr, &["--appendfsync", "always", "--appendonly", appendonly], folder)
}

/// Starts a server with `settings`, and returns when it answers.
pub(crate) fn serve_with(addr: SocketAddr, settings: &[&str], folder: &Path) -> ProcessGroup {
    let mut process = ProcessGroup::spawn(
        Command::new(Program::REDIS.path())
            .args(["--bind", "127.0.0.1", "--port", &addr.port().to_string()])
            .args(["--save", "", "--daemonize", "no"])
            .arg("--dir")
            .arg(folder)
            .args(settings),
        &folder.join("redis.log"),
    );
    wait_until("redis-server to answer PING", READY_WITHIN, || {
        process.expect_running();
        (command(addr, &["PING"]).ok()? == "+PONG\r\n").then_some(())
    });
    process
}

pub(crate) fn command(addr: SocketAddr, words: &[&str]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let words_with_length = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    let request: String = std::iter::once(format!("*{}\r\n", words.len())).chain(words_with_length).collect();
    stream.write_all(request.as_bytes())?;
    let mut answer = vec![0; 64 << 10];
    let length = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

/// An address on this machine that nobody listened on a moment ago.
///
/// The system hands out ports in an order that makes a collision before the server has bound it all but impossible;
/// if it happens the server ends early and the test says so.
pub(crate) fn free_addr() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("the loopback interface has a free port")
}
