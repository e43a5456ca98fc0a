//! Several at work on one repository: nobody's snapshot lacks what another removed.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test"
)]
#![allow(clippy::disallowed_methods, reason = "other processes live in real time")]

mod support;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use buttress_backup::store::{DynStore, Folder, Store};
use buttress_backup::{
    BackupJob, BackupReport, CheckDepth, Error, Id, ObjectKind, PruneReport, Repository, RestoreJob, Snapshot,
};
use buttress_core::{BoxFuture, Ctx, TestClock};
use buttress_testkit::{Random, wait_until};
use support::meddled::{Meddled, Moment};
use support::memory::{Exchange, Memory};
use support::{Bench, Timeless, noise, objects, password, picture, restic_that_reads};
use tokio::sync::Notify;

const AT_ALL_PACKS: Moment = Moment { call: Some(("list", ObjectKind::Pack)), after: 0 };

/// Two handles to one repository, as two processes have.
struct Pair {
    folder: tempfile::TempDir,
    store: Memory,
    /// Under the first of the two.
    exchange: Exchange,
    first: Repository,
    other: Repository,
    snapshot: Snapshot,
}

impl Pair {
    async fn new(ctx: &Ctx, other_ctx: &Ctx) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        fs::create_dir(&files).unwrap();
        for number in 0..3 {
            fs::write(files.join(format!("{number}")), noise(&mut Random::new(number), 20_000)).unwrap();
        }
        let store = Memory::default();
        let exchange = Exchange::new(store.clone());
        let first = Repository::init(DynStore::new(exchange.clone()), &password(), ctx).await.unwrap();
        let other = Repository::open(DynStore::new(store.clone()), &password(), other_ctx).await.unwrap();
        let snapshot = first.backup(BackupJob::new().root(&files, "/files")).await.unwrap().snapshot;
        fs::write(files.join("3"), noise(&mut Random::new(3), 20_000)).unwrap();
        Self { folder, store, exchange, first, other, snapshot }
    }

    fn job(&self) -> BackupJob {
        BackupJob::new().root(self.folder.path().join("files"), "/files")
    }

    async fn is_whole(&self, of: &str) {
        self.other.check(CheckDepth::Data).await.unwrap_or_else(|error| panic!("{of}: {error}"));
        for snapshot in self.other.snapshots().await.unwrap() {
            let target = self.folder.path().join("restored");
            self.other.restore(&snapshot, RestoreJob::new(&target)).await.unwrap();
            fs::remove_dir_all(target).unwrap();
        }
    }
}

/// Before any one call of a backup, somebody removes its lock, forgets the snapshot whose blobs it relies on, and prunes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_whose_lock_was_taken_makes_no_snapshot_that_lacks_something() {
    let pair = Pair::new(&Ctx::default(), &Ctx::default()).await;
    let before = pair.store.copy();
    let (mut lost, mut made) = (0, 0);
    for after in 0.. {
        pair.store.set_back(&before);
        let (other, id) = (pair.other.clone(), pair.snapshot.id);
        let meddled = Meddled::new(pair.store.clone(), Moment { call: None, after }, move || {
            let other = other.clone();
            async move {
                other.unlock(true).await.unwrap();
                other.forget(&[id]).await.unwrap();
                other.prune().await.unwrap();
            }
        });
        pair.exchange.set(meddled.clone());
        match pair.first.backup(pair.job()).await {
            Ok(report) => {
                made += 1;
                assert!(pair.other.snapshots().await.unwrap().iter().any(|one| one.id == report.id));
            }
            Err(Error::LockLost { .. }) => {
                lost += 1;
                let there = pair.other.snapshots().await.unwrap();
                assert!(there.len() <= 1, "call {after}: a snapshot was made, and said not to be");
            }
            // Its parent's trees, or an index that it had seen.
            Err(Error::Missing { .. } | Error::Damaged { .. }) => {}
            Err(error) => panic!("call {after}: {error}"),
        }
        pair.is_whole(&format!("call {after}")).await;
        if meddled.never_came() {
            break;
        }
    }
    println!("{lost} backups lost their lock, {made} were made");
    assert!(lost > 5 && made > 2, "{lost} {made}");
}

/// What another does; the snapshot that it made, if it did.
type Work = fn(Repository, BackupJob) -> BoxFuture<'static, Result<Option<Id>, Error>>;

/// A prune of the first handle, and something that `other` begins before one of its calls, when its lock has been removed.
struct Race<'a> {
    pair: &'a Pair,
    other: Repository,
    under_other: Exchange,
}

