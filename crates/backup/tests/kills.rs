//! A process that is killed at any moment loses no snapshot that was reported done, and the next run heals what it left.
//!
//! Each kind of work is killed in, before or after every single call to its store; in a call that writes, a part of the object is there afterwards.
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

mod support;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::PathBuf;

use buttress_backup::store::DynStore;
use buttress_backup::store::faulty::{Faults, Faulty, Kill, is_kill};
use buttress_backup::{
    BackupJob, CheckDepth, Error, Id, Object, ObjectKind, Progress, Repository, RestoreJob, Snapshot,
};
use buttress_core::Ctx;
use buttress_testkit::Random;
use secrecy::SecretString;
use support::memory::{Exchange, Memory};
use support::{noise, password, picture};

type Picture = BTreeMap<PathBuf, String>;

/// The moments of a call. Before one is after the one before it.
const MOMENTS: [fn(u64) -> Kill; 2] = [Kill::After, Kill::During];

/// A repository with some snapshots, and files to back up.
struct Past {
    folder: tempfile::TempDir,
    store: Memory,
    exchange: Exchange,
    repository: Repository,
    done: Vec<(Snapshot, Picture)>,
}

impl Past {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        fs::create_dir_all(files.join("a/b")).unwrap();
        let store = Memory::default();
        let exchange = Exchange::new(store.clone());
        let repository =
            Repository::init(DynStore::new(exchange.clone()), &password(), &Ctx::default()).await.unwrap();
        let mut past = Self { folder, store, exchange, repository, done: Vec::new() };
        let mut random = Random::new(5);
        for round in 0..4 {
            // What stays and what goes lies in the same packs, so that a prune has something to write again.
            fs::write(files.join("stays"), noise(&mut Random::new(1), 30_000)).unwrap();
            fs::write(files.join(format!("of {round}")), noise(&mut random, 20_000)).unwrap();
            fs::write(files.join("a/b/changes"), noise(&mut random, 20_000)).unwrap();
            if round > 0 {
                fs::remove_file(files.join(format!("of {}", round - 1))).unwrap();
            }
            let report = past.repository.backup(past.job()).await.unwrap();
            past.done.push((report.snapshot, picture(&files)));
        }
        fs::write(files.join("a/new"), noise(&mut random, 700_000)).unwrap();
        past
    }

    fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    fn job(&self) -> BackupJob {
        BackupJob::new().root(self.files(), "/files")
    }

    /// Does `work` as often as it calls the store, killed after one call more each time, and in it.
    async fn killed_everywhere<T>(&mut self, work: impl AsyncFn(&mut Repository) -> Result<T, Error>) -> u64 {
        let past = self.store.copy();
        let (mut kills, mut looked_at) = (0, HashSet::new());
        for moment in MOMENTS {
            for at in 0.. {
                let kill = format!("{:?}", moment(at));
                let store = past.copy();
                let faults = Faults { kill: Some(moment(at)), ..Faults::default() };
                let killed = Faulty::new(store.clone(), faults, &Ctx::default());
                self.exchange.set(killed.clone());
                let done = work(&mut self.repository).await;
                self.exchange.set(store.clone());
                match &done {
                    Err(error) => assert!(is_kill(error), "{kill}: {error}"),
                    // After the last call, the process goes on for a moment.
                    Ok(_) if killed.operations() <= at => break,
                    Ok(_) => {}
                }
                kills += 1;
                // A call that only reads leaves what the one before it left.
                if looked_at.insert((store.changes(&past), torn(&store))) {
                    mend(&self.repository, &store, &kill).await;
                    self.look_after(&kill, &store, &past).await;
                    // The next run does what this one did not.
                    work(&mut self.repository).await.unwrap_or_else(|error| panic!("{kill}: {error}"));
                    self.repository.prune().await.unwrap();
                    let report = self.repository.check(CheckDepth::Data).await.unwrap();
                    assert!(report.remarks.is_empty(), "{kill}: {report:?}");
                }
            }
        }
        println!(
            "{} of them looked at, of which {} torn",
            looked_at.len(),
            looked_at.iter().filter(|(_, torn)| !torn.is_empty()).count()
        );
        kills
    }

    /// That nothing is lost.
    async fn look_after(&self, kill: &str, store: &Memory, past: &Memory) {
        for kind in [ObjectKind::Config, ObjectKind::Key] {
            for object in past.all(kind) {
                assert!(store.bytes(object) == past.bytes(object), "{kill}: {object}");
            }
        }
        self.repository.check(CheckDepth::Data).await.unwrap_or_else(|error| panic!("{kill}: {error}"));
        self.all_restore(&self.repository, kill).await;
    }

    async fn all_restore(&self, repository: &Repository, kill: &str) {
        let there = repository.snapshots().await.unwrap();
        for (snapshot, expected) in &self.done {
            if there.iter().any(|other| other.id == snapshot.id) {
                let target = self.folder.path().join("restored");
                repository.restore(snapshot, RestoreJob::new(&target)).await.unwrap();
                assert_eq!(&picture(&target.join("files")), expected, "{kill}");
                fs::remove_dir_all(target).unwrap();
            } else {
                assert!(may_go(snapshot), "{kill}: snapshot {} is gone", snapshot.id.short());
            }
        }
    }
}

