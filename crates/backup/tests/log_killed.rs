//! A process that writes a log and is killed at any moment loses nothing that was acknowledged, and who goes on leaves neither gap nor double.
//!
//! The test runs itself again as the process that is killed.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, missing_docs)]

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use buttress_backup::log::{Kind, Log, LogConfig, Piece};
use buttress_core::{Ctx, Random};
use secrecy::SecretString;

const FOLDER: &str = "BUTTRESS_BACKUP_LOG_KILLED";
const POINTS: u32 = 60;
const KIND: Kind = Kind(1000);

fn config(folder: &Path) -> LogConfig {
    let mut config = LogConfig::default();
    config.blobs.url = folder.display().to_string();
    config
}

fn password() -> SecretString {
    "correct horse battery staple".to_owned().into()
}

/// The process that is killed: it appends the numbers that follow the tip, as fast as it can.
#[tokio::test]
async fn child() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let log = Log::open(&config(Path::new(&folder)), &password(), &Ctx::default()).await.unwrap();
    let mut writer = log.writer(KIND, None).await.unwrap();
    loop {
        let first = writer.tip().map_or(0, |tip| tip.position.offset);
        let payload = first.to_string().repeat(50).into();
        let piece = Piece { epoch: 1, first, last: first + 1, time: SystemTime::UNIX_EPOCH, payload };
        writer.append(piece).await.unwrap();
        // In one call, so that a line is whole or not there.
        std::io::stdout().lock().write_all(format!("ack {first}\n").as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_each_kill() {
    let folder = tempfile::tempdir().unwrap();
    let random = Random::new(7);
    let log = Log::create(&config(folder.path()), &password(), &Ctx::default()).await.unwrap();
    let mut acknowledged = None;
    for point in 0..POINTS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ack = |line: String| line.split_once("ack ").and_then(|(_, number)| number.parse::<u64>().ok());
        let first = lines.by_ref().find_map(|line| ack(line.unwrap()));
        std::thread::sleep(Duration::from_micros(random.number() % 30_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let rest = lines.map_while(Result::ok).filter_map(ack);
        acknowledged = rest.chain(first).max().max(acknowledged);

        let mut segments = log.segments(1, None).await.unwrap();
        let mut next = 0;
        while let Some(segment) = segments.next().await.unwrap() {
            assert_eq!(segment.first.offset, next, "after kill {point}");
            assert_eq!(segment.payload, next.to_string().repeat(50));
            next += 1;
        }
        assert!(acknowledged.is_none_or(|last| last < next), "after kill {point}: {acknowledged:?}, {next}");
    }
    assert!(acknowledged > Some(u64::from(POINTS)), "it wrote something: {acknowledged:?}");
}
