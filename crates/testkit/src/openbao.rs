//! OpenBao on free ports, with its data on the disk.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::http_with;
use crate::redis::free_addr;
use crate::wait::READY_WITHIN;
use crate::{Answer, ProcessGroup, Program, wait_until};

/// An OpenBao server of one node, unsealed, with a KV engine (version 2) at `secret/`. It starts in some seconds.
#[derive(Debug)]
pub struct OpenBao {
    addr: SocketAddr,
    /// What unseals it.
    key: String,
    token: String,
    process: ProcessGroup,
    folder: TempDir, // Last: it goes when nobody writes to it any more.
}

impl OpenBao {
    /// Starts a server and returns when it serves.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (addr, cluster) = (free_addr(), free_addr());
        std::fs::create_dir(folder.path().join("data")).expect("the temporary folder takes a folder");
        let config = json!({
            "storage": { "raft": { "path": folder.path().join("data"), "node_id": "one", "performance_multiplier": 1 } },
            "listener": { "tcp": { "address": addr, "cluster_address": cluster, "tls_disable": true } },
            "api_addr": format!("http://{addr}"),
            "cluster_addr": format!("http://{cluster}"),
        });
        std::fs::write(folder.path().join("config.json"), config.to_string())
            .expect("the folder takes a file");
        let process = serve(addr, folder.path());
        let answer =
            send(addr, "", "PUT", "/v1/sys/init", &json!({ "secret_shares": 1, "secret_threshold": 1 }));
        let made = answer.json();
        let text = |value: &Value| value.as_str().expect("a key and a token").to_owned();
        let (key, token) = (text(&made["keys"][0]), text(&made["root_token"]));
        unseal(addr, &key);
        let this = Self { addr, key, token, process, folder };
        this.request("POST", "sys/mounts/secret", &json!({ "type": "kv", "options": { "version": "2" } }));
        // A new engine upgrades its data first.
        wait_until("the KV engine", READY_WITHIN, || {
            (send(addr, &this.token, "GET", "/v1/secret/config", &Value::Null).status == 200).then_some(())
        });
        this
    }

    /// `kill -9`, and a new start at the same address with what is on the disk, unsealed.
    pub fn crash(&mut self) {
        self.process.kill();
        self.process = serve(self.addr, self.folder.path());
        unseal(self.addr, &self.key);
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address as clients want it, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// A token that may everything.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The server's process, for tests that stop or kill it.
    pub fn process(&mut self) -> &mut ProcessGroup {
        &mut self.process
    }

    /// What the server answers to `method /v1/path` with [`token`](Self::token); panics unless it succeeds.
    pub fn request(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = send(self.addr, &self.token, method, &format!("/v1/{path}"), body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.text());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }
}

fn serve(addr: SocketAddr, folder: &Path) -> ProcessGroup {
    let mut process = ProcessGroup::spawn(
        Command::new(Program::OPENBAO.path())
            .arg("server")
            .arg("-config")
            .arg(folder.join("config.json"))
            .env("HOME", folder),
        &folder.join("bao.log"),
    );
    wait_until("bao to listen", READY_WITHIN, || {
        process.expect_running();
        http_with(&addr.to_string(), "GET", "/v1/sys/seal-status", "", b"").ok()
    });
    process
}

/// Unseals, and waits until the node is the active one.
fn unseal(addr: SocketAddr, key: &str) {
    send(addr, "", "PUT", "/v1/sys/unseal", &json!({ "key": key }));
    wait_until("bao to be active", READY_WITHIN, || {
        let health = http_with(&addr.to_string(), "GET", "/v1/sys/health", "", b"");
        health.is_ok_and(|answer| answer.status == 200).then_some(())
    });
}

fn send(addr: SocketAddr, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let line = if token.is_empty() { String::new() } else { format!("x-vault-token: {token}\r\n") };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    http_with(&addr.to_string(), method, path, &line, body.as_bytes()).expect("bao answers")
}
