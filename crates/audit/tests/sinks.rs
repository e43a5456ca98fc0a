//! The contract of sinks, for each of them; and followers, which feed them through outages.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "servers live in real time")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress_audit::merkle::CompactRange;
use buttress_audit::query::Filter;
use buttress_audit::sink::{
    AnySink, BlobSink, Committed, Follower, FollowerConfig, LineSink, PostgresSink, Replica, Searchable,
    SinkConfig, Source, SqliteSink, contract,
};
use buttress_audit::{AuditConfig, Error, Log, LogOptions, SignedCheckpoint, Witness};
use buttress_connect::blobs::{Blobs, BlobsConfig};
use buttress_connect::{Address, ConnectionConfig};
use buttress_core::{Ctx, Probe, Vitality};
use buttress_testkit::{FaultProxy, Postgres, S3};

async fn folder(path: &Path, log: &str) -> BlobSink {
    let mut config = BlobsConfig::default();
    config.url = path.display().to_string();
    BlobSink::new(Blobs::open(&config, &ConnectionConfig::default()).await.unwrap(), log)
}

async fn sqlite(path: &Path, log: &str) -> SqliteSink {
    SqliteSink::open(&Address::sqlite(path), &ConnectionConfig::default(), log).await.unwrap()
}

#[tokio::test]
async fn lines_hold() {
    let there = tempfile::tempdir().unwrap();
    contract::holds(async |log| LineSink::open(&there.path().join(log)).unwrap()).await;
}

#[tokio::test]
async fn a_folder_holds() {
    let there = tempfile::tempdir().unwrap();
    contract::holds(async |log| folder(there.path(), log).await).await;
    contract::notices_another_history(async |log| folder(there.path(), log).await).await;
    let all = contract::history(1, 0..25);
    let sink = folder(there.path(), "put").await;
    assert_eq!(sink.read(7).await.unwrap(), all[7..10], "the bytes come back");
    assert_eq!(sink.read(25).await.unwrap(), []);
}

#[tokio::test]
async fn s3_holds() {
    let server = S3::start();
    server.create_bucket("audit");
    let open = async |log: &str| {
        let mut config = BlobsConfig::default();
        config.url = "s3://audit/logs".to_owned();
        config.s3.endpoint = Some(server.endpoint());
        config.s3.access_key_id = Some(S3::ACCESS_KEY_ID.to_owned());
        config.s3.secret_access_key = Some(S3::SECRET_ACCESS_KEY.to_owned());
        BlobSink::new(Blobs::open(&config, &ConnectionConfig::default()).await.unwrap(), log)
    };
    contract::holds(open).await;
    contract::notices_another_history(open).await;
}

#[tokio::test]
async fn sqlite_holds() {
    let there = tempfile::tempdir().unwrap();
    let path = there.path().join("audit.db");
    contract::holds(async |log| sqlite(&path, log).await).await;
    contract::notices_another_history(async |log| sqlite(&path, log).await).await;
    contract::answers_as_the_log_does(async |log| sqlite(&path, log).await).await;
}

#[tokio::test]
async fn postgres_holds() {
    let server = Postgres::start();
    let address: Address = server.url().parse().unwrap();
    let ctx = Ctx::default();
    let open = async |log: &str| {
        PostgresSink::connect(&address, &ConnectionConfig::default(), &ctx, log).await.unwrap()
    };
    contract::holds(open).await;
    contract::notices_another_history(open).await;
    contract::answers_as_the_log_does(open).await;
}

#[tokio::test]
async fn lines_cut_anywhere_are_written_again() {
    let there = tempfile::tempdir().unwrap();
    let path = there.path().join("log.jsonl");
    let all = contract::history(1, 0..6);
    LineSink::open(&path).unwrap().put(&all).await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(97) {
        std::fs::write(&path, &whole[..length]).unwrap();
        let sink = LineSink::open(&path).unwrap();
        let next = usize::try_from(sink.next().await.unwrap()).unwrap();
        assert_eq!(next, whole[..length].split(|byte| *byte == b'\n').count() - 1);
        sink.put(&all[next..]).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }
}

