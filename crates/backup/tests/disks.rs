//! Disks that cannot be read in one place, or not be written.
#![cfg(feature = "cli")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test"
)]

mod support;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress_backup::store::faulty::{Faults, Faulty, Kill, Refusal, is_kill};
use buttress_backup::store::{DynStore, Existing, Folder, Listed, Store};
use buttress_backup::{
    BackupJob, CheckDepth, Error, Id, Object, ObjectKind, Progress, Repository, RestoreJob, Snapshot,
};
use buttress_core::{Classify, Ctx, ErrorClass, TestClock};
use buttress_testkit::Random;
use bytes::Bytes;
use support::memory::{Exchange, Memory};
use support::{Bench, noise, password, picture};

/// Something mounted over a path, for as long as it lives. Needs root.
struct Mounted(PathBuf);

impl Mounted {
    fn new(arguments: &[&str], at: &Path) -> Self {
        let mounted = Command::new("mount").args(arguments).arg(at).status().expect("`mount` runs");
        assert!(
            mounted.success(),
            "cannot mount: run the tests as root, or in `unshare --map-root-user --mount`"
        );
        Self(at.to_owned())
    }

    /// A file at this path that fails with EIO when it is read, as one does on a broken disk: the first page of a process.
    fn broken(at: &Path) -> Self {
        let memory = format!("/proc/{}/mem", std::process::id());
        assert_eq!(fs::read(&memory).unwrap_err().raw_os_error(), Some(5), "EIO");
        Self::new(&["--bind", &memory], at)
    }

