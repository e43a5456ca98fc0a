//! What the tests of the program share.
#![allow(dead_code)] // Each test program uses a part of it.

pub(crate) mod secured;
pub(crate) mod service;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The program under test, without the configuration and variables of whoever runs the tests.
pub(crate) fn docproc() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_docproc"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// A folder of this package.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Runs `docproc process PATHS --out OUT --json` and gives its summary.
pub(crate) fn process(paths: &[&Path], out: &Path, more: &[&str]) -> Value {
    summary(
        &docproc()
            .arg("process")
            .args(paths)
            .arg("--out")
            .arg(out)
            .arg("--json")
            .args(more)
            .output()
            .unwrap(),
    )
}

/// The summary of a run that ended well.
pub(crate) fn summary(output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The records of a run by name; each line must be whole, and each name there once.
pub(crate) fn records(out: &Path) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(out.join("documents.jsonl")).unwrap();
    let mut records = BTreeMap::new();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let name = record["name"].as_str().unwrap().to_owned();
        assert!(records.insert(name.clone(), record).is_none(), "{name} stands in the output twice");
    }
    records
}

/// The reasons in the dead-letter folder by file name of the document.
pub(crate) fn dead_letters(out: &Path) -> BTreeMap<String, Value> {
    let entries = std::fs::read_dir(out.join("dead-letter")).into_iter().flatten();
    let reasons = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".reason.json"));
    reasons
        .map(|path| {
            let reason: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            (file_name(reason["name"].as_str().unwrap()), reason)
        })
        .collect()
}

pub(crate) fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// White space does not count when texts are compared.
pub(crate) fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
