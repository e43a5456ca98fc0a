//! The program `backup`, as people and scripts use it.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use buttress_backup::ObjectKind;
use buttress_testkit::{Random, S3, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use support::{fill, noise, objects, picture, restic};

struct Place(tempfile::TempDir);

impl Place {
    /// A folder with files to back up, and a repository.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a temporary folder"));
        fs::create_dir(place.at("files")).expect("a folder");
        fs::write(place.at("password"), "correct horse\n").expect("a file");
        fs::write(place.at("other password"), "other").expect("a file");
        place.good(&["init"]);
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, words: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_backup"));
        program.args(words).current_dir(self.0.path()).stdin(Stdio::null());
        program
            .env("BACKUP_REPOSITORY", "repository")
            .env("BACKUP_PASSWORD_FILE", "password")
            .env("TZ", "UTC");
        program
    }

    fn run(&self, words: &[&str]) -> Output {
        self.program(words).output().expect("it runs")
    }

    /// What it answers; nothing else is said.
    fn good(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.is_empty(), "{words:?}: {told}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn json(&self, words: &[&str]) -> Json {
        serde_json::from_str(&self.good(&[words, &["--json", "--quiet"]].concat())).expect("JSON")
    }

    /// How it ends, and what it says why.
    fn bad(&self, words: &[&str]) -> (i32, String) {
        let output = self.run(words);
        let told = String::from_utf8(output.stderr).expect("text");
        (output.status.code().expect("an end"), told)
    }
}

#[test]
fn a_day_with_a_repository() {
    let place = Place::new();
    fill(&place.at("files"));
    let said = place.good(&["run", "files", "--tag", "morning"]);
    assert!(said.starts_with("snapshot ") && said.contains("\n  files    "), "{said}");
    fs::write(place.at("files/new"), "one more").expect("a file");
    fs::write(place.at("files/x.tmp"), "left out").expect("a file");
    let made = place.json(&["run", "files", "--exclude", "*.tmp", "--host", "elsewhere"]);
    assert_eq!(
        (made["hostname"].as_str(), made["summary"]["files_new"].as_u64()),
        (Some("elsewhere"), Some(11))
    );

    let listed = place.good(&["snapshots"]);
    let lines: Vec<_> = listed.lines().collect();
    assert!(lines[0].starts_with("ID        TIME                 HOST"), "{listed}");
    assert!(lines[1].contains("morning") && lines[4] == "2 snapshots", "{listed}");
    let all = place.json(&["snapshots"]);
    let ids: Vec<_> =
        all.as_array().expect("all").iter().map(|one| one["id"].as_str().expect("an id")).collect();
    assert_eq!(ids[1], made["id"]);
    assert_eq!(place.json(&["snapshots", "--tag", "morning"])[0]["id"], ids[0]);
    assert_eq!(place.json(&["snapshots", "--host", "elsewhere", "--path", "files"])[0]["id"], ids[1]);
    assert_eq!(place.json(&["snapshots", "-n", "1"])[0]["id"], ids[1]);
    assert!(place.good(&["snapshots", "--tag", "evening"]).starts_with("there are no snapshots"));

    let files = place.at("files");
    let files = files.to_str().expect("text");
    let listed = place.good(&["ls", "latest", files]);
    assert!(listed.starts_with("MODE ") && listed.contains(&format!(" {files}/a/\n")), "{listed}");
    assert!(listed.contains("\\u{2028}") && !listed.contains('\u{2028}'), "{listed}");
    assert!(listed.lines().any(|line| line.starts_with("-rwsr-xr-x")), "{listed}");
    let deep = place.json(&["ls", "latest", files, "--deep"]);
    assert!(deep.as_array().expect("all").iter().any(|one| one["path"] == format!("{files}/a/b/c/deep")));
    // The folders above have the times of those on the disk, though the path was said from where one was.
    let top = place.json(&["ls", "latest"]);
    assert!(!top[0]["mtime"].as_str().expect("a time").starts_with("1970"), "{top}");
    let found = place.good(&["find", "new"]);
    assert!(found.lines().count() == 2 && found.ends_with(&format!("{files}/new\n")), "{found}");
    let there = place.good(&["diff", ids[0]]);
    assert!(there.contains(&format!("+   8 B  {files}/new\n")), "{there}");
    assert!(there.ends_with("1 added; 8 B of new content, 0 B gone\n"), "{there}");
    let changed = place.json(&["diff", ids[0], ids[1], "--metadata"]);
    let changed = changed["entries"].as_array().expect("all").iter();
    // Above `files` are folders of all programs, whose times can change at any moment.
    let changed =
        changed.map(|one| one["path"].as_str().expect("a path")).filter(|one| one.starts_with(files));
    assert_eq!(changed.collect::<Vec<_>>(), [files, &format!("{files}/new")]);
    let read = place.run(&["cat", "latest", &format!("{files}/noise.bin")]);
    assert!(read.status.success() && read.stdout == fs::read(place.at("files/noise.bin")).expect("a file"));

    place.good(&["restore", ids[1], "--target", "back", "--only", files, "--synced"]);
    fs::remove_file(place.at("files/x.tmp")).expect("removed");
    assert_eq!(picture(&place.at("back")).len(), picture(&place.at("files")).len());
    let (code, told) = place.bad(&["restore", ids[1], "--target", "back"]);
    assert_eq!(code, 3);
    assert!(told.contains("it is not empty") && told.contains("hint: --overwrite"), "{told}");
    place.good(&["restore", ids[0], "--target", "back", "--only", files, "--overwrite"]);

    assert!(place.good(&["check"]).contains("their content was not read"));
    let checked = place.json(&["check", "--read-data"]);
    assert_eq!(checked["packs_read"], checked["packs"]);
    place.good(&["check", "--part", "1/2"]);
    assert!(place.good(&["stats"]).starts_with("snapshots  2\n"));
    let theirs = restic(&place.at("repository"), &["check", "--read-data"]);
    assert!(theirs.status.success(), "{}", String::from_utf8_lossy(&theirs.stderr));

    let said = place.good(&["forget", ids[1], "--dry-run"]);
    assert!(said.ends_with("1 snapshot would be removed\n"), "{said}");
    let forgotten = place.json(&["forget", ids[1], "--prune"]);
    assert!(forgotten["removed"][0] == ids[1] && forgotten["pruned"]["bytes_after"].is_u64());
    assert!(place.good(&["prune"]).ends_with('\n'));
    assert_eq!(place.json(&["snapshots"]).as_array().expect("all").len(), 1);
    assert_eq!(place.good(&["unlock"]), "0 locks removed\n");
}