/// A log in memory, of which the first may be dropped.
#[derive(Clone, Default)]
struct Memory(Arc<(Mutex<Vec<Committed>>, AtomicU64)>);

impl Source for Memory {
    async fn committed(&self, first: u64, most: usize, _: usize) -> Result<Vec<Committed>, Error> {
        let from = first.max(self.0.1.load(Ordering::SeqCst));
        let all = self.0.0.lock().unwrap();
        Ok(all.iter().filter(|committed| committed.sequence() >= from).take(most).cloned().collect())
    }

    fn size(&self) -> u64 {
        self.0.0.lock().unwrap().len() as u64
    }
}

fn quick() -> FollowerConfig {
    let mut config = FollowerConfig::default();
    config.batch = 7;
    config.poll = Duration::from_millis(5);
    config.pause = Duration::from_millis(5);
    config.longest_pause = Duration::from_millis(20);
    config
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}");
}

#[tokio::test]
async fn a_sink_that_was_away_gets_everything_once() {
    let server = Postgres::start();
    let proxy = FaultProxy::to(server.addr());
    let address: Address =
        server.url().replace(&server.addr().to_string(), &proxy.addr().to_string()).parse().unwrap();
    let ctx = Ctx::default();
    let mut connection = ConnectionConfig::default();
    connection.timeout = Duration::from_secs(2);
    let sink = PostgresSink::connect(&address, &connection, &ctx, "log").await.unwrap();

    let log = Memory::default();
    let follower = Follower::start("archive", log.clone(), sink.clone(), &quick(), &ctx).unwrap();
    log.0.0.lock().unwrap().extend(contract::history(9, 0..50));
    until("it follows", || follower.standing().next == Some(50)).await;
    assert_eq!(follower.check().await, Vitality::Pass);

    proxy.refuse();
    proxy.cut();
    log.0.0.lock().unwrap().extend(contract::history(9, 50..300));
    until("it notices", || follower.standing().failures > 0).await;
    assert!(matches!(follower.check().await, Vitality::Warn(_)));
    assert!(follower.standing().behind >= 250);
    proxy.pass();
    until("it catches up", || follower.standing().next == Some(300)).await;
    assert_eq!(follower.check().await, Vitality::Pass);

    ctx.shutdown.stop();
    ctx.shutdown.finished().await;
    let found = sink.search(&Filter::default(), 1000).await.unwrap();
    let expected: Vec<_> =
        contract::history(9, 0..300).into_iter().map(|committed| committed.record).collect();
    assert_eq!(found.records, expected);
}

/// A sink that fails before or after it has written, as chance has it, and has to be asked then where it stands.
#[derive(Clone)]
struct Flaky(LineSink, Arc<AtomicU64>, Arc<AtomicBool>);

impl Flaky {
    fn fail(&self) -> Result<(), Error> {
        self.2.store(true, Ordering::SeqCst);
        Err(Error::SinkBroken)
    }
}

impl Replica for Flaky {
    async fn next(&self) -> Result<u64, Error> {
        if self.1.fetch_add(1, Ordering::SeqCst).is_multiple_of(5) {
            return Err(Error::SinkBroken);
        }
        self.2.store(false, Ordering::SeqCst);
        self.0.next().await
    }

    async fn put(&self, batch: &[Committed]) -> Result<(), Error> {
        let turn = self.1.fetch_add(1, Ordering::SeqCst);
        if self.2.load(Ordering::SeqCst) || turn.is_multiple_of(3) {
            return self.fail();
        }
        self.0.put(batch).await?;
        if turn.is_multiple_of(4) { self.fail() } else { Ok(()) }
    }
}