impl Race<'_> {
    /// Begins `work` before the prune's call `at`, and holds it before its own call `until` for as long as the prune runs. How both ended, and
    /// whether it was held; nothing, if the prune has fewer calls.
    async fn run(
        &self,
        work: Work,
        at: u64,
        until: u64,
    ) -> Option<(Result<PruneReport, Error>, Result<Option<Id>, Error>, bool)> {
        let (stands, over) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (stopped, go_on) = (Arc::clone(&stands), Arc::clone(&over));
        let held = Meddled::new(self.pair.store.clone(), Moment { call: None, after: until }, move || {
            let (stopped, go_on) = (Arc::clone(&stopped), Arc::clone(&go_on));
            async move {
                stopped.notify_one();
                go_on.notified().await;
            }
        });
        self.under_other.set(held.clone());
        let task = Arc::new(Mutex::new(None));
        let begun = Arc::clone(&task);
        let (unlocks, other, job) = (self.pair.other.clone(), self.other.clone(), self.pair.job());
        let meddled = Meddled::new(self.pair.store.clone(), Moment { call: None, after: at }, move || {
            let (begun, stands) = (Arc::clone(&begun), Arc::clone(&stands));
            let (unlocks, other, job) = (unlocks.clone(), other.clone(), job.clone());
            async move {
                unlocks.unlock(true).await.unwrap();
                let ends = Arc::clone(&stands);
                let task = tokio::spawn(async move {
                    let done = work(other, job).await;
                    ends.notify_one();
                    done
                });
                *begun.lock().unwrap() = Some(task);
                stands.notified().await;
            }
        });
        self.pair.exchange.set(meddled);
        let pruned = self.pair.first.prune().await;
        over.notify_one();
        let task = task.lock().unwrap().take()?;
        Some((pruned, task.await.unwrap(), !held.never_came()))
    }
}

