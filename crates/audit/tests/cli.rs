//! The program `audit`, run on a real log.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use buttress_audit::merkle::{verify_consistency, verify_inclusion};
use buttress_audit::subject::{Field, MasterKey, Policy, Subjects, SubjectsConfig};
use buttress_audit::{AuditConfig, Entry, FssSeed, Hash, Log};
use buttress_core::{ByteSize, Ctx, Outcome};
use serde_json::Value as Json;

fn audit(words: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_audit")).args(words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn good(words: &[&str]) -> String {
    let (code, out, told) = audit(words);
    assert_eq!(code, 0, "{words:?}: {told}");
    out
}

fn lines(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn config(folder: &Path) -> AuditConfig {
    let mut config = AuditConfig::new(folder);
    config.segment = ByteSize::kib(4);
    config
}

fn entry(n: u64) -> Entry {
    let outcome = if n.is_multiple_of(10) { Outcome::Denied } else { Outcome::Success };
    let action = ["secret.read", "user.login"][usize::from(n.is_multiple_of(2))];
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + n);
    Entry::new(at, action, outcome)
        .actor(format!("user-{}", n % 3))
        .target("\x1b[31mred")
        .with("n", i64::try_from(n).unwrap())
}

/// A log of 100 entries, with a checkpoint after 60; ended with the last one, which covers all.
async fn log(folder: &Path) -> FssSeed {
    let (log, seed) = Log::create(&config(folder), &Ctx::default()).await.unwrap();
    for n in 0..100 {
        log.append(&entry(n)).await.unwrap();
        if n == 59 {
            log.checkpoint().await.unwrap();
        }
    }
    log.close().await.unwrap();
    seed
}

#[tokio::test]
async fn entries_are_shown_found_and_exported() {
    let there = tempfile::tempdir().unwrap();
    let folder = there.path().join("log");
    log(&folder).await;
    let folder = folder.to_str().unwrap();

    let out = good(&["tail", folder, "-n", "3"]);
    let shown: Vec<&str> = out.lines().collect();
    assert_eq!(shown.len(), 4, "{out}");
    assert!(shown[0].starts_with("SEQUENCE  AT") && shown[3].starts_with("99"), "{out}");
    let place = shown[0].find("ACTOR").unwrap();
    assert!(shown[1..].iter().all(|line| line[place..].starts_with("user-")), "columns line up: {out}");
    assert!(!out.contains('\x1b') && out.contains("\\u{1b}[31mred"), "{out}");

    let found = lines(&good(&["search", folder, "--actor", "user-1", "--action", "secret.", "--json"]));
    let expected: Vec<u64> = (0..100).filter(|n| n % 3 == 1 && n % 2 == 1).collect();
    assert_eq!(found.iter().map(|line| line["sequence"].as_u64().unwrap()).collect::<Vec<_>>(), expected);
    let (_, out, told) = audit(&["search", folder, "--limit", "5", "--outcome", "denied", "--json"]);
    assert!(lines(&out).len() == 5 && told.contains("--first 50"), "{told}");
    let since = lines(&good(&["search", folder, "--since", "2023-11-14T22:14:55Z", "--json"]));
    assert_eq!(since.len(), 5);
    assert_eq!(good(&["search", folder, "--actor", "nobody", "--json"]), "");

    assert_eq!(lines(&good(&["export", folder])).len(), 100);
    assert_eq!(good(&["export", folder, "--format", "csv", "--first", "90"]).lines().count(), 11);
    assert!(
        lines(&good(&["export", folder, "--format", "ocsf"])).iter().all(|event| event["class_uid"].is_u64())
    );
    let file = there.path().join("out.jsonl");
    good(&["export", folder, "-o", file.to_str().unwrap(), "--end", "10"]);
    assert_eq!(lines(&fs::read_to_string(&file).unwrap()).len(), 10);
    assert_eq!(audit(&["export", folder, "-o", file.to_str().unwrap()]).0, 3, "nothing is overwritten");

    assert_eq!(audit(&["search", "/nowhere"]).0, 3);
    assert_eq!(audit(&["search", folder, "--since", "yesterday"]).0, 2);
}

#[tokio::test]
async fn verify_says_what_is_wrong_and_where() {
    let there = tempfile::tempdir().unwrap();
    let (log_folder, seed_file, note_file) =
        (there.path().join("log"), there.path().join("seed"), there.path().join("note"));
    let seed = log(&log_folder).await;
    fs::write(&seed_file, seed.reveal().as_str()).unwrap();
    let folder = log_folder.to_str().unwrap();
    let notes = lines(&good(&["checkpoints", folder, "--json"]));
    assert_eq!(
        notes.iter().map(|note| (&note["checkpoint"]["size"], &note["signed"])).collect::<Vec<_>>().len(),
        2
    );
    fs::write(&note_file, notes[1]["note"].as_str().unwrap()).unwrap();
    assert!(good(&["checkpoints", folder]).lines().count() == 3);

    let all = ["--seed-file", seed_file.to_str().unwrap(), "--checkpoint", note_file.to_str().unwrap()];
    let out = good(&[&["verify", folder], &all[..]].concat());
    assert!(out.contains("nothing is wrong") && out.contains("100 entries"), "{out}");

    let path = log_folder.join("0000000002.segment");
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.windows(6).position(|text| text == b"user-1").unwrap();
    bytes[place + 5] = b'2';
    fs::write(&path, bytes).unwrap();
    let (code, out, _) = audit(&["verify", folder]);
    assert!(code == 1 && out.contains("0000000002.segment") && out.contains("things are wrong"), "{out}");
    let (code, out, _) = audit(&[&["verify", folder, "--json"], &all[..]].concat());
    let report: Json = serde_json::from_str(&out).unwrap();
    assert!(code == 1 && report["findings"][0]["file"] == "0000000002.segment", "{out}");
    assert!(report["findings"][0]["sequence"].is_u64(), "{out}");
    assert_eq!(audit(&["verify", "/nowhere"]).0, 3);
    let (code, _, told) = audit(&["verify", folder, "--seed-file", note_file.to_str().unwrap()]);
    assert!(code == 3 && !told.contains(notes[1]["note"].as_str().unwrap()), "{told}");
}

