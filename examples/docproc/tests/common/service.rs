//! The service as a process.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use buttress_testkit::{Answer, ProcessGroup, http, http_with, wait_until};
use serde_json::Value;

use super::docproc;

/// `docproc serve`, running.
pub(crate) struct Service {
    pub(crate) process: ProcessGroup,
    pub(crate) address: String,
}

impl Service {
    /// Starts the service on a free port, with its store in `folder`.
    pub(crate) fn start(folder: &Path, more: &[&str]) -> Self {
        let store = format!("store.folder={}", folder.join("store").display());
        Self::run(docproc(), &[&["--set", &store], more].concat(), &folder.join("log"))
    }

    /// Starts the service by this command, to which `serve` and a free port are added.
    pub(crate) fn run(mut command: Command, more: &[&str], log: &Path) -> Self {
        command.args(["serve", "--set", "service.listen=127.0.0.1:0", "--set", "telemetry.log.format=json"]);
        command.args(more);
        let process = ProcessGroup::spawn(&mut command, log);
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
        http(&self.address, method, path, body)
    }

    /// As [`request`](Self::request), by whoever has `key`.
    pub(crate) fn ask(&self, key: &str, method: &str, path: &str, body: &[u8]) -> Answer {
        let line = format!("authorization: Bearer {key}\r\n");
        http_with(&self.address, method, path, &line, body).unwrap()
    }

    /// Waits until a document is done with, and gives what became of it.
    pub(crate) fn finished(&self, id: &str) -> Value {
        wait_until("the document is done with", Duration::from_secs(30), || {
            let document = self.get(&format!("/v1/documents/{id}")).json();
            matches!(document["status"].as_str(), Some("done" | "failed")).then_some(document)
        })
    }
}
