//! Copies to a repository with another key.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

mod support;

use std::fs;
use std::sync::atomic::Ordering;

use buttress_backup::store::DynStore;
use buttress_backup::{CheckDepth, Error, Id, ObjectKind, Progress, Repository, RestoreJob, Snapshot};
use buttress_core::Ctx;
use buttress_testkit::Random;
use support::{Bench, Watched, fill, noise, objects, password, picture};

async fn ids(repository: &Repository) -> Vec<Id> {
    repository.snapshots().await.expect("snapshots").iter().map(|snapshot| snapshot.id).collect()
}

async fn restored(
    bench: &Bench,
    snapshot: &Snapshot,
) -> std::collections::BTreeMap<std::path::PathBuf, String> {
    let target = bench.target(&snapshot.id.short());
    bench.repository.restore(snapshot, RestoreJob::new(&target)).await.expect("restored");
    picture(&target)
}

#[tokio::test]
async fn a_copy_restores_the_same_and_is_made_once() {
    let (bench, other) = (Bench::new().await, Bench::new().await);
    fill(&bench.files());
    bench.repository.backup(bench.job().tag("first")).await.expect("a backup");
    fs::write(bench.files().join("new"), "one more").expect("a file");
    bench.repository.backup(bench.job()).await.expect("a backup");
    // Something of it is there already, from elsewhere.
    fs::copy(bench.files().join("noise.bin"), other.files().join("noise")).expect("a copy");
    other.repository.backup(other.job()).await.expect("a backup");

    let from = ids(&bench.repository).await;
    let progress = Progress::new();
    let report = bench.repository.copy_to(&other.repository, &from, &progress).await.expect("copied");
    assert_eq!(report.snapshots.len(), 2);
    assert_eq!((progress.bytes(), progress.total_bytes()), (report.bytes, report.bytes));
    other.repository.check(CheckDepth::Data).await.expect("whole");
    let said = other.restic_ok(&["check", "--read-data"]);
    assert!(said.contains("no errors were found"), "{said}");
    for copied in &report.snapshots {
        let one = bench.repository.snapshot(&copied.from.to_string()).await.expect("a snapshot");
        let copy = other.repository.snapshot(&copied.to.to_string()).await.expect("a snapshot");
        assert_eq!((copy.original, copy.parent, copy.time), (Some(one.id), None, one.time));
        assert_eq!(restored(&other, &copy).await, restored(&bench, &one).await);
    }

    // Again, there and back: nothing is new.
    let again = bench.repository.copy_to(&other.repository, &from, &progress).await.expect("copied");
    assert!(again.snapshots.iter().all(|copied| copied.already), "{again:?}");
    assert_eq!((again.blobs, again.bytes_packed), (0, 0));
    let copies: Vec<Id> = again.snapshots.iter().map(|copied| copied.to).collect();
    let back = other.repository.copy_to(&bench.repository, &copies, &progress).await.expect("copied");
    assert_eq!(back.snapshots.iter().map(|copied| copied.to).collect::<Vec<_>>(), from);
    // restic knows it as a copy too: it names the same origin.
    assert!(other.restic_ok(&["snapshots", "--json"]).contains(&format!("\"original\":\"{}\"", from[0])));
}

#[tokio::test]
async fn a_copy_that_was_cut_short_goes_on() {
    let (bench, other) = (Bench::new().await, Bench::new().await);
    let mut random = Random::new(3);
    for number in 0..3 {
        fs::write(bench.files().join(format!("{number}")), noise(&mut random, 300_000)).expect("a file");
        bench.repository.backup(bench.job()).await.expect("a backup");
    }
    let from = ids(&bench.repository).await;
    // It ends in the middle of the second snapshot.
    let watched = Watched::new(&other.place(), 3);
    let store = DynStore::new(watched.clone());
    let failing = Repository::open(store, &password(), &Ctx::default()).await.expect("opened");
    let error = bench.repository.copy_to(&failing, &from, &Progress::new()).await.unwrap_err();
    assert!(error.to_string().contains("the plug was pulled"), "{error}");
    assert_eq!(objects(&bench.place(), ObjectKind::Lock).len(), 0);
    assert_eq!(objects(&other.place(), ObjectKind::Lock).len(), 0);
    other.repository.check(CheckDepth::Data).await.expect("whole");
    let there = ids(&other.repository).await.len();
    assert!((1..3).contains(&there), "{there}");

    watched.packs_left.store(usize::MAX, Ordering::Relaxed);
    let report = bench.repository.copy_to(&failing, &from, &Progress::new()).await.expect("copied");
    assert_eq!(report.snapshots.iter().filter(|copied| copied.already).count(), there);
    assert!(report.bytes < 700_000, "{report:?}");
    other.repository.check(CheckDepth::Data).await.expect("whole");
    let newest = other.repository.snapshot("latest").await.expect("a snapshot");
    let one = bench.repository.snapshot("latest").await.expect("a snapshot");
    assert_eq!(restored(&other, &newest).await, restored(&bench, &one).await);
}

#[tokio::test]
async fn what_is_damaged_is_not_copied_and_named() {
    let (bench, other) = (Bench::new().await, Bench::new().await);
    let mut random = Random::new(4);
    fs::write(bench.files().join("lost"), noise(&mut random, 100_000)).expect("a file");
    let damaged = bench.repository.backup(bench.job()).await.expect("a backup").id;
    let packs = objects(&bench.place(), ObjectKind::Pack);
    fs::remove_file(bench.files().join("lost")).expect("removed");
    fs::write(bench.files().join("whole"), noise(&mut random, 100_000)).expect("a file");
    let whole = bench.repository.backup(bench.job()).await.expect("a backup").id;
    // One bit of the largest of the first packs, which holds the file.
    let pack = packs.iter().max_by_key(|pack| fs::metadata(pack).expect("a pack").len()).expect("a pack");
    let mut bytes = fs::read(pack).expect("a pack");
    bytes[1000] ^= 1;
    fs::remove_file(pack).expect("removed");
    fs::write(pack, bytes).expect("written");

    let error = bench.repository.copy_to(&other.repository, &[damaged, whole], &Progress::new()).await;
    let Err(Error::Incomplete { done, failures }) = error else { panic!("{error:?}") };
    assert!(done.starts_with("1 snapshots were copied"), "{done}");
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0].of, format!("snapshot {}", damaged.short()));
    assert!(failures[0].problem.contains("its MAC does not fit"), "{failures:?}");
    other.repository.check(CheckDepth::Data).await.expect("whole");
    assert_eq!(other.repository.snapshots().await.expect("snapshots")[0].original, Some(whole));

    let unknown = bench.repository.copy_to(&other.repository, &[Id::of(b"")], &Progress::new()).await;
    assert!(matches!(unknown, Err(Error::NoSnapshot { .. })), "{unknown:?}");
    let itself = bench.repository.copy_to(&bench.repository, &[whole], &Progress::new()).await;
    assert!(matches!(itself, Err(Error::Source { .. })), "{itself:?}");
}
