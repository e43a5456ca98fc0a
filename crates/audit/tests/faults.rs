//! Disks that are full, that fail and that forget: nothing that was acknowledged is lost, and the log goes on once they are well.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use buttress_audit::verify::{VerifyOptions, verify};
use buttress_audit::{
    AuditConfig, Disk, DiskFile, Entry, Error, FssSeed, Log, LogOptions, LogReader, OnFull, RealDisk, Receipt,
};
use buttress_core::{ByteSize, Ctx, Event, Outcome, Probe, Random, Sink, TestClock, Vitality};

/// What a disk does wrong. What was written since the last sync that succeeded is gone when a sync fails, as pages are.
#[derive(Debug, Default)]
struct Faults {
    /// Bytes that fit.
    room: AtomicU64,
    full: AtomicBool,
    sync_fails: AtomicBool,
    next_sync_fails: AtomicBool,
    /// How many syncs there were, and which of them fail, as bits.
    syncs: AtomicU64,
    fail_syncs: AtomicU64,
    /// One write in so many fails, or comes short; one sync in so many fails.
    one_in: AtomicU64,
    seed: Mutex<Option<Random>>,
    failures: AtomicU64,
}

#[derive(Debug, Clone)]
struct FaultyDisk(Arc<Faults>);

#[derive(Debug)]
struct FaultyFile {
    path: PathBuf,
    inner: Box<dyn DiskFile>,
    faults: Arc<Faults>,
    unsynced: Mutex<Vec<(u64, usize)>>,
}

impl Faults {
    fn strikes(&self) -> bool {
        let one_in = self.one_in.load(Ordering::Relaxed);
        let struck = one_in > 0
            && self.seed.lock().unwrap().get_or_insert_with(Random::seeded).number().is_multiple_of(one_in);
        self.failures.fetch_add(u64::from(struck), Ordering::Relaxed);
        struck
    }
}

impl FaultyDisk {
    fn new() -> (Self, Arc<Faults>) {
        let faults = Arc::new(Faults::default());
        (Self(Arc::clone(&faults)), faults)
    }

