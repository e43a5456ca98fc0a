//! A process that is stopped with SIGSTOP in the middle of its work, for so long that its lock counts as that of a dead one, and woken when another
//! has taken the repository.
//!
//! The test runs itself again as the process that is stopped, which stops itself before a chosen call to the store.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test"
)]
#![allow(clippy::disallowed_methods, reason = "another process lives in real time")]

mod support;

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use buttress_backup::store::{DynStore, Folder};
use buttress_backup::{BackupJob, CheckDepth, Error, ObjectKind, Repository, RestoreJob, Snapshot};
use buttress_core::Ctx;
use buttress_testkit::{Random, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use support::meddled::{Meddled, Moment};
use support::{Bench, noise, objects, password, picture, restic_that_reads};

const FOLDER: &str = "BUTTRESS_BACKUP_FROZEN_FOLDER";
const WORK: &str = "BUTTRESS_BACKUP_FROZEN_WORK";
const AT: &str = "BUTTRESS_BACKUP_FROZEN_AT";

/// The process that stops: before its call of this number it is as good as dead until somebody wakes it.
#[test]
fn child() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let folder = PathBuf::from(folder);
    let after = env::var(AT).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let place = Folder::new(folder.join("repository"));
        // Opening it is not what is tested.
        let stops = support::memory::Exchange::new(place.clone());
        let store = DynStore::new(stops.clone());
        let repository = Repository::open(store, &password(), &Ctx::default()).await.unwrap();
        stops.set(Meddled::new(place, Moment { call: None, after }, || async {
            kill_process(rustix::process::getpid(), Signal::STOP).unwrap();
        }));
        let told = match env::var(WORK).unwrap().as_str() {
            "backup" => told(repository.backup(job(&folder)).await.map(|report| report.id.to_string())),
            _ => told(repository.prune().await.map(|_| "pruned".to_owned())),
        };
        fs::write(folder.join("told"), told).unwrap();
    });
}

fn job(folder: &Path) -> BackupJob {
    BackupJob::new().root(folder.join("files"), "/files")
}

/// What is told of the end of some work.
fn told(done: Result<String, Error>) -> String {
    match done {
        Ok(done) => format!("done {done}"),
        // All of these say to run again.
        Err(error @ (Error::LockLost { .. } | Error::Missing { .. } | Error::Damaged { .. })) => {
            format!("gave way: {error}")
        }
        Err(error) => format!("failed: {}", buttress_core::chain(&error)),
    }
}

/// A process that has stopped itself.
struct Stopped(Child);

impl Stopped {
    /// Nothing if it came to its end before.
    fn before(work: &str, at: u64, folder: &Path) -> Option<Self> {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .envs([(FOLDER, folder.to_str().unwrap()), (WORK, work), (AT, &at.to_string())])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut stopped = Self(child);
        let about = format!("/proc/{}/stat", stopped.0.id());
        wait_until("the process stops or ends", Duration::from_mins(1), || {
            let about = fs::read_to_string(&about).unwrap();
            // PID (NAME) STATE
            let state = about.rsplit_once(") ").unwrap().1.chars().next();
            matches!(state, Some('T' | 'Z')).then_some(())
        });
        match stopped.0.try_wait().unwrap() {
            Some(ended) => {
                assert!(ended.success());
                None
            }
            None => Some(stopped),
        }
    }

