//! The keeper of a service: a database and a folder, proved by drills, with a replica.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs, reason = "a test")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use buttress_backup::keeper::{Keeper, Lane, RepositoryArchive};
use buttress_backup::source::{Folders, FoldersConfig, Sqlite, SqliteConfig};
use buttress_backup::store::{DynStore, Folder};
use buttress_backup::verify;
use buttress_backup::{BackupConfig, CheckDepth, JobConfig, Repository, RestoreJob};
use buttress_connect::sqlite::client::Connection;
use buttress_core::{Ctx, EventLog, Events, Outcome, Probe, Shutdown, TestClock, Vitality};
use support::{Bench, Timeless, password};

struct Service {
    bench: Bench,
    clock: TestClock,
    events: EventLog,
    keeper: Keeper<RepositoryArchive>,
}

impl Service {
    async fn new() -> Self {
        let bench = Bench::new().await;
        let clock = TestClock::new();
        let events = EventLog::default();
        let ctx = Ctx {
            clock: clock.shared(),
            shutdown: Shutdown::new(),
            events: Events::to(Arc::new(events.clone())),
        };
        let mut config = BackupConfig::default();
        config.jobs = vec![JobConfig::new("main")];
        config.jitter = Duration::ZERO;
        config.drill = Some("30 * * * *".parse().unwrap());
        config.replicate = Some("40 * * * *".parse().unwrap());
        bench.folder.path().clone_into(&mut config.scratch);

        let mut blobs = FoldersConfig::default();
        blobs.name = "blobs".into();
        blobs.paths = vec![bench.files()];
        let mut jobs = SqliteConfig::default();
        jobs.name = "jobs".into();
        jobs.path = bench.target("jobs.db");
        let of_drill = ctx.clone();
        let judge = move |record| {
            let mut config = verify::SqliteConfig::default();
            config.name = "jobs".into();
            config.path = "jobs/jobs.db".into();
            config.queries = vec![verify::Query::new("SELECT count(*) FROM jobs").at_least(1.0)];
            Ok(verify::Sqlite::new(config, &of_drill)?.against(record))
        };
        let store = DynStore::new(Timeless(Folder::new(bench.place())));
        let repository = Repository::open(store, &password(), &ctx).await.unwrap();
        let archive = RepositoryArchive::new(repository, &config, &ctx)
            .source(Folders::new(blobs, &ctx).unwrap())
            .proved(Sqlite::new(jobs, &ctx).unwrap(), judge)
            .replica(DynStore::new(Folder::new(bench.target("replica"))))
            .unwrap();
        let keeper = Keeper::new(config, archive, &ctx).unwrap();
        Self { bench, clock, events, keeper }
    }

    fn database(&self) -> Connection {
        Connection::open(self.bench.target("jobs.db")).unwrap()
    }

    /// Whatever is due in the next `minutes`.
    async fn pass(&self, minutes: u64) {
        for _ in 0..minutes.div_ceil(10) {
            for lane in [Lane::Backups, Lane::Upkeep] {
                while self.keeper.advance(lane).await.is_zero() {}
            }
            self.clock.advance(Duration::from_mins(10));
        }
    }

    fn told(&self, action: &str, outcome: Outcome) -> usize {
        let events = self.events.events();
        events.iter().filter(|event| event.action == action && event.outcome == outcome).count()
    }
}

fn rows(database: &Path) -> i64 {
    let database = Connection::open(database).unwrap();
    database.query_row("SELECT count(*) FROM jobs", (), |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_backed_up_drilled_and_replicated_until_its_backup_is_worthless() {
    let service = Service::new().await;
    fs::write(service.bench.files().join("blob"), "content").unwrap();
    service.database().execute_batch("CREATE TABLE jobs(id); INSERT INTO jobs VALUES (1), (2)").unwrap();
    service.pass(180).await;
    assert_eq!(service.keeper.check().await, Vitality::Pass, "{:?}", service.keeper.status());
    assert!(service.told("backup.run", Outcome::Success) >= 3);
    assert!(service.told("backup.drill", Outcome::Success) >= 2);
    assert!(service.told("backup.replicate", Outcome::Success) >= 2);
    assert_eq!(service.told("backup.drill", Outcome::Failure), 0, "{:?}", service.events.events());

    // The primary is destroyed; the replica has all of it.
    let ctx = Ctx::default();
    let replica = DynStore::new(Folder::new(service.bench.target("replica")));
    let repository = Repository::open(replica, &password(), &ctx).await.unwrap();
    repository.check(CheckDepth::Data).await.unwrap();
    let latest = repository.snapshot("latest").await.unwrap();
    assert!(latest.has_tag("job:main"), "{latest:?}");
    let target = service.bench.target("restored");
    repository.restore(&latest, RestoreJob::new(&target)).await.unwrap();
    assert_eq!(rows(&target.join("jobs/jobs.db")), 2);

    // A backup of a database that was emptied is made all the same, and does not pass its drill.
    service.database().execute_batch("DELETE FROM jobs").unwrap();
    service.pass(120).await;
    assert!(service.told("backup.drill", Outcome::Failure) >= 1);
    let status = service.keeper.status();
    let problems = format!("{:?}", status.drill);
    assert!(problems.contains("SELECT count(*) FROM jobs"), "{problems}");
    assert_ne!(service.keeper.check().await, Vitality::Pass);
    // Nothing is left in the folder for what is there for a while.
    let left = fs::read_dir(service.bench.folder.path()).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.starts_with("buttress-")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_a_source_that_is_not_there_fails_and_says_which_there_are() {
    let bench = Bench::new().await;
    let (ctx, mut config) = (Ctx::default(), BackupConfig::default());
    bench.folder.path().clone_into(&mut config.scratch);
    let archive = RepositoryArchive::new(bench.repository.clone(), &config, &ctx);
    let mut job = JobConfig::new("main");
    job.sources = vec!["nosuch".to_owned()];
    let refused = buttress_backup::keeper::Archive::back_up(&archive, &job, &[], false).await.unwrap_err();
    assert!(refused.to_string().contains("no source `nosuch`"), "{refused}");
}
