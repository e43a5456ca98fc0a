//! restic reads what we write, and we read what it writes.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::fs;

use buttress_backup::store::{DynStore, Folder};
use buttress_backup::{CheckDepth, Error, Repository, RestoreJob};
use buttress_core::Ctx;
use secrecy::SecretString;
use support::{Bench, fill, password, picture, restic, restic_command};

#[tokio::test]
async fn restic_checks_and_restores_what_we_write() {
    let bench = Bench::new().await;
    fill(&bench.files());
    bench.repository.backup(bench.job().tag("first")).await.expect("a backup");
    fs::write(bench.files().join("new"), "one more").expect("a file");
    bench.repository.backup(bench.job().tag("second")).await.expect("a backup");

    let said = bench.restic_ok(&["check", "--read-data"]);
    assert!(said.contains("no errors were found"), "{said}");
    let target = bench.target("by restic");
    bench.restic_ok(&["restore", "latest", "--target", target.to_str().unwrap()]);
    assert_eq!(picture(&target.join("files")), picture(&bench.files()));
    let listed = bench.restic_ok(&["snapshots", "--tag", "first", "--json"]);
    assert!(listed.contains("\"/files\""), "{listed}");
    // It finds nothing to change, so our trees are its trees.
    let said = bench.restic_ok(&["prune"]);
    assert!(said.contains("done"), "{said}");
}

#[tokio::test]
async fn we_check_and_restore_what_restic_writes() {
    let bench = Bench::new().await;
    fill(&bench.files());
    fs::remove_dir_all(bench.place()).expect("removed");
    bench.restic_ok(&["init", "--repository-version", "2"]);
    let files = bench.files();
    bench.restic_ok(&["backup", "--tag", "theirs", files.to_str().unwrap()]);

    let store = DynStore::new(Folder::new(bench.place()));
    let repository = Repository::open(store, &password(), &Ctx::default()).await.expect("opened");
    let report = repository.check(CheckDepth::Data).await.expect("whole");
    assert_eq!((report.snapshots, report.packs), (1, report.packs_read));
    let snapshot = repository.snapshot("latest").await.expect("a snapshot");
    assert!(snapshot.has_tag("theirs"));
    let target = bench.target("by us");
    repository.restore(&snapshot, RestoreJob::new(&target).only(&files)).await.expect("restored");
    assert_eq!(picture(&target), picture(&files));

    // We go on where it was, it where we were.
    fs::write(files.join("ours"), "one more").expect("a file");
    let job = buttress_backup::BackupJob::new().folder(&files);
    let report = repository.backup(job).await.expect("a backup");
    assert_eq!(report.snapshot.parent, Some(snapshot.id));
    assert_eq!(report.summary.files_new, 1, "{:?}", report.summary);
    assert_eq!(report.summary.data_blobs, 1, "{:?}", report.summary);
    bench.restic_ok(&["backup", files.to_str().unwrap()]);
    repository.check(CheckDepth::Data).await.expect("whole");
    bench.restic_ok(&["check", "--read-data"]);

    // What one forgets the other prunes.
    repository.forget(&[snapshot.id]).await.expect("forgotten");
    bench.restic_ok(&["prune"]);
    repository.check(CheckDepth::Data).await.expect("whole");
    fs::remove_file(files.join("text.txt")).expect("removed");
    bench.restic_ok(&["backup", files.to_str().unwrap()]);
    bench.restic_ok(&["forget", "--keep-last", "1", "--group-by", "host"]);
    let pruned = repository.prune().await.expect("pruned");
    assert!(pruned.blobs_removed > 0, "{pruned:?}");
    bench.restic_ok(&["check", "--read-data"]);
    let target = bench.target("afterwards");
    bench.restic_ok(&["restore", "latest", "--target", target.to_str().unwrap()]);
    assert_eq!(picture(&target.join(files.strip_prefix("/").unwrap())), picture(&files));
}

#[tokio::test]
async fn either_opens_with_any_password() {
    let mut bench = Bench::new().await;
    let second = SecretString::from("another one");
    let id = bench.repository.add_key(&second).await.expect("a key");
    assert!(bench.restic_ok(&["key", "list"]).contains(&id.short()));
    // restic with a password that we added, and we with one that it added.
    let with = |password: &str, arguments: &[&str]| {
        let mut restic = restic_command(&bench.place(), arguments);
        restic.env("RESTIC_PASSWORD", password).output().expect("restic runs").status.success()
    };
    assert!(with("another one", &["snapshots"]) && !with("never added", &["snapshots"]));
    let file = bench.target("theirs");
    fs::write(&file, "by restic").expect("a file");
    assert!(with("another one", &["key", "add", "--new-password-file", file.to_str().unwrap()]));
    let store = DynStore::new(Folder::new(bench.place()));
    Repository::open(store.clone(), &second, &Ctx::default()).await.expect("opened");
    let theirs = SecretString::from("by restic");
    let reopened = Repository::open(store.clone(), &theirs, &Ctx::default()).await.expect("opened");
    let current: Vec<_> =
        reopened.keys().await.expect("keys").into_iter().filter(|key| key.current).collect();
    assert!(current.len() == 1 && current[0].id != id, "{current:?}");
    bench.repository.change_password(&SecretString::from("changed")).await.expect("changed");
    let refused = Repository::open(store.clone(), &password(), &Ctx::default()).await.unwrap_err();
    assert!(matches!(refused, Error::WrongPassword { keys: 3, .. }), "{refused}");
    assert!(!bench.restic(&["snapshots"]).status.success());
    let reopened = Repository::open(store, &second, &Ctx::default()).await.expect("opened");
    assert_eq!(reopened.keys().await.expect("keys").len(), 3);
    assert_eq!(reopened.id(), bench.repository.id());
}

#[tokio::test]
async fn no_lock_is_left() {
    let bench = Bench::new().await;
    fill(&bench.files());
    bench.repository.backup(bench.job()).await.expect("a backup");

    let locks = bench.place().join("locks");
    assert_eq!(fs::read_dir(&locks).map_or(0, Iterator::count), 0, "a lock was left");
}

/// One of the version before says what would do, and does when that was done.
#[tokio::test]
async fn a_repository_of_version_1_is_refused_until_restic_has_migrated_it() {
    let folder = tempfile::tempdir().unwrap();
    let (place, files) = (folder.path().join("repository"), folder.path().join("files"));
    fs::create_dir(&files).unwrap();
    fill(&files);
    let by_restic = |arguments: &[&str]| {
        let output = restic(&place, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    by_restic(&["init", "--repository-version", "1"]);
    by_restic(&["backup", files.to_str().unwrap()]);
    let open =
        async || Repository::open(DynStore::new(Folder::new(&place)), &password(), &Ctx::default()).await;
    let refused = open().await.unwrap_err();
    assert!(matches!(&refused, Error::Unsupported { .. }), "{refused:?}");
    assert!(refused.to_string().contains("restic migrate upgrade_repo_v2"), "{refused}");

    by_restic(&["migrate", "upgrade_repo_v2"]);
    let repository = open().await.unwrap();
    repository.check(CheckDepth::Data).await.unwrap();
    let snapshot = repository.snapshot("latest").await.unwrap();
    let target = folder.path().join("restored");
    repository.restore(&snapshot, RestoreJob::new(&target)).await.unwrap();
    assert_eq!(picture(&target.join(files.strip_prefix("/").unwrap())), picture(&files));
}
