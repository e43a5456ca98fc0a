//! Clusters and databases of PostgreSQL are copied under load, and come back consistent.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing expectation fails the test"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use buttress_backup::Error;
use buttress_backup::source::{Collected, Consistency, PostgresBase, PostgresConfig, PostgresDump, Source};
use buttress_core::{Ctx, chain};
use buttress_testkit::{Postgres, ProcessGroup, wait_until};
use tempfile::TempDir;

fn config(url: &str) -> PostgresConfig {
    let mut config = PostgresConfig::default();
    config.name = "db".into();
    config.address = Some(url.parse().unwrap());
    config
}

/// A server with accounts in its database `postgres`, and clients that move money between them until this is dropped.
fn loaded() -> (Postgres, ProcessGroup, TempDir) {
    let server = Postgres::start();
    let folder = tempfile::tempdir().unwrap();
    let url = server.url();
    let pgbench = || Command::new(server.programs().join("pgbench"));
    assert!(pgbench().args(["-i", "-q", "--foreign-keys", &url]).output().unwrap().status.success());
    let log = folder.path().join("pgbench.log");
    let load = ProcessGroup::spawn(pgbench().args(["-n", "-c", "4", "-T", "600", &url]), &log);
    wait_until("clients to commit", Duration::from_mins(1), || {
        (history(&server, "postgres") > 100).then_some(())
    });
    (server, load, folder)
}

fn history(server: &Postgres, database: &str) -> u64 {
    server.query(database, "SELECT count(*) FROM pgbench_history").unwrap().parse().unwrap()
}

/// Each transaction adds the same amount to an account, a teller, a branch and the history; their sums differ only when one is there by
/// half.
fn assert_balanced(server: &Postgres, database: &str) {
    let sums = server.query(
        database,
        "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(tbalance) FROM pgbench_tellers) \
         AND (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(bbalance) FROM pgbench_branches) \
         AND (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(delta) FROM pgbench_history)",
    );
    assert_eq!(sums.unwrap(), "t");
}

fn root<'a>(collected: &'a Collected, in_snapshot: &str) -> &'a Path {
    &collected.roots.iter().find(|root| root.in_snapshot == Path::new(in_snapshot)).unwrap().on_disk
}

async fn refusal(source: impl Source) -> String {
    let scratch = tempfile::tempdir().unwrap();
    chain(&source.collect(scratch.path()).await.unwrap_err())
}