#[tokio::test]
async fn proofs_hold_without_the_log() {
    let there = tempfile::tempdir().unwrap();
    let folder = there.path().join("log");
    log(&folder).await;
    let (folder, file) = (folder.to_str().unwrap(), there.path().join("proof.json"));
    let hash = |json: &Json| json.as_str().unwrap().parse::<Hash>().unwrap();
    let hashes = |json: &Json| json.as_array().unwrap().iter().map(hash).collect::<Vec<_>>();

    for (words, size) in [(&[][..], 100), (&["--size", "60"], 60), (&["--size", "77"], 77)] {
        let text = good(&[&["prove", "inclusion", folder, "42", "--json"], words].concat());
        let json: Json = serde_json::from_str(&text).unwrap();
        let proof = &json["proof"];
        verify_inclusion(&hash(&proof["leaf"]), 42, size, &hashes(&proof["hashes"]), &hash(&proof["root"]))
            .unwrap();
        assert_eq!(json["entry"]["data"]["n"], 42);
        assert_eq!(json["checkpoint"].is_string(), size != 77);
    }
    let out = good(&["prove", "consistency", folder, "60", "-o", file.to_str().unwrap()]);
    assert!(out.contains("is how that of 100 entries begins") && out.contains("\u{2014} "), "{out}");
    let json: Json = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let proof = &json["proof"];
    verify_consistency(60, &hash(&proof["old_root"]), 100, &hash(&proof["root"]), &hashes(&proof["hashes"]))
        .unwrap();
    assert_eq!(audit(&["prove", "inclusion", folder, "100"]).0, 3);
    assert_eq!(audit(&["prove", "consistency", folder, "60", "--size", "50"]).0, 3);
}

#[tokio::test]
async fn what_comes_is_followed() {
    let there = tempfile::tempdir().unwrap();
    let (log, _seed) = Log::create(&config(there.path()), &Ctx::default()).await.unwrap();
    log.append(&entry(0)).await.unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_audit"))
        .args(["tail", there.path().to_str().unwrap(), "-f", "--json", "--action", "user."])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut next = || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        serde_json::from_str::<Json>(&line).unwrap()["sequence"].as_u64().unwrap()
    };
    assert_eq!(next(), 0);
    for n in 1..60 {
        log.append(&entry(n)).await.unwrap(); // Over several segments.
    }
    for n in (2..60).step_by(2) {
        assert_eq!(next(), n);
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn sealed_values_are_shown_to_who_has_the_key_until_they_are_erased() {
    let there = tempfile::tempdir().unwrap();
    let folder = there.path().join("log");
    let (log, seed) = Log::create(&config(&folder), &Ctx::default()).await.unwrap();
    let (keys, master) = (there.path().join("keys"), there.path().join("master"));
    fs::write(&master, "07".repeat(32)).unwrap();
    let mut at = SubjectsConfig::default();
    at.path.clone_from(&keys);
    let subjects = Subjects::open(&at, &MasterKey::load(&master).unwrap()).unwrap();
    let policy = Policy::new([Field::Actor]);
    for name in ["ada", "bob", "ada"] {
        let mut entry = entry(1).actor(name);
        subjects.protect(&policy, &mut entry, name).unwrap();
        log.append(&entry).await.unwrap();
    }
    let early = log.checkpoint().await.unwrap();
    let folder = folder.to_str().unwrap();
    let open = ["--subjects", keys.to_str().unwrap(), "--master-key", master.to_str().unwrap(), "--json"];
    let actors = |words: &[&str]| {
        let found = lines(&good(&[&["search", folder], words].concat()));
        found.iter().map(|line| line["actor"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(actors(&["--json"]).iter().all(|actor| actor.starts_with("~sealed:1:")));
    assert_eq!(actors(&open), ["ada", "bob", "ada"]);
    assert_eq!(actors(&[&open[..], &["--subject", "ada"]].concat()), ["ada", "ada"]);

    let ada = subjects.erase("ada", SystemTime::UNIX_EPOCH).unwrap().unwrap();
    assert_eq!(actors(&open), ["[erased]", "bob", "[erased]"]);
    assert_eq!(actors(&[&open[..], &["--subject", &ada.to_string()]].concat()), ["[erased]", "[erased]"]);
    log.close().await.unwrap();
    let (seed_file, note) = (there.path().join("seed"), there.path().join("note"));
    fs::write(&seed_file, seed.reveal().as_str()).unwrap();
    fs::write(&note, early.to_string()).unwrap();
    let (seed_file, note) = (seed_file.to_str().unwrap(), note.to_str().unwrap());
    good(&["verify", folder, "--seed-file", seed_file, "--checkpoint", note]);
}
