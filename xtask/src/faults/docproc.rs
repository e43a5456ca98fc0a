//! The document processor, killed and stopped at random moments.
//!
//! `process` promises that each document stands in the results once; `serve` promises that what it has acknowledged is
//! read, by this process or the next.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use buttress_testkit::{ProcessGroup, Random, http, wait_until};
use rustix::process::Signal;
use serde_json::Value;

use super::{Area, Outcome};
use crate::workspace::{Workspace, succeeds};

/// Documents that a run of `process` reads.
const DOCUMENTS: usize = 200;

/// How long a service may take to be up, or done with a document.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) const AREA: Area = Area {
    name: "docproc",
    cases: &["process, kill -9", "serve, kill -9", "serve, SIGTERM"],
    point: |case, random, workspace| {
        let program = program(workspace)?;
        let folder = workspace.scratch("faults-docproc");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        match case {
            "process, kill -9" => process(&program, &folder, random),
            "serve, kill -9" => serve(&program, &folder, random, Signal::KILL),
            _ => serve(&program, &folder, random, Signal::TERM),
        }
    },
};

/// The program, built if it has changed.
pub(super) fn program(workspace: &Workspace) -> Result<PathBuf> {
    ensure!(
        succeeds(&mut workspace.cargo(["build", "--quiet", "--release", "-p", "docproc"]))?,
        "docproc does not build"
    );
    Ok(workspace.target.join("release/docproc"))
}

fn process(program: &Path, folder: &Path, random: &mut Random) -> Result<Outcome> {
    let (input, out) = (folder.join("in"), folder.join("out"));
    fs::create_dir_all(&input)?;
    for i in 0..DOCUMENTS {
        let text =
            format!("<h1>Document {i}</h1><p>It speaks of number {i} and of nothing else.</p>").repeat(40);
        fs::write(input.join(format!("{i}.html")), text)?;
    }
    let mut run = Command::new(program);
    run.arg("process").arg(&input).arg("--out").arg(&out).arg("--quiet");
    let delay = random.duration(Duration::from_millis(5), Duration::from_millis(400));
    ProcessGroup::spawn(&mut run, &folder.join("log")).kill_after(delay);
    let before = records(&out).unwrap_or_default();
    ensure!(run.output()?.status.success(), "the run after the crash failed");
    let after = records(&out)?;
    let lost = before.keys().filter(|name| !after.contains_key(*name)).count();
    let wrong = after.values().filter(|count| **count != 1).count() + DOCUMENTS.abs_diff(after.len());
    Ok(Outcome { acknowledged: after.len() as u64, lost: lost as u64, violated: wrong as u64 })
}

/// How often each document stands in the results; a last line that was torn off does not count.
fn records(out: &Path) -> Result<BTreeMap<String, usize>> {
    let text = fs::read_to_string(out.join("documents.jsonl"))?;
    let mut records = BTreeMap::new();
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let record: Value = serde_json::from_str(line).context("a whole line is no record")?;
        let name = record.get("name").and_then(Value::as_str).unwrap_or_default();
        *records.entry(name.to_owned()).or_default() += 1;
    }
    Ok(records)
}

fn serve(program: &Path, folder: &Path, random: &mut Random, signal: Signal) -> Result<Outcome> {
    let (mut service, address) = start(program, folder)?;
    let moment = random.duration(Duration::from_millis(20), Duration::from_millis(600));
    let acknowledged = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for side in 0..3 {
            let (address, acknowledged) = (&address, &acknowledged);
            scope.spawn(move || upload_until_gone(address, side, acknowledged));
        }
        thread::sleep(moment);
        service.signal(signal);
    });
    let orderly = signal != Signal::TERM || service.wait().success();
    service.kill();
    let ids = acknowledged.into_inner().unwrap_or_default();

    let (_next, address) = start(program, folder)?;
    let lost = ids.iter().filter(|id| !is_read(&address, id)).count();
    Ok(Outcome { acknowledged: ids.len() as u64, lost: lost as u64, violated: u64::from(!orderly) })
}

fn start(program: &Path, folder: &Path) -> Result<(ProcessGroup, String)> {
    let mut command = Command::new(program);
    command.args([
        "serve",
        "--set",
        "service.listen=127.0.0.1:0",
        "--set",
        "telemetry.log.format=json",
        "--set",
    ]);
    command.arg(format!("store.folder={}", folder.join("store").display()));
    let log = folder.join("log");
    if log.exists() {
        fs::remove_file(&log)?;
    }
    let service = ProcessGroup::spawn(&mut command, &log);
    let address = wait_until("the service listens", PATIENCE, || {
        let log = service.output();
        let line: Value =
            serde_json::from_str(log.lines().find(|line| line.contains("\"listening\""))?).ok()?;
        Some(line.pointer("/fields/address")?.as_str()?.to_owned())
    });
    Ok((service, address))
}

fn upload_until_gone(address: &str, side: usize, acknowledged: &Mutex<Vec<String>>) {
    for i in 0.. {
        let text = format!("<h1>Side {side}</h1><p>This is document {i}.</p>").repeat(50);
        let Ok(answer) = http(address, "POST", "/v1/documents?name=page.html", text.as_bytes()) else {
            return;
        };
        if answer.status != 202 {
            return;
        }
        if let (Some(id), Ok(mut ids)) =
            (answer.json().pointer("/documents/0/id").and_then(Value::as_str), acknowledged.lock())
        {
            ids.push(id.to_owned());
        }
    }
}

/// Waits until a document is done with; whether it has been read.
fn is_read(address: &str, id: &str) -> bool {
    let status = wait_until("the document is done with", PATIENCE, || {
        let document = http(address, "GET", &format!("/v1/documents/{id}"), &[]).ok()?.json();
        let status = document.get("status").and_then(Value::as_str).unwrap_or("lost").to_owned();
        (!matches!(status.as_str(), "queued" | "running")).then_some(status)
    });
    status == "done"
}
