//! The second verifier, in Python, which knows the format's page and nothing of this code: it agrees that a log is good, and
//! finds whatever is done to one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use buttress_audit::merkle::verify_inclusion;
use buttress_audit::query::{Filter, find};
use buttress_audit::{AuditConfig, Entry, FssSeed, Log, LogReader, LogTree, Value};
use buttress_core::{ByteSize, Ctx, Outcome, Random, unique_number};

fn verify(folder: &Path, seed: &FssSeed, elsewhere: Option<&Path>) -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(folder).arg("--seed").arg(seed.reveal().as_str());
    if let Some(path) = elsewhere {
        command.arg("--checkpoint").arg(path);
    }
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.success(), told == "ok\n", "{told}");
    if told == "ok\n" { Ok(()) } else { Err(told) }
}

fn entry(n: i64) -> Entry {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + n.unsigned_abs() % 7);
    let outcome = [Outcome::Success, Outcome::Failure, Outcome::Denied][usize::try_from(n % 3).unwrap()];
    let deep =
        Value::List(vec![Value::Null, Value::Float(0.5), vec![0, 255].into(), Value::Map(BTreeMap::new())]);
    let mut entry = Entry::new(at, "tést.run", outcome).with("n", n).with("deep", deep).with("yes", true);
    if n % 2 == 0 {
        entry = entry.actor("ada").target("").tenant("日本").request_id("r-1").detail("a\0b");
    }
    entry
}

/// A log of some segments, seals and checkpoints, opened twice; and a checkpoint that was kept elsewhere.
async fn log(folder: &Path, outside: &Path) -> FssSeed {
    let mut config = AuditConfig::new(folder);
    config.segment = ByteSize::kib(4);
    let (log, seed) = Log::create(&config, &Ctx::default()).await.unwrap();
    for n in 0..60 {
        log.append(&entry(n)).await.unwrap();
        if n % 25 == 24 {
            log.checkpoint().await.unwrap();
        }
    }
    log.close().await.unwrap();
    drop(log);
    let log = Log::open(&config, &Ctx::default()).await.unwrap();
    for n in 60..81 {
        log.append(&entry(n)).await.unwrap();
    }
    fs::write(outside, log.checkpoint().await.unwrap().to_string()).unwrap();
    log.close().await.unwrap();
    seed
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[tokio::test]
async fn a_second_verifier_agrees_and_finds_what_was_done() {
    let there = tempfile::tempdir().unwrap();
    let (good, bad, outside) =
        (there.path().join("good"), there.path().join("bad"), there.path().join("outside"));
    let seed = log(&good, &outside).await;
    verify(&good, &seed, Some(&outside)).unwrap();

    let mut segments: Vec<String> = fs::read_dir(&good)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".segment"))
        .collect();
    segments.sort();
    assert!(segments.len() > 3, "{segments:?}");

    let tampered = |what: &str, change: &dyn Fn(&Path)| {
        let _ = fs::remove_dir_all(&bad);
        copy(&good, &bad);
        change(&bad);
        assert!(verify(&bad, &seed, None).is_err(), "{what} was not found");
    };
    // A flipped bit, wherever it counts.
    let seed_of_flips = unique_number();
    println!("seed {seed_of_flips}");
    let random = Random::new(seed_of_flips);
    let flip = |name: &str, end: usize| {
        let bytes = fs::read(good.join(name)).unwrap();
        let bit = usize::try_from(random.number() % ((bytes.len() - end) as u64 * 8)).unwrap();
        tampered(&format!("bit {bit} of {name}"), &|folder| {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(folder.join(name), bytes).unwrap();
        });
    };
    for _ in 0..3 {
        for name in &segments {
            flip(name, 0);
        }
        flip("log", 0);
        flip("seals", 1);
        flip("checkpoints", 2);
    }
    tampered("a seal taken from the end", &|folder| {
        let text = fs::read_to_string(folder.join("seals")).unwrap();
        let kept = text.trim_end().rsplit_once('\n').unwrap().0.to_owned() + "\n";
        fs::write(folder.join("seals"), kept).unwrap();
    });
    tampered("a segment taken from the middle", &|folder| {
        fs::remove_file(folder.join(&segments[1])).unwrap();
    });
    tampered("a segment taken from the front", &|folder| fs::remove_file(folder.join(&segments[0])).unwrap());
    tampered("a segment taken from the end", &|folder| {
        fs::remove_file(folder.join(segments.last().unwrap())).unwrap();
    });
    tampered("two segments swapped", &|folder| {
        fs::copy(good.join(&segments[1]), folder.join(&segments[2])).unwrap();
        fs::copy(good.join(&segments[2]), folder.join(&segments[1])).unwrap();
    });
    tampered("a segment cut off", &|folder| {
        let file = fs::OpenOptions::new().write(true).open(folder.join(&segments[0])).unwrap();
        file.set_len(file.metadata().unwrap().len() - 7).unwrap();
    });
    tampered("the tree's file gone", &|folder| fs::remove_file(folder.join("tree")).unwrap());

    // Whoever has the folder and the keys of now makes a log of the same name anew: seed and checkpoint show it.
    let (other, elsewhere) = (there.path().join("other"), there.path().join("elsewhere"));
    let other_seed = log(&other, &elsewhere).await;
    assert!(verify(&other, &seed, None).is_err());
    assert!(verify(&other, &other_seed, Some(&outside)).is_err());
}

#[tokio::test]
async fn what_retention_leaves_is_good_and_what_else_is_missing_is_found() {
    let there = tempfile::tempdir().unwrap();
    let folder = there.path().join("log");
    let mut config = AuditConfig::new(&folder);
    config.segment = ByteSize::kib(4);
    config.keep_bytes = Some(ByteSize::kib(10));
    let (log, seed) = Log::create(&config, &Ctx::default()).await.unwrap();
    let mut early = None;
    for n in 0..80 {
        log.append(&entry(n)).await.unwrap();
        if n == 20 {
            early = Some(log.checkpoint().await.unwrap().to_string());
        }
    }
    log.retain().await.unwrap();
    for n in 80..90 {
        log.append(&entry(n)).await.unwrap();
    }
    log.close().await.unwrap();
    let outside = there.path().join("outside");
    fs::write(&outside, early.unwrap()).unwrap();
    verify(&folder, &seed, Some(&outside)).unwrap();

    // Proofs of what is gone still come out of the tree, and what is asked for begins with what is there.
    let tree = LogTree::open(&folder).unwrap();
    let proof = tree.prove_inclusion(3, tree.size()).unwrap();
    verify_inclusion(&proof.leaf, 3, proof.size, &proof.hashes, &proof.root).unwrap();
    let reader = LogReader::open(&folder).unwrap();
    let first = find(&reader, &Filter::default()).unwrap().next().unwrap().unwrap().0.sequence;
    assert!(first > 3 && first == reader.first());

    let segment = reader.segments().unwrap()[0].number;
    fs::remove_file(folder.join(format!("{segment:010}.segment"))).unwrap();
    assert!(verify(&folder, &seed, None).is_err(), "one more is gone than was said");
}
