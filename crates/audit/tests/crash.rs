//! A process that is killed at any moment loses nothing that it acknowledged.
//!
//! The test runs itself again as the process that is killed. Each acknowledgement goes over a pipe once `append` has answered; what was
//! written to it counts, whenever the kill comes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test waits in real time, and its child tells"
)]

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use buttress_audit::verify::{VerifyOptions, verify};
use buttress_audit::{AuditConfig, Entry, FssSeed, Hash, Log, LogReader};
use buttress_core::{ByteSize, Ctx, Outcome, Random};

const FOLDER: &str = "BUTTRESS_AUDIT_CRASH_FOLDER";
const ROUND: &str = "BUTTRESS_AUDIT_CRASH_ROUND";
const POINTS: u64 = 500;
/// A log is left after so many kills, so that reading it does not take longer and longer.
const KILLS_OF_A_LOG: u64 = 50;
/// No more time than this, whatever the machine is busy with; how many points that were is asserted to be many.
const LIMIT: Duration = Duration::from_secs(150);

fn config(folder: &Path) -> AuditConfig {
    let mut config = AuditConfig::new(folder);
    config.segment = ByteSize::kib(16);
    config.checkpoint_every = Duration::from_millis(20);
    config.checkpoint_entries = 50;
    config
}

fn entry(round: u64, task: u64, n: u64) -> Entry {
    let actor = format!("{round}-{task}-{n}");
    Entry::new(SystemTime::UNIX_EPOCH, "test.run", Outcome::Success)
        .actor(actor)
        .detail("x".repeat(usize::try_from(n % 300).unwrap()))
}

/// The process that is killed: eight tasks append as fast as they can.
#[test]
fn child() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let round: u64 = env::var(ROUND).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let log = Log::open(&config(&PathBuf::from(folder)), &Ctx::default()).await.unwrap();
        let tasks = (0..8).map(|task| {
            let log = log.clone();
            tokio::spawn(async move {
                for n in 0.. {
                    let receipt = log.append(&entry(round, task, n)).await.unwrap();
                    let told = format!("ack {} {} {round}-{task}-{n}\n", receipt.sequence, receipt.leaf_hash);
                    // In one call, so that a line is whole or not there.
                    std::io::stdout().lock().write_all(told.as_bytes()).unwrap();
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
}

/// Runs the child, kills it some time after its first acknowledgement or even before, and answers what it acknowledged.
fn killed(folder: &Path, round: u64, after: Duration) -> Vec<(u64, Hash, String)> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let reading = std::thread::spawn(move || {
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let acks = lines.filter_map(|line| {
            let (_, ack) = line.split_once("ack ")?;
            let mut words = ack.split(' ');
            let (sequence, hash) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            Some((sequence, hash, words.next()?.to_owned()))
        });
        acks.collect()
    });
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    reading.join().unwrap()
}

fn check(folder: &Path, seed: &FssSeed, acknowledged: &BTreeMap<u64, (Hash, String)>) -> u64 {
    let report = verify(folder, &VerifyOptions::new().seed(seed.clone())).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    let reader = LogReader::open(folder).unwrap();
    let mut left = acknowledged.iter().peekable();
    for (n, read) in (0..).zip(reader.read(0).unwrap()) {
        let (record, leaf) = read.unwrap();
        assert_eq!(record.sequence, n);
        if let Some((_, (hash, actor))) = left.next_if(|(sequence, _)| **sequence == n) {
            assert_eq!((leaf, record.entry.actor.as_deref()), (*hash, Some(actor.as_str())), "entry {n}");
        }
    }
    assert_eq!(left.next(), None, "an acknowledged entry is not there");
    report.size
}

#[test]
fn killed_anywhere_it_keeps_what_it_acknowledged() {
    let random = Random::seeded();
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut points, mut total, mut entries, mut before_any) = (0, 0, 0, 0);
    while points < POINTS && began.elapsed() < LIMIT {
        let folder = tempfile::tempdir().unwrap();
        let seed = runtime.block_on(async {
            let (log, seed) = Log::create(&config(folder.path()), &Ctx::default()).await.unwrap();
            log.close().await.unwrap();
            seed
        });
        let mut acknowledged = BTreeMap::new();
        for kill in 1..=KILLS_OF_A_LOG {
            let after = Duration::from_micros(3_000 + random.number() % 80_000);
            let acks = killed(folder.path(), points, after);
            before_any += u64::from(acks.is_empty());
            for (sequence, hash, actor) in acks {
                let before = acknowledged.insert(sequence, (hash, actor));
                assert_eq!(before, None, "entry {sequence} was acknowledged twice");
            }
            points += 1;
            if kill % 10 == 0 {
                entries += check(folder.path(), &seed, &acknowledged);
            }
        }
        total += acknowledged.len();
    }
    println!(
        "{points} kills ({before_any} before any entry), {total} acknowledged, {entries} entries read, 0 lost"
    );
    assert!(points >= POINTS / 2 && total > 1_000);
}
