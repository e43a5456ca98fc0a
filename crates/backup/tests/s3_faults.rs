//! A repository in a bucket whose credentials expire, or that lets nobody delete.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use buttress_backup::store::{DynStore, StoreConfig};
use buttress_backup::{BackupJob, CheckDepth, Error, Repository, RestoreJob, Snapshot};
use buttress_core::{Classify, Ctx, ErrorClass};
use buttress_testkit::{Random, S3};
use support::{noise, password, picture};

/// A repository in a bucket, with a snapshot.
struct Bucket {
    s3: S3,
    folder: tempfile::TempDir,
    repository: Repository,
    snapshot: Snapshot,
    expected: BTreeMap<PathBuf, String>,
}

impl Bucket {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        fs::create_dir(&files).unwrap();
        for number in 0..4 {
            let bytes = noise(&mut Random::new(number), 40_000);
            fs::write(files.join(number.to_string()), bytes).unwrap();
        }
        let s3 = S3::start();
        s3.create_bucket("backups");
        let mut config = StoreConfig::default();
        "s3://backups/one".clone_into(&mut config.url);
        config.s3.endpoint = Some(s3.endpoint());
        config.s3.access_key_id = Some(S3::ACCESS_KEY_ID.to_owned());
        config.s3.secret_access_key = Some(S3::SECRET_ACCESS_KEY.to_owned());
        let ctx = Ctx::default();
        let store = DynStore::open(&config, &ctx).await.unwrap();
        let repository = Repository::init(store, &password(), &ctx).await.unwrap();
        let snapshot = repository.backup(BackupJob::new().root(&files, "/files")).await.unwrap().snapshot;
        let expected = picture(&files);
        Self { s3, folder, repository, snapshot, expected }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn job(&self) -> BackupJob {
        BackupJob::new().root(self.at("files"), "/files")
    }

    async fn restore(&self, snapshot: &Snapshot) -> BTreeMap<PathBuf, String> {
        let target = self.at("restored");
        self.repository.restore(snapshot, RestoreJob::new(&target)).await.unwrap();
        let restored = picture(&target.join("files"));
        fs::remove_dir_all(target).unwrap();
        restored
    }
}

fn says_so(error: &Error) {
    let told = buttress_core::chain(error);
    assert_eq!(error.class(), ErrorClass::Unauthenticated, "{told}");
    assert!(told.contains("the credentials have expired"), "{told}");
}

/// Whenever that is: the run says so at once and makes nothing that lacks something, and with new credentials the next run goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_expire_in_the_middle_of_a_backup_cost_that_run() {
    let bucket = Bucket::new().await;
    let mut failed = 0;
    for good in (0..).step_by(2) {
        let new = noise(&mut Random::new(1_000 + good), 30_000);
        fs::write(bucket.at("files/new"), new).unwrap();
        bucket.s3.let_credentials_expire_after(usize::try_from(good).unwrap());
        let before = bucket.s3.requests();
        let done = bucket.repository.backup(bucket.job()).await;
        let asked = bucket.s3.requests() - before;
        bucket.s3.renew_credentials();
        bucket.repository.check(CheckDepth::Data).await.unwrap_or_else(|error| panic!("{good}: {error}"));
        assert_eq!(bucket.restore(&bucket.snapshot).await, bucket.expected);
        if let Err(error) = &done {
            says_so(error);
            // Others under way at that moment, and the lock that it tries to remove.
            assert!(asked < usize::try_from(good).unwrap() + 6, "{asked} requests of which {good} were good");
            failed += 1;
        }
        // The lock that could not be removed is of this process, which lives.
        bucket.repository.unlock(true).await.unwrap();
        let report = bucket.repository.backup(bucket.job()).await.unwrap();
        assert_eq!(bucket.restore(&report.snapshot).await, picture(&bucket.at("files")), "{good}");
        let snapshots = bucket.repository.snapshots().await.unwrap();
        let others: Vec<_> =
            snapshots.iter().map(|one| one.id).filter(|id| *id != bucket.snapshot.id).collect();
        bucket.repository.forget(&others).await.unwrap();
        bucket.repository.prune().await.unwrap();
        if done.is_ok() {
            break;
        }
    }
    println!("{failed} backups whose credentials expired");
    assert!(failed > 5, "{failed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_expire_in_the_middle_of_a_restore_are_told_and_no_file_is_another() {
    let bucket = Bucket::new().await;
    let mut failed = 0;
    for good in 0.. {
        bucket.s3.let_credentials_expire_after(good);
        let target = bucket.at("target");
        let done = bucket.repository.restore(&bucket.snapshot, RestoreJob::new(&target)).await;
        bucket.s3.renew_credentials();
        bucket.repository.unlock(true).await.unwrap();
        match &done {
            Ok(_) => assert_eq!(picture(&target.join("files")), bucket.expected),
            Err(error) => {
                failed += 1;
                let told = buttress_core::chain(error);
                assert!(told.contains("the credentials have expired"), "{told}");
            }
        }
        // What is there is as it was, or the restore was not reported done.
        for (path, bytes) in contents(&target.join("files")) {
            let whole = bytes == fs::read(bucket.at("files").join(&path)).unwrap();
            assert!(whole || done.is_err(), "{}", path.display());
        }
        let _ = fs::remove_dir_all(target);
        if done.is_ok() {
            break;
        }
    }
    println!("{failed} restores whose credentials expired");
    assert!(failed > 3, "{failed}");
}

fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into(), fs::read(entry.path()).unwrap())).collect()
}

/// As under a policy, or a retention that refuses: it is added to, and nothing is lost by who tries to take away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_lets_nobody_delete_is_backed_up_into_and_restored_from() {
    let bucket = Bucket::new().await;
    let repository = &bucket.repository;
    bucket.s3.keep_all();
    fs::write(bucket.at("files/new"), "something else").unwrap();
    for _ in 0..2 {
        // Their locks stay, and hold up nobody who adds.
        let report = repository.backup(bucket.job()).await.unwrap();
        assert_eq!(bucket.restore(&report.snapshot).await, picture(&bucket.at("files")));
    }
    for refused in [
        repository.forget(&[bucket.snapshot.id]).await.unwrap_err(),
        repository.prune().await.map(drop).unwrap_err(),
    ] {
        assert!(matches!(refused, Error::Locked { .. }), "{refused:?}");
    }
    let refused = repository.unlock(true).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Forbidden);
    assert!(refused.to_string().contains("cannot delete `locks/"), "{refused}");
    assert_eq!(repository.snapshots().await.unwrap().len(), 3);
    assert_eq!(bucket.restore(&bucket.snapshot).await, bucket.expected);
    repository.check(CheckDepth::Data).await.unwrap();
}
