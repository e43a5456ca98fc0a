//! Who may only add can back up, and take away nothing, whatever he tries.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

mod support;

use std::fs;
use std::time::Duration;

use buttress_backup::store::faulty::{Faults, Faulty, Kill, is_kill};
use buttress_backup::store::{AppendOnly, DynStore, Existing, Folder, Store};
use buttress_backup::{BackupJob, CheckDepth, Error, Id, Object, ObjectKind, Repository, RestoreJob};
use buttress_core::{Classify, Ctx, ErrorClass};
use secrecy::SecretString;
use support::memory::Memory;
use support::{Bench, fill, objects, password, picture};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_only_add_takes_nothing_away() {
    let bench = Bench::new().await;
    fill(&bench.files());
    let before = bench.repository.backup(bench.job()).await.unwrap().snapshot;
    let expected = picture(&bench.files());
    // Another way in, which is not the thief's.
    let key = bench.repository.add_key(&SecretString::from("in the safe")).await.unwrap();
    let there = |kind| objects(&bench.place(), kind);
    let old = ObjectKind::ALL.map(there).concat();
    let store = DynStore::new(AppendOnly::new(Folder::new(bench.place())));
    let mut thief = Repository::open(store, &password(), &Ctx::default()).await.unwrap();

    // A snapshot of nothing that claims to be the newest for ever, and of which much is new.
    let empty = bench.target("empty");
    fs::create_dir(&empty).unwrap();
    fs::write(empty.join("junk"), vec![7; 1 << 20]).unwrap();
    let future = "2999-01-01T00:00:00Z".parse().unwrap();
    let forged = thief.backup(BackupJob::new().root(&empty, "/files").time(future)).await.unwrap();
    let other = SecretString::from("of the thief");
    let refusals = [
        ("forget", thief.forget(&[before.id]).await),
        ("prune", thief.prune().await.map(drop)),
        ("change the password", thief.change_password(&other).await),
        ("remove a key", thief.remove_key(key).await),
    ];
    for (what, refused) in refusals {
        let refused = refused.expect_err(what);
        assert_eq!(refused.class(), ErrorClass::Forbidden, "{what}: {refused:?}");
    }
    for object in old {
        assert!(object.exists(), "{} is gone", object.display());
    }
    // Junk of every kind, keys among it, of which only some are tried.
    let bucket = AppendOnly::new(Folder::new(bench.place()));
    let a_key = fs::read_to_string(&there(ObjectKind::Key)[0]).unwrap();
    let kinds = [ObjectKind::Pack, ObjectKind::Index, ObjectKind::Snapshot, ObjectKind::Lock];
    for (number, kind) in kinds.into_iter().chain([ObjectKind::Key; 120]).enumerate() {
        let junk = match kind {
            // Of another password.
            ObjectKind::Key if number < 8 => {
                a_key.replacen("\"data\":\"", &format!("\"data\":\"{number}AAA"), 1)
            }
            _ => format!("junk {number}"),
        };
        let object = Object::new(kind, Id::of(junk.as_bytes()));
        bucket.put(object, junk.into(), Existing::Kept).await.unwrap();
    }
    // Its owner has all, with the password that he knows, and removes what was forged.
    let repository =
        Repository::open(DynStore::new(Folder::new(bench.place())), &password(), &Ctx::default())
            .await
            .unwrap();
    let refused = repository.restore(&before, RestoreJob::new(bench.target("not yet"))).await.unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused:?}");
    assert!(repository.unlock(true).await.unwrap() > 0);
    let target = bench.target("restored");
    repository.restore(&before, RestoreJob::new(&target)).await.unwrap();
    assert_eq!(picture(&target.join("files")), expected);
    let Err(Error::Incomplete { failures, .. }) = repository.check(CheckDepth::Data).await else {
        panic!("the junk was not found");
    };
    for junk in failures {
        fs::remove_file(bench.place().join(&junk.of)).unwrap_or_else(|error| panic!("{junk:?}: {error}"));
    }
    repository.repair_index(true).await.unwrap();
    repository.forget(&[forged.id]).await.unwrap();
    repository.prune().await.unwrap();
    repository.check(CheckDepth::Data).await.unwrap();
    assert_eq!(repository.snapshots().await.unwrap().len(), 1);
}

/// The lock of one who was killed cannot be removed there, and keeps nobody out who adds or reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_the_dead_keeps_nobody_from_adding() {
    let bench = Bench::new().await;
    fill(&bench.files());
    let store = Memory::default();
    let ctx = Ctx::default();
    Repository::init(DynStore::new(store.clone()), &password(), &ctx).await.unwrap();
    let opened = async |kill| {
        let faults = Faults { kill, ..Faults::default() };
        let store = DynStore::new(AppendOnly::new(Faulty::new(store.clone(), faults, &ctx)));
        Repository::open(store, &password(), &ctx).await
    };
    let killed = opened(Some(Kill::After(8))).await.unwrap().backup(bench.job()).await.unwrap_err();
    assert!(is_kill(&killed), "{killed}");
    let dead = store.all(ObjectKind::Lock);
    assert_eq!(dead.len(), 1);
    store.age(dead[0], Duration::from_mins(31));
    let repository = opened(None).await.unwrap();
    let snapshot = repository.backup(bench.job()).await.unwrap().snapshot;
    assert_eq!(repository.check(CheckDepth::Data).await.unwrap().without_lock, None);
    repository.restore(&snapshot, RestoreJob::new(bench.target("restored"))).await.unwrap();
    assert_eq!(picture(&bench.target("restored/files")), picture(&bench.files()));
    assert_eq!(store.all(ObjectKind::Lock), dead, "it is for those who may remove to remove it");
}
