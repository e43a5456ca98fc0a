//! `browser serve` as a process, with security on, after `browser init`.

#![allow(dead_code, reason = "not every test needs all of it")]
#![allow(clippy::disallowed_methods, reason = "waiting for another process is waiting in real time")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use buttress_testkit::{Answer, ProcessGroup, http_with, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const LONG: Duration = Duration::from_mins(1);
/// A job that needs no page.
pub(crate) const SHORT_FLOW: &str = "name: short\nsteps:\n  - wait: 10ms\n";

/// A folder in which security is set up.
pub(crate) struct Place {
    folder: TempDir,
    /// An admin's key, of no tenant.
    pub(crate) admin: String,
    /// Of the audit log.
    pub(crate) seed: String,
    /// What `browser init` printed.
    pub(crate) printed: String,
}

impl Place {
    pub(crate) fn set_up() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = browser(folder.path(), &["init", "--owner", "ann"]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let printed = String::from_utf8(made.stdout).unwrap();
        let mut shown = printed.lines().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned);
        let (admin, seed) = (shown.next().unwrap(), shown.next().unwrap());
        assert!(admin.starts_with("browser_") && seed.len() == 64, "{printed}");
        Self { folder, admin, seed, printed }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where what `init` makes is.
    pub(crate) fn security(&self) -> PathBuf {
        self.path().join("browser-data/security")
    }

    pub(crate) fn serve(&self, more: &[String]) -> Service {
        let mut command = Command::new(env!("CARGO_BIN_EXE_browser"));
        command.current_dir(self.path()).args(["serve", "--set", "service.listen=127.0.0.1:0"]);
        command.args(["--set", "security.enabled=true"]);
        for setting in more {
            command.args(["--set", setting]);
        }
        Service::listening(ProcessGroup::spawn(&mut command, &self.path().join("log")), &self.admin)
    }
}

/// Runs the program to its end.
pub(crate) fn browser(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_browser")).current_dir(folder).args(words).output().unwrap()
}

pub(crate) struct Service {
    pub(crate) process: ProcessGroup,
    pub(crate) address: String,
    admin: String,
}

impl Service {
    pub(crate) fn listening(process: ProcessGroup, admin: &str) -> Self {
        let listening = || {
            let log = process.output();
            let line = log.lines().rfind(|line| line.contains("\"listening\""))?.to_owned();
            let line: Value = serde_json::from_str(&line).ok()?;
            Some(line["fields"]["address"].as_str()?.to_owned())
        };
        let address = wait_until("the service listens", LONG, listening);
        Self { process, address, admin: admin.to_owned() }
    }

    /// With a key, unless it is empty.
    pub(crate) fn ask(&self, key: &str, method: &str, path: &str, body: &Value) -> Answer {
        self.ask_as(key, "", method, path, body)
    }

    /// With further lines of the head.
    pub(crate) fn ask_as(&self, key: &str, lines: &str, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let key = if key.is_empty() { String::new() } else { format!("authorization: Bearer {key}\r\n") };
        let kind = "content-type: application/json\r\n";
        http_with(&self.address, method, path, &format!("{key}{kind}{lines}"), body.as_bytes()).unwrap()
    }

    pub(crate) fn get(&self, key: &str, path: &str) -> Answer {
        self.ask(key, "GET", path, &Value::Null)
    }

    pub(crate) fn post(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.ask(key, "POST", path, body)
    }

    /// A new key: its text and its name.
    pub(crate) fn issue(&self, owner: &str, tenant: Option<&str>, role: &str) -> (String, String) {
        let wanted = json!({"owner": owner, "tenant": tenant, "roles": [role]});
        let made = self.post(&self.admin, "/v1/keys", &wanted);
        assert_eq!(made.status, 201, "{}", made.text());
        let made = made.json();
        (made["key"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
    }

    /// Hands in a job, and gives its id.
    pub(crate) fn submit(&self, key: &str, flow: &str) -> String {
        let made = self.post(key, "/v1/jobs", &json!({ "flow": flow }));
        assert_eq!(made.status, 202, "{}", made.text());
        made.json()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn ended(&self, key: &str, id: &str) -> Value {
        wait_until("the end of the job", LONG, || {
            let job = self.get(key, &format!("/v1/jobs/{id}")).json();
            ["done", "failed", "cancelled"].contains(&job["state"].as_str()?).then_some(job)
        })
    }

    /// The ids of the jobs that somebody is listed.
    pub(crate) fn listed(&self, key: &str, query: &str) -> Vec<String> {
        let jobs = self.get(key, &format!("/v1/jobs{query}")).json();
        let ids = jobs["jobs"].as_array().unwrap().iter();
        ids.map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    }
}