#[tokio::test]
async fn a_sink_that_fails_at_random_has_each_entry_once() {
    let there = tempfile::tempdir().unwrap();
    let path = there.path().join("log.jsonl");
    let log = Memory::default();
    log.0.0.lock().unwrap().extend(contract::history(3, 0..200));
    log.0.1.store(20, Ordering::SeqCst); // Retention was faster.
    let ctx = Ctx::default();
    let sink = Flaky(LineSink::open(&path).unwrap(), Arc::default(), Arc::default());
    let follower = Follower::start("flaky", log.clone(), sink, &quick(), &ctx).unwrap();
    until("it catches up", || follower.standing().next == Some(200)).await;
    until("it is well", || follower.standing().problem.is_none()).await;
    assert!(follower.standing().missed >= 20);
    let sequences: Vec<u64> = std::fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!(sequences, (20..200).collect::<Vec<_>>());
    ctx.shutdown.stop();
    ctx.shutdown.finished().await;
}

#[tokio::test]
async fn a_configuration_opens_its_sink_and_hides_passwords() {
    let there = tempfile::tempdir().unwrap();
    for place in ["sqlite", "lines", "folder"] {
        let text = format!(r#"{{"to": "{place}:{}/{place}", "log": "a"}}"#, there.path().display());
        let config: SinkConfig = serde_json::from_str(&text).unwrap();
        let sink = AnySink::open(&config, &Ctx::default()).await.unwrap();
        sink.put(&contract::history(1, 0..3)).await.unwrap();
        assert_eq!(sink.next().await.unwrap(), 3);
        let found = sink.search(&Filter::default(), 2).await.unwrap();
        assert_eq!(found.map(|page| page.next), (place == "sqlite").then_some(Some(2)));
        assert_eq!(
            serde_json::from_value::<SinkConfig>(serde_json::to_value(&config).unwrap()).unwrap(),
            config
        );
    }
    let config: SinkConfig = serde_json::from_str(r#"{"to": "postgres://a:hunter2@localhost/b"}"#).unwrap();
    assert!(!format!("{config:?} {}", config.to).contains("hunter2"));
    for text in [r#"{"to": "nowhere"}"#, r#"{"to": "stdin"}"#, r#"{"to": "ftp://x"}"#] {
        assert!(serde_json::from_str::<SinkConfig>(text).is_err(), "{text}");
    }
    let config: SinkConfig = serde_json::from_str(r#"{"log": "../x"}"#).unwrap();
    assert!(matches!(AnySink::open(&config, &Ctx::default()).await, Err(Error::Config(_))));
}

#[tokio::test]
async fn a_place_of_blobs_has_all_that_a_verifier_needs() {
    let there = tempfile::tempdir().unwrap();
    let (ctx, place) = (Ctx::default(), folder(&there.path().join("blobs"), "log").await);
    let options = LogOptions::new(&AuditConfig::new(there.path().join("log"))).witness(place.clone());
    let (log, _seed) = options.create(&ctx).await.unwrap();
    let follower = Follower::start("blobs", log.clone(), place.clone(), &quick(), &ctx).unwrap();
    for committed in contract::history(8, 0..30) {
        log.append(&committed.record.entry).await.unwrap();
    }
    let checkpoint = log.checkpoint().await.unwrap();
    until("it follows", || follower.standing().next == Some(30)).await;
    let name = there.path().join("blobs/log/checkpoint-00000000000000000030.note");
    until("the checkpoint is there", || name.exists()).await;
    let note: SignedCheckpoint = std::fs::read_to_string(&name).unwrap().parse().unwrap();
    assert_eq!(note, checkpoint);

    // Nothing but the blobs and the key.
    let root = note.verify(log.verifier()).unwrap().root;
    let mut tree = CompactRange::default();
    while let Some(last) = place.read(tree.size()).await.unwrap().into_iter().reduce(|before, after| {
        tree.push(before.leaf);
        after
    }) {
        tree.push(last.leaf);
    }
    assert_eq!((tree.size(), tree.root()), (30, root));

    place.publish(&checkpoint).await.unwrap();
    let (other, _seed) = Log::create(&AuditConfig::new(there.path().join("other")), &ctx).await.unwrap();
    for committed in contract::history(9, 0..30) {
        other.append(&committed.record.entry).await.unwrap();
    }
    assert!(place.publish(&other.checkpoint().await.unwrap()).await.is_err(), "it is another history");
    ctx.shutdown.stop();
    ctx.shutdown.finished().await;
}
