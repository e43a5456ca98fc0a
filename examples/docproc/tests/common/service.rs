//! The service as a process, and as much of an HTTP client as its tests need.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use buttress_testkit::{ProcessGroup, wait_until};
use serde_json::Value;

use super::docproc;

/// `docproc serve`, running.
pub(crate) struct Service {
    pub(crate) process: ProcessGroup,
    pub(crate) address: String,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Service {
    /// Starts the service on a free port, with its store in `folder`.
    pub(crate) fn start(folder: &Path, more: &[&str]) -> Self {
        let mut command = docproc();
        command.args(["serve", "--set", "service.listen=127.0.0.1:0", "--set", "telemetry.log.format=json"]);
        command.arg("--set").arg(format!("store.folder={}", folder.join("store").display())).args(more);
        let process = ProcessGroup::spawn(&mut command, &folder.join("log"));
        let listening = || {
            let log = process.output();
            let line = log.lines().rfind(|line| line.contains("\"listening\""))?.to_owned();
            let line: Value = serde_json::from_str(&line).ok()?;
            Some(line["fields"]["address"].as_str()?.to_owned())
        };
        let address = wait_until("the service listens", Duration::from_secs(20), listening);
        Self { process, address }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[]).unwrap()
    }

    /// Hands in one document; `Err` when the service is not there or breaks off.
    pub(crate) fn upload(&self, name: &str, document: &[u8]) -> std::io::Result<Answer> {
        self.request("POST", &format!("/v1/documents?name={name}"), document)
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: &[u8]) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/octet-stream\r\n\
             content-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        let body = answer.split_off(end + 4);
        let body = if head.contains("transfer-encoding: chunked") { unchunk(&body) } else { body };
        Ok(Answer { status, body })
    }

    /// Waits until a document is done with, and gives what became of it.
    pub(crate) fn finished(&self, id: &str) -> Value {
        wait_until("the document is done with", Duration::from_secs(30), || {
            let document = self.get(&format!("/v1/documents/{id}")).json();
            matches!(document["status"].as_str(), Some("done" | "failed")).then_some(document)
        })
    }
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[(end + 4 + size).min(body.len())..];
    }
    whole
}
