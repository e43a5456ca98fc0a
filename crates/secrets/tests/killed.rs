//! A vault's writer is killed, again and again, wherever it happens to be: the file is always the one before or the one after.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "it waits in real time until it kills")]

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use buttress_core::{Ctx, Random, SystemClock};
use buttress_secrets::store::MemoryStore;
use buttress_secrets::vault::{KeySource, PassphraseCost, VaultStore};
use buttress_secrets::{Expect, Name, Secret, SecretStore, Stage, Step};

const FOLDER: &str = "BUTTRESS_TEST_KILLED_FOLDER";
const KILLS: usize = 500;

fn key(folder: &Path) -> KeySource {
    KeySource::KeyFile(folder.join("key"))
}

fn value(number: u64) -> Secret {
    // Of different lengths, up to some pages.
    Secret::from(format!("{number}-{}", "x".repeat(usize::try_from(number % 7).unwrap() * 3000)))
}

/// The write of that number, the same on every store: values that are put, and the steps of a rotation.
async fn write(store: &dyn SecretStore, number: u64) {
    let (put, rotated) = (Name::new("put").unwrap(), Name::new("rotated").unwrap());
    let seen = store.lifecycle(&rotated).await.unwrap();
    let Some(seen) = seen else {
        store.put(&rotated, &value(number), Expect::Nothing).await.unwrap();
        return;
    };
    if number.is_multiple_of(3) {
        store.put(&put, &value(number), Expect::Anything).await.unwrap();
        return;
    }
    let step = match (seen.previous, seen.next) {
        (Some(_), _) => Step::Retire,
        (None, Some(_)) => Step::Switch,
        (None, None) => Step::Create(value(number)),
    };
    store.rotate(&rotated, &seen, step).await.unwrap();
}

/// All that a store holds but the times.
async fn content(store: &dyn SecretStore) -> Vec<(String, Stage, u64, Vec<u8>)> {
    let mut found = Vec::new();
    for name in store.list(10).await.unwrap() {
        let versions = store.load(&name).await.unwrap().unwrap();
        for stage in [Stage::Current, Stage::Previous, Stage::Next] {
            if let Some(version) = versions.at(stage) {
                let value = version.secret.expose().to_vec();
                found.push((name.to_string(), stage, version.standing.version, value));
            }
        }
    }
    found
}

/// Not a test by itself: what the test below starts, and kills.
#[tokio::test]
#[ignore = "runs for ever; the other test starts it"]
async fn writer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let vault = VaultStore::open(&folder.join("vault"), key(folder), &Ctx::default()).await.unwrap();
    let mut number = vault.verify().await.unwrap().generation;
    loop {
        number += 1;
        write(&vault, number).await;
        // Acknowledged: from here on it may not be lost.
        let mut out = std::io::stdout();
        out.write_all(format!("done {number}.\n").as_bytes()).unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test]
async fn a_writer_that_is_killed_leaves_the_state_before_or_after() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), [5; 32]).unwrap();
    let path = folder.path().join("vault");
    let cost = PassphraseCost::default();
    let vault = VaultStore::create(&path, key(folder.path()), cost, &Ctx::default()).await.unwrap();
    let model = MemoryStore::new(SystemClock::shared());
    let (mut reached, mut unacknowledged) = (vault.verify().await.unwrap().generation, 0);
    let random = Random::seeded();
    for kill in 0..KILLS {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = writer.stdout.take().unwrap();
        let mut told = Vec::new();
        // Until it writes.
        while !told.windows(5).any(|part| part == b"done ") {
            let mut some = [0; 256];
            let length = out.read(&mut some).unwrap();
            assert!(
                length > 0,
                "kill {kill}: the writer ended by itself: {}",
                String::from_utf8_lossy(&told)
            );
            told.extend_from_slice(&some[..length]);
        }
        std::thread::sleep(Duration::from_micros(random.number() % 6000));
        writer.kill().unwrap();
        out.read_to_end(&mut told).unwrap();
        writer.wait().unwrap();
        let told = String::from_utf8(told).unwrap();
        let done = told.lines().rev().find_map(|line| line.split("done ").nth(1)?.strip_suffix('.'));
        let acknowledged: u64 = done.map_or(reached, |number| number.parse().unwrap());

        // Another process, so nothing of it is in memory.
        let again = VaultStore::open(&path, key(folder.path()), &Ctx::default()).await.unwrap();
        let generation = again.verify().await.unwrap().generation;
        assert!(
            generation >= acknowledged,
            "kill {kill}: {acknowledged} was acknowledged, {generation} is there"
        );
        assert!(generation <= acknowledged + 1, "kill {kill}: {generation} is there, after {acknowledged}");
        unacknowledged += usize::from(generation > acknowledged);
        for number in reached + 1..=generation {
            write(&model, number).await;
        }
        reached = generation;
        assert!(content(&again).await == content(&model).await, "kill {kill}: generation {generation}");
    }
    // Otherwise it was never killed in the middle of anything.
    println!(
        "{KILLS} kills, {reached} writes; the last write of {unacknowledged} was there and not acknowledged"
    );
    assert!(reached > 500 && unacknowledged > 0);
}
