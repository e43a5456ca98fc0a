//! Very many runs against a store of which one call in a hundred fails: nearly all succeed, and each that says so has made what it says.
//!
//! `BUTTRESS_BACKUP_RUNS=10000` runs more often than the tests of a day do.
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
use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use buttress_backup::store::faulty::{Faults, Faulty};
use buttress_backup::store::{DynStore, RetryConfig, Retrying};
use buttress_backup::{BackupJob, CheckDepth, Error, Id, Repository, RestoreJob};
use buttress_core::{Classify, Ctx};
use buttress_testkit::Random;
use support::memory::Memory;
use support::{noise, password, picture};

type Picture = BTreeMap<PathBuf, String>;

const RUNS: &str = "BUTTRESS_BACKUP_RUNS";
const USUALLY: u64 = 80;
/// After how many runs the older snapshots go, and after how many every byte is read.
const TIDY_EACH: u64 = 10;
const LOOK_EACH: u64 = 100;
const KEPT: usize = 4;

/// A service whose files change, its repository behind a bad line, and what the repository is really like.
struct Service {
    folder: tempfile::TempDir,
    random: Random,
    line: Faulty<Memory>,
    repository: Repository,
    /// The same without the line.
    really: Repository,
    /// What was reported done and not forgotten since, the oldest first.
    done: Vec<(Id, Picture)>,
    tally: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    succeeded: u64,
    failed: u64,
    tidied: u64,
    tidying_failed: u64,
}

impl Service {
    async fn new(faults: Faults, attempts: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("files")).unwrap();
        let store = Memory::default();
        let ctx = Ctx::default();
        let really = Repository::init(DynStore::new(store.clone()), &password(), &ctx).await.unwrap();
        let line = Faulty::new(store, faults, &ctx);
        let mut retries = RetryConfig::default();
        (retries.attempts, retries.first) = (attempts, Duration::ZERO);
        let store = DynStore::new(Retrying::new(line.clone(), &retries, &ctx).unwrap());
        // Without retries, opening may fail too.
        let repository = loop {
            match Repository::open(store.clone(), &password(), &ctx).await {
                Ok(repository) => break repository,
                Err(error) => assert!(attempts == 1 && error.class().is_transient(), "{error}"),
            }
        };
        let (done, tally) = (Vec::new(), Tally::default());
        Self { folder, random: Random::new(3), line, repository, really, done, tally }
    }

    fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    /// Some hours of work.
    fn works(&mut self) {
        for _ in 0..=self.random.below(2) {
            let folder = self.files().join(format!("{}", self.random.below(3)));
            let file = folder.join(format!("{}", self.random.below(5)));
            fs::create_dir_all(folder).unwrap();
            if self.random.below(5) == 0 {
                // It may not be there.
                let _ = fs::remove_file(file);
            } else {
                let length = usize::try_from(self.random.below(6_000)).unwrap();
                fs::write(file, noise(&mut self.random, length)).unwrap();
            }
        }
    }

    /// A backup; what it says is held against what is there.
    async fn backs_up(&mut self) {
        let expected = picture(&self.files());
        match self.repository.backup(BackupJob::new().root(self.files(), "/files")).await {
            Ok(report) => {
                self.tally.succeeded += 1;
                self.restores(report.id, &expected).await;
                self.done.push((report.id, expected));
            }
            Err(error) => {
                self.tally.failed += 1;
                self.gets_over(&error).await;
            }
        }
    }

    /// Forgets all but the newest, and prunes.
    async fn tidies(&mut self) {
        self.done.drain(..self.done.len().saturating_sub(KEPT));
        // Also those that were made, although it was said that they were not.
        let mut old: Vec<Id> = self.really.snapshots().await.unwrap().iter().map(|one| one.id).collect();
        old.retain(|id| self.done.iter().all(|(kept, _)| kept != id));
        let tidied = match self.repository.forget(&old).await {
            Ok(()) => self.repository.prune().await.map(drop),
            Err(error) => Err(error),
        };
        match tidied {
            Ok(()) => self.tally.tidied += 1,
            Err(error) => {
                self.tally.tidying_failed += 1;
                self.gets_over(&error).await;
            }
        }
    }

    /// A failure is that of the line, or that of a lock which could not be removed over it and whose process, this one, lives.
    async fn gets_over(&self, error: &Error) {
        let of_the_line = error.class().is_transient() || matches!(error, Error::Locked { .. });
        assert!(of_the_line, "{}", buttress_core::chain(error));
        self.really.unlock(true).await.unwrap();
    }

    async fn restores(&self, id: Id, expected: &Picture) {
        let snapshot = self.really.snapshot(&id.to_string()).await.expect("what was reported done is there");
        let target = self.folder.path().join("restored");
        self.really.restore(&snapshot, RestoreJob::new(&target)).await.expect("restored");
        assert!(picture(&target.join("files")) == *expected, "snapshot {id} is another");
        fs::remove_dir_all(target).unwrap();
    }

    /// Reads every byte that is there, and restores all that is kept.
    async fn is_whole(&self) {
        self.really.unlock(true).await.unwrap();
        self.really.check(CheckDepth::Data).await.expect("whole");
        for (id, expected) in &self.done {
            self.restores(*id, expected).await;
        }
    }

    async fn lives_through(&mut self, runs: u64) {
        for run in 1..=runs {
            self.works();
            self.backs_up().await;
            if run % TIDY_EACH == 0 {
                self.tidies().await;
            }
            if run % LOOK_EACH == 0 || run == runs {
                self.is_whole().await;
            }
        }
    }
}

fn runs() -> u64 {
    env::var(RUNS).map_or(USUALLY, |runs| runs.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_in_a_hundred_fails_and_nearly_all_runs_succeed_none_falsely() {
    // Calls that are not made, whose answers are lost; and writes that are broken off half way, which few calls are.
    let faults =
        Faults { seed: 11, fails_before: 0.006, fails_after: 0.004, torn: 0.003, ..Faults::default() };
    let mut service = Service::new(faults, RetryConfig::default().attempts).await;
    service.lives_through(runs()).await;
    let (tally, calls, faults) = (&service.tally, service.line.operations(), service.line.injected());
    println!("{tally:?}, {faults} faults in {calls} calls, none succeeded falsely");
    assert!(faults * 200 > calls, "{faults} faults in {calls} calls");
    assert!(tally.failed * 1_000 <= tally.succeeded, "{tally:?}");
    assert!(tally.tidying_failed * 1_000 <= tally.tidied, "{tally:?}");
}

/// Each fault ends a run, and so shows what a failed run leaves to the next. (What is broken off half way is not seen: stores promise that, and without
/// retries nothing would be put in its place.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_retries_runs_fail_and_none_succeeds_falsely() {
    let faults = Faults { seed: 12, fails_before: 0.015, fails_after: 0.005, ..Faults::default() };
    let mut service = Service::new(faults, 1).await;
    service.lives_through(runs().min(1_000)).await;
    let tally = &service.tally;
    let (calls, faults) = (service.line.operations(), service.line.injected());
    println!("{tally:?}, {faults} faults in {calls} calls, none succeeded falsely");
    assert!(tally.failed > 5 && tally.succeeded > 5, "{tally:?}");
    // The next run puts in order what was left.
    service.line.calm_down();
    service.works();
    let before = service.tally.failed;
    service.backs_up().await;
    service.tidies().await;
    assert_eq!((service.tally.failed, service.done.len()), (before, KEPT));
    service.is_whole().await;
}
