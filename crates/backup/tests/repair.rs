//! Repositories that have lost something.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use buttress_backup::{CheckDepth, ObjectKind, RepairIndexReport, RestoreJob, Snapshot};
use buttress_testkit::Random;
use support::{Bench, noise, objects, picture};

/// Two folders with a file each, and one beside; two snapshots, each with packs of its own. The packs of the second one.
async fn two_snapshots() -> (Bench, Vec<PathBuf>) {
    let bench = Bench::new().await;
    let mut random = Random::new(21);
    for name in ["a/one", "b/two"] {
        fs::create_dir_all(bench.files().join(name).parent().expect("a folder")).expect("a folder");
        fs::write(bench.files().join(name), noise(&mut random, 50_000)).expect("a file");
    }
    bench.repository.backup(bench.job()).await.expect("a backup");
    let before = objects(&bench.place(), ObjectKind::Pack);
    fs::write(bench.files().join("b/three"), noise(&mut random, 50_000)).expect("a file");
    bench.repository.backup(bench.job()).await.expect("a backup");
    let new = objects(&bench.place(), ObjectKind::Pack).into_iter().filter(|pack| !before.contains(pack));
    let new = new.collect();
    (bench, new)
}

fn largest(packs: &[PathBuf]) -> &Path {
    packs.iter().max_by_key(|pack| length(pack)).expect("a pack")
}

fn smallest(packs: &[PathBuf]) -> &Path {
    packs.iter().min_by_key(|pack| length(pack)).expect("a pack")
}

fn length(pack: &Path) -> u64 {
    fs::metadata(pack).expect("an object").len()
}

/// Changes an object behind the repository's back.
fn change(object: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(object).expect("an object");
    change(&mut bytes);
    fs::remove_file(object).expect("removed");
    fs::write(object, bytes).expect("written");
}

async fn restored(bench: &Bench, snapshot: &Snapshot) -> Vec<String> {
    let target = bench.target(&format!("restored {}", snapshot.id.short()));
    bench.repository.restore(snapshot, RestoreJob::new(&target)).await.expect("restored");
    let original = bench.files();
    picture(&target.join("files"))
        .into_keys()
        .map(|path| {
            let (file, before) = (target.join("files").join(&path), original.join(&path));
            assert!(file.is_dir() || fs::read(&file).expect("a file") == fs::read(before).expect("a file"));
            path.to_str().expect("text").to_owned()
        })
        .collect()
}

async fn whole(bench: &Bench) {
    bench.repository.check(CheckDepth::Data).await.expect("whole");
    let said = bench.restic_ok(&["check", "--read-data"]);
    assert!(said.contains("no errors were found"), "{said}");
}

#[tokio::test]
async fn an_index_that_is_in_order_stays() {
    let (bench, _) = two_snapshots().await;
    let before = objects(&bench.place(), ObjectKind::Index);
    for read_data in [false, true] {
        let report = bench.repository.repair_index(read_data).await.expect("looked at");
        assert_eq!(report, RepairIndexReport::default());
    }
    assert_eq!(objects(&bench.place(), ObjectKind::Index), before);
    let report = bench.repository.repair_snapshots(&[], true).await.expect("looked at");
    assert_eq!((report.whole, report.damaged.len()), (2, 0));
}

#[tokio::test]
async fn a_lost_or_damaged_index_comes_back_from_packs() {
    let (bench, _) = two_snapshots().await;
    let indexes = objects(&bench.place(), ObjectKind::Index);
    fs::remove_file(&indexes[0]).expect("removed");
    change(&indexes[1], |bytes| bytes[40] ^= 1);
    assert!(bench.repository.check(CheckDepth::Structure).await.is_err());
    let report = bench.repository.repair_index(false).await.expect("repaired");
    assert_eq!((report.repaired, report.indexes_damaged, report.packs_found), (true, 1, 4), "{report:?}");
    whole(&bench).await;
    for snapshot in bench.repository.snapshots().await.expect("snapshots") {
        assert!(restored(&bench, &snapshot).await.contains(&"a/one".to_owned()));
    }
}

