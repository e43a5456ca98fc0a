//! What was restored is judged: a backup that is whole but stale, empty or another's does not pass.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing expectation fails the test"
)]

use std::path::Path;
use std::time::Duration;

use buttress_backup::Error;
use buttress_backup::source::{self, Record, Source};
use buttress_backup::verify::{
    Command, CommandConfig, DynVerifier, Files, FilesConfig, Manifest, Postgres, PostgresConfig, Query,
    Redis, RedisConfig, Sqlite, SqliteConfig, Verdict, Verifier,
};
use buttress_connect::sqlite::client::Connection;
use buttress_core::{Clock, Ctx, SystemClock};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_hours(1);

/// What has not passed, as `what: found`.
fn failures(verdict: &Verdict) -> Vec<String> {
    let told = verdict.failures().map(|check| format!("{}: {}", check.what, check.found)).collect::<Vec<_>>();
    assert_eq!(verdict.passed(), told.is_empty(), "{verdict:?}");
    told
}

async fn judge(verifier: impl Verifier, restored: &Path) -> Vec<String> {
    judge_later(Duration::ZERO, verifier, restored).await
}

/// As if it had been backed up so much later.
async fn judge_later(time: Duration, verifier: impl Verifier, restored: &Path) -> Vec<String> {
    failures(&DynVerifier::new(verifier).verify(restored, SystemClock.wall() + time).await.unwrap())
}

/// One thing is wrong, and its check says what.
fn assert_one(found: &[String], expected: &str) {
    assert!(matches!(found, [one] if one.contains(expected)), "{expected}: {found:?}");
}

fn orders(path: &Path, rows: u32) {
    let database = Connection::open(path).unwrap();
    database
        .execute_batch(
            "CREATE TABLE orders(id INTEGER PRIMARY KEY, at INTEGER); CREATE INDEX by_time ON orders(at)",
        )
        .unwrap();
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) \
               INSERT INTO orders(at) SELECT unixepoch() FROM n";
    database.execute(sql, [rows]).unwrap();
}

/// A database that was backed up, as a restore leaves it, and what was recorded of it.
async fn restored_sqlite(rows: u32) -> (TempDir, Record) {
    let folder = tempfile::tempdir().unwrap();
    orders(&folder.path().join("orders.db"), rows);
    let mut config = source::SqliteConfig::default();
    (config.name, config.path) = ("shop".into(), folder.path().join("orders.db"));
    let restored = tempfile::tempdir().unwrap();
    let place = restored.path().join("shop");
    std::fs::create_dir(&place).unwrap();
    let collected = source::Sqlite::new(config, &Ctx::default()).unwrap().collect(&place).await.unwrap();
    (restored, collected.record("shop"))
}