    fn wrap(&self, path: &Path, inner: io::Result<Box<dyn DiskFile>>) -> io::Result<Box<dyn DiskFile>> {
        let file = FaultyFile {
            path: path.to_owned(),
            inner: inner?,
            faults: Arc::clone(&self.0),
            unsynced: Mutex::default(),
        };
        Ok(Box::new(file))
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        if self.0.strikes() {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.wrap(path, RealDisk.create(path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.wrap(path, RealDisk.open(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        if self.0.strikes() { Err(io::Error::from_raw_os_error(5)) } else { RealDisk.sync_folder(path) }
    }
}

impl DiskFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let faults = &self.faults;
        let full = faults.full.load(Ordering::Relaxed) && {
            let room = faults.room.load(Ordering::Relaxed);
            faults.room.store(room.saturating_sub(bytes.len() as u64), Ordering::Relaxed);
            room < bytes.len() as u64
        };
        let fails = full || faults.strikes();
        // A write that fails has written some of it.
        let written = if fails { &bytes[..bytes.len() / 2] } else { bytes };
        self.inner.write_at(written, offset)?;
        self.unsynced.lock().unwrap().push((offset, written.len()));
        match (full, fails) {
            (true, _) => Err(io::ErrorKind::StorageFull.into()),
            (_, true) => Err(io::Error::from_raw_os_error(5)),
            _ => Ok(()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let unsynced = std::mem::take(&mut *self.unsynced.lock().unwrap());
        let next = self.faults.next_sync_fails.swap(false, Ordering::Relaxed);
        let number = self.faults.syncs.fetch_add(1, Ordering::Relaxed);
        let next = next || (number < 64 && self.faults.fail_syncs.load(Ordering::Relaxed) >> number & 1 == 1);
        if next || self.faults.sync_fails.load(Ordering::Relaxed) || self.faults.strikes() {
            // The pages are marked clean and are not on the disk: a later sync succeeds and brings nothing back.
            for (offset, length) in unsynced {
                self.inner.write_at(&vec![0; length], offset)?;
            }
            return Err(io::Error::from_raw_os_error(5));
        }
        assert!(self.path.is_absolute());
        self.inner.sync()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        if self.faults.strikes() {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.inner.truncate(length)
    }
}

fn entry(n: u64) -> Entry {
    Entry::new(SystemTime::UNIX_EPOCH + Duration::from_secs(n), "test.run", Outcome::Success)
        .actor(n.to_string())
}

fn config(folder: &Path) -> AuditConfig {
    let mut config = AuditConfig::new(folder);
    config.segment = ByteSize::kib(8);
    config.checkpoint_entries = 25;
    config
}

/// Every acknowledged entry is there under its number, and the log verifies.
fn check(folder: &Path, seed: &FssSeed, acknowledged: &[(Receipt, Entry)]) {
    let report = verify(folder, &VerifyOptions::new().seed(seed.clone())).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    let reader = LogReader::open(folder).unwrap();
    let read: Vec<_> = reader.read(0).unwrap().map(Result::unwrap).collect();
    for (receipt, entry) in acknowledged {
        let (record, leaf) = &read[usize::try_from(receipt.sequence).unwrap()];
        assert_eq!((&record.entry, *leaf), (entry, receipt.leaf_hash));
    }
}

#[tokio::test]
async fn one_write_or_sync_in_a_hundred_fails_and_nothing_acknowledged_is_lost() {
    for one_in in [100, 12] {
        let folder = tempfile::tempdir().unwrap();
        let (disk, faults) = FaultyDisk::new();
        let (mut acknowledged, mut refused) = (Vec::new(), 0);
        let (log, seed) = LogOptions::new(&config(folder.path()))
            .disk(Arc::new(disk.clone()))
            .create(&Ctx::default())
            .await
            .unwrap();
        faults.one_in.store(one_in, Ordering::Relaxed);
        for n in 0..600 {
            let entry = entry(n);
            match log.append(&entry).await {
                Ok(receipt) => acknowledged.push((receipt, entry)),
                Err(Error::Disk { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        // Not in order: that is how it is left, with a disk that still fails.
        let _ = log.close().await;
        assert!(faults.failures.load(Ordering::Relaxed) > 5);
        assert!(acknowledged.len() > 450, "{refused} refused");
        check(folder.path(), &seed, &acknowledged);
        faults.one_in.store(0, Ordering::Relaxed);
        let log =
            LogOptions::new(&config(folder.path())).disk(Arc::new(disk)).open(&Ctx::default()).await.unwrap();
        acknowledged.push((log.append(&entry(7)).await.unwrap(), entry(7)));
        log.close().await.unwrap();
        check(folder.path(), &seed, &acknowledged);
    }
}

#[tokio::test]
async fn an_fsync_that_fails_is_not_tried_again_on_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, faults) = FaultyDisk::new();
    let (log, seed) =
        LogOptions::new(&config(folder.path())).disk(Arc::new(disk)).create(&Ctx::default()).await.unwrap();
    let mut acknowledged = vec![(log.append(&entry(0)).await.unwrap(), entry(0))];
    faults.sync_fails.store(true, Ordering::Relaxed);
    assert!(matches!(log.append(&entry(1)).await, Err(Error::Disk { doing: "begin" | "sync", .. })));
    assert!(matches!(log.probe().check().await, Vitality::Fail(_)));
    faults.sync_fails.store(false, Ordering::Relaxed);
    acknowledged.push((log.append(&entry(2)).await.unwrap(), entry(2)));
    assert_eq!(acknowledged[1].0.sequence, 1);
    assert_eq!(log.probe().check().await, Vitality::Pass);
    // One failure is made good without anybody being told: the same entry, in another file.
    faults.next_sync_fails.store(true, Ordering::Relaxed);
    acknowledged.push((log.append(&entry(3)).await.unwrap(), entry(3)));
    log.close().await.unwrap();
    let firsts: Vec<u64> =
        log.reader().unwrap().segments().unwrap().iter().map(|segment| segment.first).collect();
    assert_eq!(firsts, [0, 1, 2]);
    check(folder.path(), &seed, &acknowledged);
}

#[tokio::test]
async fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, faults) = FaultyDisk::new();
    let (log, seed) =
        LogOptions::new(&config(folder.path())).disk(Arc::new(disk)).create(&Ctx::default()).await.unwrap();
    faults.room.store(20_000, Ordering::Relaxed);
    faults.full.store(true, Ordering::Relaxed);
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    for n in 0..300 {
        match log.append(&entry(n)).await {
            Ok(receipt) => acknowledged.push((receipt, entry(n))),
            Err(error) => {
                assert!(matches!(error, Error::Disk { .. }), "{error}");
                refused += 1;
            }
        }
        if n == 250 {
            faults.full.store(false, Ordering::Relaxed);
        }
    }
    assert!(refused > 10 && acknowledged.len() > 60, "{refused} refused");
    let files = fs::read_dir(folder.path()).unwrap().count();
    assert!(files < 30, "a disk that is full is not filled with files: {files}");
    log.close().await.unwrap();
    check(folder.path(), &seed, &acknowledged);
}

fn event(n: u64) -> Event {
    Event::new(SystemTime::UNIX_EPOCH, "test.emit", Outcome::Success)
        .actor(n.to_string())
        .detail("x".repeat(900))
}

fn actors(log: &Log) -> Vec<u64> {
    let reader = log.reader().unwrap();
    reader.read(0).unwrap().map(|read| read.unwrap().0.entry.actor.unwrap().parse().unwrap()).collect()
}

/// Waits until so many entries are there; the clock is moved on, since another attempt comes by time.
async fn grown(log: &Log, clock: &TestClock, size: u64) {
    for _ in 0..20_000 {
        if log.size() >= size {
            return;
        }
        clock.advance(Duration::from_millis(500));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{} of {size} entries", log.size());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_emits_is_blocked_while_the_disk_fails_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, faults) = FaultyDisk::new();
    let clock = TestClock::new();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let mut config = config(folder.path());
    config.queue = ByteSize::kib(64);
    let (log, seed) = LogOptions::new(&config).disk(Arc::new(disk)).create(&ctx).await.unwrap();
    faults.full.store(true, Ordering::Relaxed);
    let sink = log.sink();
    let emitted = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&emitted);
    let emitting = std::thread::spawn(move || {
        for n in 0..200 {
            sink.emit(event(n));
            counting.fetch_add(1, Ordering::Relaxed);
        }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!((1..200).contains(&emitted.load(Ordering::Relaxed)), "the queue has room for 32");
    assert_eq!(log.size(), 0);
    assert!(matches!(log.probe().check().await, Vitality::Fail(_)));
    faults.full.store(false, Ordering::Relaxed);
    grown(&log, &clock, 200).await;
    emitting.join().unwrap();
    assert_eq!(actors(&log), (0..200).collect::<Vec<_>>());
    assert_eq!(log.probe().check().await, Vitality::Pass);
    log.close().await.unwrap();
    check(folder.path(), &seed, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_room_is_spilled_and_logged_in_order_also_by_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, faults) = FaultyDisk::new();
    let clock = TestClock::new();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let mut config = config(folder.path());
    config.queue = ByteSize::kib(64);
    config.on_full = OnFull::Spill;
    config.spill = ByteSize::kib(512);
    let options = || LogOptions::new(&config).disk(Arc::new(disk.clone()));
    let (log, seed) = options().create(&ctx).await.unwrap();
    faults.sync_fails.store(true, Ordering::Relaxed);
    for n in 0..300 {
        log.sink().emit(event(n));
    }
    assert_eq!(log.size(), 0);
    let spilled = fs::metadata(folder.path().join("spill")).unwrap().len();
    assert!(spilled > 200_000, "{spilled}");
    faults.sync_fails.store(false, Ordering::Relaxed);
    grown(&log, &clock, 300).await;
    assert_eq!(actors(&log), (0..300).collect::<Vec<_>>());
    // The process ends while something waits in the file: what was in the queue is told of, the file is for the next.
    faults.sync_fails.store(true, Ordering::Relaxed);
    for n in 300..400 {
        log.sink().emit(event(n));
    }
    let _ = log.close().await;
    let lost = match log.probe().check().await {
        Vitality::Fail(_) => 400 - 300,
        other => panic!("{other:?}"),
    };
    faults.sync_fails.store(false, Ordering::Relaxed);
    let log = options().open(&ctx).await.unwrap();
    grown(&log, &clock, 330).await;
    for _ in 0..100 {
        clock.advance(Duration::from_millis(500));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let after = actors(&log).split_off(300);
    assert!(after.len() >= 30 && after.len() <= lost);
    assert!(after.iter().is_sorted() && after.last() == Some(&399), "{after:?}");
    assert!(!folder.path().join("spill").exists());
    log.close().await.unwrap();
    check(folder.path(), &seed, &[]);
}

#[tokio::test]
async fn an_event_that_can_be_kept_nowhere_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, faults) = FaultyDisk::new();
    let mut config = config(folder.path());
    config.queue = ByteSize::kib(64);
    config.on_full = OnFull::Spill;
    config.spill = ByteSize::kib(64);
    let (log, _) = LogOptions::new(&config).disk(Arc::new(disk)).create(&Ctx::default()).await.unwrap();
    faults.full.store(true, Ordering::Relaxed);
    let sink = log.sink();
    for n in 0..100 {
        sink.emit(event(n));
    }
    faults.full.store(false, Ordering::Relaxed);
    log.append(&entry(0)).await.unwrap();
    match log.probe().check().await {
        Vitality::Warn(told) => assert!(told.contains("events could not be logged"), "{told}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_event_that_is_too_long_is_cut_and_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::create(&AuditConfig::new(folder.path()), &Ctx::default()).await.unwrap();
    log.sink().emit(event(1).detail("\u{fc}".repeat(100_000)).actor("someone"));
    assert_eq!(log.grown_past(0).await, 1);
    let record = log.reader().unwrap().get(0).unwrap();
    assert_eq!((record.entry.detail.unwrap().len(), record.entry.actor.as_deref()), (512, Some("someone")));
    assert!(record.entry.data.contains_key("cut"));
}

/// Every sync of a seal, its checkpoint and its key fails in turn, and then the one after it too.
#[tokio::test]
async fn a_sync_that_fails_while_the_log_is_sealed_takes_no_key() {
    for fail in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let (disk, faults) = FaultyDisk::new();
        let options = || LogOptions::new(&config(folder.path())).disk(Arc::new(disk.clone()));
        let (log, seed) = options().create(&Ctx::default()).await.unwrap();
        let mut acknowledged = vec![(log.append(&entry(0)).await.unwrap(), entry(0))];
        faults.syncs.store(0, Ordering::Relaxed);
        faults.fail_syncs.store(0b11 << fail, Ordering::Relaxed);
        for _ in 0..3 {
            let _ = log.checkpoint().await;
        }
        assert_eq!(log.checkpoint().await.unwrap().checkpoint().size, 1);
        assert!(faults.syncs.load(Ordering::Relaxed) > 4);
        log.close().await.unwrap();
        let log = options().open(&Ctx::default()).await.unwrap();
        acknowledged.push((log.append(&entry(1)).await.unwrap(), entry(1)));
        log.close().await.unwrap();
        check(folder.path(), &seed, &acknowledged);
    }
}