/// Before any one call of a prune, somebody removes its lock and begins a backup that relies on what is to go, or a prune. That stops before any one of
/// its calls until the first prune is over, or comes to its end at once.
async fn one_gives_way(work: Work) -> BTreeMap<(bool, bool), u64> {
    let pair = Pair::new(&Ctx::default(), &Ctx::default()).await;
    // Of the pack of the first snapshot some is needed, so the prune writes that again.
    let needed = pair.folder.path().join("files/0");
    pair.other.backup(BackupJob::new().root(needed, "/needed")).await.unwrap();
    pair.other.forget(&[pair.snapshot.id]).await.unwrap();
    let before = pair.store.copy();
    let under_other = Exchange::new(pair.store.clone());
    let store = DynStore::new(under_other.clone());
    let other = Repository::open(store, &password(), &Ctx::default()).await.unwrap();
    let race = Race { pair: &pair, other, under_other };
    let mut tally = BTreeMap::new();
    for at in 0.. {
        // A third of its calls each time, which is others for the next call of the prune.
        for until in (at % 3..).step_by(3) {
            pair.store.set_back(&before);
            let Some((pruned, done, was_held)) = race.run(work, at, until).await else { return tally };
            let of = format!("prune {at}, {pruned:?}; the other {until}, {done:?}");
            for error in [pruned.as_ref().err(), done.as_ref().err()].into_iter().flatten() {
                // The lock of the other; or what had been seen in a listing or in an index is gone.
                let gave_way = matches!(
                    error,
                    Error::LockLost { .. }
                        | Error::Locked { .. }
                        | Error::Missing { .. }
                        | Error::Damaged { .. }
                        | Error::Incomplete { .. }
                );
                assert!(gave_way, "{of}");
            }
            if let Ok(Some(made)) = done {
                let there = pair.other.snapshots().await.unwrap();
                assert!(there.iter().any(|one| one.id == made), "{of}");
            }
            pair.other.unlock(true).await.unwrap();
            pair.is_whole(&of).await;
            *tally.entry((pruned.is_ok(), done.is_ok())).or_insert(0) += 1;
            if !was_held {
                break;
            }
        }
    }
    unreachable!("it ends some time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_prune_whose_lock_was_taken_and_a_backup_one_gives_way() {
    let tally = one_gives_way(|other, job| {
        Box::pin(async move { other.backup(job).await.map(|report| Some(report.id)) })
    })
    .await;
    println!("how often (the prune, the backup) came to its end: {tally:?}");
    assert!(tally[&(false, true)] > 10 && tally[&(true, true)] > 10, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_prunes_one_of_which_lost_its_lock_one_gives_way() {
    let tally = one_gives_way(|other, _| Box::pin(async move { other.prune().await.map(|_| None) })).await;
    println!("how often (the one, the other) came to its end: {tally:?}");
    assert!(tally[&(false, true)] > 10 && tally[&(true, true)] > 10, "{tally:?}");
}

/// A machine slept, or a process was stopped: the lock is there, or it is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lock_is_renewed_and_one_that_is_gone_is_not() {
    let clock = TestClock::new();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let pair = Pair::new(&ctx, &Ctx::default()).await;
    for (slept, removed) in [(true, false), (false, false), (true, true), (false, true)] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (store, clock, seen_before) = (pair.store.clone(), clock.clone(), Arc::clone(&seen));
        let meddled = Meddled::new(pair.store.clone(), AT_ALL_PACKS, move || {
            let (store, clock, seen) = (store.clone(), clock.clone(), Arc::clone(&seen_before));
            async move {
                seen.lock().unwrap().extend(store.all(ObjectKind::Lock));
                if slept {
                    clock.set_wall(SystemTime::now() + Duration::from_hours(24 * 365));
                } else {
                    clock.advance(Duration::from_mins(40));
                }
                if removed {
                    store.set(store.all(ObjectKind::Lock)[0], None);
                }
            }
        });
        // The lock that the renewed one replaces is gone before the snapshot is there.
        let (store, seen_then) = (pair.store.clone(), Arc::clone(&seen));
        let moment = Moment { call: Some(("put", ObjectKind::Snapshot)), after: 0 };
        pair.exchange.set(Meddled::new(meddled, moment, move || {
            let (store, seen) = (store.clone(), Arc::clone(&seen_then));
            async move { seen.lock().unwrap().extend(store.all(ObjectKind::Lock)) }
        }));
        let done = pair.first.backup(pair.job()).await;
        let seen = seen.lock().unwrap().clone();
        if removed {
            assert!(matches!(done, Err(Error::LockLost { .. })), "{done:?}");
        } else {
            done.unwrap();
            assert_eq!(seen.len(), 2);
            assert_ne!(seen[0], seen[1], "it was renewed");
        }
        assert!(pair.store.all(ObjectKind::Lock).is_empty());
    }
}

/// A prune of `other` while a backup of the first is at work over `store`, whose lock is old by the store's clock if it is `stale`. How both ended.
async fn prune_beside_a_backup(
    pair: &Pair,
    other: &Repository,
    store: impl Store + Clone,
    stale: bool,
) -> (Result<BackupReport, Error>, Result<PruneReport, Error>) {
    let (other, memory) = (other.clone(), pair.store.clone());
    let outcome = Arc::new(Mutex::new(None));
    let told = Arc::clone(&outcome);
    pair.exchange.set(Meddled::new(store, AT_ALL_PACKS, move || {
        let (other, memory, told) = (other.clone(), memory.clone(), Arc::clone(&told));
        async move {
            if stale {
                memory.age(memory.all(ObjectKind::Lock)[0], Duration::from_mins(31));
            }
            // Shared locks go together.
            other.check(CheckDepth::Structure).await.unwrap();
            *told.lock().unwrap() = Some(other.prune().await);
        }
    }));
    let done = pair.first.backup(pair.job()).await;
    let pruned = outcome.lock().unwrap().take().unwrap();
    (done, pruned)
}

/// What the clocks of the two say: that of who prunes, and that of who holds the lock. One is right and the other up to ten years wrong, or both are.
fn wrong_clocks() -> Vec<(SystemTime, SystemTime)> {
    let (day, now) = (Duration::from_hours(24), SystemTime::now());
    let wrong = [now - day, now + day, now - 3_650 * day, now + 3_650 * day, SystemTime::UNIX_EPOCH];
    let mut clocks = vec![(now, now), (wrong[2], wrong[3]), (wrong[3], wrong[2])];
    clocks.extend(wrong.iter().flat_map(|wall| [(*wall, now), (now, *wall)]));
    clocks
}

/// What a clock says that was set, or whose machine has another time, takes nobody's lock away; half an hour by the store's clock does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn locks_of_the_living_hold_under_any_clock() {
    let (reader, holder) = (TestClock::new(), TestClock::new());
    let ctx = |clock: &TestClock| Ctx { clock: clock.shared(), ..Ctx::default() };
    let pair = Pair::new(&ctx(&holder), &ctx(&reader)).await;
    let before = pair.store.copy();
    for (of_reader, of_holder) in wrong_clocks() {
        for stale in [false, true] {
            pair.store.set_back(&before);
            reader.set_wall(of_reader);
            holder.set_wall(of_holder);
            let at = format!("{of_reader:?} {of_holder:?} {stale}");
            let (done, pruned) = prune_beside_a_backup(&pair, &pair.other, pair.store.clone(), stale).await;
            if stale {
                pruned.unwrap();
                assert!(matches!(done, Err(Error::LockLost { .. })), "{at}: {done:?}");
            } else {
                assert!(matches!(pruned, Err(Error::Locked { .. })), "{at}: {pruned:?}");
                done.unwrap();
            }
            pair.is_whole(&at).await;
        }
    }
}