/// What is not what its name says: what was being written by one who was killed.
fn torn(store: &Memory) -> Vec<Object> {
    let named = ObjectKind::ALL.into_iter().filter(|kind| *kind != ObjectKind::Config);
    let all = named.flat_map(|kind| store.all(kind));
    all.filter(|object| Id::of(&store.bytes(*object)) != object.id()).collect()
}

/// Does what a user does who finds something torn: a check names it, and nothing else; every snapshot restores all the same; and the repair that
/// is meant for it mends it. A lock and a pack need none, as nothing asks for them.
async fn mend(repository: &Repository, store: &Memory, kill: &str) {
    // The process is this one and lives, so its lock does not look like one of the dead.
    repository.unlock(true).await.unwrap();
    let mut torn = torn(store);
    torn.retain(|object| object.kind() != ObjectKind::Pack);
    let checked = repository.check(CheckDepth::Data).await;
    let Some(object) = torn.pop() else {
        return drop(checked.unwrap_or_else(|error| panic!("{kill}: {error}")));
    };
    assert!(torn.is_empty(), "{kill}: two are torn");
    let Err(Error::Incomplete { failures, .. }) = checked else { panic!("{kill}: {checked:?}") };
    assert_eq!(failures.len(), 1, "{kill}: {failures:?}");
    assert!(format!("{failures:?}").contains(&object.path()), "{kill}: {object}: {failures:?}");
    for snapshot in repository.snapshots().await.unwrap_or_default() {
        let target = tempfile::tempdir().unwrap();
        repository.restore(&snapshot, RestoreJob::new(target.path())).await.unwrap();
    }
    match object.kind() {
        ObjectKind::Index => drop(repository.repair_index(false).await.unwrap()),
        ObjectKind::Snapshot => drop(repository.repair_snapshots(&[], true).await.unwrap()),
        ObjectKind::Key => repository.remove_key(object.id()).await.unwrap(),
        _ => panic!("{kill}: {object} is torn"),
    }
    let checked = repository.check(CheckDepth::Data).await;
    checked.unwrap_or_else(|error| panic!("{kill}: {object} was mended: {error}"));
}