#[test]
fn passwords_are_added_changed_and_removed() {
    let place = Place::new();
    let added = place.json(&["keys", "add", "--new-password-file", "other password"]);
    let id = added["added"].as_str().expect("an id");
    assert_eq!(place.json(&["keys", "list"]).as_array().expect("all").len(), 2);
    let listed = place.good(&["--password-file", "other password", "keys", "list"]);
    let current = listed.lines().find(|line| line.ends_with("this one")).expect("one");
    assert!(listed.starts_with("ID ") && current.starts_with(&id[..8]), "{listed}");
    let (code, told) = place.bad(&["keys", "remove", ""]);
    assert!(code == 3 && told.contains("0 keys begin with"), "{told}");
    place.good(&["keys", "remove", &id[..8]]);
    let (code, told) = place.bad(&["--password-file", "other password", "snapshots"]);
    assert!(code == 3 && told.contains("the password opens none of the 1 keys"), "{told}");
    place.good(&["keys", "change", "--new-password-file", "other password"]);
    place.good(&["--password-file", "other password", "snapshots"]);
    assert_eq!(place.bad(&["snapshots"]).0, 3);
}

#[test]
fn snapshots_are_copied_and_what_is_lost_is_repaired() {
    let place = Place::new();
    fs::write(place.at("files/one"), noise(&mut Random::new(1), 90_000)).expect("a file");
    place.good(&["run", "files"]);
    place.good(&["--repo", "other", "--password-file", "other password", "init"]);
    let to = ["copy", "--to", "other", "--to-password-file", "other password"];
    let copied = place.json(&to);
    assert_eq!(copied["snapshots"][0]["already"], false);
    assert!(place.good(&to).contains("was there"));
    let there = place.json(&["--repo", "other", "--password-file", "other password", "snapshots"]);
    assert_eq!(there[0]["original"], copied["snapshots"][0]["from"]);

    for index in objects(&place.at("repository"), ObjectKind::Index) {
        fs::remove_file(index).expect("removed");
    }
    let output = place.run(&["check", "--json", "--quiet"]);
    assert_eq!(output.status.code(), Some(1));
    let document: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(document["class"] == "corrupt" && !document["failures"].as_array().expect("all").is_empty());
    let (code, told) = place.bad(&["check"]);
    assert!(code == 1 && told.contains("wrong:\n") && told.lines().count() > 1, "{told}");
    assert!(place.good(&["repair", "index"]).contains("2 packs in the index again"));
    assert!(place.good(&["repair", "snapshots"]).contains("whole: 1 snapshot"));
    place.good(&["check", "--read-data"]);
}

