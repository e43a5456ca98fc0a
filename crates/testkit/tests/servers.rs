//! Each server starts, answers, and leaves nothing behind.
#![allow(clippy::expect_used, clippy::panic, reason = "a failing expectation fails the test")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use buttress_testkit::{
    Chromium, Nats, OpenBao, Postgres, ProcessGroup, Redis, promtool_check_metrics, wait_until,
};

/// Whether a process that is not a mere zombie belongs to the group `group`.
fn group_lives(group: u32) -> bool {
    let output = Command::new("ps").args(["-e", "-o", "pgid=,stat="]).output().expect("ps runs");
    String::from_utf8_lossy(&output.stdout).lines().any(|line| {
        let mut fields = line.split_whitespace();
        fields.next() == Some(group.to_string().as_str()) && !fields.next().unwrap_or("Z").starts_with('Z')
    })
}

#[test]
fn redis_answers_and_leaves_nothing() {
    let mut redis = Redis::start();
    assert_eq!(redis.command(&["SET", "colour", "deep blue"]).expect("answer"), "+OK\r\n");
    assert_eq!(redis.command(&["GET", "colour"]).expect("answer"), "$9\r\ndeep blue\r\n");
    assert_eq!(redis.url(), format!("redis://{}", redis.addr()));
    let group = redis.process().id();
    assert!(group_lives(group));
    drop(redis);
    assert!(!group_lives(group));
}

#[test]
fn two_servers_do_not_share_anything() {
    let (one, other) = (Redis::start(), Redis::start());
    assert_eq!(one.command(&["SET", "a", "1"]).expect("answer"), "+OK\r\n");
    assert_eq!(other.command(&["GET", "a"]).expect("answer"), "$-1\r\n");
}

#[test]
fn nats_answers_and_leaves_nothing() {
    let mut nats = Nats::start();
    assert!(nats.ping());
    assert!(nats.url().starts_with("nats://127.0.0.1:"));
    let group = nats.process().id();
    drop(nats);
    assert!(!group_lives(group));
}

#[test]
fn openbao_keeps_its_secrets_over_a_crash_and_leaves_nothing() {
    let mut bao = OpenBao::start();
    bao.request("POST", "secret/data/a", &serde_json::json!({ "data": { "value": "kept" } }));
    bao.crash();
    let read = bao.request("GET", "secret/data/a", &serde_json::Value::Null);
    assert_eq!(read.pointer("/data/data/value"), Some(&"kept".into()));
    let group = bao.process().id();
    drop(bao);
    assert!(!group_lives(group));
}

#[test]
fn postgres_answers_and_leaves_nothing() {
    let mut postgres = Postgres::start();
    let url = postgres.create_database("stock");
    assert!(url.ends_with("/stock"), "{url}");
    postgres.query("stock", "CREATE TABLE part (name text, amount int)").expect("a table");
    postgres.query("stock", "INSERT INTO part VALUES ('bolt', 12)").expect("a row");
    assert_eq!(postgres.query("stock", "SELECT * FROM part"), Ok("bolt|12".to_owned()));
    assert!(postgres.query("stock", "SELECT * FROM nothing").expect_err("no such table").contains("nothing"));
    let group = postgres.process().id();
    drop(postgres);
    assert!(!group_lives(group));
}

#[test]
fn chromium_shows_a_page_takes_files_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let page_file = folder.path().join("page.html");
    let html = "<title>Parts</title><input type=file><p>empty</p><script>
        document.querySelector('input').onchange = async event => {
            document.querySelector('p').innerText = await event.target.files[0].text();
        };
        console.error('on purpose');
        setTimeout(() => { throw new Error('late') }, 0);
        </script>";
    std::fs::write(&page_file, html).expect("writable");
    let chosen = folder.path().join("chosen.txt");
    std::fs::write(&chosen, "twelve bolts").expect("writable");

    let mut browser = Chromium::start();
    let mut page = browser.open(&format!("file://{}", page_file.display()));
    assert_eq!(page.evaluate("document.title"), "Parts");
    assert_eq!(page.evaluate("Promise.resolve(6 * 7)"), 42);
    page.set_files("input[type=file]", &[&chosen]);
    page.wait_for("document.querySelector('p').innerText === 'twelve bolts'", Duration::from_secs(30));
    let errors = page.errors().join("\n");
    assert!(errors.contains("on purpose") && errors.contains("late"), "{errors}");

    let picture = folder.path().join("page.png");
    page.screenshot(&picture);
    assert!(std::fs::read(&picture).expect("written").starts_with(b"\x89PNG\r\n"));

    let group = browser.process().id();
    drop(browser);
    assert!(!group_lives(group));
}

#[test]
fn promtool_accepts_good_metrics_and_names_what_is_bad() {
    let good = "# HELP parts_total Parts seen.\n# TYPE parts_total counter\nparts_total 3\n";
    assert_eq!(promtool_check_metrics(good), Ok(()));
    let complaint = promtool_check_metrics("parts_total three\n").expect_err("three is no number");
    assert!(complaint.contains("three"), "{complaint}");
}

#[test]
fn a_crash_tells_whether_it_interrupted_anything() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let mut busy = ProcessGroup::spawn(Command::new("sleep").arg("600"), &folder.path().join("log"));
    assert!(busy.kill_after(Duration::ZERO));
    assert!(!group_lives(busy.id()));

    let mut done = ProcessGroup::spawn(Command::new("echo").arg("ready"), &folder.path().join("log"));
    assert!(done.wait().success());
    assert_eq!(done.output(), "ready\n");
    assert!(!done.kill_after(Duration::ZERO));
}

#[test]
fn a_group_dies_when_its_owner_is_killed() {
    // The owner is this test program once more, which starts a server, tells its number, and is killed with no
    // chance to drop anything.
    if let Some(file) = std::env::var_os("TESTKIT_OWNER_TELLS").map(PathBuf::from) {
        let group = ProcessGroup::spawn(Command::new("sleep").arg("600"), &file.with_extension("log"));
        std::fs::write(file, group.id().to_string()).expect("writable");
        std::thread::park_timeout(Duration::from_mins(10));
        return;
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    let tells = folder.path().join("group");
    let mut owner = Command::new(std::env::current_exe().expect("our own path"))
        .args(["--exact", "a_group_dies_when_its_owner_is_killed"])
        .env("TESTKIT_OWNER_TELLS", &tells)
        .stdout(Stdio::null())
        .spawn()
        .expect("this program starts");
    let group: u32 = wait_until("the owner to start its server", Duration::from_secs(30), || {
        std::fs::read_to_string(&tells).ok()?.parse().ok()
    });
    assert!(group_lives(group));
    owner.kill().expect("killed");
    owner.wait().expect("reaped");
    wait_until("the server to be killed", Duration::from_secs(30), || (!group_lives(group)).then_some(()));
}
