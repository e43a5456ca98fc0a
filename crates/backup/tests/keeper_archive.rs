//! The keeper of a service: a database and a folder, proved by drills, with a replica.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs, reason = "a test")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use buttress_backup::keeper::{Keeper, Lane, RepositoryArchive};
use buttress_backup::source::{Folders, FoldersConfig, Sqlite, SqliteConfig};
use buttress_backup::store::{DynStore, Folder};
use buttress_backup::verify;
use buttress_backup::{BackupConfig, CheckDepth, JobConfig, Object, ObjectKind, Repository, RestoreJob};
use buttress_connect::sqlite::client::Connection;
use buttress_core::{
    Clock, Ctx, EventLog, Events, Outcome, Probe, Shutdown, SystemClock, TestClock, Vitality,
};
use support::{Bench, Timeless, password};

struct Service {
    bench: Bench,
    clock: TestClock,
    events: EventLog,
    keeper: Keeper<RepositoryArchive>,
}

impl Service {
    async fn new() -> Self {
        Self::judged_by(vec![verify::Query::new("SELECT count(*) FROM jobs").at_least(1.0)]).await
    }

    /// A service whose database has to answer these in a drill.
    async fn judged_by(queries: Vec<verify::Query>) -> Self {
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
            config.queries.clone_from(&queries);
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

    /// What the last drill found wrong with the newest snapshot.
    fn newest_drilled(&self) -> Vec<String> {
        let drill = self.keeper.status().drill.unwrap();
        let newest = drill.restores.into_iter().find(|restore| restore.newest);
        newest.unwrap().problems
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

/// A backup of another database is one of a database that is whole: only what it is asked shows that it is not the right one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_of_the_wrong_database_fails() {
    let service = Service::new().await;
    service.database().execute_batch("CREATE TABLE jobs(id); INSERT INTO jobs VALUES (1)").unwrap();
    service.pass(120).await;
    assert!(service.told("backup.drill", Outcome::Success) >= 1);
    assert_eq!(service.told("backup.drill", Outcome::Failure), 0, "{:?}", service.events.events());

    fs::rename(service.bench.target("jobs.db"), service.bench.target("right.db")).unwrap();
    service.database().execute_batch("CREATE TABLE orders(id); INSERT INTO orders VALUES (1)").unwrap();
    service.pass(120).await;
    assert!(service.told("backup.drill", Outcome::Failure) >= 1);
    let problems = format!("{:?}", service.keeper.status().drill);
    assert!(problems.contains("no such table: jobs"), "{problems}");
    assert_ne!(service.keeper.check().await, Vitality::Pass);

    // With the right one in its place again the newest is good.
    fs::rename(service.bench.target("right.db"), service.bench.target("jobs.db")).unwrap();
    service.pass(120).await;
    assert_eq!(service.newest_drilled(), Vec::<String>::new());
}

/// Backups go on being made of a database that nobody writes to any more: an old copy in the place of the right one, say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_of_stale_data_fails() {
    let fresh = verify::Query::new("SELECT max(at) FROM jobs").newest_within(Duration::from_hours(6));
    let service = Service::judged_by(vec![fresh]).await;
    service.database().execute_batch("CREATE TABLE jobs(at)").unwrap();
    let write = || {
        let now = service.clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        service.database().execute("INSERT INTO jobs VALUES (?1)", [now.cast_signed()]).unwrap();
    };
    write();
    service.pass(120).await;
    fs::copy(service.bench.target("jobs.db"), service.bench.target("old.db")).unwrap();
    service.pass(240).await;
    write();
    service.pass(120).await;
    // Older snapshots are restored too, and were not stale when they were made.
    assert!(service.told("backup.drill", Outcome::Success) >= 5);
    assert_eq!(service.told("backup.drill", Outcome::Failure), 0, "{:?}", service.events.events());
    assert_eq!(service.newest_drilled(), Vec::<String>::new());

    // The old copy is put in the place of the right one. Nobody's backup fails.
    fs::copy(service.bench.target("old.db"), service.bench.target("jobs.db")).unwrap();
    service.pass(120).await;
    assert_eq!(service.told("backup.run", Outcome::Failure), 0, "{:?}", service.events.events());
    assert!(service.told("backup.drill", Outcome::Failure) >= 1);
    let problems = service.newest_drilled().join(" ");
    assert!(problems.contains("SELECT max(at) FROM jobs"), "{problems}");
    assert_ne!(service.keeper.check().await, Vitality::Pass);
}

/// The snapshot is good, and of long ago: the clock went on for three days in which nobody made one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_of_a_stale_backup_fails() {
    let service = Service::new().await;
    service.database().execute_batch("CREATE TABLE jobs(id); INSERT INTO jobs VALUES (1)").unwrap();
    service.pass(120).await;
    assert!(service.told("backup.drill", Outcome::Success) >= 1);
    service.clock.set_wall(service.clock.wall() + Duration::from_hours(72));
    while service.keeper.advance(Lane::Upkeep).await.is_zero() {}
    assert!(service.told("backup.drill", Outcome::Failure) >= 1);
    let problems = format!("{:?}", service.keeper.status().drill);
    assert!(problems.contains("it is stale"), "{problems}");
    assert_ne!(service.keeper.check().await, Vitality::Pass);
    // The next backup and the next drill clear it.
    service.pass(120).await;
    assert_eq!(service.keeper.check().await, Vitality::Pass, "{:?}", service.keeper.status());
}