/// What can be restored is, and what cannot is named, by an end that a script sees.
#[test]
fn a_restore_of_what_is_damaged_fails_and_names_the_files() {
    let place = Place::new();
    let mut random = Random::new(2);
    let names = ["one", "two", "three"];
    for name in names {
        fs::write(place.at("files").join(name), noise(&mut random, 20_000)).expect("a file");
    }
    place.good(&["run", "files"]);
    let packs = objects(&place.at("repository"), ObjectKind::Pack);
    let pack = packs.iter().max_by_key(|pack| fs::metadata(pack).expect("a pack").len()).expect("a pack");
    let mut bytes = fs::read(pack).expect("a pack");
    bytes[100] ^= 1;
    fs::remove_file(pack).expect("removed");
    fs::write(pack, bytes).expect("written");

    let files = place.at("files");
    let files = files.to_str().expect("text");
    let (code, told) = place.bad(&["restore", "latest", "--target", "back", "--only", files]);
    let (lost, there): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| !place.at("back").join(name).exists());
    assert!(code == 1 && lost.len() == 1, "{code} {lost:?} {told}");
    let is_named = |name: &&str| told.contains(&format!("/{name}:"));
    assert!(is_named(&lost[0]) && !there.iter().any(is_named), "{lost:?} {told}");
    for name in there {
        let read = |folder: &str| fs::read(place.at(folder).join(name)).expect("a file");
        assert!(read("back") == read("files"), "{name}");
    }
    let output = place.run(&["restore", "latest", "--target", "again", "--json", "--quiet"]);
    assert_eq!(output.status.code(), Some(1));
    let document: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    let failures = document["failures"].as_array().expect("all");
    assert!(failures.len() == 1 && failures[0].to_string().contains(lost[0]), "{document}");
}

#[test]
fn a_policy_says_what_is_kept() {
    let place = Place::new();
    for number in 0..4 {
        fs::write(place.at("files/one"), format!("{number}")).expect("a file");
        let tag = if number == 0 { "legal-hold" } else { "daily" };
        place.good(&["run", "files", "--tag", tag]);
    }
    let all = place.json(&["snapshots"]);
    assert_eq!(place.bad(&["forget"]).0, 2);
    assert_eq!(place.bad(&["forget", "--keep-last", "1", "latest"]).0, 2);
    let planned = place.json(&["forget", "--keep-last", "2", "--dry-run"]);
    assert_eq!(planned["removed"], serde_json::json!([all[1]["id"]]));
    assert_eq!(place.json(&["snapshots"]), all);
    let said = place.good(&["forget", "--keep-last", "2", "--keep-daily", "1", "--prune"]);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[1].ends_with("kept     tag legal-hold") && lines[2].ends_with("  removed"), "{said}");
    assert!(lines[4].ends_with("newest, last, daily") && lines[6] == "1 snapshot removed", "{said}");
    assert_eq!(place.json(&["snapshots"]).as_array().expect("all").len(), 3);
    place.good(&["check", "--read-data"]);
}