/// Where a store tells no times the two clocks have to do. One that is ahead by more than half an hour takes the lock of a living one, who is told;
/// no snapshot lacks anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_times_of_the_store_a_clock_that_is_wrong_costs_a_run_and_no_snapshot() {
    let (reader, holder) = (TestClock::new(), TestClock::new());
    let ctx = |clock: &TestClock| Ctx { clock: clock.shared(), ..Ctx::default() };
    let pair = Pair::new(&ctx(&holder), &Ctx::default()).await;
    let timeless = Timeless(pair.store.clone());
    let other = DynStore::new(timeless.clone());
    let other = Repository::open(other, &password(), &ctx(&reader)).await.unwrap();
    let before = pair.store.copy();
    let (mut held, mut taken) = (0, 0);
    for (of_reader, of_holder) in wrong_clocks() {
        pair.store.set_back(&before);
        reader.set_wall(of_reader);
        holder.set_wall(of_holder);
        let at = format!("{of_reader:?} {of_holder:?}");
        let (done, pruned) = prune_beside_a_backup(&pair, &other, timeless.clone(), false).await;
        if of_reader > of_holder + Duration::from_mins(30) {
            pruned.unwrap();
            assert!(matches!(done, Err(Error::LockLost { .. })), "{at}: {done:?}");
            taken += 1;
        } else {
            assert!(matches!(pruned, Err(Error::Locked { .. })), "{at}: {pruned:?}");
            done.unwrap();
            held += 1;
        }
        pair.is_whole(&at).await;
    }
    assert!(held > 3 && taken > 3, "{held} {taken}");
}

/// The clock on the wall is put back while a backup is at work, as after a leap second: it is made, and is the parent of the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_clock_that_is_put_back_during_a_backup_costs_nothing() {
    let clock = TestClock::new();
    let pair = Pair::new(&Ctx { clock: clock.shared(), ..Ctx::default() }, &Ctx::default()).await;
    for (day, (after, by)) in (1..).zip([(0, 1), (3, 1), (8, 1), (3, 3_600)]) {
        let (now, put_back) = (SystemTime::now() + day * Duration::from_hours(24), clock.clone());
        clock.set_wall(now);
        let meddled = Meddled::new(pair.store.clone(), Moment { call: None, after }, move || {
            put_back.set_wall(now - Duration::from_secs(by));
            std::future::ready(())
        });
        pair.exchange.set(meddled.clone());
        let made = pair.first.backup(pair.job()).await.unwrap();
        assert!(!meddled.never_came());
        pair.is_whole(&format!("{after} {by}")).await;
        clock.set_wall(now + Duration::from_secs(1));
        let next = pair.first.backup(pair.job()).await.unwrap();
        assert_eq!(next.snapshot.parent, Some(made.id));
        assert_eq!(next.summary.data_blobs, 0, "{:?}", next.summary);
    }
}