    /// Lets nothing be written below this path.
    fn read_only(at: &Path) -> Self {
        let mounted = Self::new(&["--bind", at.to_str().unwrap()], at);
        let again = Command::new("mount").args(["-o", "remount,bind,ro"]).arg(at).status().unwrap();
        assert!(again.success());
        mounted
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn fill(files: &Path) {
    fs::create_dir_all(files.join("a")).unwrap();
    for (number, name) in ["1", "2", "a/3", "a/4"].into_iter().enumerate() {
        fs::write(files.join(name), noise(&mut Random::new(number as u64), 50_000)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_the_disk_cannot_read_is_named_and_the_rest_is_there() {
    let bench = Bench::new().await;
    fill(&bench.files());
    let before = bench.repository.backup(bench.job()).await.unwrap().snapshot;
    let (bad, expected) = (bench.files().join("a/3"), picture(&bench.files()));
    // Something of it is new, so that it is not taken from the snapshot before.
    fs::write(bench.files().join("2"), "changed").unwrap();
    let broken = Mounted::broken(&bad);
    for reread in [false, true] {
        let job = if reread { bench.job().reread() } else { bench.job() };
        let error = bench.repository.backup(job).await.unwrap_err();
        let Error::Incomplete { done, failures } = error else { panic!("{error}") };
        assert!(done.ends_with("was made"), "{done}");
        assert_eq!(failures.len(), 1, "{failures:?}");
        assert_eq!(Path::new(&failures[0].of), bad);
        assert!(failures[0].problem.contains("Input/output error"), "{failures:?}");
        let snapshot = bench.repository.snapshot("latest").await.unwrap();
        let target = bench.target(&snapshot.id.short());
        bench.repository.restore(&snapshot, RestoreJob::new(&target)).await.unwrap();
        let restored = target.join("files");
        assert!(!restored.join("a/3").exists());
        assert_eq!(fs::read(restored.join("2")).unwrap(), b"changed");
        assert!(fs::read(restored.join("a/4")).unwrap() == fs::read(bench.files().join("a/4")).unwrap());
    }
    drop(broken);
    let target = bench.target("before");
    bench.repository.restore(&before, RestoreJob::new(&target)).await.unwrap();
    assert_eq!(picture(&target.join("files")), expected);
    // The disk was mended: the next run has all.
    let report = bench.repository.backup(bench.job()).await.unwrap();
    let target = bench.target("after");
    bench.repository.restore(&report.snapshot, RestoreJob::new(&target)).await.unwrap();
    assert_eq!(picture(&target.join("files")), picture(&bench.files()));
    bench.repository.check(CheckDepth::Data).await.unwrap();
}

/// Fails to read one object, as a disk with a broken sector does.
#[derive(Clone)]
struct BrokenDisk {
    inner: Memory,
    broken: Arc<Mutex<Option<Object>>>,
}

impl Store for BrokenDisk {
    async fn put(&self, object: Object, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        self.inner.put(object, bytes, existing).await
    }

    async fn get(&self, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        if *self.broken.lock().unwrap() == Some(object) {
            return Err(Error::Store {
                doing: "read",
                object: object.path(),
                place: self.place(),
                class: ErrorClass::Unavailable,
                source: io::Error::from_raw_os_error(5).into(),
            });
        }
        self.inner.get(object, range).await
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<Listed>, Error> {
        self.inner.list(kind).await
    }

    async fn delete(&self, object: Object) -> Result<(), Error> {
        self.inner.delete(object).await
    }

    fn place(&self) -> String {
        self.inner.place()
    }
}

/// Whatever it is: each thing that is done either comes to its end, right, or fails with the name of the object.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_the_disk_cannot_read_is_named_and_nothing_is_lost_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    fill(&files);
    let disk = BrokenDisk { inner: Memory::default(), broken: Arc::default() };
    let ctx = Ctx::default();
    let repository = Repository::init(DynStore::new(disk.clone()), &password(), &ctx).await.unwrap();
    let job = || BackupJob::new().root(&files, "/files");
    repository.backup(job()).await.unwrap();
    fs::write(files.join("1"), noise(&mut Random::new(10), 60_000)).unwrap();
    let snapshot = repository.backup(job()).await.unwrap().snapshot;
    let expected = picture(&files);
    let whole = disk.inner.copy();
    let mut tally: BTreeMap<(&str, ObjectKind), (u64, u64)> = BTreeMap::new();
    for object in ObjectKind::ALL.into_iter().flat_map(|kind| whole.all(kind)) {
        disk.inner.set_back(&whole);
        *disk.broken.lock().unwrap() = Some(object);
        let opened = Repository::open(DynStore::new(disk.clone()), &password(), &ctx).await;
        let target = folder.path().join("target");
        let restored = repository.restore(&snapshot, RestoreJob::new(&target)).await;
        is_there_or_named(&target.join("files"), &expected, restored.as_ref().map(drop));
        let _ = fs::remove_dir_all(&target);
        let outcomes = [
            ("open", opened.map(drop)),
            ("snapshots", repository.snapshots().await.map(drop)),
            ("restore", restored.map(drop)),
            ("check", repository.check(CheckDepth::Data).await.map(drop)),
            ("prune", repository.prune().await.map(drop)),
            ("backup", repository.backup(job()).await.map(drop)),
        ];
        for (doing, outcome) in outcomes {
            let tally = tally.entry((doing, object.kind())).or_default();
            match outcome {
                Ok(()) => tally.0 += 1,
                Err(error) => {
                    tally.1 += 1;
                    let told = buttress_core::chain(&error);
                    let named = told.contains(&object.path()) && told.contains("Input/output error");
                    assert!(named, "{doing} with {object}: {told}");
                    assert_ne!(error.class(), ErrorClass::Internal, "{told}");
                }
            }
        }
        // The disk was mended.
        *disk.broken.lock().unwrap() = None;
        assert!(disk.inner.all(ObjectKind::Lock).is_empty(), "{object}");
        repository.check(CheckDepth::Data).await.unwrap_or_else(|error| panic!("{object}: {error}"));
        repository.restore(&snapshot, RestoreJob::new(&target)).await.unwrap();
        assert_eq!(picture(&target.join("files")), expected, "{object}");
        fs::remove_dir_all(&target).unwrap();
    }
    println!("(what was done, with which object broken): (came to its end, was refused): {tally:?}");
    let refused = |doing, kind| tally[&(doing, kind)].1 > 0;
    assert!(refused("check", ObjectKind::Pack) && refused("restore", ObjectKind::Pack), "{tally:?}");
    assert!(refused("prune", ObjectKind::Snapshot) && refused("prune", ObjectKind::Index), "{tally:?}");
    assert!(refused("open", ObjectKind::Config), "{tally:?}");
}

/// Restores, checks and copies: why without a lock, if it was so.
async fn reads_all(
    repository: &Repository,
    snapshot: &Snapshot,
    expected: &BTreeMap<PathBuf, String>,
) -> Option<String> {
    let target = tempfile::tempdir().unwrap();
    let restored = repository.restore(snapshot, RestoreJob::new(target.path())).await.unwrap();
    assert_eq!(&picture(&target.path().join("files")), expected);
    let checked = repository.check(CheckDepth::Data).await.unwrap();
    let copy = DynStore::new(Memory::default());
    let copy = Repository::init(copy, &password(), &Ctx::default()).await.unwrap();
    let copied = repository.copy_to(&copy, &[snapshot.id], &Progress::new()).await.unwrap();
    copy.check(CheckDepth::Data).await.unwrap();
    let why = [restored.without_lock, checked.without_lock, copied.without_lock];
    assert!(why.iter().all(|one| one.is_some() == why[0].is_some()), "{why:?}");
    why.into_iter().next().unwrap()
}

fn checked_by_the_program(bench: &Bench) -> String {
    fs::write(bench.target("password"), "correct horse").unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_backup"));
    program.arg("check").env("BACKUP_REPOSITORY", bench.place());
    let done = program.env("BACKUP_PASSWORD_FILE", bench.target("password")).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// Not a byte is left, as on a disk that somebody has filled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_a_full_disk_restores() {
    let bench = Bench::new().await;
    let disk = bench.target("disk");
    fs::create_dir(&disk).unwrap();
    let _mounted = Mounted::new(&["-t", "tmpfs", "-o", "size=2m", "tmpfs"], &disk);
    fill(&bench.files());
    let store = DynStore::new(Folder::new(disk.join("repository")));
    let repository = Repository::init(store, &password(), &Ctx::default()).await.unwrap();
    let snapshot = repository.backup(bench.job()).await.unwrap().snapshot;
    let expected = picture(&bench.files());
    assert_eq!(reads_all(&repository, &snapshot, &expected).await, None);
    let full = fs::write(disk.join("junk"), vec![1; 4 << 20]).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    let why = reads_all(&repository, &snapshot, &expected).await.expect("it says that it has no lock");
    assert!(why.contains("cannot write `locks/") && why.contains("No space left on device"), "{why}");
    // What writes is refused; removing needs a lock too.
    fs::write(bench.files().join("new"), "new").unwrap();
    for refused in [repository.backup(bench.job()).await.map(drop), repository.prune().await.map(drop)] {
        assert_eq!(refused.unwrap_err().class(), ErrorClass::Overloaded);
    }
    fs::remove_file(disk.join("junk")).unwrap();
    assert_eq!(reads_all(&repository, &snapshot, &expected).await, None);
}

/// Reading goes on without a lock where a store takes nothing, and not where it does not answer, nor where somebody keeps others out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_lock_can_be_written_reading_goes_on_unless_another_has_one() {
    let disk = Refusing::new().await;
    let (snapshot, expected) = disk.done.last().unwrap();
    let refusing = |store: &Memory, errno| {
        let refusal = Some(Refusal { doing: "write", first: 0, lasts: true, errno });
        disk.exchange.set(Faulty::new(
            store.clone(),
            Faults { refusal, ..Faults::default() },
            &Ctx::default(),
        ));
    };
    // A prune that was killed under its lock. Its process is this one, and lives.
    let locked = disk.past.copy();
    let kill = Faults { kill: Some(Kill::After(3)), ..Faults::default() };
    disk.exchange.set(Faulty::new(locked.clone(), kill, &Ctx::default()));
    assert!(is_kill(&disk.repository.prune().await.unwrap_err()));
    assert_eq!(locked.all(ObjectKind::Lock).len(), 1);
    let target = disk.folder.path().join("target");
    let copy = DynStore::new(Memory::default());
    let copy = Repository::init(copy, &password(), &Ctx::default()).await.unwrap();
    for (errno, goes_on) in
        [(28, true), (122, true), (30, true), (13, true), (1, true), (5, false), (110, false)]
    {
        let free = disk.past.copy();
        refusing(&free, errno);
        if goes_on {
            assert!(reads_all(&disk.repository, snapshot, expected).await.is_some(), "{errno}");
            assert!(free.all(ObjectKind::Lock).is_empty());
        }
        let refused = [(&free, false), (&locked, true)];
        for (store, by_another) in refused.into_iter().filter(|(_, by_another)| *by_another || !goes_on) {
            refusing(store, errno);
            let outcomes = [
                disk.repository.restore(snapshot, RestoreJob::new(&target)).await.map(drop),
                disk.repository.check(CheckDepth::Data).await.map(drop),
                disk.repository.copy_to(&copy, &[snapshot.id], &Progress::new()).await.map(drop),
            ];
            for refused in outcomes.map(Result::unwrap_err) {
                assert_eq!(matches!(refused, Error::Locked { .. }), by_another, "{errno}: {refused}");
            }
            assert!(!target.exists());
        }
    }
}

/// Hours go by with each read of a pack, so that the lock is due.
#[derive(Clone)]
struct Hours(Faulty<Memory>, TestClock);

impl Store for Hours {
    async fn put(&self, object: Object, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        self.0.put(object, bytes, existing).await
    }

    async fn get(&self, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        if object.kind() == ObjectKind::Pack {
            self.1.advance(Duration::from_hours(1));
        }
        self.0.get(object, range).await
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<Listed>, Error> {
        self.0.list(kind).await
    }

    async fn delete(&self, object: Object) -> Result<(), Error> {
        self.0.delete(object).await
    }

    fn place(&self) -> String {
        self.0.place()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_up_during_a_restore_does_not_end_it() {
    let disk = Refusing::new().await;
    let (snapshot, expected) = disk.done.last().unwrap();
    let clock = TestClock::new();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    for (errno, goes_on) in [(28, true), (30, true), (5, false)] {
        let store = disk.past.copy();
        // The first lock is written, no later one is.
        let refusal = Some(Refusal { doing: "write", first: 1, lasts: true, errno });
        let faulty = Faulty::new(store.clone(), Faults { refusal, ..Faults::default() }, &ctx);
        let slow = DynStore::new(Hours(faulty.clone(), clock.clone()));
        let repository = Repository::open(slow, &password(), &ctx).await.unwrap();
        let target = tempfile::tempdir().unwrap();
        let restored = repository.restore(snapshot, RestoreJob::new(target.path())).await;
        assert!(faulty.injected() > 0);
        assert!(store.all(ObjectKind::Lock).is_empty(), "{errno}: the first lock is removed all the same");
        assert_eq!(restored.is_ok(), goes_on, "{errno}: {restored:?}");
        if let Ok(report) = restored {
            assert_eq!(faulty.injected(), 1, "it does not try again and again");
            assert!(report.without_lock.is_some());
            assert_eq!(&picture(&target.path().join("files")), expected);
        }
    }
}

/// What a disk says that takes no more, whether it goes on saying it, and what it means.
const REFUSALS: [(i32, bool, &str, ErrorClass); 4] = [
    (28, true, "No space left on device", ErrorClass::Overloaded),
    (122, true, "Disk quota exceeded", ErrorClass::Overloaded),
    (5, false, "Input/output error", ErrorClass::Unavailable),
    (30, true, "Read-only file system", ErrorClass::Forbidden),
];

/// A repository with a few snapshots on a disk that refuses what it is told to.
struct Refusing {
    folder: tempfile::TempDir,
    /// The store before the work.
    past: Memory,
    exchange: Exchange,
    repository: Repository,
    done: Vec<(Snapshot, BTreeMap<PathBuf, String>)>,
}

impl Refusing {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        fill(&files);
        let past = Memory::default();
        let exchange = Exchange::new(past.clone());
        let store = DynStore::new(exchange.clone());
        let repository = Repository::init(store, &password(), &Ctx::default()).await.unwrap();
        let mut disk = Self { folder, past, exchange, repository, done: Vec::new() };
        for round in 0..3 {
            // What stays and what goes lies in the same packs, so that a prune has something to write again.
            fs::write(files.join("changes"), noise(&mut Random::new(100 + round), 60_000)).unwrap();
            fs::write(files.join(format!("of {round}")), noise(&mut Random::new(200 + round), 30_000))
                .unwrap();
            let report = disk.repository.backup(disk.job()).await.unwrap();
            disk.done.push((report.snapshot, picture(&files)));
        }
        fs::write(files.join("new"), noise(&mut Random::new(300), 100_000)).unwrap();
        disk
    }

    fn job(&self) -> BackupJob {
        BackupJob::new().root(self.folder.path().join("files"), "/files")
    }

    /// Does `work` with each of its calls refused in each way; those of `gone` may go. How often it was refused.
    async fn refused_everywhere<T>(
        &self,
        gone: &[Id],
        work: impl AsyncFn(&Repository) -> Result<T, Error>,
    ) -> u64 {
        let store = self.past.copy();
        self.exchange.set(store.clone());
        work(&self.repository).await.unwrap();
        let (removed, _) = store.changes(&self.past);
        let (mut refused, mut looked_at) = (0, HashSet::new());
        for ((errno, lasts, says, class), doing) in
            REFUSALS.into_iter().flat_map(|refusal| ["write", "delete", "list"].map(|doing| (refusal, doing)))
        {
            for first in 0.. {
                let store = self.past.copy();
                let refusal = Some(Refusal { doing, first, lasts, errno });
                let faults = Faults { refusal, ..Faults::default() };
                let faulty = Faulty::new(store.clone(), faults, &Ctx::default());
                self.exchange.set(faulty.clone());
                let outcome = work(&self.repository).await;
                self.exchange.set(store.clone());
                if faulty.injected() == 0 {
                    assert!(outcome.is_ok());
                    break;
                }
                refused += 1;
                let at = format!("{doing} {first}, {says}");
                if let Err(error) = outcome {
                    is_told(&error, doing, says, class);
                } else {
                    // A lock that stays is removed by whoever comes next.
                    assert!(doing == "delete" && !store.all(ObjectKind::Lock).is_empty(), "{at}");
                    assert_eq!(store.changes(&self.past).0, removed, "{at}");
                }
                if looked_at.insert(store.changes(&self.past)) {
                    self.look_after(&at, gone, &work).await;
                }
            }
        }
        refused
    }

    /// That nothing is lost, and that the same work runs on the disk that was mended.
    async fn look_after<T>(
        &self,
        at: &str,
        gone: &[Id],
        work: impl AsyncFn(&Repository) -> Result<T, Error>,
    ) {
        // The process of the lock that may be there is this one, and lives.
        self.repository.unlock(true).await.unwrap();
        self.all_restore(at, gone).await;
        work(&self.repository).await.unwrap_or_else(|error| panic!("{at}: {error}"));
        self.repository.prune().await.unwrap();
        let report =
            self.repository.check(CheckDepth::Data).await.unwrap_or_else(|error| panic!("{at}: {error}"));
        assert!(report.remarks.is_empty(), "{at}: {report:?}");
    }

    async fn all_restore(&self, at: &str, gone: &[Id]) {
        let there = self.repository.snapshots().await.unwrap();
        for (snapshot, expected) in &self.done {
            if !there.iter().any(|one| one.id == snapshot.id) {
                assert!(gone.contains(&snapshot.id), "{at}: snapshot {} is gone", snapshot.id.short());
                continue;
            }
            let target = self.folder.path().join("restored");
            self.repository.restore(snapshot, RestoreJob::new(&target)).await.unwrap();
            assert_eq!(&picture(&target.join("files")), expected, "{at}");
            fs::remove_dir_all(target).unwrap();
        }
    }
}

/// With the name of an object or of a folder of them, and with what the system said.
fn is_told(error: &Error, doing: &str, says: &str, class: ErrorClass) {
    let told = buttress_core::chain(error);
    let kinds = ["config", "keys", "locks", "snapshots", "index", "data"];
    let named = kinds.into_iter().any(|kind| told.contains(&format!("cannot {doing} `{kind}")));
    assert!(named && told.contains(says), "{doing}, {says}: {told}");
    assert_eq!(error.class(), class, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_the_disk_refuses_at_any_call_says_so_and_loses_nothing() {
    let disk = Refusing::new().await;
    let refused = disk.refused_everywhere(&[], async |repository| repository.backup(disk.job()).await).await;
    println!("{refused} refusals of a backup");
    assert!(refused > 40, "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgetting_that_the_disk_refuses_at_any_call_says_so_and_loses_nothing_else() {
    let disk = Refusing::new().await;
    let gone = [disk.done[0].0.id, disk.done[2].0.id];
    let refused = disk.refused_everywhere(&gone, async |repository| repository.forget(&gone).await).await;
    println!("{refused} refusals of forgetting");
    assert!(refused > 15, "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prune_that_the_disk_refuses_at_any_call_says_so_and_loses_nothing() {
    let mut disk = Refusing::new().await;
    disk.repository.forget(&[disk.done.remove(1).0.id]).await.unwrap();
    let refused = disk.refused_everywhere(&[], async |repository| repository.prune().await).await;
    println!("{refused} refusals of a prune");
    assert!(refused > 40, "{refused}");
}

/// The disk of the repository that is copied to. The other one is only read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_the_disk_refuses_at_any_call_says_so_and_loses_nothing() {
    let disk = Refusing::new().await;
    let ctx = Ctx::default();
    let from = Repository::init(DynStore::new(Memory::default()), &password(), &ctx).await.unwrap();
    let snapshot = from.backup(disk.job()).await.unwrap().id;
    let copy = async |to: &Repository| from.copy_to(to, &[snapshot], &Progress::new()).await;
    let refused = disk.refused_everywhere(&[], copy).await;
    println!("{refused} refusals of a copy");
    assert!(refused > 40, "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_password_that_the_disk_refuses_at_any_call_says_so_and_leaves_a_way_in() {
    let disk = Refusing::new().await;
    let passwords = [password(), "the new one".into()];
    let change = async |repository: &Repository| repository.clone().change_password(&passwords[1]).await;
    let (mut refused, mut looked_at) = (0, HashSet::new());
    for ((errno, lasts, says, class), doing) in
        REFUSALS.into_iter().flat_map(|refusal| ["write", "delete", "list"].map(|doing| (refusal, doing)))
    {
        for first in 0.. {
            let store = disk.past.copy();
            let refusal = Some(Refusal { doing, first, lasts, errno });
            let faulty = Faulty::new(store.clone(), Faults { refusal, ..Faults::default() }, &Ctx::default());
            disk.exchange.set(faulty.clone());
            let outcome = change(&disk.repository).await;
            disk.exchange.set(store.clone());
            if faulty.injected() == 0 {
                break;
            }
            refused += 1;
            let at = format!("{doing} {first}, {says}");
            if let Err(error) = &outcome {
                is_told(error, doing, says, class);
            }
            if !looked_at.insert((outcome.is_ok(), store.changes(&disk.past))) {
                continue;
            }
            disk.repository.unlock(true).await.unwrap();
            disk.all_restore(&at, &[]).await;
            let mut opens = Vec::new();
            for password in &passwords {
                let opened = Repository::open(DynStore::new(store.clone()), password, &Ctx::default()).await;
                opens.push(opened.ok());
            }
            assert_eq!(
                opens[0].is_none(),
                outcome.is_ok(),
                "{at}: the old password is gone when it is said to be"
            );
            // The disk was mended.
            let mut mended = opens.into_iter().flatten().next().unwrap_or_else(|| panic!("{at}: no way in"));
            mended.change_password(&passwords[1]).await.unwrap();
            assert!(
                Repository::open(DynStore::new(store.clone()), &passwords[1], &Ctx::default()).await.is_ok()
            );
            mended.check(CheckDepth::Data).await.unwrap();
        }
    }
    println!("{refused} refusals of changes of a password");
    assert!(refused > 15, "{refused}");
}

/// Files that are not as they were are named, or a folder above them is. (A restore that could not begin names the object.)
fn is_there_or_named(target: &Path, expected: &BTreeMap<PathBuf, String>, restored: Result<(), &Error>) {
    let failures = match restored {
        Ok(()) => &[][..],
        Err(Error::Incomplete { failures, .. }) => failures,
        Err(_) => return assert!(!target.exists()),
    };
    let restored = if target.exists() { picture(target) } else { BTreeMap::new() };
    for (path, looks) in expected.iter().filter(|(_, looks)| !looks.starts_with("folder")) {
        let path_there = target.join(path);
        let named = failures.iter().any(|failure| path_there.starts_with(&failure.of));
        assert!(
            restored.get(path) == Some(looks) || named && !restored.contains_key(path),
            "{}: {failures:?}",
            path.display()
        );
    }
}

/// The disk's own error is told with the name of the object.
#[tokio::test]
async fn a_folder_tells_what_the_disk_said() {
    let folder = tempfile::tempdir().unwrap();
    let store = Folder::new(folder.path());
    let object = Object::new(ObjectKind::Pack, buttress_backup::Id::of(b"bytes"));
    store.put(object, "bytes".into(), Existing::Kept).await.unwrap();
    let _broken = Mounted::broken(&folder.path().join(object.path()));
    for range in [None, Some(0..3)] {
        let error = store.get(object, range).await.unwrap_err();
        let told = buttress_core::chain(&error);
        assert!(told.contains(&object.path()) && told.contains("Input/output error"), "{told}");
        assert!(matches!(error, Error::Store { doing: "read", .. }), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_lets_nothing_be_written_costs_the_run_and_nothing_else() {
    let bench = Bench::new().await;
    fill(&bench.files());
    let snapshot = bench.repository.backup(bench.job()).await.unwrap().snapshot;
    let expected = picture(&bench.files());
    fs::write(bench.files().join("new"), "new").unwrap();
    let read_only = Mounted::read_only(&bench.place());
    let outcomes = [
        bench.repository.backup(bench.job()).await.map(drop),
        bench.repository.forget(&[snapshot.id]).await,
        bench.repository.prune().await.map(drop),
    ];
    for refused in outcomes.map(Result::unwrap_err) {
        assert_eq!(refused.class(), ErrorClass::Forbidden, "{refused:?}");
        assert!(buttress_core::chain(&refused).contains("Read-only file system"), "{refused:?}");
    }
    // What only reads works.
    assert_eq!(bench.repository.snapshots().await.unwrap().len(), 1);
    let why = reads_all(&bench.repository, &snapshot, &expected).await.expect("it says that it has no lock");
    assert!(why.contains("Read-only file system"), "{why}");
    let told = checked_by_the_program(&bench);
    assert!(told.contains("remark: nothing kept others") && told.contains("Read-only file system"), "{told}");
    let opened =
        Repository::open(DynStore::new(Folder::new(bench.place())), &password(), &Ctx::default()).await;
    assert_eq!(opened.unwrap().id(), bench.repository.id());
    drop(read_only);

    // Nor the one that is restored to.
    let disk = bench.target("disk");
    fs::create_dir(&disk).unwrap();
    let read_only = Mounted::read_only(&disk);
    let refused =
        bench.repository.restore(&snapshot, RestoreJob::new(disk.join("target"))).await.unwrap_err();
    assert!(buttress_core::chain(&refused).contains("Read-only file system"), "{refused:?}");
    drop(read_only);
    bench.repository.restore(&snapshot, RestoreJob::new(disk.join("target"))).await.unwrap();
    assert_eq!(picture(&disk.join("target/files")), expected);
    bench.repository.backup(bench.job()).await.unwrap();
    bench.repository.check(CheckDepth::Data).await.unwrap();
}
