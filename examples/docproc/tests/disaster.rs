//! The runbook for disasters, done as it stands: `docs/runbooks/disaster-recovery.md`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, missing_docs)] // Failing is what a test is for.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use buttress_testkit::Program;
use common::docproc;
use common::service::Service;
use serde_json::Value;
use tempfile::TempDir;

const RUNBOOK: &str = include_str!("../../../docs/runbooks/disaster-recovery.md");

/// The places that the runbook names, on a machine of its own.
const PLACES: [&str; 4] = ["/etc/docproc", "/mnt/backups", "/mnt/elsewhere", "/srv"];

struct Machine {
    folder: TempDir,
    key: String,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for place in PLACES.map(|place| &place[1..]).into_iter().chain(["service"]) {
            fs::create_dir_all(folder.path().join(place)).unwrap();
        }
        let mut machine = Self { folder, key: String::new() };
        let config = blocks("Before anything happens", "toml").concat();
        let config = format!("{}\n[security]\nenabled = true\n", machine.here(&config));
        fs::write(machine.service().join("docproc.toml"), config).unwrap();
        let shown = machine.docproc().args(["init", "--owner", "ann"]).output().unwrap();
        let shown = text(&shown);
        let key = shown.lines().map(str::trim).find(|line| line.starts_with("docproc_"));
        machine.key.push_str(key.unwrap());
        machine
    }

    /// Where the service runs.
    fn service(&self) -> PathBuf {
        self.folder.path().join("service")
    }

    fn place(&self, path: &str) -> PathBuf {
        self.folder.path().join(&path[1..])
    }

    /// A text of the runbook with this machine's places.
    fn here(&self, text: &str) -> String {
        PLACES.iter().fold(text.to_owned(), |text, place| {
            text.replace(place, &self.place(place).display().to_string())
        })
    }

    fn docproc(&self) -> Command {
        let mut command = docproc();
        command.current_dir(self.service());
        command
    }

    fn start(&self, more: &[&str]) -> Service {
        // Two may run beside each other.
        let log = format!("log-{}", buttress_core::unique_number());
        Service::run(self.docproc(), more, &self.folder.path().join(log))
    }

    /// Does what stands in a block of the runbook.
    fn attempt(&self, block: &str) -> Output {
        let programs = [Path::new(env!("CARGO_BIN_EXE_docproc")), &Program::RESTIC.path()]
            .map(|program| program.parent().unwrap().to_owned());
        let usual = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&usual))).unwrap();
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", &self.here(block)]).current_dir(self.service());
        shell.env_clear().env("PATH", path).env("HOME", self.folder.path()).output().unwrap()
    }

    fn follow(&self, block: &str) -> String {
        let output = self.attempt(block);
        assert!(output.status.success(), "{block}{}", text(&output));
        text(&output)
    }

    fn upload(&self, service: &Service, name: &str, document: &[u8]) -> String {
        let path = format!("/v1/documents?name={name}");
        let answer = service.ask(&self.key, "POST", &path, document);
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["documents"][0]["id"].as_str().unwrap().to_owned()
    }

    fn get(&self, service: &Service, id: &str) -> (u16, Value) {
        let answer = service.ask(&self.key, "GET", &format!("/v1/documents/{id}"), &[]);
        (answer.status, answer.json())
    }

    fn finished(&self, service: &Service, id: &str) -> Value {
        buttress_testkit::wait_until("the document is done with", Duration::from_secs(30), || {
            let (_, document) = self.get(service, id);
            matches!(document["status"].as_str(), Some("done" | "failed")).then_some(document)
        })
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

/// The blocks of a language in a section of the runbook.
fn blocks(section: &str, language: &str) -> Vec<String> {
    let (_, after) = RUNBOOK.split_once(&format!("\n## {section}\n")).unwrap();
    let section = after.split("\n## ").next().unwrap();
    let fence = format!("\n```{language}\n");
    section.split(&fence).skip(1).map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_runbook_brings_everything_back() {
    let machine = Machine::new();
    let [prepare, by_hand] = blocks("Before anything happens", "sh").try_into().unwrap();
    machine.follow(&prepare);
    let mut service = machine.start(&[]);
    let first = machine.upload(&service, "first.txt", b"The first of all documents.");
    let refused = machine.upload(&service, "refused.pdf", b"%PDF-1.7 and nothing else");
    let whole = machine.finished(&service, &first);
    assert_eq!(machine.finished(&service, &refused)["status"], "failed");
    let told = machine.follow(&by_hand);
    assert!(told.contains("restored and verified"), "{told}");
    let after = machine.upload(&service, "after.txt", b"Acknowledged after the snapshot.");
    machine.finished(&service, &after);

    // The machine is gone, in the middle of its work.
    service.process.kill();
    let config = machine.service().join("docproc.toml");
    let kept = fs::read(&config).unwrap();
    fs::remove_dir_all(machine.service()).unwrap();
    fs::create_dir(machine.service()).unwrap();
    fs::write(&config, kept).unwrap();
    let [list, restore, again] = blocks("The machine is gone", "sh").try_into().unwrap();
    assert!(machine.follow(&list).contains("job:main"));
    machine.follow(&restore);
    let service = machine.start(&[]);
    assert_eq!(machine.get(&service, &first), (200, whole.clone()));
    assert_eq!(machine.get(&service, &after).0, 404, "it was acknowledged after the snapshot");
    let retried = service.ask(&machine.key, "POST", &format!("/v1/documents/{refused}/retry"), &[]);
    assert_eq!(retried.status, 202, "{}", retried.text());
    let read = machine.finished(&service, &refused);
    assert!(!read["error"]["message"].to_string().contains("No such file"), "its bytes are there: {read}");
    machine.follow(&again);

    // Somebody deletes what they should not.
    std::thread::sleep(Duration::from_secs(1));
    let before = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let deleted = service.ask(&machine.key, "DELETE", &format!("/v1/documents/{first}"), &[]);
    assert_eq!((deleted.status, machine.get(&service, &first).0), (204, 404));
    machine.follow(&by_hand);
    let [go_back] = blocks("Documents are gone, the service lives", "sh").try_into().unwrap();
    machine.follow(&go_back.replace("2026-05-01T12:00:00Z", &before));
    let then = machine.place("/srv/docproc-then");
    let [store, security] = [("store", then.clone()), ("security", then.join("security"))]
        .map(|(of, folder)| format!("{of}.folder={}", folder.display()));
    let second = machine.start(&["--set", &store, "--set", &security, "--set", "backup.enabled=false"]);
    assert_eq!(machine.get(&second, &first), (200, whole.clone()));
    drop(second);

    // The repository is damaged, and then gone; the replica is good.
    let [check, heal] = blocks("The repository is damaged or gone", "sh").try_into().unwrap();
    machine.follow(&check);
    let repository = machine.place("/mnt/backups/docproc");
    let index = fs::read_dir(repository.join("index")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&index).unwrap();
    bytes[40] ^= 1;
    fs::remove_file(&index).unwrap();
    fs::write(&index, bytes).unwrap();
    let found = machine.attempt(&check);
    let name = index.file_name().unwrap().to_str().unwrap();
    assert!(!found.status.success() && text(&found).contains(&name[..8]), "{}", text(&found));
    assert!(machine.follow(&heal).contains("1 objects healed"));
    fs::remove_dir_all(&repository).unwrap();
    machine.follow(&heal);

    // Nobody has docproc any more.
    for block in blocks("Without docproc", "sh") {
        machine.follow(&block);
    }
    drop(service);
    let restored = machine.place("/srv/restored/docproc");
    fs::remove_dir_all(machine.service().join("docproc-data")).unwrap();
    fs::rename(restored, machine.service().join("docproc-data")).unwrap();
    let service = machine.start(&[]);
    assert_eq!(machine.get(&service, &refused).0, 200);
}

#[test]
fn what_is_not_there_is_not_made_up() {
    let machine = Machine::new();
    let [prepare, _] = blocks("Before anything happens", "sh").try_into().unwrap();
    let refuses = |arguments: &[&str], why: &str| {
        let output = machine.docproc().arg("backup").args(arguments).output().unwrap();
        assert!(!output.status.success() && text(&output).contains(why), "{}", text(&output));
    };
    refuses(&["list"], "must hold the password");
    fs::write(machine.place("/etc/docproc/backup-password"), "correct horse\n").unwrap();
    refuses(&["list"], "there is no repository in");
    fs::remove_file(machine.place("/etc/docproc/backup-password")).unwrap();
    machine.follow(&prepare);
    refuses(&["restore"], "has something in it");
    refuses(&["restore", "--to", "elsewhere"], "none of the 0 snapshots");
    fs::write(machine.place("/etc/docproc/backup-password"), "wrong\n").unwrap();
    refuses(&["list"], "password opens none");
    fs::write(machine.service().join("docproc.toml"), "").unwrap();
    refuses(&["list"], "set `backup.store.url`");
}

#[test]
fn snapshots_made_under_load_have_the_bytes_of_all_that_waits() {
    let machine = Machine::new();
    let [prepare, _] = blocks("Before anything happens", "sh").try_into().unwrap();
    machine.follow(&prepare);
    let service = machine.start(&[]);
    let done = std::sync::atomic::AtomicBool::new(false);
    let accepted = std::thread::scope(|scope| {
        let uploads = scope.spawn(|| {
            let mut accepted = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                machine.upload(&service, "some.txt", format!("Document {accepted}.").as_bytes());
                machine.upload(&service, "bad.pdf", format!("%PDF-1.7 {accepted}").as_bytes());
                accepted += 2;
            }
            accepted
        });
        for _ in 0..4 {
            machine.follow("docproc backup run");
            let told = machine.follow("docproc backup drill");
            assert!(told.contains("restored and verified"), "{told}");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        uploads.join().unwrap()
    });
    assert!(accepted > 20, "only {accepted} documents came while snapshots were made");
}
