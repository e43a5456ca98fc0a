//! A repository in a bucket whose credentials expire, that lets nobody delete, or whose server answers what it should not.
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
use std::time::Duration;

use buttress_backup::mirror::{Mirror, MirrorConfig};
use buttress_backup::store::{DynStore, StoreConfig};
use buttress_backup::{BackupJob, CheckDepth, Error, Repository, RestoreJob, Snapshot};
use buttress_core::{Classify, Ctx, ErrorClass};
use buttress_testkit::{FaultProxy, Random, S3, S3Fault};
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
        let ctx = Ctx::default();
        let store = DynStore::open(&in_s3(&s3), &ctx).await.unwrap();
        let repository = Repository::init(store, &password(), &ctx).await.unwrap();
        let snapshot = repository.backup(BackupJob::new().root(&files, "/files")).await.unwrap().snapshot;
        let expected = picture(&files);
        Self { s3, folder, repository, snapshot, expected }
    }

    /// The same repository by way of a client with little patience: it asks three times, and gives up what stands still for a second.
    async fn impatient(&self, endpoint: &str) -> Result<Repository, Error> {
        let mut config = in_s3(&self.s3);
        config.s3.endpoint = Some(endpoint.to_owned());
        config.s3.stall = Duration::from_secs(1);
        config.connection.timeout = Duration::from_millis(100);
        config.retry.attempts = 3;
        config.retry.first = Duration::from_millis(1);
        let ctx = Ctx::default();
        Repository::open(DynStore::open(&config, &ctx).await?, &password(), &ctx).await
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

fn in_s3(s3: &S3) -> StoreConfig {
    let mut config = StoreConfig::default();
    "s3://backups/one".clone_into(&mut config.url);
    config.s3.endpoint = Some(s3.endpoint());
    config.s3.access_key_id = Some(S3::ACCESS_KEY_ID.to_owned());
    config.s3.secret_access_key = Some(S3::SECRET_ACCESS_KEY.to_owned());
    config
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

/// What a server may answer at any moment.
const FAULTS: [S3Fault; 8] = [
    S3Fault::Refused(429, "TooManyRequests"),
    S3Fault::Empty,
    S3Fault::Refused(412, "PreconditionFailed"),
    S3Fault::Cut,
    S3Fault::Unanswered,
    S3Fault::Refused(409, "ConditionalRequestConflict"),
    S3Fault::Silence,
    S3Fault::Refused(503, "SlowDown"),
];

/// Does `work` again and again, with the next of the faults `step` requests later each time, until all of its requests are passed. A fault that
/// passes is survived; one that stays is told, or had nothing to do with it. The old snapshot stays, and what comes next goes well.
async fn whatever_is_answered(
    bucket: &Bucket,
    step: usize,
    prepare: impl AsyncFn(u64),
    work: impl AsyncFn(&Repository) -> Result<(), Error>,
) {
    let repository = bucket.impatient(&bucket.s3.endpoint()).await.unwrap();
    prepare(0).await;
    let before = bucket.s3.requests();
    work(&repository).await.unwrap();
    let requests = bucket.s3.requests() - before;
    let (mut happened, mut failed) = (0, 0);
    for (turn, after) in (0..requests).step_by(step).enumerate() {
        prepare(turn as u64 + 1).await;
        let (times, fault) = [(1, FAULTS[turn / 2 % 8]), (usize::MAX, FAULTS[(turn / 2 + 3) % 8])][turn % 2];
        let before = bucket.s3.faults();
        bucket.s3.fail(after, times, fault);
        let done = work(&repository).await;
        bucket.s3.heal();
        happened += usize::from(bucket.s3.faults() > before);
        failed += usize::from(done.is_err());
        bucket.repository.unlock(true).await.unwrap();
        if let Err(error) = done {
            let told = buttress_core::chain(&error);
            assert!(times > 1, "{fault:?} after {after} requests was not survived: {told}");
            // Some are told as what they did, or as the list of what could not be done.
            let class = error.class();
            let expected =
                class.is_transient() || matches!(class, ErrorClass::Corrupt | ErrorClass::Internal);
            assert!(expected, "{fault:?} after {after} requests: {class:?}: {told}");
            assert_eq!(bucket.restore(&bucket.snapshot).await, bucket.expected);
            work(&repository).await.unwrap();
        }
        let checked = bucket.repository.check(CheckDepth::Data).await;
        checked.unwrap_or_else(|error| panic!("{fault:?} after {after} requests: {error}"));
    }
    assert_eq!(bucket.restore(&bucket.snapshot).await, bucket.expected);
    println!("{requests} requests, {happened} runs with faults, {failed} failed");
    assert!(happened > 2 && failed > 1, "{happened} {failed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_tells_the_truth_whatever_the_server_answers() {
    let bucket = Bucket::new().await;
    let change = async |turn| {
        fs::write(bucket.at("files/new"), noise(&mut Random::new(2_000 + turn), 30_000)).unwrap();
    };
    whatever_is_answered(&bucket, 5, change, async |repository| {
        let done = repository.backup(bucket.job()).await;
        bucket.s3.heal();
        let report = done?;
        assert_eq!(bucket.restore(&report.snapshot).await, picture(&bucket.at("files")));
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prune_tells_the_truth_whatever_the_server_answers() {
    let bucket = Bucket::new().await;
    let rubbish = async |turn: u64| {
        fs::write(bucket.at("files/new"), noise(&mut Random::new(3_000 + turn), 30_000)).unwrap();
        let report = bucket.repository.backup(bucket.job()).await.unwrap();
        bucket.repository.forget(&[report.snapshot.id]).await.unwrap();
    };
    whatever_is_answered(&bucket, 3, rubbish, async |repository| repository.prune().await.map(drop)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_tells_the_truth_whatever_the_server_answers() {
    let bucket = Bucket::new().await;
    whatever_is_answered(
        &bucket,
        1,
        async |_| {},
        async |repository| {
            let target = bucket.at("target");
            let done = repository.restore(&bucket.snapshot, RestoreJob::new(&target)).await;
            let restored = target.join("files").exists().then(|| picture(&target.join("files")));
            let _ = fs::remove_dir_all(&target);
            done?;
            assert_eq!(restored.as_ref(), Some(&bucket.expected));
            Ok(())
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_is_opened_and_looked_at_whatever_the_server_answers() {
    let bucket = Bucket::new().await;
    whatever_is_answered(
        &bucket,
        3,
        async |_| {},
        async |_| {
            let repository = bucket.impatient(&bucket.s3.endpoint()).await?;
            assert_eq!(repository.snapshots().await?.len(), 1);
            repository.check(CheckDepth::Data).await.map(drop)
        },
    )
    .await;
}

/// As some servers answer now and then, at any of the reads: 200, and no body.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_answered_without_a_body_is_read_again() {
    let bucket = Bucket::new().await;
    let target = bucket.at("target");
    for after in (0..).step_by(2) {
        let before = bucket.s3.faults();
        bucket.s3.fail(after, 1, S3Fault::Empty);
        let repository = bucket.impatient(&bucket.s3.endpoint()).await.unwrap();
        repository.restore(&bucket.snapshot, RestoreJob::new(&target)).await.unwrap();
        repository.check(CheckDepth::Data).await.unwrap();
        assert_eq!(picture(&target.join("files")), bucket.expected, "{after}");
        fs::remove_dir_all(&target).unwrap();
        bucket.s3.heal();
        if bucket.s3.faults() == before {
            assert!(after > 15, "{after}");
            break;
        }
    }
}

/// What a replica refuses as there already, and has not, was not copied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_says_it_has_what_it_has_not_is_not_in_step() {
    let bucket = Bucket::new().await;
    let ctx = Ctx::default();
    let primary = DynStore::open(&in_s3(&bucket.s3), &ctx).await.unwrap();
    for (number, fault) in [FAULTS[2], FAULTS[5]].into_iter().enumerate() {
        let mut config = in_s3(&bucket.s3);
        config.url = format!("s3://backups/replica-{number}");
        config.retry.attempts = 2;
        let replica = DynStore::open(&config, &ctx).await.unwrap();
        let mirror =
            Mirror::new(primary.clone(), vec![replica.clone()], &MirrorConfig::default(), &ctx).unwrap();
        bucket.s3.fail(0, usize::MAX, fault);
        let error = mirror.sync().await.unwrap_err();
        assert!(matches!(error, Error::Incomplete { .. }), "{error:?}");
        bucket.s3.heal();
        let there = bucket.s3.bucket(&format!("backups/replica-{number}"));
        assert!(!there.exists() || fs::read_dir(there).unwrap().next().is_none());
        bucket.s3.fail(0, 1, fault);
        mirror.sync().await.unwrap();
        let replica = Repository::open(replica, &password(), &ctx).await.unwrap();
        replica.check(CheckDepth::Data).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_line_is_used_and_one_that_is_all_but_dead_is_told() {
    let bucket = Bucket::new().await;
    let proxy = FaultProxy::to(bucket.s3.addr());
    let repository = bucket.impatient(&format!("http://{}", proxy.addr())).await.unwrap();
    // The longest answer takes longer than the time for one in which nothing moves.
    proxy.limit(60_000);
    let target = bucket.at("target");
    repository.restore(&bucket.snapshot, RestoreJob::new(&target)).await.unwrap();
    assert_eq!(picture(&target.join("files")), bucket.expected);

    // A question alone takes some seconds.
    proxy.limit(250);
    let error = repository.backup(bucket.job()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Timeout, "{error:?}");
    assert!(buttress_core::chain(&error).contains("nothing moved for 1s"), "{error:?}");
    proxy.pass();
    bucket.repository.unlock(true).await.unwrap();
    let report = repository.backup(bucket.job()).await.unwrap();
    assert_eq!(bucket.restore(&report.snapshot).await, bucket.expected);
}
