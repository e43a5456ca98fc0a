//! Documents on their way through a queue, with submitters and workers killed at random moments.
//!
//! `docproc submit` promises that a document which it has acknowledged is read by some worker, and the sink that each
//! document leaves one result, which never changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use buttress_testkit::{Nats, Postgres, ProcessGroup, Random, Redis, wait_until};
use rustix::process::Signal;
use serde_json::Value;

use super::{Area, Outcome, docproc};

/// How often a submitter, and perhaps a worker, is killed before the queue is drained.
const ROUNDS: usize = 4;

/// Documents that each submitter has.
const DOCUMENTS: usize = 40;

/// How long the queue may take to be drained; the leases of the dead have to run out first.
const PATIENCE: Duration = Duration::from_mins(2);

pub(super) const AREA: Area = Area {
    name: "queue",
    cases: &["sqlite", "postgres", "redis", "nats"],
    point: |case, random, workspace| {
        let program = docproc::program(workspace)?;
        let folder = workspace.scratch("faults-queue");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let (server, url) = match case {
            "sqlite" => (Server::None, format!("sqlite:{}", folder.join("queue.db").display())),
            "postgres" => of(Postgres::durable(), Postgres::url, Server::Postgres),
            "redis" => of(Redis::durable(), Redis::url, Server::Redis),
            "nats" => of(Nats::start(), Nats::url, Server::Nats),
            other => bail!("there is no case `{other}`"),
        };
        let outcome = Fleet { program, folder, url }.point(random);
        drop(server);
        outcome
    },
};

/// Whoever keeps the jobs; ends when dropped.
enum Server {
    None,
    Postgres(#[expect(dead_code, reason = "held until the point is over")] Postgres),
    Redis(#[expect(dead_code, reason = "held until the point is over")] Redis),
    Nats(#[expect(dead_code, reason = "held until the point is over")] Nats),
}

fn of<S>(server: S, url: fn(&S) -> String, hold: fn(S) -> Server) -> (Server, String) {
    let url = url(&server);
    (hold(server), url)
}

/// The document processor on one queue and one folder of blobs.
struct Fleet {
    program: PathBuf,
    folder: PathBuf,
    url: String,
}

impl Fleet {
    fn point(&self, random: &mut Random) -> Result<Outcome> {
        let mut workers: Vec<_> = (0..2).map(|side| self.worker(side)).collect();
        let mut acknowledged = BTreeSet::new();
        for round in 0..ROUNDS {
            // Each submitter has documents of its own: nobody hands in again what one of them lost.
            let mut submitter = self.submitter(&self.write(round)?);
            submitter.kill_after(random.duration(Duration::from_millis(10), Duration::from_millis(250)));
            acknowledged.extend(queued(&submitter.output()));
            let victim = usize::try_from(random.below(3))?;
            if let Some(worker) = workers.get_mut(victim) {
                worker.kill_after(random.duration(Duration::ZERO, Duration::from_millis(150)));
                *worker = self.worker(victim);
            }
        }
        self.drained(&mut workers)?;
        let drained = self.results()?;
        let lost = acknowledged.iter().filter(|id| !drained.contains_key(*id)).count();

        // Handed in a second time, what is done stays as it is and the rest is done.
        let mut last = self.submitter(&self.documents());
        ensure!(last.wait().success(), "the submission after the crashes failed:\n{}", last.output());
        self.drained(&mut workers)?;
        let results = self.results()?;
        let changed = drained.iter().filter(|(id, result)| results.get(*id) != Some(result)).count();
        let wrong = changed + (ROUNDS * DOCUMENTS).abs_diff(results.len());
        let dead = self.queue()?.get("dead").and_then(Value::as_u64).context("no count of dead letters")?;
        let disorderly =
            workers.into_iter().filter_map(stopped_badly).inspect(|log| eprintln!("{log}")).count();
        let violated = (wrong + disorderly) as u64 + dead;
        Ok(Outcome { acknowledged: acknowledged.len() as u64, lost: lost as u64, violated })
    }

    fn documents(&self) -> PathBuf {
        self.folder.join("in")
    }

    /// The documents of one round.
    fn write(&self, round: usize) -> Result<PathBuf> {
        let folder = self.documents().join(round.to_string());
        fs::create_dir_all(&folder)?;
        for i in 0..DOCUMENTS {
            let text =
                format!("<h1>Document {i} of {round}</h1><p>It speaks of itself and of nothing else.</p>");
            // Longer ones among them, so that a worker is killed in the middle of one.
            fs::write(folder.join(format!("{i}.html")), text.repeat(if i % 10 == 0 { 5000 } else { 40 }))?;
        }
        Ok(folder)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).current_dir(&self.folder);
        for setting in [
            format!("queue.url={}", self.url),
            format!("blobs.url={}", self.folder.join("blobs").display()),
            "queue.lease=1s".to_owned(),
            "queue.attempts=20".to_owned(),
            "queue.poll=50ms".to_owned(),
        ] {
            command.args(["--set", &setting]);
        }
        command
    }

    fn worker(&self, side: usize) -> ProcessGroup {
        let mut command = self.command(&["worker", "--workers", "2"]);
        ProcessGroup::spawn(&mut command, &self.folder.join(format!("worker-{side}.log")))
    }

    fn submitter(&self, documents: &Path) -> ProcessGroup {
        let mut command = self.command(&["submit", "--json"]);
        ProcessGroup::spawn(command.arg(documents), &self.folder.join("submit.log"))
    }

    fn queue(&self) -> Result<Value> {
        let output = self.command(&["queue", "--json"]).output()?;
        ensure!(output.status.success(), "docproc queue: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Waits until nothing is unfinished, with workers that are there.
    fn drained(&self, workers: &mut [ProcessGroup]) -> Result<()> {
        for worker in workers.iter_mut() {
            ensure!(worker.exited().is_none(), "a worker ended by itself:\n{}", worker.output());
        }
        wait_until("the queue is drained", PATIENCE, || {
            thread::sleep(Duration::from_millis(100));
            let counts = self.queue().ok()?;
            let unfinished =
                ["ready", "leased", "delayed"].map(|name| counts.get(name).and_then(Value::as_u64));
            (unfinished == [Some(0); 3]).then_some(())
        });
        Ok(())
    }

    /// Every result by its id; each has to be whole, and that of its own document.
    fn results(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut results = BTreeMap::new();
        let Ok(entries) = fs::read_dir(self.folder.join("blobs/results")) else { return Ok(results) };
        for entry in entries {
            let path = entry?.path();
            let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let bytes = fs::read(&path)?;
            let record: Value =
                serde_json::from_slice(&bytes).with_context(|| format!("{} is not whole", path.display()))?;
            let content = record.get("content").and_then(Value::as_str).unwrap_or("nothing");
            ensure!(id.starts_with(content), "the result {id} is that of {content}");
            results.insert(id, bytes);
        }
        Ok(results)
    }
}

/// Ids of the documents that a submitter had acknowledged; a last line that was torn off does not count.
fn queued(output: &str) -> Vec<String> {
    let lines = output.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?.get("id")?.as_str().map(str::to_owned))
        .collect()
}

/// What a worker printed that does not end well when it is asked to.
fn stopped_badly(mut worker: ProcessGroup) -> Option<String> {
    worker.signal(Signal::TERM);
    (!worker.wait().success()).then(|| worker.output())
}