    /// Lets it go on, to its end.
    fn wakes(mut self) {
        kill_process(Pid::from_child(&self.0), Signal::CONT).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A repository in which much is in no snapshot any more, as the next backup will find it in the index all the same.
async fn bench() -> (Bench, Snapshot) {
    let bench = Bench::new().await;
    for number in 0..3 {
        let bytes = noise(&mut Random::new(number), 40_000);
        fs::write(bench.files().join(number.to_string()), bytes).unwrap();
    }
    let needed = BackupJob::new().root(bench.files().join("0"), "/needed");
    let kept = bench.repository.backup(needed).await.unwrap().snapshot;
    let all = bench.repository.backup(bench.job()).await.unwrap();
    bench.repository.forget(&[all.id]).await.unwrap();
    fs::write(bench.files().join("3"), noise(&mut Random::new(3), 40_000)).unwrap();
    (bench, kept)
}

/// As if half an hour had passed for the store.
fn age_locks(bench: &Bench) {
    let old = SystemTime::now() - Duration::from_mins(31);
    for lock in objects(&bench.place(), ObjectKind::Lock) {
        fs::File::open(lock).unwrap().set_modified(old).unwrap();
    }
}

/// All that is there is whole, and what was told to be done among it.
async fn is_whole(bench: &Bench, kept: &Snapshot, of: &str) {
    let told = fs::read_to_string(bench.target("told")).unwrap();
    assert!(!told.starts_with("failed"), "{of}: {told}");
    bench.repository.check(CheckDepth::Data).await.unwrap_or_else(|error| panic!("{of}: {told}: {error}"));
    let there = bench.repository.snapshots().await.unwrap();
    assert!(there.iter().any(|one| one.id == kept.id), "{of}");
    for snapshot in &there {
        let target = bench.target("restored");
        bench.repository.restore(snapshot, RestoreJob::new(&target)).await.unwrap();
        if snapshot.id != kept.id {
            assert_eq!(picture(&target.join("files")), picture(&bench.files()), "{of}");
        }
        fs::remove_dir_all(target).unwrap();
    }
    if let Some(id) = told.strip_prefix("done ").filter(|done| *done != "pruned") {
        assert!(there.iter().any(|one| one.id.to_string() == id), "{of}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_slept_while_another_pruned_makes_no_snapshot_that_lacks_something() {
    let (mut gave_way, mut done) = (0, 0);
    for at in (0..).step_by(3) {
        let (bench, kept) = bench().await;
        let Some(stopped) = Stopped::before("backup", at, bench.folder.path()) else { break };
        let has_lock = !objects(&bench.place(), ObjectKind::Lock).is_empty();
        if has_lock {
            // It lives, so nobody takes it from it before its time.
            let refused = bench.repository.prune().await.unwrap_err();
            assert!(matches!(refused, Error::Locked { .. }), "{refused}");
        }
        age_locks(&bench);
        bench.repository.prune().await.unwrap();
        stopped.wakes();
        is_whole(&bench, &kept, &format!("a backup before call {at}")).await;
        if fs::read_to_string(bench.target("told")).unwrap().starts_with("done") {
            done += 1;
        } else {
            gave_way += 1;
        }
        bench.repository.backup(bench.job()).await.unwrap();
    }
    println!("{gave_way} backups gave way, {done} were made");
    assert!(gave_way > 3 && done > 0, "{gave_way} {done}");
}

/// restic that sleeps is not taken for dead before its time, and has all when it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_prunes_beside_restic_that_sleeps() {
    let (bench, _) = bench().await;
    // It reads what never ends.
    let mut restic = Stopped(restic_that_reads(&bench.place()));
    let mut input = restic.0.stdin.take().unwrap();
    // What was in the snapshot that was forgotten: it relies on blobs that a prune would remove.
    for number in 1..3 {
        input.write_all(&fs::read(bench.files().join(number.to_string())).unwrap()).unwrap();
    }
    wait_until("the lock of restic", Duration::from_mins(1), || {
        (!objects(&bench.place(), ObjectKind::Lock).is_empty()).then_some(())
    });
    kill_process(Pid::from_child(&restic.0), Signal::STOP).unwrap();
    let refused = bench.repository.prune().await.unwrap_err();
    assert!(
        matches!(&refused, Error::Locked { holder, .. } if holder.contains(&restic.0.id().to_string())),
        "{refused}"
    );
    drop(input);
    restic.wakes();
    bench.repository.check(CheckDepth::Data).await.unwrap();
    bench.repository.prune().await.unwrap();
    assert!(bench.restic_ok(&["check", "--read-data"]).contains("no errors"));
    assert_eq!(bench.repository.snapshots().await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prune_that_slept_while_another_backed_up_takes_nothing_from_it() {
    let (mut gave_way, mut done) = (0, 0);
    for at in (0..).step_by(3) {
        let (bench, kept) = bench().await;
        let Some(stopped) = Stopped::before("prune", at, bench.folder.path()) else { break };
        age_locks(&bench);
        let made = bench.repository.backup(bench.job()).await.unwrap();
        stopped.wakes();
        is_whole(&bench, &kept, &format!("a prune before call {at}")).await;
        let there = bench.repository.snapshots().await.unwrap();
        assert!(there.iter().any(|one| one.id == made.id), "{at}");
        if fs::read_to_string(bench.target("told")).unwrap().starts_with("done") {
            done += 1;
        } else {
            gave_way += 1;
        }
        bench.repository.prune().await.unwrap();
        bench.repository.check(CheckDepth::Data).await.unwrap();
    }
    println!("{gave_way} prunes gave way, {done} were done");
    assert!(gave_way > 3 && done > 0, "{gave_way} {done}");
}