#[tokio::test]
async fn what_was_in_a_lost_pack_is_left_out() {
    let (bench, new) = two_snapshots().await;
    fs::remove_file(largest(&new)).expect("removed");
    let report = bench.repository.repair_index(false).await.expect("repaired");
    assert_eq!((report.repaired, report.packs_gone), (true, 1), "{report:?}");
    let report = bench.repository.repair_snapshots(&[], false).await.expect("repaired");
    assert_eq!((report.whole, report.damaged.len()), (1, 1), "{report:?}");
    let damaged = &report.damaged[0];
    assert_eq!(damaged.lost, ["/files/b/three"]);
    // The old one stays as it is, the new one is whole.
    let all = bench.repository.snapshots().await.expect("snapshots");
    let new = all.iter().find(|snapshot| Some(snapshot.id) == damaged.new).expect("a new version");
    assert_eq!(new.original, Some(damaged.old));
    assert!(new.has_tag("repaired") && all.iter().any(|snapshot| snapshot.id == damaged.old));
    assert_eq!(restored(&bench, new).await, ["a", "a/one", "b", "b/two"]);
    assert!(bench.repository.check(CheckDepth::Structure).await.is_err());

    // And if it is to go, it goes.
    let report = bench.repository.repair_snapshots(&[damaged.old], true).await.expect("repaired");
    assert_eq!(report.damaged.len(), 1);
    whole(&bench).await;
    bench.repository.prune().await.expect("pruned");
    whole(&bench).await;
}

#[tokio::test]
async fn of_a_damaged_pack_the_rest_is_saved() {
    let (bench, _) = two_snapshots().await;
    // A bit of the first blob of the pack that holds `a/one` and `b/two`.
    let packs = objects(&bench.place(), ObjectKind::Pack);
    let pack = largest(&packs).to_owned();
    change(&pack, |bytes| bytes[100] ^= 1);
    let report = bench.repository.repair_index(false).await.expect("looked at");
    assert!(!report.repaired, "{report:?}");
    let report = bench.repository.repair_index(true).await.expect("repaired");
    assert_eq!((report.blobs_saved, report.blobs_lost, report.packs_damaged.len()), (1, 1, 1), "{report:?}");
    assert!(report.packs_damaged[0].problem.contains("not that of its name") && !pack.exists());
    let report = bench.repository.repair_snapshots(&[], true).await.expect("repaired");
    assert_eq!((report.whole, report.damaged.len()), (0, 2), "{report:?}");
    assert!(report.damaged.iter().all(|damaged| damaged.lost == report.damaged[0].lost));
    assert_eq!(report.damaged[0].lost.len(), 1);
    whole(&bench).await;
    assert!(!bench.repository.repair_index(true).await.expect("looked at").repaired);
}

#[tokio::test]
async fn of_a_pack_that_is_cut_off_the_rest_is_saved() {
    let (bench, new) = two_snapshots().await;
    change(largest(&new), |bytes| bytes.truncate(bytes.len() - 10));
    let report = bench.repository.repair_index(false).await.expect("repaired");
    assert_eq!((report.blobs_saved, report.blobs_lost), (1, 0), "{report:?}");
    whole(&bench).await;
    assert_eq!(bench.repository.repair_snapshots(&[], true).await.expect("looked at").whole, 2);
}

#[tokio::test]
async fn lost_folders_are_empty_and_a_lost_root_is_the_end() {
    let (bench, new) = two_snapshots().await;
    // The trees that the second snapshot does not share with the first: its root, `/files` and `b`.
    fs::remove_file(smallest(&new)).expect("removed");
    bench.repository.repair_index(false).await.expect("repaired");
    let report = bench.repository.repair_snapshots(&[], true).await.expect("repaired");
    assert_eq!((report.whole, report.damaged.len()), (1, 1), "{report:?}");
    assert_eq!((report.damaged[0].new, report.damaged[0].lost[0].as_str()), (None, "/"));
    whole(&bench).await;

    // Of `b` alone: its tree is the first of the pack, as inner folders are stored before the outer ones.
    let (bench, new) = two_snapshots().await;
    change(smallest(&new), |bytes| bytes[20] ^= 1);
    let report = bench.repository.repair_index(true).await.expect("repaired");
    assert_eq!((report.blobs_saved, report.blobs_lost), (2, 1), "{report:?}");
    let report = bench.repository.repair_snapshots(&[], true).await.expect("repaired");
    assert_eq!(report.damaged[0].lost, ["/files/b"], "{report:?}");
    let newest = bench.repository.snapshot("latest").await.expect("a snapshot");
    assert_eq!(Some(newest.id), report.damaged[0].new);
    assert_eq!(restored(&bench, &newest).await, ["a", "a/one", "b"]);
    whole(&bench).await;
}

#[tokio::test]
async fn a_damaged_snapshot_is_named_and_goes() {
    let (bench, _) = two_snapshots().await;
    let snapshots = objects(&bench.place(), ObjectKind::Snapshot);
    change(&snapshots[0], |bytes| bytes[30] ^= 1);
    assert!(bench.repository.snapshots().await.is_err());
    let report = bench.repository.repair_snapshots(&[], true).await.expect("repaired");
    assert_eq!((report.whole, report.damaged.len()), (1, 1), "{report:?}");
    assert!(snapshots[0].ends_with(report.damaged[0].old.to_string()));
    whole(&bench).await;
}
