//! A log through its public face.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use buttress_audit::{
    AuditConfig, Entry, Error, FileWitness, Log, LogOptions, LogReader, NoteSigner, Receipt,
    SignedCheckpoint, Witness,
};
use buttress_core::{BoxFuture, ByteSize, Clock, Ctx, Outcome, Probe, TestClock, Vitality};

fn entry(n: u64) -> Entry {
    Entry::new(SystemTime::UNIX_EPOCH + Duration::from_secs(n), "test.run", Outcome::Success)
        .actor("user-1")
        .with("n", i64::try_from(n).unwrap())
}

fn config(folder: &Path) -> AuditConfig {
    let mut config = AuditConfig::new(folder);
    config.segment = ByteSize::kib(4);
    config
}

async fn fill(log: &Log, count: u64) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    for n in 0..count {
        receipts.push(log.append(&entry(n)).await.unwrap());
    }
    receipts
}

#[tokio::test]
async fn what_was_appended_is_read_and_proved_also_after_it_was_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let ctx = Ctx::default();
    let (log, _seed) = Log::create(&config(folder.path()), &ctx).await.unwrap();
    let mut receipts = fill(&log, 100).await;
    let early = log.checkpoint().await.unwrap();
    log.close().await.unwrap();
    assert!(matches!(log.append(&entry(0)).await, Err(Error::Closed)));
    drop(log);

    let log = Log::open(&config(folder.path()), &ctx).await.unwrap();
    assert_eq!(log.size(), 100);
    receipts.extend(fill(&log, 57).await);
    let late = log.checkpoint().await.unwrap();
    assert_eq!((late.checkpoint().size, log.latest_checkpoint()), (157, Some(late.clone())));
    let verified = late.verify(log.verifier()).unwrap();
    let consistency = log.prove_consistency(100, 157).unwrap();
    consistency.verify(early.checkpoint(), verified).unwrap();
    for (n, receipt) in (0..).zip(&receipts) {
        assert_eq!(receipt.sequence, n);
        let proof = log.prove_inclusion(n, 157).unwrap();
        proof.verify(&receipt.leaf_hash, verified).unwrap();
    }
    let reader = log.reader().unwrap();
    assert!(reader.segments().unwrap().len() > 3);
    let read: Vec<_> = reader.read(0).unwrap().map(Result::unwrap).collect();
    assert_eq!(read.len(), 157);
    for ((record, leaf), receipt) in read.iter().zip(&receipts) {
        assert_eq!((record.sequence, *leaf), (receipt.sequence, receipt.leaf_hash));
        assert_eq!(
            record.entry,
            entry(if record.sequence < 100 { record.sequence } else { record.sequence - 100 })
        );
    }
    assert_eq!(reader.get(101).unwrap().entry, entry(1));
    assert!(reader.get(157).is_err());
}

#[tokio::test]
async fn many_share_one_fsync_and_keep_their_own_receipts() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::create(&AuditConfig::new(folder.path()), &Ctx::default()).await.unwrap();
    let mut tasks = Vec::new();
    for task in 0..64 {
        let log = log.clone();
        tasks.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            for n in 0..20 {
                mine.push((log.append(&entry(task * 100 + n)).await.unwrap(), entry(task * 100 + n)));
            }
            mine
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        let mine = task.await.unwrap();
        assert!(mine.is_sorted_by_key(|(receipt, _)| receipt.sequence));
        all.extend(mine);
    }
    all.sort_by_key(|(receipt, _)| receipt.sequence);
    let reader = log.reader().unwrap();
    for ((record, leaf), (receipt, entry)) in reader.read(0).unwrap().map(Result::unwrap).zip(&all) {
        assert_eq!((record.sequence, &record.entry), (receipt.sequence, entry));
        assert_eq!(leaf, receipt.leaf_hash);
    }
    assert_eq!(log.size(), 64 * 20);
}