fn sqlite(ctx: &Ctx) -> Sqlite {
    let mut config = SqliteConfig::default();
    (config.name, config.path) = ("orders".into(), "shop/orders.db".into());
    config.queries = vec![
        Query::new("SELECT count(*) FROM orders").at_least(10.0),
        Query::new("SELECT max(at) FROM orders").newest_within(HOUR),
    ];
    Sqlite::new(config, ctx).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_passes_when_it_is_the_one_that_was_backed_up() {
    let (restored, record) = restored_sqlite(50).await;
    let verdict =
        sqlite(&Ctx::default()).against(record).verify(restored.path(), SystemClock.wall()).await.unwrap();
    assert_eq!(failures(&verdict), Vec::<String>::new());
    let looked: Vec<_> = verdict.checks.iter().map(|check| check.what.as_str()).collect();
    assert_eq!(
        looked,
        [
            "SQLite's check",
            "rows.orders, as recorded",
            "schema, as recorded",
            "SELECT count(*) FROM orders",
            "SELECT max(at) FROM orders"
        ]
    );
    // Nothing was written beside it.
    assert_eq!(restored.path().join("shop").read_dir().unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_stale_empty_or_another_does_not_pass() {
    let (restored, record) = restored_sqlite(50).await;
    let path = restored.path().join("shop/orders.db");
    assert_one(
        &judge_later(HOUR * 3, sqlite(&Ctx::default()), restored.path()).await,
        "SELECT max(at) FROM orders: 3h",
    );

    let (other, _) = restored_sqlite(40).await;
    let found = judge(sqlite(&Ctx::default()).against(record.clone()), other.path()).await;
    assert_one(&found, "rows.orders, as recorded: 40");

    Connection::open(&path).unwrap().execute_batch("DELETE FROM orders").unwrap();
    let found = judge(sqlite(&Ctx::default()), restored.path()).await;
    assert_eq!(found, ["SELECT count(*) FROM orders: 0", "SELECT max(at) FROM orders: no time"]);

    Connection::open(&path).unwrap().execute_batch("DROP TABLE orders; CREATE TABLE users(id)").unwrap();
    let found = judge(sqlite(&Ctx::default()).against(record), restored.path()).await;
    assert!(found.len() == 4 && found.iter().any(|one| one.starts_with("schema, as recorded")), "{found:?}");
    assert!(found[0].contains("no such table"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_damaged_or_gone_does_not_pass() {
    let (restored, _) = restored_sqlite(3000).await;
    let path = restored.path().join("shop/orders.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0x55);
    std::fs::write(&path, bytes).unwrap();
    let found = judge(sqlite(&Ctx::default()), restored.path()).await;
    assert!(found[0].starts_with("SQLite's check: "), "{found:?}");
    std::fs::write(&path, "").unwrap();
    assert!(!judge(sqlite(&Ctx::default()), restored.path()).await.is_empty());
    std::fs::write(&path, "no database, but text of some length ".repeat(200)).unwrap();
    assert_one(&judge(sqlite(&Ctx::default()), restored.path()).await, "not a database");
    std::fs::remove_file(&path).unwrap();
    assert_one(&judge(sqlite(&Ctx::default()), restored.path()).await, "no file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_without_end_is_ended() {
    let (restored, _) = restored_sqlite(10).await;
    let mut config = SqliteConfig::default();
    (config.name, config.path, config.timeout) =
        ("x".into(), "shop/orders.db".into(), Duration::from_millis(200));
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    config.queries = vec![Query::new(endless).at_least(1.0)];
    let verifier = Sqlite::new(config, &Ctx::default()).unwrap();
    // The runtime ends only when its threads do.
    assert!(matches!(verifier.verify(restored.path(), SystemClock.wall()).await, Err(Error::Timeout { .. })));
}

/// A cluster that was backed up, as a restore leaves it, and what was recorded of it.
async fn restored_postgres() -> (TempDir, Record) {
    let server = buttress_testkit::Postgres::start();
    let sql = "CREATE TABLE orders AS SELECT i AS id, now() AS at, repeat('x', 500) AS note FROM generate_series(1, 2000) AS i";
    server.query("postgres", sql).unwrap();
    for setting in [
        "archive_mode = on",
        "archive_command = 'false'",
        "primary_conninfo = 'host=nowhere'",
        "shared_preload_libraries = 'nothing'",
    ] {
        server.query("postgres", &format!("ALTER SYSTEM SET {setting}")).unwrap();
    }
    let mut config = source::PostgresConfig::default();
    (config.name, config.address) = ("db".into(), Some(server.url().parse().unwrap()));
    let restored = tempfile::tempdir().unwrap();
    let place = restored.path().join("db");
    std::fs::create_dir(&place).unwrap();
    let source = source::PostgresBase::new(config, &Ctx::default()).unwrap();
    let record = source.collect(&place).await.unwrap().record("db");
    (restored, record)
}

/// A copy that a server may write to, where its user may enter.
fn copy(restored: &TempDir) -> TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let copy = tempfile::tempdir().unwrap();
    std::fs::set_permissions(copy.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let copied =
        std::process::Command::new("cp").arg("-a").arg(restored.path().join("db")).arg(copy.path()).status();
    assert!(copied.unwrap().success());
    copy
}

fn postgres(database: &str, ctx: &Ctx) -> Postgres {
    let mut config = PostgresConfig::default();
    (config.name, config.path, config.database) = ("orders".into(), "db/data".into(), database.into());
    config.timeout = Duration::from_mins(1);
    config.queries = vec![
        Query::new("SELECT count(*) FROM orders").at_least(1000.0),
        Query::new("SELECT extract(epoch FROM max(at)) FROM orders").newest_within(HOUR),
        Query::new("SELECT current_setting('archive_mode') || current_setting('primary_conninfo')")
            .equals("off"),
    ];
    Postgres::new(config, ctx).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_cluster_passes_when_it_is_the_one_that_was_backed_up() {
    let (restored, record) = restored_postgres().await;
    let here = copy(&restored);
    let verifier = postgres("postgres", &Ctx::default()).against(record);
    let verdict = verifier.verify(here.path(), SystemClock.wall()).await.unwrap();
    assert_eq!(failures(&verdict), Vec::<String>::new());
    assert_eq!(verdict.checks.len(), 6, "{verdict:?}");
    // The server has stopped in order.
    assert!(!here.path().join("db/data/postmaster.pid").exists());
    // Where Debian keeps the configuration elsewhere.
    let here = copy(&restored);
    std::fs::remove_file(here.path().join("db/data/postgresql.conf")).unwrap();
    assert_eq!(judge(verifier, here.path()).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_cluster_that_is_stale_empty_or_another_does_not_pass() {
    let (restored, mut record) = restored_postgres().await;
    let ctx = Ctx::default();
    record.facts.insert("system_identifier".into(), "7000000000000000000".into());
    let found = judge(postgres("postgres", &ctx).against(record), copy(&restored).path()).await;
    assert_one(&found, "system_identifier, as recorded: ");

    let found = judge(postgres("shop", &ctx), copy(&restored).path()).await;
    assert!(found.len() == 4 && found[0].contains("\"shop\" does not exist"), "{found:?}");
    let found = judge(postgres("template1", &ctx), copy(&restored).path()).await;
    assert!(found.len() == 2 && found[0].contains("\"orders\" does not exist"), "{found:?}");

    let stale =
        Query::new("SELECT extract(epoch FROM max(at) - interval '2 hours') FROM orders").newest_within(HOUR);
    let none = Query::new("SELECT max(at) FROM orders WHERE false").newest_within(HOUR);
    let mut config = PostgresConfig::default();
    (config.name, config.path) = ("orders".into(), "db/data".into());
    config.queries = vec![stale, none];
    let old = Postgres::new(config, &ctx).unwrap();
    let found = judge(old, copy(&restored).path()).await;
    assert!(found.len() == 2 && found[0].contains(": 2h") && found[1].ends_with("no time"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_cluster_that_is_damaged_does_not_pass() {
    let (restored, _) = restored_postgres().await;
    let ctx = Ctx::default();
    let here = copy(&restored);
    // The pages of a table are in the largest files.
    let base = here.path().join("db/data/base/5");
    let largest =
        base.read_dir().unwrap().flatten().max_by_key(|file| file.metadata().unwrap().len()).unwrap().path();
    let length = std::fs::metadata(&largest).unwrap().len();
    let mut bytes = std::fs::read(&largest).unwrap();
    bytes[usize::try_from(length / 2 / 8192 * 8192).unwrap()..][..8192].fill(0x55);
    std::fs::write(&largest, bytes).unwrap();
    let found = judge(postgres("postgres", &ctx), here.path()).await;
    assert!(
        found.iter().any(|one| one.starts_with("reading each row") && one.contains("invalid page")),
        "{found:?}"
    );

    let here = copy(&restored);
    std::fs::remove_file(here.path().join("db/data/global/pg_control")).unwrap();
    assert_one(&judge(postgres("postgres", &ctx), here.path()).await, "pg_control");
    let here = tempfile::tempdir().unwrap();
    assert_one(&judge(postgres("postgres", &ctx), here.path()).await, "the cluster db/data: none");
}

async fn restored_redis(keys: u32) -> (TempDir, Record) {
    let server = buttress_testkit::Redis::start();
    server.command(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).unwrap();
    for key in 0..keys {
        server.command(&["SET", &format!("key:{key}"), "some value"]).unwrap();
    }
    let mut config = source::RedisConfig::default();
    (config.name, config.address) = ("cache".into(), Some(server.url().parse().unwrap()));
    let restored = tempfile::tempdir().unwrap();
    let place = restored.path().join("cache");
    std::fs::create_dir(&place).unwrap();
    let record =
        source::Redis::new(config, &Ctx::default()).unwrap().collect(&place).await.unwrap().record("cache");
    (restored, record)
}

fn redis(ctx: &Ctx) -> Redis {
    let mut config = RedisConfig::default();
    (config.name, config.path) = ("keys".into(), "cache/dump.rdb".into());
    config.newest_within = Some(HOUR);
    Redis::new(config, ctx).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_of_redis_is_judged_by_its_keys_and_its_age() {
    let (restored, record) = restored_redis(20).await;
    let ctx = Ctx::default();
    let verdict =
        redis(&ctx).against(record.clone()).verify(restored.path(), SystemClock.wall()).await.unwrap();
    assert_eq!((failures(&verdict), verdict.checks.len()), (Vec::new(), 5), "{verdict:?}");

    assert_one(&judge_later(HOUR * 2, redis(&ctx), restored.path()).await, "when it was written: 2h");
    let (empty, _) = restored_redis(0).await;
    assert_one(&judge(redis(&ctx), empty.path()).await, "keys: 0");
    let (other, _) = restored_redis(20).await;
    assert_one(&judge(redis(&ctx).against(record), other.path()).await, "replication, as recorded");
    let path = restored.path().join("cache/dump.rdb");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert_one(&judge(redis(&ctx), restored.path()).await, "not whole");
    std::fs::remove_file(&path).unwrap();
    assert_one(&judge(redis(&ctx), restored.path()).await, "no file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_judged_by_their_manifest() {
    let restored = tempfile::tempdir().unwrap();
    let folder = restored.path().join("files/blobs");
    std::fs::create_dir_all(folder.join("deep/er")).unwrap();
    for (name, text) in [("a", "1"), ("deep/b ä", "2"), ("deep/er/c", "3")] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    std::os::unix::fs::symlink("a", folder.join("link")).unwrap();
    let manifest = Manifest::of(&folder).unwrap();
    assert_eq!(manifest.len(), 6);
    let text = serde_json::to_string(&manifest).unwrap();
    assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest);

    let files = |ctx: &Ctx| {
        let mut config = FilesConfig::default();
        (config.name, config.path, config.newest_within) = ("blobs".into(), "files/blobs".into(), Some(HOUR));
        Files::new(config, ctx).unwrap()
    };
    let ctx = Ctx::default();
    let against = || files(&ctx).against(manifest.clone());
    assert_eq!(judge(against(), restored.path()).await, Vec::<String>::new());
    assert_one(&judge_later(HOUR * 5, files(&ctx), restored.path()).await, "the newest file: 5h");

    std::fs::write(folder.join("deep/er/c"), "4").unwrap();
    assert_one(&judge(against(), restored.path()).await, "changed of 6 paths: 1: deep/er/c");
    std::fs::write(folder.join("deep/er/c"), "3").unwrap();
    std::fs::write(folder.join("new"), "").unwrap();
    assert_one(&judge(against(), restored.path()).await, "unexpected, beside those of 6 paths: 1: new");
    std::fs::remove_file(folder.join("new")).unwrap();
    std::fs::remove_file(folder.join("link")).unwrap();
    std::os::unix::fs::symlink("b", folder.join("link")).unwrap();
    assert_one(&judge(against(), restored.path()).await, "changed of 6 paths: 1: link");
    std::fs::remove_file(folder.join("link")).unwrap();
    assert_one(&judge(against(), restored.path()).await, "missing of 6 paths: 1: link");
    std::fs::remove_dir_all(&folder).unwrap();
    assert_one(&judge(against(), restored.path()).await, "no folder");
    std::fs::create_dir(&folder).unwrap();
    let found = judge(files(&ctx).against(Manifest::default()), restored.path()).await;
    assert_eq!(found, ["files: 0", "the newest file: no time", "paths in the manifest: 0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_judged_by_its_end() {
    let restored = tempfile::tempdir().unwrap();
    std::fs::write(restored.path().join("mark"), "here").unwrap();
    let command = |script: &str| {
        let mut config = CommandConfig::default();
        config.name = "mine".into();
        config.command = ["sh", "-c", script].map(str::to_owned).to_vec();
        config.timeout = Duration::from_millis(500);
        Command::new(config, &Ctx::default()).unwrap()
    };
    let good = command("grep -q here mark && grep -q here \"$BUTTRESS_RESTORED/mark\"");
    assert_eq!(judge(good, restored.path()).await, Vec::<String>::new());
    assert_one(&judge(command("echo too old >&2; exit 3"), restored.path()).await, "exit status: 3: too old");
    assert_one(&judge(command("sleep 1000"), restored.path()).await, "not done within 500ms");
    let mut config = CommandConfig::default();
    (config.name, config.command) = ("mine".into(), vec!["/no/such/program".into()]);
    let missing = Command::new(config, &Ctx::default()).unwrap();
    assert!(
        missing
            .verify(restored.path(), SystemClock.wall())
            .await
            .unwrap_err()
            .to_string()
            .contains("does not start")
    );
}

#[test]
fn a_wrong_configuration_says_what_would_do() {
    let mut config = SqliteConfig::default();
    (config.name, config.path) = ("x".into(), "../up.db".into());
    config.queries = vec![Query::new("SELECT 1")];
    let error = Sqlite::new(config, &Ctx::default()).unwrap_err().to_string();
    assert!(error.contains("must be relative") && error.contains("must have `sql` and one of"), "{error}");
}
