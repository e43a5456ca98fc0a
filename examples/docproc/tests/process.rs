//! `docproc process` and `docproc retry`, run as people run them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)] // Failing is what a test is for.
#![allow(clippy::disallowed_methods)] // Waiting for another process is waiting in real time.

mod common;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use common::{dead_letters, docproc, process, records, summary};
use tempfile::tempdir;

/// `count` small documents, each with a text of its own.
fn write_documents(folder: &Path, count: usize) {
    fs::create_dir_all(folder).unwrap();
    for i in 0..count {
        let text = format!("# Note {i}\n\nThe {i}th note speaks of item number {i}, and of nothing else.\n")
            .repeat(20);
        fs::write(folder.join(format!("note-{i:04}.md")), text).unwrap();
    }
}

#[test]
fn a_second_run_does_nothing_twice() {
    let dir = tempdir().unwrap();
    let (input, out) = (dir.path().join("in"), dir.path().join("out"));
    write_documents(&input, 5);
    let first = process(&[&input], &out, &[]);
    assert_eq!(first["all"]["documents"], 5);
    let before = fs::read(out.join("documents.jsonl")).unwrap();

    let second = process(&[&input], &out, &[]);
    assert_eq!((&second["all"]["documents"], &second["already_done"]), (&0.into(), &5.into()));
    assert_eq!(fs::read(out.join("documents.jsonl")).unwrap(), before);

    fs::write(input.join("note-0000.md"), "A changed note is a new document.").unwrap();
    assert_eq!(process(&[&input], &out, &[])["all"]["documents"], 1);
}

#[test]
fn killed_at_any_point_and_run_again_every_document_is_there_once() {
    let dir = tempdir().unwrap();
    let (input, out) = (dir.path().join("in"), dir.path().join("out"));
    write_documents(&input, 300);
    for round in 0..8 {
        let mut child = docproc()
            .arg("process")
            .arg(&input)
            .arg("--out")
            .arg(&out)
            .arg("--quiet")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        sleep(Duration::from_millis(20 + 25 * round));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let last = process(&[&input], &out, &[]);
    assert_eq!(records(&out).len(), 300);
    assert_eq!(last["all"]["documents"].as_u64().unwrap() + last["already_done"].as_u64().unwrap(), 300);
}

#[test]
fn a_torn_last_line_is_done_again() {
    let dir = tempdir().unwrap();
    let (input, out) = (dir.path().join("in"), dir.path().join("out"));
    write_documents(&input, 3);
    process(&[&input], &out, &[]);
    let journal = out.join("documents.jsonl");
    let whole = fs::read(&journal).unwrap();
    fs::write(&journal, &whole[..whole.len() - 100]).unwrap();
    let again = process(&[&input], &out, &[]);
    assert_eq!((&again["all"]["documents"], &again["already_done"]), (&1.into(), &2.into()));
    assert_eq!(records(&out).len(), 3);
}

#[test]
fn equal_content_is_read_once_and_stands_under_every_name() {
    let dir = tempdir().unwrap();
    let (input, out) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir_all(&input).unwrap();
    for name in ["a.txt", "b.txt", "c.txt"] {
        fs::write(input.join(name), "One text under three names.").unwrap();
    }
    let run = process(&[&input], &out, &[]);
    assert_eq!((&run["all"]["documents"], &run["repeated"]), (&1.into(), &2.into()));
    let records = records(&out);
    assert_eq!(records.len(), 3);
    assert!(records.values().all(|record| record["text"] == "One text under three names."));
}

#[test]
fn failed_documents_keep_their_reason_and_are_tried_again_on_request() {
    let dir = tempdir().unwrap();
    let (input, out) = (dir.path().join("in"), dir.path().join("out"));
    write_documents(&input, 2);
    fs::write(input.join("empty.txt"), "").unwrap();
    fs::write(input.join("large.txt"), "many words ".repeat(1000)).unwrap();
    let small = ["--set", "pipeline.limits.input_bytes=4KiB"];
    let first = process(&[&input], &out, &small);
    assert_eq!(first["all"]["documents"], 2);
    let reasons = dead_letters(&out);
    assert_eq!(reasons["empty.txt"]["error"]["cause"], "empty");
    assert_eq!(reasons["large.txt"]["error"]["limit"], "input_bytes");
    assert!(reasons["large.txt"]["message"].as_str().unwrap().contains("limits.input_bytes"));
    assert_eq!(process(&[&input], &out, &small)["already_failed"], 2);

    let retry = docproc().args(["retry", "--json", "--out"]).arg(&out).output().unwrap();
    assert_eq!(summary(&retry)["all"]["documents"], 1);
    assert_eq!(dead_letters(&out).keys().collect::<Vec<_>>(), ["empty.txt"]);
    assert_eq!(records(&out).len(), 3);
}

#[test]
fn one_folder_takes_one_run_and_one_configuration() {
    let dir = tempdir().unwrap();
    let (input, out) = (dir.path().join("in"), dir.path().join("out"));
    write_documents(&input, 1);
    process(&[&input], &out, &[]);
    let run = |more: &[&str]| {
        let output = docproc().arg("process").arg(&input).arg("--out").arg(&out).args(more).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (ok, error) = run(&["--set", "pipeline.chunks.max_tokens=200"]);
    assert!(!ok && error.contains("another configuration"), "{error}");

    let lock = fs::File::open(out.join("documents.jsonl")).unwrap();
    lock.lock().unwrap();
    let (ok, error) = run(&[]);
    assert!(!ok && error.contains("another docproc is writing"), "{error}");
}

#[test]
fn mistakes_are_explained() {
    let run = |args: &[&str]| {
        let output = docproc().args(args).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(run(&["process", "no-such-folder", "--out", "x"]).contains("cannot read no-such-folder"));
    assert!(run(&["retry", "--out", "no-such-folder"]).contains("there is no folder no-such-folder"));
    assert!(run(&["config", "--set", "workers"]).contains("key=value"));
    let error = run(&["config", "--set", "workers.cuont=3"]);
    assert!(error.contains("cuont") && error.contains("count"), "{error}");
    let error = run(&["config", "--set", "pipeline.chunks.max_tokens=3"]);
    assert!(error.contains("max_tokens") && error.contains("16 to 1000000"), "{error}");
}

#[test]
fn settings_may_stand_anywhere_on_the_command_line() {
    let run = |args: &[&str]| {
        let output = docproc().args(args).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (printed, told) = run(&[
        "--set",
        "workers.count=3",
        "config",
        "--set",
        "workers.recycle_after=9",
        "--set",
        "workers.count=5",
    ]);
    let shown = printed.contains("workers.count = 5 ") && printed.contains("workers.recycle_after = 9 ");
    assert!(shown, "{told}{printed}");
    // A number whose name sounds like a secret is none, also as text of the command line.
    let (printed, _) = run(&["config", "--set", "pipeline.chunks.max_tokens=300"]);
    assert!(printed.contains("pipeline.chunks.max_tokens = 300 "), "{printed}");
    let (_, told) = run(&["--set", "workers.cuont=3", "queue", "--set", "workers.count=3", "dead"]);
    assert!(told.contains("cuont"), "{told}");
}