#[test]
fn a_repository_is_in_s3() {
    let place = Place::new();
    fill(&place.at("files"));
    let s3 = S3::start();
    s3.create_bucket("backups");
    let run = |words: &[&str]| {
        let mut program = place.program(words);
        program.env("BACKUP_REPOSITORY", "s3://backups/one").env("AWS_ENDPOINT_URL", s3.endpoint());
        program
            .env("AWS_ACCESS_KEY_ID", S3::ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", S3::SECRET_ACCESS_KEY);
        program.output().expect("it runs")
    };
    for words in [
        &["init"][..],
        &["run", "files"],
        &["check", "--read-data"],
        &["restore", "latest", "--target", "back"],
    ] {
        let output = run(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let files = place.at("files");
    assert_eq!(picture(&place.at("back").join(files.strip_prefix("/").expect("absolute"))), picture(&files));
    let mut program = place.program(&["snapshots", "--repo", "s3://backups/one"]);
    program.env("AWS_ENDPOINT_URL", s3.endpoint()).env("AWS_ACCESS_KEY_ID", "nobody");
    let output = program.env("AWS_SECRET_ACCESS_KEY", "nothing").output().expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    let (code, told) = place.bad(&["snapshots", "--repo", "ftp://backups/one"]);
    assert!(code == 3 && told.contains("s3://bucket/prefix"), "{told}");
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_kept() {
    let place = Place::new();
    fs::write(place.at("files/one"), "1").expect("a file");
    let (code, told) = place.bad(&["run", "files", "nowhere"]);
    assert!(code == 3 && told.contains("nowhere"), "{told}");
    let (code, told) = place.bad(&["snapshots", "--repo", ""]);
    assert!(code == 3 && told.contains("--repo PLACE"), "{told}");
    let (code, told) = place.bad(&["snapshots", "--repo", "none"]);
    assert!(code == 3 && told.contains("make one with `init`"), "{told}");
    let (code, told) = place.bad(&["init"]);
    assert!(code == 3 && told.contains("already"), "{told}");
    let (code, told) = place.bad(&["ls", "latest"]);
    assert!(code == 3 && told.contains("no snapshot is `latest`: there are none yet"), "{told}");
    assert_eq!(place.bad(&["restore", "latest"]).0, 2);
    assert_eq!(place.bad(&["check", "--part", "3/2"]).0, 2);
    let (code, told) = place.bad(&["snapshots", "--password-file", "missing"]);
    assert!(code == 3 && told.contains("cannot read the password from missing"), "{told}");
}

#[test]
fn an_interrupt_leaves_no_lock() {
    let place = Place::new();
    let mut random = Random::new(5);
    for number in 0..16 {
        fs::write(place.at(&format!("files/{number}")), noise(&mut random, 1 << 20)).expect("a file");
    }
    let repository = place.at("repository");
    let program = place.program(&["run", "files"]).stderr(Stdio::piped()).spawn().expect("it runs");
    // It is at work when its lock is there.
    while objects(&repository, ObjectKind::Lock).is_empty() {
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&program), Signal::INT).expect("interrupted");
    let output = program.wait_with_output().expect("an end");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert_eq!(told, "stopping\nbackup: stopped before it was done\n");
    assert!(objects(&repository, ObjectKind::Lock).is_empty(), "a lock was left");
    place.good(&["run", "files"]);
    place.good(&["check", "--read-data"]);
}

#[test]
fn a_configuration_is_kept_and_drilled() {
    let place = Place::new();
    fill(&place.at("files"));
    let config = |verifiers: &str| {
        let files = place.at("files");
        let files = files.display();
        let text = format!(
            "password = {{ file = \"password\" }}\nscratch = \"scratch\"\njitter = \"0s\"\nmemory = \"memory.json\"\n\
             [store]\nurl = \"repository\"\n[[replicas]]\nurl = \"replica\"\n[[jobs]]\nname = \"day\"\n\
             [[sources]]\nkind = \"folders\"\nname = \"files\"\npaths = [\"{files}\"]\n{verifiers}"
        );
        fs::write(place.at("backup.toml"), text).expect("a file");
    };
    config("[[verifiers]]\nkind = \"command\"\nname = \"look\"\ncommand = [\"test\", \"-d\", \"files\"]\n");
    let output = place.run(&["keep", "--once"]);
    let told = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success(), "{told}");
    for done in ["backup day: snapshot ", "replicate ", "drill: 1 snapshots restored and verified", "check: "]
    {
        assert!(told.contains(done), "{done}: {told}");
    }
    assert_eq!(place.good(&["--quiet", "keep", "--once"]), "", "nothing is due again");
    let drilled = place.good(&["drill", "--quiet"]);
    assert!(drilled.starts_with("SNAPSHOT ") && drilled.contains("  restored and verified\n"), "{drilled}");
    assert_eq!(place.json(&["drill"])["restores"][0]["job"], "day");
    assert_eq!(fs::read_dir(place.at("scratch")).expect("a folder").count(), 0);
    // The replica is a repository like the other.
    place.good(&["check", "--repo", "replica"]);

    config(
        "[[verifiers]]\nkind = \"command\"\nname = \"look\"\ncommand = [\"test\", \"-d\", \"elsewhere\"]\n",
    );
    let (code, told) = place.bad(&["drill", "--quiet"]);
    assert!(code == 1 && told.contains("the drill failed"), "{code} {told}");
    config("[[verifiers]]\nkind = \"files\"\nname = \"look\"\npath = \"fils\"\n");
    let (code, told) = place.bad(&["drill"]);
    assert!(
        code == 3 && told.contains("verifiers.0.path = fils") && told.contains("there are: files"),
        "{told}"
    );
    config("[[verifiers]]\nkind = \"magic\"\n");
    let (code, told) = place.bad(&["keep", "--once"]);
    assert!(code == 3 && told.contains("backup.toml") && told.contains("`command`"), "{told}");
}

#[test]
fn what_was_at_a_time_is_restored() {
    let place = Place::new();
    for state in ["first", "second"] {
        fs::write(place.at("files/state"), state).expect("a file");
        place.good(&["run", "files", "--host", state]);
    }
    let times = place.json(&["snapshots"]);
    let second = times[1]["time"].as_str().expect("a time");
    let restored = |target: &str, words: &[&str]| {
        place.good(&[&["restore", "--target", target], words].concat());
        let files = place.at(target).join(place.at("files").strip_prefix("/").expect("a path"));
        fs::read_to_string(files.join("state")).expect("a file")
    };
    assert_eq!(restored("a", &["--at", second]), "second");
    let before: jiff::Timestamp = second.parse().expect("a time");
    let before = (before - Duration::from_millis(1)).to_string();
    assert_eq!(restored("b", &["--at", &before]), "first");
    assert_eq!(restored("c", &["latest", "--host", "first"]), "first");
    let (code, told) = place.bad(&["restore", "--target", "d", "--at", "2001-01-01T00:00:00Z"]);
    assert!(code == 3 && told.contains("no such snapshot"), "{told}");
}

#[test]
fn a_log_is_kept_and_recovered_from() {
    let place = Place::new();
    let database = place.at("files/app.db");
    let open = || buttress_connect::sqlite::client::Connection::open(&database).expect("a database");
    let rows = |path: &std::path::Path| -> i64 {
        let database = buttress_connect::sqlite::client::Connection::open(path).expect("a database");
        database.query_row("SELECT count(*) FROM orders", (), |row| row.get(0)).expect("a number")
    };
    open().execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE orders (id INTEGER)").expect("a table");
    let text = format!(
        "password = {{ file = \"password\" }}\njitter = \"0s\"\nscratch = \"scratch\"\n[store]\nurl = \"repository\"\n\
         [[sources]]\nkind = \"sqlite\"\nname = \"app\"\npath = \"{0}\"\n[[jobs]]\nname = \"day\"\n\
         [[logs]]\nkind = \"sqlite\"\nfolder = \"note\"\n\
         log = {{ name = \"orders\", interval = \"50ms\", blobs = {{ url = \"repository\" }} }}\n\
         source = {{ database = \"{0}\", folder = \"pages\" }}\n",
        database.display()
    );
    fs::write(place.at("backup.toml"), text).expect("a file");
    let mut keeper = place.program(&["keep"]).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut told = std::io::BufReader::new(keeper.stderr.take().expect("a pipe"));
    let mut told_of = |wanted: &str| {
        let mut line = String::new();
        while std::io::BufRead::read_line(&mut told, &mut line).expect("text") > 0 && !line.contains(wanted) {
            line.clear();
        }
        assert!(line.contains(wanted), "nothing was said of `{wanted}`");
    };
    told_of("everything that was committed is in the store");
    let shipped = |rows_wanted: i64| {
        let mut copies = 0;
        wait_until("the rows to be in the log", Duration::from_mins(1), || {
            copies += 1;
            let copy = format!("{rows_wanted}-{copies}.db");
            place.run(&["recover", "orders", "--to", &copy]).status.success().then_some(())?;
            (rows(&place.at(&copy)) == rows_wanted).then_some(())
        });
    };
    open().execute_batch("INSERT INTO orders VALUES (1), (2), (3)").expect("rows");
    shipped(3);
    open().execute_batch("INSERT INTO orders VALUES (4), (5), (6)").expect("rows");
    shipped(6);
    let chosen = jiff::Timestamp::now();
    open().execute_batch("INSERT INTO orders VALUES (7)").expect("rows");
    shipped(7);
    // Everything ends at once, and the database is lost.
    keeper.kill().expect("it ran");
    keeper.wait().expect("an end");
    fs::remove_dir_all(place.at("files")).expect("a folder");

    let said = place.good(&["recover", "orders", "--to", "all.db"]);
    assert!(said.contains("everything that was committed before"), "{said}");
    assert_eq!(rows(&place.at("all.db")), 7);
    place.good(&["recover", "orders", "--to", "chosen.db", "--at", &chosen.to_string()]);
    assert_eq!(rows(&place.at("chosen.db")), 6);
    let (code, told) = place.bad(&["recover", "orders", "--to", "all.db"]);
    assert!(code == 3 && told.contains("move it away first"), "{told}");
    let (code, told) = place.bad(&["recover", "others", "--to", "other.db"]);
    assert!(code == 3 && told.contains("there are: orders"), "{told}");
}
