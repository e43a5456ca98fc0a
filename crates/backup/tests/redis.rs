//! Redis is copied while it is written, and comes back consistent.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing expectation fails the test"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use buttress_backup::source::{Collected, Redis as Source_, RedisConfig, Source};
use buttress_core::{Ctx, chain};
use buttress_testkit::{Redis, wait_until};
use tempfile::TempDir;

fn config(url: &str) -> RedisConfig {
    let mut config = RedisConfig::default();
    config.name = "cache".into();
    config.address = Some(url.parse().unwrap());
    config
}

fn source(config: RedisConfig) -> Source_ {
    Source_::new(config, &Ctx::default()).unwrap()
}

async fn collect(config: RedisConfig) -> (TempDir, Collected) {
    let scratch = tempfile::tempdir().unwrap();
    let collected = source(config).collect(scratch.path()).await.unwrap();
    (scratch, collected)
}

async fn refusal(config: RedisConfig) -> String {
    let scratch = tempfile::tempdir().unwrap();
    chain(&source(config).collect(scratch.path()).await.unwrap_err())
}

/// The number that a command answers.
fn number(server: &Redis, words: &[&str]) -> i64 {
    let answer = server.command(words).unwrap();
    answer.trim().rsplit("\r\n").next().unwrap().trim_start_matches(':').parse().unwrap()
}

/// Lets a replica not wait for others to come.
fn at_once(server: &Redis) {
    server.command(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).unwrap();
}

fn fill(server: &Redis) {
    at_once(server);
    let script =
        "for i = 1, 50000 do redis.call('SET', 'key:' .. i, string.rep('value ' .. i, 20)) end return 1";
    assert_eq!(number(server, &["EVAL", script, "0"]), 1);
}

/// Folder in which `redis-cli` is followed by `damage` to its last argument.
fn lying(damage: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("redis-cli");
    let script =
        format!("#!/bin/sh\n/usr/bin/env redis-cli \"$@\" || exit\nfor last; do :; done\n{damage}\n");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let check = folder.path().join("redis-check-rdb");
    std::fs::write(&check, "#!/bin/sh\nexec /usr/bin/env redis-check-rdb \"$@\"\n").unwrap();
    std::fs::set_permissions(&check, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_under_writes_is_of_one_moment() {
    let server = Redis::start();
    fill(&server);
    server.command(&["SET", "ends", "x", "EX", "10000"]).unwrap();
    let (stop, booked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (asked, count, addr) = (Arc::clone(&stop), Arc::clone(&booked), server.addr());
    let writer = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(addr).unwrap();
        let mut answers = BufReader::new(stream.try_clone().unwrap()).lines();
        while !asked.load(Ordering::SeqCst) {
            stream
                .write_all(b"MULTI\r\nINCRBY mine 7\r\nDECRBY yours 7\r\nRPUSH book x\r\nEXEC\r\n")
                .unwrap();
            // OK, three times QUEUED, and three answers after their count.
            answers.by_ref().take(8).for_each(drop);
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    wait_until("a commit", Duration::from_mins(1), || (booked.load(Ordering::SeqCst) > 10).then_some(()));
    for _ in 0..3 {
        let before = booked.load(Ordering::SeqCst);
        let (_scratch, collected) = collect(config(&server.url())).await;
        let after = booked.load(Ordering::SeqCst);
        let [root] = &collected.roots[..] else { panic!("{:?}", collected.roots) };
        assert_eq!(root.in_snapshot, Path::new("/cache/dump.rdb"));
        let restored = Redis::start_on(&root.on_disk);
        let there = number(&restored, &["LLEN", "book"]);
        assert_eq!(number(&restored, &["INCRBY", "mine", "0"]), there * 7);
        assert_eq!(number(&restored, &["INCRBY", "yours", "0"]), -there * 7);
        assert!((before..=after + 1).contains(&there.cast_unsigned()), "{before} {there} {after}");
        let facts = &collected.facts;
        assert_eq!(facts["keys"], number(&restored, &["DBSIZE"]).to_string());
        assert_eq!((&*facts["keys"], &*facts["expiring"], &*facts["databases"]), ("50004", "1", "1"));
        assert_eq!(facts["bytes"], std::fs::metadata(&root.on_disk).unwrap().len().to_string());
        assert_eq!(facts["replication"].split(':').next().unwrap().len(), 40, "{facts:?}");
    }
    stop.store(true, Ordering::SeqCst);
    writer.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_save_is_an_error() {
    let server = Redis::start();
    fill(&server);
    // The snapshot goes to the disk first, where a folder is in its way.
    server.command(&["CONFIG", "SET", "repl-diskless-sync", "no"]).unwrap();
    let answer = server.command(&["CONFIG", "GET", "dir"]).unwrap();
    let folder = answer.trim().rsplit("\r\n").next().unwrap();
    std::fs::create_dir_all(format!("{folder}/dump.rdb/in the way")).unwrap();
    let told = refusal(config(&server.url())).await;
    assert!(told.contains("`redis-cli` ended with") && told.contains("SYNC"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_not_whole_does_not_count() {
    let server = Redis::start();
    fill(&server);
    for damage in
        ["truncate -s 100000", "truncate -s -9", "printf x | dd conv=notrunc bs=1 seek=5000 status=none of="]
    {
        let damage = if damage.ends_with('=') {
            format!("[ -f \"$last\" ] && {damage}\"$last\"; :")
        } else {
            format!("[ -f \"$last\" ] && {damage} \"$last\"; :")
        };
        let folder = lying(&damage);
        let mut config = config(&server.url());
        config.programs = Some(folder.path().into());
        let told = refusal(config).await;
        assert!(told.contains("the copy is not whole"), "{damage}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_needed_where_one_is_and_shown_nowhere() {
    let server = Redis::start();
    at_once(&server);
    server
        .command(&["ACL", "SETUSER", "keeper", "on", ">top secret", "+sync", "+psync", "+replconf", "+info"])
        .unwrap();
    server.command(&["ACL", "SETUSER", "default", "off"]).unwrap();
    let note = tempfile::tempdir().unwrap();
    let noted = note.path().join("noted");
    let folder = lying(&format!("echo \"$@\" >> {}", noted.display()));
    let login = server.url().replace("redis://", "redis://keeper:top%20secret@");
    let mut good = config(&login);
    good.programs = Some(folder.path().into());
    let (_scratch, collected) = collect(good).await;
    assert_eq!(collected.facts["keys"], "0");
    let noted = std::fs::read_to_string(noted).unwrap();
    assert!(noted.contains("--rdb") && !noted.contains("secret"), "{noted}");

    for wrong in [server.url(), login.replace("top", "no")] {
        let told = refusal(config(&wrong)).await;
        assert!(told.contains("NOAUTH") || told.contains("WRONGPASS"), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_current_is_refused() {
    let mut server = Redis::start();
    server.command(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    let told = refusal(config(&server.url())).await;
    assert!(told.contains("cut from its master"), "{told}");
    server.process().kill();
    let told = refusal(config(&server.url())).await;
    assert!(told.contains("Connection refused"), "{told}");

    let empty = tempfile::tempdir().unwrap();
    let mut without = config("redis://x");
    without.programs = Some(empty.path().into());
    let told = refusal(without).await;
    assert!(told.contains("`redis-cli`") && told.contains("`redis-tools`"), "{told}");
    let error = Source_::new(config("redis+cluster://a,b"), &Ctx::default()).unwrap_err().to_string();
    assert!(error.contains("of one server"), "{error}");
}