/// A folder of programs in which `name` is this script; `$REAL` is the folder of the real ones.
fn programs(server: &Postgres, name: &str, script: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for program in
        ["psql", "pg_basebackup", "pg_verifybackup", "pg_waldump", "pg_dump", "pg_dumpall", "pg_restore"]
    {
        let path = folder.path().join(program);
        if program == name {
            let real = server.programs().display();
            std::fs::write(&path, format!("#!/bin/sh\nREAL={real}\n{script}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        } else {
            std::os::unix::fs::symlink(server.programs().join(program), &path).unwrap();
        }
    }
    folder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_base_backup_under_load_starts_as_a_server_of_its_own() {
    let (server, mut load, _log) = loaded();
    server.query("postgres", "CREATE TABLE marker AS SELECT 42 AS answer").unwrap();
    let before = history(&server, "postgres");
    let source = PostgresBase::new(config(&server.url()), &Ctx::default()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let collected = source.collect(scratch.path()).await.unwrap();
    let after = history(&server, "postgres");
    load.kill();

    let facts = &collected.facts;
    assert_eq!(facts["timeline"], "1");
    let position = format!("1:{}", facts["end_lsn"]);
    assert_eq!(collected.consistency, Consistency::PointInTime(position));
    assert_eq!(facts["system_identifier"].len(), 19);
    assert!(facts["start_segment"].starts_with("00000001"), "{facts:?}");
    assert!(facts["server_version"].starts_with('1'), "{facts:?}");
    assert!(
        facts["files"].parse::<u64>().unwrap() > 900 && facts["bytes"].parse::<u64>().unwrap() > 20 << 20
    );

    let data = root(&collected, "/db/data");
    assert!(data.join("backup_label").is_file());
    let restored = Postgres::start_on(data);
    assert_balanced(&restored, "postgres");
    let there = history(&restored, "postgres");
    assert!((before..=after).contains(&there), "{before} {there} {after}");
    assert_eq!(restored.query("postgres", "SELECT answer FROM marker").unwrap(), "42");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_dump_under_load_is_restored_into_another_server() {
    let (server, mut load, _log) = loaded();
    server.query("postgres", "CREATE ROLE keeper; CREATE TABLE empty(); CREATE SCHEMA \"odd one\"; CREATE TABLE \"odd one\".\"t\"(x text); INSERT INTO \"odd one\".t VALUES (E'a\\nb'), ('\\.'), ('')").unwrap();
    let before = history(&server, "postgres");
    let source = PostgresDump::new(config(&server.url()), &Ctx::default()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let collected = source.collect(scratch.path()).await.unwrap();
    let after = history(&server, "postgres");
    load.kill();
    drop(server);

    let facts = &collected.facts;
    assert_eq!(facts["rows.public.pgbench_accounts"], "100000");
    assert_eq!(facts["rows.public.empty"], "0");
    assert_eq!(facts["rows.odd.one t"], "3");
    assert_eq!(facts["tables"], "6");

    let other = Postgres::start();
    let globals = std::fs::read_to_string(root(&collected, "/db/globals.sql")).unwrap();
    assert!(globals.contains("CREATE ROLE keeper"), "{globals}");
    let url = other.create_database("again");
    let mut restore = Command::new(other.programs().join("pg_restore"));
    let restored = restore
        .args(["--exit-on-error", "--dbname", &url])
        .arg(root(&collected, "/db/dump"))
        .output()
        .unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert_balanced(&other, "again");
    let there = history(&other, "again");
    assert!((before..=after).contains(&there), "{before} {there} {after}");
    assert_eq!(facts["rows.public.pgbench_history"], there.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_copies_that_are_not_whole_do_not_count() {
    let server = Postgres::start();
    server.query("postgres", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS x").unwrap();
    // The last argument of pg_basebackup and of pg_dump is the folder that they write.
    let damage = "\"$REAL/pg_basebackup\" \"$@\" && for last; do :; done && printf x | dd of=\"$last/base/5/1255\" bs=1 seek=99 conv=notrunc 2>/dev/null";
    let lying = programs(&server, "pg_basebackup", damage);
    let mut config = config(&server.url());
    config.programs = Some(lying.path().into());
    let told = refusal(PostgresBase::new(config.clone(), &Ctx::default()).unwrap()).await;
    assert!(told.contains("pg_verifybackup") && told.contains("base/5/1255"), "{told}");

    let cut = "\"$REAL/pg_dump\" \"$@\" && for last; do :; done && for file in \"$last\"/[0-9]*.dat; do truncate -s 100 \"$file\"; done";
    let lying = programs(&server, "pg_dump", cut);
    config.programs = Some(lying.path().into());
    let told = refusal(PostgresDump::new(config, &Ctx::default()).unwrap()).await;
    assert!(told.contains("`public.t` is cut off"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_password_is_seen_by_nobody() {
    let server = Postgres::start();
    let hba = server.query("postgres", "SHOW hba_file").unwrap();
    let rules = "host all keeper 127.0.0.1/32 scram-sha-256\nhost replication keeper 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";
    std::fs::write(hba, rules).unwrap();
    let secret = "s3:cr\\et @/";
    server
        .query("postgres", &format!("CREATE ROLE keeper SUPERUSER LOGIN REPLICATION PASSWORD '{secret}'"))
        .unwrap();
    server.query("postgres", "SELECT pg_reload_conf()").unwrap();
    let url = server.url().replace("postgres@", "keeper:s3%3Acr%5Cet%20%40%2F@");

    let note = tempfile::tempdir().unwrap();
    let noted = note.path().join("noted");
    let script = format!(
        "{{ echo \"$@\"; env; stat -c %a \"$PGPASSFILE\"; }} > {}\nexec \"$REAL/pg_basebackup\" \"$@\"",
        noted.display()
    );
    let watched = programs(&server, "pg_basebackup", &script);
    let mut good = config(&url);
    good.programs = Some(watched.path().into());
    let scratch = tempfile::tempdir().unwrap();
    let source = PostgresBase::new(good.clone(), &Ctx::default()).unwrap();
    assert!(!format!("{source:?}").contains("s3"));
    drop(source.collect(scratch.path()).await.unwrap());
    let noted = std::fs::read_to_string(noted).unwrap();
    assert!(noted.contains("PGPASSFILE=") && noted.ends_with("600\n"), "{noted}");
    assert!(!noted.contains("cr\\et") && !noted.contains("cr%5C"), "{noted}");
    assert!(!scratch.path().join("pgpass").exists());
    let scratch = tempfile::tempdir().unwrap();
    drop(PostgresDump::new(good, &Ctx::default()).unwrap().collect(scratch.path()).await.unwrap());

    let wrong = url.replace("s3", "s4");
    let told = refusal(PostgresBase::new(config(&wrong), &Ctx::default()).unwrap()).await;
    assert!(told.contains("password authentication failed"), "{told}");
    assert!(!told.contains("s4"), "{told}");
    let missing = server.url().replace("postgres@", "keeper@");
    let told = refusal(PostgresDump::new(config(&missing), &Ctx::default()).unwrap()).await;
    assert!(told.contains("no password supplied"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_programs_end_with_all_that_they_started() {
    let server = Postgres::start();
    let note = tempfile::tempdir().unwrap();
    let noted = note.path().join("pid");
    let script = format!("sleep 1000 &\necho $! > {}.new\nmv {0}.new {0}\nwait", noted.display());
    let hanging = programs(&server, "pg_basebackup", &script);
    let mut config = config(&server.url());
    config.programs = Some(hanging.path().into());
    config.timeout = Duration::from_secs(3);
    let child = || std::fs::read_to_string(&noted).ok().map(|pid| pid.trim().to_owned());
    let gone = || {
        let pid = child().unwrap();
        wait_until("the child of a program to be gone", Duration::from_mins(1), || {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            (state.is_empty() || state.contains(") Z ")).then_some(())
        });
        std::fs::remove_file(&noted).unwrap();
    };

    let slow = PostgresBase::new(config.clone(), &Ctx::default()).unwrap();
    let told = refusal(slow).await;
    assert_eq!(told, "db: `pg_basebackup` was not done within 3s");
    gone();

    config.timeout = Duration::from_hours(1);
    for by_shutdown in [true, false] {
        let ctx = Ctx::default();
        let source = PostgresBase::new(config.clone(), &ctx).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().to_owned();
        let run = tokio::spawn(async move { source.collect(&path).await.map(drop) });
        tokio::task::block_in_place(|| wait_until("the program to start", Duration::from_mins(1), child));
        if by_shutdown {
            ctx.shutdown.stop();
            assert!(matches!(run.await.unwrap(), Err(Error::Stopped)));
        } else {
            run.abort();
            assert!(run.await.unwrap_err().is_cancelled());
        }
        gone();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_refusals_say_what_would_do() {
    let server = Postgres::start();
    let ctx = Ctx::default();
    let told = refusal(PostgresBase::new(config("postgres://postgres@127.0.0.1:1/x"), &ctx).unwrap()).await;
    assert!(told.contains("`psql` ended with") && told.contains("Connection refused"), "{told}");
    let told = refusal(PostgresDump::new(config(&server.url_of("nowhere")), &ctx).unwrap()).await;
    assert!(told.contains("\"nowhere\" does not exist"), "{told}");
    let empty = tempfile::tempdir().unwrap();
    let mut without = config(&server.url());
    without.programs = Some(empty.path().into());
    let told = refusal(PostgresBase::new(without, &ctx).unwrap()).await;
    assert!(told.contains("`psql`") && told.contains("`postgresql-client`"), "{told}");

    let place = server.socket_folder().join("space");
    std::fs::create_dir(&place).unwrap();
    let owner = std::fs::metadata(server.socket_folder()).unwrap();
    let (user, group) = {
        use std::os::unix::fs::MetadataExt as _;
        (owner.uid(), owner.gid())
    };
    std::os::unix::fs::chown(&place, Some(user), Some(group)).unwrap();
    server.query("postgres", &format!("CREATE TABLESPACE other LOCATION '{}'", place.display())).unwrap();
    let told = refusal(PostgresBase::new(config(&server.url()), &ctx).unwrap()).await;
    assert!(told.contains("tablespaces") && told.contains("/space"), "{told}");

    let error = PostgresBase::new(config("redis://x"), &ctx).unwrap_err().to_string();
    assert!(error.contains("must be `postgres://"), "{error}");
    let error = PostgresBase::new(PostgresConfig::default(), &ctx).unwrap_err().to_string();
    assert!(error.contains("name") && error.contains("address"), "{error}");
}