#[tokio::test]
async fn one_writer_at_a_time_and_a_lock_that_is_left_is_no_lock() {
    let folder = tempfile::tempdir().unwrap();
    let (config, ctx) = (AuditConfig::new(folder.path()), Ctx::default());
    assert!(matches!(Log::open(&config, &ctx).await, Err(Error::Missing { .. })));
    let (log, _) = Log::create(&config, &ctx).await.unwrap();
    assert!(matches!(Log::open(&config, &ctx).await, Err(Error::Locked { .. })));
    log.close().await.unwrap();
    // The file is still there.
    assert!(folder.path().join("lock").exists());
    let log = Log::open(&config, &ctx).await.unwrap();
    log.close().await.unwrap();
    assert!(matches!(Log::create(&config, &ctx).await, Err(Error::Exists { .. })));
}

#[tokio::test]
async fn order_is_by_sequence_and_a_step_of_the_clock_can_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let (log, _) = Log::create(&AuditConfig::new(folder.path()), &ctx).await.unwrap();
    log.append(&entry(0)).await.unwrap();
    clock.advance(Duration::from_secs(10));
    clock.set_wall(clock.wall() - Duration::from_hours(1));
    log.append(&entry(1)).await.unwrap();
    let read: Vec<_> = log.reader().unwrap().read(0).unwrap().map(|read| read.unwrap().0).collect();
    assert_eq!((read[0].sequence, read[1].sequence), (0, 1));
    assert!(read[1].recorded < read[0].recorded);
    assert_eq!(read[1].ticks, read[0].ticks + Duration::from_secs(10));
}

#[tokio::test]
async fn checkpoints_come_by_time_and_by_count_and_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let mut config = AuditConfig::new(folder.path());
    config.checkpoint_entries = 10;
    let signer = NoteSigner::from_seed("example.com/audit", &[3; 32]).unwrap();
    let (log, _) = LogOptions::new(&config).signer(signer).create(&ctx).await.unwrap();
    let size = |log: &Log| log.latest_checkpoint().map_or(0, |signed| signed.checkpoint().size);
    fill(&log, 9).await;
    assert_eq!(size(&log), 0);
    fill(&log, 1).await;
    while size(&log) < 10 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    fill(&log, 1).await;
    while size(&log) < 11 {
        clock.advance(Duration::from_secs(61));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    fill(&log, 1).await;
    ctx.shutdown.stop();
    ctx.shutdown.finished().await;
    assert_eq!(size(&log), 12);
    assert_eq!(log.verifier().name(), "example.com/audit");
    assert!(matches!(log.append(&entry(1)).await, Err(Error::Closed)));
    assert!(!folder.path().join("checkpoint.key").exists());
}

#[tokio::test]
async fn an_entry_over_a_limit_is_refused_and_the_log_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::create(&AuditConfig::new(folder.path()), &Ctx::default()).await.unwrap();
    let long = entry(0).detail("x".repeat(70_000));
    assert!(matches!(log.append(&long).await, Err(Error::TooLong { limit: 65_536, .. })));
    assert!(matches!(log.append(&entry(0).with("n", f64::NAN)).await, Err(Error::Entry { .. })));
    assert_eq!(log.append(&entry(0)).await.unwrap().sequence, 0);
    assert!(matches!(log.prove_inclusion(1, 1), Err(Error::NotThere { .. })));
    assert!(matches!(log.prove_inclusion(0, 2), Err(Error::NotThere { .. })));
}

#[tokio::test]
async fn a_reader_elsewhere_follows_the_writer_over_segments() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::create(&config(folder.path()), &Ctx::default()).await.unwrap();
    let path = folder.path().to_owned();
    let following = tokio::task::spawn_blocking(move || {
        let mut next = 0;
        while next < 600 {
            let reader = LogReader::open(&path).unwrap();
            for read in reader.read(next).unwrap() {
                assert_eq!(read.unwrap().0.sequence, next);
                next += 1;
            }
        }
    });
    let log = Arc::new(log);
    fill(&log, 600).await;
    following.await.unwrap();
    assert_eq!(log.grown_past(599).await, 600);
}

