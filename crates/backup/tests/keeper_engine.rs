//! The keeper over a real repository in a folder: days of backups, removals and drills, four or `BUTTRESS_BACKUP_DAYS`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::type_complexity, missing_docs)]

mod model;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress_backup::keeper::{
    Archive, BackedUp, Checked, Keeper, Lane, Part, Removed, Replicated, Restored,
};
use buttress_backup::{
    BackupConfig, BackupJob, CheckDepth, Error, Failure, Id, JobConfig, Repository, RestoreJob, SnapshotInfo,
};
use buttress_core::{Clock, Ctx, Probe, Shutdown, TestClock, Vitality};
use jiff::Timestamp;
use model::model;

/// A repository and the folder that goes into it.
struct Real {
    repository: Repository,
    files: PathBuf,
    clock: TestClock,
    /// What was there before each removal, and what was there after it.
    removals: Arc<Mutex<Vec<(Vec<SnapshotInfo>, BTreeSet<Id>)>>>,
}

impl Archive for Real {
    fn host(&self) -> &'static str {
        "host"
    }

    fn replicas(&self) -> Vec<String> {
        Vec::new()
    }

    async fn snapshots(&self) -> Result<Vec<SnapshotInfo>, Error> {
        let snapshots = self.repository.snapshots().await?;
        // The folder's times are of the machine's clock, which is not the test's.
        let by_client = |snapshot| {
            let mut info = SnapshotInfo::from(snapshot);
            info.first_seen = None;
            info
        };
        Ok(snapshots.iter().map(by_client).collect())
    }

    async fn back_up(&self, _: &JobConfig, tags: &[String], full: bool) -> Result<BackedUp, Error> {
        let now = Timestamp::try_from(self.clock.wall()).unwrap();
        let mut job = BackupJob::new().root(&self.files, "/files").hostname("host").time(now);
        for tag in tags {
            job = job.tag(tag);
        }
        let report = self.repository.backup(if full { job.reread() } else { job }).await?;
        Ok(BackedUp { id: report.id, read: 0, added: 0 })
    }

    async fn remove(&self, snapshots: &[Id]) -> Result<Removed, Error> {
        let before = self.snapshots().await?;
        self.repository.forget(snapshots).await?;
        let after = self.snapshots().await?.iter().map(|one| one.id).collect();
        self.removals.lock().unwrap().push((before, after));
        let report = self.repository.prune().await?;
        let freed = report.bytes_before.saturating_sub(report.bytes_after);
        Ok(Removed { freed, left: report.bytes_after })
    }

    async fn check(&self, part: Option<Part>) -> Result<Checked, Error> {
        let depth =
            part.map_or(CheckDepth::Structure, |Part { number: part, of }| CheckDepth::Part { part, of });
        self.repository.check(depth).await.map(|_| Checked::default())
    }

    async fn restore(&self, id: Id, into: &Path) -> Result<Restored, Error> {
        let snapshots = self.repository.snapshots().await?;
        let snapshot = snapshots.iter().find(|one| one.id == id).unwrap();
        let report = self.repository.restore(snapshot, RestoreJob::new(into)).await?;
        Ok(Restored { files: report.files, bytes: report.bytes })
    }

    async fn verify(&self, snapshot: &SnapshotInfo, restored: &Path) -> Result<Vec<Failure>, Error> {
        let found = fs::read_to_string(restored.join("files/state")).unwrap_or_default();
        let expected = Timestamp::try_from(snapshot.time).unwrap().to_string();
        let failure = Failure { of: "files/state".to_owned(), problem: format!("{found}, not {expected}") };
        Ok(if found == expected { Vec::new() } else { vec![failure] })
    }

    async fn replicate(&self, _: usize) -> Result<Replicated, Error> {
        Ok(Replicated::default())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_over_a_real_repository() {
    // Sixty take some minutes.
    let days = std::env::var("BUTTRESS_BACKUP_DAYS").map_or(4, |days| days.parse().unwrap());
    let bench = support::Bench::new().await;
    let clock = TestClock::new();
    let mut config = BackupConfig::default();
    config.jobs = vec![JobConfig::new("main")];
    config.jitter = Duration::ZERO;
    config.drill = Some("0 6 * * *".parse().unwrap());
    config.retention.hourly = 12;
    bench.folder.path().clone_into(&mut config.scratch);
    let retention = config.retention.clone();
    let files = bench.folder.path().join("files");
    let removals = Arc::default();
    let (repository, of_real) = (bench.repository.clone(), Arc::clone(&removals));
    let real = Real { repository, files: files.clone(), clock: clock.clone(), removals: of_real };
    let ctx = Ctx { clock: clock.shared(), shutdown: Shutdown::new(), ..Ctx::default() };
    let keeper = Keeper::new(config, real, &ctx).unwrap();
    let (mut drills, mut verified, mut removed) = (BTreeSet::new(), BTreeSet::new(), 0);
    for hour in 0..days * 24 {
        fs::write(files.join("state"), Timestamp::try_from(clock.wall()).unwrap().to_string()).unwrap();
        for lane in [Lane::Backups, Lane::Upkeep] {
            while keeper.advance(lane).await.is_zero() {}
        }
        assert_eq!(keeper.check().await, Vitality::Pass);
        // In the first hour a drill comes before the removal, later it is an hour behind it.
        let drill = keeper.status().drill.unwrap();
        if hour == 0 {
            verified.extend(drill.restores.iter().map(|restore| restore.snapshot));
        }
        for (mut before, after) in std::mem::take(&mut *removals.lock().unwrap()) {
            for one in &mut before {
                one.verified = verified.contains(&one.id);
            }
            removed += before.len() - after.len();
            assert_eq!(after, model(&retention, &before, clock.wall()), "hour {hour}");
        }
        verified.extend(drill.restores.iter().map(|restore| restore.snapshot));
        drills.insert(drill.began.to_string());
        clock.advance(Duration::from_hours(1));
    }
    assert_eq!(drills.len(), days + 1, "{drills:?}");
    let left = bench.repository.snapshots().await.unwrap().len();
    assert_eq!(left + removed, days * 24);
    assert!(removed > 50, "{removed}");
    bench.repository.check(CheckDepth::Data).await.unwrap();
}
