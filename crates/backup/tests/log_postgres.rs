//! PostgreSQL's log, shipped while the server works, killed, destroyed, and recovered from: to a chosen moment, and to the end.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::panic,
    missing_docs
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use buttress_backup::Error;
use buttress_backup::log::postgres::{PostgresWal, PostgresWalConfig, Prepared, Target, prepare};
use buttress_backup::log::{Log, LogConfig, Shipper, Tip};
use buttress_connect::ConnectionConfig;
use buttress_core::{Ctx, Random};
use buttress_testkit::{Postgres, wait_until};
use secrecy::SecretString;
use tempfile::TempDir;

/// What outlives the server: the store with the log, base backups, and the shipper's folder.
struct Place {
    folder: TempDir,
    config: LogConfig,
}

impl Place {
    async fn new() -> (Self, Log, Ctx) {
        let folder = tempfile::tempdir().unwrap();
        // The server, another user, reads the log's files.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut config = LogConfig::default();
        config.blobs.url = folder.path().join("store").display().to_string();
        let ctx = Ctx::default();
        let log = Log::create(&config, &password(), &ctx).await.unwrap();
        (Self { folder, config }, log, ctx)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As a process that was started again opens it.
    async fn open(&self) -> (Log, Ctx) {
        let ctx = Ctx::default();
        (Log::open(&self.config, &password(), &ctx).await.unwrap(), ctx)
    }

    async fn ship(&self, server: &Postgres, log: &Log, ctx: &Ctx, folder: &str) -> Shipper {
        let source = PostgresWal::start(&self.source(server, folder), ctx).await.unwrap();
        Shipper::start(log.clone(), source, self.path("note"), Duration::from_secs(5)).unwrap()
    }

    fn source(&self, server: &Postgres, folder: &str) -> PostgresWalConfig {
        let mut config = PostgresWalConfig::new(server.url().parse().unwrap());
        config.folder = self.path(folder);
        config.program = server.programs().join("pg_receivewal");
        config
    }

    fn base(&self, server: &Postgres, name: &str) -> PathBuf {
        let base = self.path(name);
        let mut backup = client(server, "pg_basebackup");
        backup.args(["--wal-method=none", "--checkpoint=fast", "--no-sync", "--pgdata"]).arg(&base);
        run(&mut backup);
        base
    }

    /// A server on a copy of the base, recovered with the log.
    async fn recover(
        &self,
        log: &Log,
        base: &Path,
        target: Target,
        known: Option<&Tip>,
    ) -> (Postgres, Prepared) {
        let number = buttress_core::unique_number();
        let (data, wal) = (self.path(&format!("data-{number}")), self.path(&format!("wal-{number}")));
        run(Command::new("cp").arg("-a").arg(base).arg(&data));
        let prepared = prepare(log, &data, &wal, target, known).await.unwrap();
        let server = Postgres::restored(|folder| {
            run(Command::new("cp").arg("-a").arg(data.join(".")).arg(folder));
        });
        wait_until("the recovery to end", Duration::from_mins(2), || {
            (server.query("postgres", "SELECT pg_is_in_recovery()").as_deref() == Ok("f")).then_some(())
        });
        (server, prepared)
    }
}

fn password() -> SecretString {
    "correct horse battery staple".to_owned().into()
}

fn client(server: &Postgres, program: &str) -> Command {
    let mut command = Command::new(server.programs().join(program));
    let addr = server.addr();
    command.args(["--host=127.0.0.1", &format!("--port={}", addr.port()), "--username=postgres"]);
    command
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Waits for a failure that says all that. Another may come before: a slot is taken until the server has noticed that its last reader is gone.
fn fails(shipper: &Shipper, words: &[&str]) {
    wait_until(&format!("a failure with {words:?}"), Duration::from_mins(1), || {
        shipper.status().failure.filter(|why| words.iter().all(|word| why.contains(word)))
    });
}

fn drop_slot(server: &Postgres) {
    wait_until("the slot to be nobody's", Duration::from_mins(1), || {
        server.query("postgres", "SELECT pg_drop_replication_slot('buttress_backup')").ok()
    });
}

/// A server whose commits can be asked for their time, with pgbench's tables.
fn server() -> Postgres {
    let mut server = Postgres::durable();
    server.query("postgres", "ALTER SYSTEM SET track_commit_timestamp = on").unwrap();
    server.crash();
    run(client(&server, "pgbench").args(["--initialize", "--quiet", "postgres"]));
    server
}

/// Four clients that transfer money until they are stopped, or their server is.
struct Load(Child);

impl Load {
    fn start(server: &Postgres) -> Self {
        let mut pgbench = client(server, "pgbench");
        pgbench.args(["--client=4", "--time=600", "--no-vacuum", "postgres"]);
        Self(pgbench.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn transfers(server: &Postgres) -> u64 {
    server.query("postgres", "SELECT count(*) FROM pgbench_history").unwrap().parse().unwrap()
}

/// How many transfers were committed, and the hash of all that is known of them.
fn history(server: &Postgres, condition: &str) -> String {
    let sql = format!(
        "SELECT count(*) || ' ' || coalesce(md5(string_agg(h::text, ',' ORDER BY mtime, tid, bid, aid, delta)), '') \
         FROM pgbench_history h WHERE {condition}"
    );
    server.query("postgres", &sql).unwrap()
}

/// Every transfer is in all four tables, or in none.
fn assert_consistent(server: &Postgres) {
    let sums = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) || ' ' || (SELECT sum(tbalance) FROM pgbench_tellers) || ' ' || \
        (SELECT sum(bbalance) FROM pgbench_branches) || ' ' || (SELECT coalesce(sum(delta), 0) FROM pgbench_history)";
    let sums = server.query("postgres", sums).unwrap();
    let mut sums = sums.split(' ');
    let first = sums.next().unwrap();
    assert!(sums.all(|sum| sum == first), "{first} in one table, another sum in another");
}

/// A moment between two commits, of which many were before and many after: the longest such pause, so that the order of commits and that of their
/// times, which differ by microseconds under load, are the same around it.
fn pause(server: &Postgres) -> SystemTime {
    let sql = "WITH commits AS (SELECT DISTINCT pg_xact_commit_timestamp(xmin) AS at FROM pgbench_history), \
        pauses AS (SELECT at, lead(at) OVER (ORDER BY at) AS until, percent_rank() OVER (ORDER BY at) AS rank FROM commits) \
        SELECT (extract(epoch FROM at + (until - at) / 2) * 1000000)::int8 FROM pauses \
        WHERE rank BETWEEN 0.3 AND 0.7 ORDER BY until - at DESC LIMIT 1";
    let micros = server.query("postgres", sql).unwrap().parse().unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}

fn micros(time: SystemTime) -> u128 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros()
}

async fn stopped(ctx: &Ctx) {
    ctx.shutdown.stop();
    ctx.shutdown.finished().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_recovers_to_a_chosen_moment() {
    let (place, log, ctx) = Place::new().await;
    let mut server = server();
    let shipper = place.ship(&server, &log, &ctx, "wal").await;
    let early = Load::start(&server);
    wait_until("some transfers", Duration::from_mins(1), || (transfers(&server) > 200).then_some(()));
    let base = place.base(&server, "base");
    let before = transfers(&server);
    wait_until("more transfers", Duration::from_mins(1), || {
        (transfers(&server) > before + 3000).then_some(())
    });
    drop(early);
    let chosen = pause(&server);
    let committed = history(
        &server,
        &format!("pg_xact_commit_timestamp(xmin) <= to_timestamp({}::numeric / 1000000)", micros(chosen)),
    );
    let all = transfers(&server);
    let _late = Load::start(&server);
    wait_until("late transfers", Duration::from_mins(1), || (transfers(&server) > all + 500).then_some(()));
    assert!(shipper.complete_at(SystemTime::now()).await);
    server.process().kill();
    drop(server);
    stopped(&ctx).await;

    let (log, _ctx) = place.open().await;
    let tip = shipper.status().tip;
    let (recovered, prepared) = place.recover(&log, &base, Target::Time(chosen), tip.as_ref()).await;
    assert_eq!(history(&recovered, "true"), committed, "all before the moment, and nothing after it");
    assert_consistent(&recovered);
    eprintln!(
        "recovered {} of {all}+ transfers from {} files of the log",
        transfers(&recovered),
        prepared.files
    );

    let data = place.path("late");
    run(Command::new("cp").arg("-a").arg(&base).arg(&data));
    let late = Target::Time(SystemTime::now() + Duration::from_hours(1));
    let refused = prepare(&log, &data, &place.path("late-wal"), late, None).await.unwrap_err();
    assert!(refused.to_string().contains("the log ends at"), "{refused}");
    assert!(!data.join("recovery.signal").exists());
    fs::remove_file(data.join("backup_label")).unwrap();
    let refused = prepare(&log, &data, &place.path("late-wal2"), Target::End, None).await.unwrap_err();
    assert!(refused.to_string().contains("no base backup"), "{refused}");
}

/// What a client was told is committed, and when.
type Told = Arc<Mutex<Vec<(i64, SystemTime)>>>;

/// Inserts 1, 2, 3, … one after the other.
async fn count(server: &Postgres, told: Told) {
    let (address, config) = (server.url().parse().unwrap(), ConnectionConfig::default());
    let connecting = buttress_connect::postgres::Postgres::connect(&address, &config, &Ctx::default()).await;
    let connection = connecting.unwrap();
    connection.execute("CREATE TABLE numbers (number int8)").await.unwrap();
    tokio::spawn(async move {
        for number in 1.. {
            let insert = format!("INSERT INTO numbers VALUES ({number})");
            if connection.execute(&insert).await.is_err() {
                return;
            }
            told.lock().unwrap().push((number, SystemTime::now()));
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_loses_no_more_than_was_not_shipped() {
    let random = Random::new(11);
    for round in 0..3 {
        let (place, log, ctx) = Place::new().await;
        let mut server = server();
        let shipper = place.ship(&server, &log, &ctx, "wal").await;
        let base = place.base(&server, "base");
        let told = Told::default();
        count(&server, Arc::clone(&told)).await;
        let _load = Load::start(&server);
        assert!(shipper.complete_at(SystemTime::now()).await);
        tokio::time::sleep(Duration::from_millis(3000 + random.number() % 3000)).await;
        // Everything at once: the server, and who ships.
        ctx.shutdown.stop();
        server.process().kill();
        let killed = SystemTime::now();
        drop(server);
        ctx.shutdown.finished().await;
        let status = shipper.status();

        let (log, _ctx) = place.open().await;
        let (recovered, _) = place.recover(&log, &base, Target::End, status.tip.as_ref()).await;
        assert_consistent(&recovered);
        let numbers =
            recovered.query("postgres", "SELECT count(*) || ' ' || max(number) FROM numbers").unwrap();
        let (count, newest) = numbers.split_once(' ').unwrap();
        assert_eq!(count, newest, "no number is missing between others");
        let newest: i64 = newest.parse().unwrap();
        let complete = status.complete.unwrap();
        let told = told.lock().unwrap();
        let shipped = told.iter().filter(|(_, at)| *at < complete).map(|(number, _)| *number).max().unwrap();
        assert!(newest >= shipped, "{shipped} was in the log, and {newest} is the newest recovered");
        let lost = told.iter().filter(|(number, _)| *number > newest).count();
        let at = told.iter().find(|(number, _)| *number == newest).map_or(killed, |(_, at)| *at);
        eprintln!(
            "kill {round}: of {} commits of one client the last {lost} are lost; the newest recovered is {:?} older than the kill",
            told.len(),
            killed.duration_since(at).unwrap_or_default(),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_goes_on_after_every_part_was_killed() {
    let (place, log, ctx) = Place::new().await;
    let mut server = server();
    let shipper = place.ship(&server, &log, &ctx, "wal").await;
    let base = place.base(&server, "base");
    let load = Load::start(&server);
    let end_sender = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active";
    for _ in 0..3 {
        assert!(shipper.complete_at(SystemTime::now()).await);
        server.query("postgres", end_sender).unwrap();
    }
    stopped(&ctx).await;
    // Nobody receives, the server crashes, and comes back.
    drop(load);
    server.crash();
    let load = Load::start(&server);
    for _ in 0..3 {
        let (log, ctx) = place.open().await;
        let shipper = place.ship(&server, &log, &ctx, "wal").await;
        assert!(shipper.complete_at(SystemTime::now()).await);
        stopped(&ctx).await;
    }
    // The folder of what was received is lost, and the server has it still.
    drop(load);
    fs::remove_dir_all(place.path("wal")).unwrap();
    let (log, ctx) = place.open().await;
    let shipper = place.ship(&server, &log, &ctx, "wal").await;
    assert!(shipper.complete_at(SystemTime::now()).await);
    let committed = history(&server, "true");
    stopped(&ctx).await;
    drop(server);
    let (log, _ctx) = place.open().await;
    let (recovered, _) = place.recover(&log, &base, Target::End, shipper.status().tip.as_ref()).await;
    assert_eq!(history(&recovered, "true"), committed);
    assert_consistent(&recovered);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_that_went_on_without_us_is_told() {
    let (place, log, ctx) = Place::new().await;
    let server = server();
    let shipper = place.ship(&server, &log, &ctx, "wal").await;
    assert!(shipper.complete_at(SystemTime::now()).await);
    stopped(&ctx).await;
    // The slot is dropped, and the server throws away what nobody asks for.
    drop_slot(&server);
    for _ in 0..3 {
        server.query("postgres", "INSERT INTO pgbench_history (tid) VALUES (0)").unwrap();
        server.query("postgres", "SELECT pg_switch_wal()").unwrap();
        server.query("postgres", "CHECKPOINT").unwrap();
    }
    let (log, ctx) = place.open().await;
    let shipper = place.ship(&server, &log, &ctx, "wal").await;
    fails(&shipper, &["has already been removed", "base backup"]);
    stopped(&ctx).await;
    // Without folder and slot, `pg_receivewal` begins where it can, and the gap is ours to find. (With the slot it may: where the slot stands
    // depends on whether it had said where it is before it was refused.)
    drop_slot(&server);
    let (log, ctx) = place.open().await;
    let shipper = place.ship(&server, &log, &ctx, "empty").await;
    server.query("postgres", "INSERT INTO pgbench_history (tid) VALUES (0)").unwrap();
    fails(&shipper, &["is missing", "base backup"]);
    stopped(&ctx).await;

    // Another cluster does not continue the log.
    let other = Postgres::durable();
    let (log, ctx) = place.open().await;
    let shipper = place.ship(&other, &log, &ctx, "other").await;
    other.query("postgres", "CREATE TABLE other (number int)").unwrap();
    fails(&shipper, &["cluster"]);
    stopped(&ctx).await;
    // And a base backup made after the log ended, or of another cluster, is not recovered with it.
    let base = place.base(&other, "other-base");
    let refused = prepare(&log, &base, &place.path("w1"), Target::End, None).await.unwrap_err();
    assert!(refused.to_string().contains("of another"), "{refused}");
    let base = place.base(&server, "late-base");
    let refused = prepare(&log, &base, &place.path("w2"), Target::End, None).await.unwrap_err();
    assert!(matches!(&refused, Error::Source { problem, .. } if problem.contains("ends at")), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_goes_on_along_a_new_timeline() {
    let (place, log, ctx) = Place::new().await;
    let server = server();
    let shipper = place.ship(&server, &log, &ctx, "wal").await;
    let base = place.base(&server, "base");
    server.query("postgres", "CREATE TABLE lives (life int8, number int8)").unwrap();
    for number in 0..100 {
        server.query("postgres", &format!("INSERT INTO lives VALUES (1, {number})")).unwrap();
    }
    let chosen = SystemTime::now();
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.query("postgres", "INSERT INTO lives VALUES (1, 100)").unwrap();
    assert!(shipper.complete_at(SystemTime::now()).await);
    drop(server);
    stopped(&ctx).await;

    let (log, ctx) = place.open().await;
    let (second, _) = place.recover(&log, &base, Target::Time(chosen), None).await;
    let counted = |server: &Postgres| {
        server.query("postgres", "SELECT life, count(*) FROM lives GROUP BY life ORDER BY life")
    };
    assert_eq!(counted(&second).unwrap(), "1|100");
    let shipper = place.ship(&second, &log, &ctx, "wal-2").await;
    second.query("postgres", "INSERT INTO lives SELECT 2, generate_series(1, 1000)").unwrap();
    assert!(shipper.complete_at(SystemTime::now()).await);
    assert_eq!(log.tip().await.unwrap().unwrap().position.epoch, 2);
    drop(second);
    stopped(&ctx).await;

    let (log, _ctx) = place.open().await;
    let (third, _) = place.recover(&log, &base, Target::End, shipper.status().tip.as_ref()).await;
    assert_eq!(counted(&third).unwrap(), "1|100\n2|1000", "both lives, and nothing of what was given up");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_log_that_lost_a_segment_is_not_recovered_from() {
    let (place, log, ctx) = Place::new().await;
    let server = server();
    let shipper = place.ship(&server, &log, &ctx, "wal").await;
    let base = place.base(&server, "base");
    for number in 0..5 {
        server
            .query("postgres", &format!("CREATE TABLE t{number} AS SELECT generate_series(1, 1000)"))
            .unwrap();
        assert!(shipper.complete_at(SystemTime::now()).await);
    }
    drop(server);
    stopped(&ctx).await;
    let (log, _ctx) = place.open().await;
    let tip = shipper.status().tip.unwrap();
    let object = place.path(&format!("store/log/main/{:020}", tip.sequence - 1));
    let whole = fs::read(&object).unwrap();
    fs::remove_file(&object).unwrap();
    let refused = prepare(&log, &base, &place.path("w1"), Target::End, None).await.unwrap_err();
    assert!(matches!(refused, Error::Damaged { .. }), "{refused}");
    fs::write(&object, &whole[..whole.len() - 1]).unwrap();
    let refused = prepare(&log, &base, &place.path("w2"), Target::End, None).await.unwrap_err();
    assert!(matches!(refused, Error::Damaged { .. }), "{refused}");
    fs::write(&object, &whole).unwrap();
    let newest = place.path(&format!("store/log/main/{:020}", tip.sequence));
    fs::remove_file(&newest).unwrap();
    let refused = prepare(&log, &base, &place.path("w3"), Target::End, Some(&tip)).await.unwrap_err();
    assert!(matches!(refused, Error::Damaged { .. }), "{refused}");
    assert!(!base.join("recovery.signal").exists());
}

#[tokio::test]
async fn postgres_that_cannot_be_reached_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = PostgresWalConfig::new("postgres://postgres@127.0.0.1:1/postgres".parse().unwrap());
    config.folder = folder.path().join("wal");
    let error = PostgresWal::start(&config, &Ctx::default()).await.unwrap_err();
    assert!(error.to_string().contains("slot cannot be made"), "{error}");
    config.program = "/nowhere/pg_receivewal".into();
    assert!(PostgresWal::start(&config, &Ctx::default()).await.is_err());
    config.slot = "No Slot".to_owned();
    assert!(matches!(PostgresWal::start(&config, &Ctx::default()).await, Err(Error::Config(_))));
}