#[tokio::test]
async fn a_torn_end_is_cut_when_it_is_opened_and_a_hole_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::create(&AuditConfig::new(folder.path()), &Ctx::default()).await.unwrap();
    fill(&log, 3).await;
    // As a crash leaves it: neither sealed nor signed.
    let opened = async |change: &dyn Fn(&mut Vec<u8>)| {
        let copy = tempfile::tempdir().unwrap();
        for name in ["log", "checkpoint.key", "seal.key", "0000000001.segment"] {
            std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
        }
        let path = copy.path().join("0000000001.segment");
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        let opened = Log::open(&AuditConfig::new(copy.path()), &Ctx::default()).await;
        let left = std::fs::read(&path).unwrap().len();
        (opened.map(|log| log.size()), bytes.len() - left)
    };
    let whole = std::fs::read(folder.path().join("0000000001.segment")).unwrap().len();
    let frame = (whole - 172) / 3;
    assert_eq!(opened(&|_| ()).await.0.unwrap(), 3);
    for torn in [1, 40, frame - 1] {
        let (size, cut) = opened(&|bytes| bytes.truncate(whole - torn)).await;
        assert_eq!((size.unwrap(), cut), (2, frame - torn));
    }
    // Only the last group may have been torn.
    assert_eq!(opened(&|bytes| bytes[172 + 2 * frame + 50] ^= 1).await.0.unwrap(), 2);
    for (at, entry) in [(50, 0), (5, 0), (frame + 50, 1)] {
        let (refused, cut) = opened(&|bytes| bytes[172 + at] ^= 1).await;
        let told = refused.unwrap_err().to_string();
        assert!(told.contains(&format!("entry {entry}")) && told.contains("verify"), "{told}");
        assert_eq!(cut, 0, "what is there is left as it is");
    }
}

/// Does not take the first checkpoint that it is told.
#[derive(Debug, Default)]
struct Stubborn(Arc<Mutex<Vec<u64>>>);

impl Witness for Stubborn {
    fn publish<'a>(
        &'a self,
        checkpoint: &'a SignedCheckpoint,
    ) -> BoxFuture<'a, Result<(), Box<dyn std::error::Error + Send + Sync>>> {
        Box::pin(async move {
            let mut told = self.0.lock().unwrap();
            told.push(checkpoint.checkpoint().size);
            if told.len() == 1 { Err("not now".into()) } else { Ok(()) }
        })
    }
}

#[tokio::test]
async fn witnesses_are_told_the_latest_checkpoint_until_they_take_it() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let config = AuditConfig::new(folder.path().join("log"));
    let (told, file) = (Arc::default(), folder.path().join("witness"));
    let options =
        LogOptions::new(&config).witness(Stubborn(Arc::clone(&told))).witness(FileWitness::new(&file));
    let (log, _) = options.create(&ctx).await.unwrap();
    fill(&log, 2).await;
    log.checkpoint().await.unwrap();
    while told.lock().unwrap().is_empty() || log.probe().check().await == Vitality::Pass {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let Vitality::Warn(warning) = log.probe().check().await else {
        unreachable!("it is well but for the witness")
    };
    assert!(warning.contains("not now"), "{warning}");
    while log.probe().check().await != Vitality::Pass {
        clock.advance(Duration::from_secs(11));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(*told.lock().unwrap(), [2, 2]);
    fill(&log, 1).await;
    ctx.shutdown.stop();
    ctx.shutdown.finished().await;
    // That of the end is told, too.
    assert_eq!(*told.lock().unwrap(), [2, 2, 3]);
    let notes = std::fs::read_to_string(file).unwrap();
    assert!(notes.ends_with(&format!("{}\n", log.latest_checkpoint().unwrap())));
}