/// restic #22057: somebody with the key of a writer makes snapshots of any times, one after the other. Neither `forget` nor the keeper removes a
/// real one for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_times_push_no_real_snapshot_out() {
    let bench = Bench::new().await;
    fs::write(bench.files().join("file"), "content").unwrap();
    let (clock, day, now) = (TestClock::new(), Duration::from_hours(24), SystemClock.wall());
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let store = DynStore::new(Folder::new(bench.place()));
    let writer = Repository::open(store.clone(), &password(), &ctx).await.unwrap();
    let make = async |time: SystemTime| {
        clock.set_wall(time);
        writer.backup(bench.job()).await.unwrap().id
    };
    let mut real = Vec::new();
    for days in (1..=10).rev() {
        let time = now - day * days;
        let id = make(time).await;
        // The folder tells when it took it.
        let object = bench.place().join(Object::new(ObjectKind::Snapshot, id).path());
        fs::set_permissions(&object, fs::Permissions::from_mode(0o600)).unwrap();
        fs::File::options().write(true).open(object).unwrap().set_modified(time).unwrap();
        real.push(id);
    }
    let mut forged = 1;
    make("2999-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().into()).await;
    for number in 1..=12 {
        for time in [
            now + day * number,
            now - day * number + Duration::from_hours(1),
            now - Duration::from_secs(number.into()),
        ] {
            make(time).await;
            forged += 1;
        }
    }
    let left = async || {
        let ids: Vec<_> = writer.snapshots().await.unwrap().iter().map(|snapshot| snapshot.id).collect();
        assert!(real.iter().all(|id| ids.contains(id)), "a real one was pushed out");
        ids.len() - real.len()
    };
    assert_eq!(left().await, forged);

    fs::write(bench.target("password"), "correct horse").unwrap();
    let mut forget = std::process::Command::new(env!("CARGO_BIN_EXE_backup"));
    forget
        .args(["forget", "--keep-last", "3", "--keep-daily", "11", "--prune", "--quiet", "--repo"])
        .arg(bench.place());
    let forgot = forget.arg("--password-file").arg(bench.target("password")).output().unwrap();
    assert!(forgot.status.success(), "{}", String::from_utf8_lossy(&forgot.stderr));
    let after_forget = left().await;
    assert!(after_forget < forged, "{after_forget}");

    clock.set_wall(now);
    let mut config = BackupConfig::default();
    config.jobs = vec![JobConfig::new("main")];
    (config.jitter, config.retain) = (Duration::ZERO, Some("*/30 * * * *".parse().unwrap()));
    (config.retention.last, config.retention.hourly, config.retention.daily) = (1, 0, 11);
    config.retention.yearly = 0;
    bench.folder.path().clone_into(&mut config.scratch);
    let events = EventLog::default();
    let ctx = Ctx { events: Events::to(Arc::new(events.clone())), ..ctx.clone() };
    let archive =
        RepositoryArchive::new(Repository::open(store, &password(), &ctx).await.unwrap(), &config, &ctx);
    let keeper = Keeper::new(config, archive, &ctx).unwrap();
    for _ in 0..6 {
        while keeper.advance(Lane::Upkeep).await.is_zero() {}
        clock.advance(Duration::from_mins(10));
    }
    let told = events.events();
    assert!(
        told.iter().any(|event| event.action == "backup.prune" && event.outcome == Outcome::Success),
        "{told:?}"
    );
    left().await;
    writer.check(CheckDepth::Data).await.unwrap();
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
