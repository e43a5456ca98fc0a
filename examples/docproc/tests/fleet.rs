//! `docproc submit`, `docproc worker` and `docproc queue`, run as people run them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)] // Failing is what a test is for.
#![allow(clippy::disallowed_methods)] // Waiting for other processes is waiting in real time.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use buttress_testkit::{FaultProxy, ProcessGroup, Redis, S3, http, wait_until};
use common::docproc;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::{TempDir, tempdir};

/// How long anything may take. Met in full only by a failure.
const PATIENCE: Duration = Duration::from_mins(1);

/// A queue and a folder of blobs.
struct Fleet {
    dir: TempDir,
    settings: Vec<String>,
}

impl Fleet {
    fn new(settings: &[&str]) -> Self {
        let fast = ["queue.poll=20ms", "queue.lease=2s", "queue.retry_first=10ms"];
        let settings = fast.iter().chain(settings).map(|setting| (*setting).to_owned()).collect();
        Self { dir: tempdir().unwrap(), settings }
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join("in").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = docproc();
        let (subcommand, rest) = words.split_first().unwrap();
        command.arg(subcommand).current_dir(self.dir.path());
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        command.args(rest);
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Submits a file or folder; states by file name.
    fn submit(&self, path: &Path) -> BTreeMap<String, String> {
        let output = self.run(&["submit", "--json", path.to_str().unwrap()]);
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|line| {
                (
                    common::file_name(line["name"].as_str().unwrap()),
                    line["state"].as_str().unwrap().to_owned(),
                )
            })
            .collect()
    }