/// Whether it is among those that are being forgotten.
fn may_go(snapshot: &Snapshot) -> bool {
    snapshot.has_tag("may go")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_killed_at_any_call_loses_nothing() {
    let mut past = Past::new().await;
    let job = past.job();
    let kills = past.killed_everywhere(async |repository| repository.backup(job.clone()).await).await;
    println!("{kills} kills of a backup");
    assert!(kills > 20, "{kills}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgetting_killed_at_any_call_loses_nothing_else() {
    let mut past = Past::new().await;
    let gone = [past.done[0].0.id, past.done[2].0.id];
    for at in [0, 2] {
        past.done[at].0.tags.push("may go".to_owned());
    }
    let kills = past.killed_everywhere(async |repository| repository.forget(&gone).await).await;
    println!("{kills} kills of forgetting");
    assert!(kills > 5, "{kills}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prune_killed_at_any_call_loses_nothing() {
    let mut past = Past::new().await;
    past.repository.forget(&[past.done.remove(2).0.id, past.done.remove(0).0.id]).await.unwrap();
    let kills = past
        .killed_everywhere(async |repository| {
            let report = repository.prune().await?;
            assert!(report.packs_removed > 0 || report.blobs_removed == 0, "{report:?}");
            Ok(())
        })
        .await;
    println!("{kills} kills of a prune");
    assert!(kills > 25, "{kills}");
}

/// Killed in either store, the one that it reads from, where it holds a lock, or the one that it writes to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_killed_at_any_call_loses_nothing() {
    let past = Past::new().await;
    let ctx = Ctx::default();
    let target = Memory::default();
    let exchange = Exchange::new(target.clone());
    let to = Repository::init(DynStore::new(exchange.clone()), &password(), &ctx).await.unwrap();
    let from: Vec<_> = past.done.iter().map(|(snapshot, _)| snapshot.id).collect();
    // One is there, and shares something with the others.
    past.repository.copy_to(&to, &from[..1], &Progress::new()).await.unwrap();
    let before = target.copy();
    let (mut kills, mut looked_at) = (0, HashSet::new());
    for (kills_source, moment) in
        [true, false].into_iter().flat_map(|source| MOMENTS.map(|moment| (source, moment)))
    {
        for at in 0.. {
            target.set_back(&before);
            let kill = format!("{:?}", moment(at));
            let faults = Faults { kill: Some(moment(at)), ..Faults::default() };
            let under = if kills_source { past.store.clone() } else { target.clone() };
            let killed = Faulty::new(under, faults, &ctx);
            if kills_source {
                past.exchange.set(killed.clone());
            } else {
                exchange.set(killed.clone());
            }
            let done = past.repository.copy_to(&to, &from, &Progress::new()).await;
            past.exchange.set(past.store.clone());
            exchange.set(target.clone());
            if let Err(error) = &done {
                assert!(is_kill(error), "{kill}: {error}");
            } else if killed.operations() <= at {
                break;
            }
            kills += 1;
            // Their process is this one, and lives.
            for repository in [&past.repository, &to] {
                repository.unlock(true).await.unwrap();
            }
            // A call that only reads leaves what the one before it left.
            if looked_at.insert((target.changes(&before), torn(&target))) {
                mend(&to, &target, &kill).await;
                look_after_copy(&past, &to, &from, &kill).await;
            }
        }
    }
    println!("{kills} kills of a copy");
    assert!(kills > 40, "{kills}");
}

/// That nothing is lost in either, and that the next run does what this one did not.
async fn look_after_copy(past: &Past, to: &Repository, from: &[Id], kill: &str) {
    for repository in [&past.repository, to] {
        repository.check(CheckDepth::Data).await.unwrap_or_else(|error| panic!("{kill}: {error}"));
    }
    let report = past.repository.copy_to(to, from, &Progress::new()).await.unwrap();
    assert!(report.snapshots[0].already, "{kill}: the one that was reported done is gone");
    let there = to.snapshots().await.unwrap();
    assert_eq!(there.len(), from.len(), "{kill}: one was copied twice, or is missing");
    for (copied, (_, expected)) in report.snapshots.iter().zip(&past.done) {
        let copy = there.iter().find(|one| one.id == copied.to).expect("what is reported is there");
        let target = past.folder.path().join("restored");
        to.restore(copy, RestoreJob::new(&target)).await.unwrap();
        assert_eq!(&picture(&target.join("files")), expected, "{kill}");
        fs::remove_dir_all(target).unwrap();
    }
}

/// Opens the repository as another process would, with the first of the passwords that does.
async fn opens(store: &Memory, passwords: &[SecretString]) -> Option<(Repository, usize)> {
    for (number, password) in passwords.iter().enumerate() {
        match Repository::open(DynStore::new(store.clone()), password, &Ctx::default()).await {
            Ok(repository) => return Some((repository, number)),
            Err(Error::WrongPassword { .. } | Error::NoRepository { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_keys_killed_at_any_call_leaves_a_way_in() {
    let past = Past::new().await;
    let passwords = [password(), SecretString::from("the new one")];
    let (mut kills, mut torn_keys) = (0, 0);
    for change in ["add", "change", "remove"] {
        let before = past.store.copy();
        let removed = if change == "remove" { Some(added(&before, &passwords).await) } else { None };
        let exchange = Exchange::new(before.clone());
        let ctx = Ctx::default();
        let open = Repository::open(DynStore::new(exchange.clone()), &passwords[0], &ctx).await.unwrap();
        let mut looked_at = HashSet::new();
        for moment in MOMENTS {
            for at in 0.. {
                let kill = format!("{change}, {:?}", moment(at));
                let store = before.copy();
                let faults = Faults { kill: Some(moment(at)), ..Faults::default() };
                let killed = Faulty::new(store.clone(), faults, &ctx);
                exchange.set(killed.clone());
                let mut repository = open.clone();
                let done = match (change, removed) {
                    ("add", _) => repository.add_key(&passwords[1]).await.map(drop),
                    ("change", _) => repository.change_password(&passwords[1]).await,
                    (_, removed) => repository.remove_key(removed.unwrap()).await,
                };
                let torn = torn(&store).into_iter().filter(|object| object.kind() == ObjectKind::Key).count();
                if looked_at.insert((done.is_ok(), store.changes(&before), torn)) {
                    let (reopened, with) = opens(&store, &passwords).await.expect("a way in");
                    assert_eq!(reopened.id(), past.repository.id());
                    if done.is_ok() && change == "change" {
                        assert_eq!(with, 1, "the old password is gone when it is said to be");
                    }
                    mend(&reopened, &store, &kill).await;
                    past.all_restore(&reopened, &kill).await;
                    torn_keys += torn;
                }
                kills += 1;
                if killed.operations() <= at {
                    break;
                }
            }
        }
    }
    println!("{kills} kills of changes of keys");
    assert!(kills > 30 && torn_keys == 2, "{kills} {torn_keys}");
}

/// A second key, and its name.
async fn added(store: &Memory, passwords: &[SecretString; 2]) -> Id {
    let (repository, _) = opens(store, passwords).await.unwrap();
    repository.add_key(&passwords[1]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_whose_making_was_killed_can_be_made_again() {
    let mut kills = 0;
    let mut looked_at = HashSet::new();
    for at in 0.. {
        let store = Memory::default();
        let faults = Faults { kill: Some(Kill::After(at)), ..Faults::default() };
        let killed = Faulty::new(store.clone(), faults, &Ctx::default());
        let done = Repository::init(DynStore::new(killed.clone()), &password(), &Ctx::default()).await;
        if looked_at.insert(store.changes(&Memory::default())) {
            let again = Repository::init(DynStore::new(store.clone()), &password(), &Ctx::default()).await;
            let made = matches!(again, Ok(_) | Err(Error::RepositoryExists { .. }));
            assert!(made, "kill {at}: {again:?}");
            // By whichever of the keys it comes upon first: their order in a listing is any.
            for key in store.all(ObjectKind::Key) {
                let alone = store.copy();
                for other in store.all(ObjectKind::Key).into_iter().filter(|other| *other != key) {
                    alone.set(other, None);
                }
                let (repository, _) = opens(&alone, &[password()]).await.expect("each key opens it");
                repository.check(CheckDepth::Data).await.unwrap();
            }
        }
        kills += u64::from(done.is_err());
        if killed.operations() <= at {
            break;
        }
    }
    println!("{kills} kills of making");
    assert!(kills > 5, "{kills}");
}

/// Writes that a store acknowledged and lost, or made and did not acknowledge: the next backup of the same files puts back what is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_store_loses_or_makes_in_secret_is_made_good_by_the_next_backup() {
    let mut past = Past::new().await;
    let (mut lost, mut falsely_failed) = (0, 0);
    // Which calls fail depends on how two threads come by: as many runs as bring some of each.
    for seed in 0.. {
        if lost >= 3 && falsely_failed >= 3 {
            break;
        }
        assert!(seed < 200, "{lost} {falsely_failed}");
        let store = past.store.copy();
        let plan = if seed % 2 == 0 {
            Faults { seed, lost: 0.15, ..Faults::default() }
        } else {
            Faults { seed, fails_after: 0.08, ..Faults::default() }
        };
        let faulty = Faulty::new(store.clone(), plan, &Ctx::default());
        past.exchange.set(faulty.clone());
        let first = past.repository.backup(past.job()).await;
        lost += u64::from(first.is_ok() && faulty.injected() > 0);
        falsely_failed += u64::from(first.is_err());
        past.exchange.set(store.clone());
        past.repository.unlock(true).await.unwrap();
        let report =
            past.repository.backup(past.job()).await.unwrap_or_else(|error| panic!("{seed}: {error}"));
        past.repository.check(CheckDepth::Data).await.unwrap_or_else(|error| panic!("{seed}: {error}"));
        past.done.push((report.snapshot, picture(&past.files())));
        look(&past, seed, &store).await;
        past.done.pop();
    }
}

async fn look(past: &Past, seed: u64, store: &Memory) {
    past.look_after(&format!("seed {seed}"), store, &past.store).await;
}