/// A check that begins while a backup is at work sees its snapshot with all it needs, or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_beside_a_backup_finds_nothing_wrong() {
    let pair = Pair::new(&Ctx::default(), &Ctx::default()).await;
    for after in 0.. {
        fs::write(pair.folder.path().join("files/new"), format!("{after}")).unwrap();
        let (other, job) = (pair.other.clone(), pair.job());
        let meddled = Meddled::new(pair.store.clone(), Moment { call: None, after }, move || {
            let (other, job) = (other.clone(), job.clone());
            async move { drop(other.backup(job).await.unwrap()) }
        });
        pair.exchange.set(meddled.clone());
        pair.first.check(CheckDepth::Data).await.unwrap_or_else(|error| panic!("call {after}: {error}"));
        if meddled.never_came() || after > 25 {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn restic_and_we_keep_each_other_out() {
    let bench = Bench::new().await;
    fs::write(bench.files().join("file"), "something").unwrap();
    bench.repository.backup(bench.job()).await.unwrap();

    // restic reads what never ends: it holds a shared lock.
    let mut restic = restic_that_reads(&bench.place());
    let mut input = restic.stdin.take().unwrap();
    input.write_all(b"the beginning").unwrap();
    wait_until("the lock of restic", Duration::from_mins(1), || {
        (!objects(&bench.place(), ObjectKind::Lock).is_empty()).then_some(())
    });
    let refused = bench.repository.prune().await.unwrap_err();
    assert!(
        matches!(&refused, Error::Locked { holder, .. } if holder.contains(&restic.id().to_string())),
        "{refused}"
    );
    bench.repository.backup(bench.job()).await.unwrap();
    drop(input);
    assert!(restic.wait().unwrap().success());
    bench.repository.check(CheckDepth::Data).await.unwrap();

    // We write: restic does not prune.
    let told = Arc::new(Mutex::new(String::new()));
    let (place, heard) = (bench.place(), Arc::clone(&told));
    let store = Meddled::new(Folder::new(bench.place()), AT_ALL_PACKS, move || {
        let (place, heard) = (place.clone(), Arc::clone(&heard));
        async move {
            let refused = support::restic(&place, &["prune"]);
            assert!(!refused.status.success());
            *heard.lock().unwrap() = String::from_utf8_lossy(&refused.stderr).into_owned();
        }
    });
    let repository = Repository::open(DynStore::new(store), &password(), &Ctx::default()).await.unwrap();
    repository.backup(bench.job()).await.unwrap();
    let told = told.lock().unwrap().clone();
    assert!(told.contains("already locked"), "{told}");

    // We prune: nobody else may do anything.
    let said = Arc::new(Mutex::new(String::new()));
    let (place, files, heard) = (bench.place(), bench.files(), Arc::clone(&said));
    let moment = Moment { call: Some(("list", ObjectKind::Snapshot)), after: 0 };
    let store = Meddled::new(Folder::new(bench.place()), moment, move || {
        let (place, files, heard) = (place.clone(), files.clone(), Arc::clone(&heard));
        async move {
            let refused = support::restic(&place, &["backup", files.to_str().unwrap()]);
            assert!(!refused.status.success());
            *heard.lock().unwrap() = String::from_utf8_lossy(&refused.stderr).into_owned();
        }
    });
    let repository = Repository::open(DynStore::new(store), &password(), &Ctx::default()).await.unwrap();
    repository.prune().await.unwrap();
    let said = said.lock().unwrap().clone();
    assert!(said.contains("locked exclusively"), "{said}");
    assert!(bench.restic_ok(&["check", "--read-data"]).contains("no errors"));
}

const WRITER: &str = "BUTTRESS_BACKUP_WRITER_FOLDER";

/// A process that backs up a folder of its own, some times over.
#[test]
fn writer() {
    let Ok(folder) = env::var(WRITER) else { return };
    let folder = PathBuf::from(folder);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = DynStore::new(Folder::new(folder.parent().unwrap().join("repository")));
        let repository = Repository::open(store, &password(), &Ctx::default()).await.unwrap();
        for round in 0..8 {
            // Much of it is the other's too.
            fs::write(folder.join(format!("{round}")), noise(&mut Random::new(round), 300_000)).unwrap();
            let own = format!("{round} {}", folder.display());
            fs::write(folder.join("own"), own).unwrap();
            repository
                .backup(BackupJob::new().root(&folder, "/files").hostname(own_name(&folder)))
                .await
                .unwrap();
        }
    });
}

fn own_name(folder: &Path) -> String {
    folder.file_name().unwrap().to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_write_at_once_and_both_have_all() {
    let bench = Bench::new().await;
    let start = |name: &str| -> (PathBuf, Child) {
        let folder = bench.folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "writer", "--nocapture"])
            .env(WRITER, &folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        (folder, child)
    };
    let writers = [start("one"), start("another")];
    for (folder, mut child) in writers {
        assert!(child.wait().unwrap().success());
        let snapshots = bench.repository.snapshots().await.unwrap();
        let own: Vec<_> = snapshots.iter().filter(|one| one.hostname == own_name(&folder)).collect();
        assert_eq!(own.len(), 8);
        let target = bench.target(&format!("of {}", own_name(&folder)));
        bench.repository.restore(own[7], RestoreJob::new(&target)).await.unwrap();
        assert_eq!(picture(&target.join("files")), picture(&folder));
    }
    bench.repository.check(CheckDepth::Data).await.unwrap();
    bench.repository.prune().await.unwrap();
    assert!(bench.restic_ok(&["check", "--read-data"]).contains("no errors"));
}