    fn worker(&self, more: &[&str]) -> ProcessGroup {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let log = format!("worker-{}.log", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut command = self.command(&["worker", "--workers", "1", "--set", "telemetry.log.format=json"]);
        ProcessGroup::spawn(command.args(more), &self.dir.path().join(log))
    }

    fn queue(&self) -> Value {
        let output = self.run(&["queue", "--json"]);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    fn drained(&self) {
        wait_until("nothing is unfinished", PATIENCE, || {
            let counts = self.queue();
            (counts["ready"] == 0 && counts["leased"] == 0 && counts["delayed"] == 0).then_some(())
        });
    }

    /// Results by the names under which their documents were submitted.
    fn results(&self) -> BTreeMap<String, Value> {
        let entries = fs::read_dir(self.dir.path().join("docproc-data/blobs/results")).into_iter().flatten();
        entries
            .map(|entry| serde_json::from_slice::<Value>(&fs::read(entry.unwrap().path()).unwrap()).unwrap())
            .map(|result| (common::file_name(result["name"].as_str().unwrap()), result))
            .collect()
    }
}

#[test]
fn what_is_submitted_is_read_once_and_what_cannot_be_read_can_be_tried_again() {
    let fleet = Fleet::new(&[]);
    fleet.write("tides.md", b"# Tides\n\nThe sea comes, and the sea goes.");
    fleet.write("same.md", b"# Tides\n\nThe sea comes, and the sea goes.");
    fleet.write("broken.docx", b"PK\x03\x04 and nothing more");
    fleet.write("empty.txt", b"");
    let input = fleet.dir.path().join("in");
    let states = fleet.submit(&input);
    assert_eq!((states["broken.docx"].as_str(), states["empty.txt"].as_str()), ("queued", "refused"));
    let mut twins = [states["tides.md"].as_str(), states["same.md"].as_str()];
    twins.sort_unstable();
    assert_eq!(twins, ["known", "queued"], "the same content is one job");

    let worker = fleet.worker(&[]);
    fleet.drained();
    let results = fleet.results();
    assert_eq!(results.len(), 1);
    let result = results.values().next().unwrap();
    assert_eq!(result["text"], "# Tides\n\nThe sea comes, and the sea goes.");

    let states = fleet.submit(&input);
    assert_eq!((states["tides.md"].as_str(), states["broken.docx"].as_str()), ("done", "known"));

    let listed = fleet.run(&["queue", "dead"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("broken.docx") && listed.contains("damaged"), "{listed}");
    let dead: Value = serde_json::from_slice(&fleet.run(&["queue", "dead", "--json"]).stdout).unwrap();
    let id = dead[0]["id"].as_str().unwrap();
    assert_eq!(dead[0]["class"], "invalid");
    let retried = fleet.run(&["queue", "retry", id]);
    assert_eq!(String::from_utf8(retried.stdout).unwrap(), "1 put back into the queue\n");
    fleet.drained();
    assert_eq!(fleet.queue()["dead"], 1, "it is as broken as before");
    let unknown = fleet.run(&["queue", "retry", "nobody"]);
    assert!(!unknown.status.success());
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("no dead letter has the key `nobody`"));

    let log = worker.output();
    let line = log.lines().find(|line| line.contains("\"listening\"")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let address = line["fields"]["address"].as_str().unwrap();
    let metrics = http(address, "GET", "/metrics", &[]).unwrap().text();
    assert!(
        metrics.contains("buttress_queue_settled_total{queue=\"docproc\",outcome=\"done\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("buttress_queue_oldest_ready_seconds{queue=\"docproc\"}"), "{metrics}");
    assert_eq!(http(address, "GET", "/readyz", &[]).unwrap().status, 200);
}

#[test]
fn a_worker_that_is_asked_to_stop_gives_back_what_it_has_not_done() {
    // Its documents would take longer than it is given to finish them.
    let fleet = Fleet::new(&["service.drain.finish_within=1ms", "queue.lease=10m"]);
    let page = "<div><p>A long document, of many small parts.</p></div>";
    for i in 0..4 {
        fleet.write(&format!("{i}.html"), format!("<h1>{i}</h1>{}", page.repeat(60_000)).as_bytes());
    }
    fleet.submit(&fleet.dir.path().join("in"));
    let mut worker = fleet.worker(&[]);
    wait_until("a document is in hand", PATIENCE, || (fleet.queue()["leased"] == 1).then_some(()));
    worker.signal(Signal::TERM);
    assert!(worker.wait().success(), "{}", worker.output());
    let (counts, results) = (fleet.queue(), fleet.results());
    assert_eq!(counts["leased"], 0, "nothing waits for a lease to run out: {}", worker.output());
    assert_eq!(counts["ready"].as_u64().unwrap() + results.len() as u64, 4);

    let _another = fleet.worker(&[]);
    fleet.drained();
    assert_eq!(fleet.results().len(), 4);
}

#[test]
fn a_document_longer_than_a_lease_is_read_once() {
    let redis = Redis::start();
    let fleet = Fleet::new(&[&format!("queue.url={}", redis.url()), "queue.lease=1s", "queue.attempts=1"]);
    let page = "<div><p>A long document, of many small parts.</p></div>";
    fleet.write("long.html", page.repeat(120_000).as_bytes());
    fleet.submit(&fleet.dir.path().join("in"));
    let (one, _other) = (fleet.worker(&[]), fleet.worker(&[]));
    fleet.drained();
    assert_eq!(fleet.queue()["dead"], 0, "{}", one.output());
    assert_eq!(fleet.results().len(), 1);
}

#[test]
fn a_worker_with_another_configuration_leaves_a_document_to_others() {
    let fleet = Fleet::new(&["queue.attempts=2"]);
    fleet.write("tides.md", b"# Tides");
    fleet.submit(&fleet.dir.path().join("in"));
    let other = fleet.worker(&["--set", "pipeline.chunks.max_tokens=200"]);
    wait_until("it is given up", PATIENCE, || (fleet.queue()["dead"] == 1).then_some(()));
    let dead = String::from_utf8(fleet.run(&["queue", "dead"]).stdout).unwrap();
    assert!(dead.contains("[pipeline]"), "{dead}");
    drop(other);
    fleet.run(&["queue", "retry"]);
    let _right = fleet.worker(&[]);
    fleet.drained();
    assert_eq!(fleet.results().len(), 1);
}

#[test]
fn a_newcomer_is_told_what_is_wrong() {
    let fleet = Fleet::new(&[]);
    for (setting, told) in [
        (
            "queue.url=redis://127.0.0.1:1",
            "`queue.url` is redis://127.0.0.1:1: Redis at redis://127.0.0.1:1 does not answer",
        ),
        (
            "queue.url=mysql://db",
            "known are sqlite, postgres, redis, rediss, redis+sentinel, redis+cluster, nats and tls",
        ),
        ("blobs.url=s3://", "names no bucket"),
        ("queue.lease=1ms", "queue.lease"),
    ] {
        let output = fleet.run(&["submit", ".", "--set", setting]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && errors.contains(told), "{setting}: {errors}");
    }
}

#[test]
fn an_outage_of_the_blobs_costs_a_document_no_attempt() {
    let s3 = S3::start();
    s3.create_bucket("documents");
    let proxy = FaultProxy::to(s3.endpoint().trim_start_matches("http://").parse().unwrap());
    let endpoint = format!("blobs.s3.endpoint=http://{}", proxy.addr());
    let id = format!("blobs.s3.access_key_id={}", S3::ACCESS_KEY_ID);
    let secret = format!("blobs.s3.secret_access_key={}", S3::SECRET_ACCESS_KEY);
    // One attempt for a document, and an S3 client that gives up before the outage ends.
    let settings = ["queue.attempts=1", "queue.connection.timeout=500ms", "blobs.url=s3://documents"];
    let fleet = Fleet::new(&[settings.as_slice(), &[&endpoint, &id, &secret]].concat());
    let first = fleet.write("tides.md", b"# Tides\n\nThe sea comes, and the sea goes.");
    assert_eq!(fleet.submit(&first)["tides.md"], "queued");

    proxy.refuse();
    proxy.cut();
    let worker = fleet.worker(&[]);
    let second = fleet.write("boats.md", b"# Boats\n\nThe boats go, and the boats come.");
    let submitting =
        fleet.command(&["submit", "--json", second.to_str().unwrap()]).stdout(Stdio::piped()).spawn();
    wait_until("the job is in hand", PATIENCE, || (fleet.queue()["leased"] == 1).then_some(()));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(fleet.queue()["leased"], 1, "{}", worker.output());

    proxy.pass();
    let submitted = submitting.unwrap().wait_with_output().unwrap();
    let said = String::from_utf8(submitted.stdout).unwrap();
    assert!(submitted.status.success() && said.contains("\"queued\""), "{said}");
    fleet.drained();
    assert_eq!(fleet.queue()["dead"], 0, "{}", worker.output());
    assert_eq!(
        fleet.submit(fleet.dir.path().join("in").as_path()).values().collect::<Vec<_>>(),
        ["done", "done"]
    );
}
