//! SQLite's states, shipped while somebody writes, and put together again: at a chosen moment, and at the end, whatever happens to the file.
//!
//! The test of kills runs itself again as the process that is killed.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr, clippy::panic, missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use std::{env, fs};

use buttress_backup::Error;
use buttress_backup::log::sqlite::{SqlitePages, SqlitePagesConfig, base_before, recover};
use buttress_backup::log::{Log, LogConfig, Shipper, Tip};
use buttress_connect::sqlite::client::Connection;
use buttress_core::{Ctx, Random};
use secrecy::SecretString;
use tempfile::TempDir;

const CHILD: &str = "BUTTRESS_BACKUP_SQLITE_KILLED";
const KILLS: u32 = 20;

struct Place {
    folder: TempDir,
}

impl Place {
    async fn new() -> (Self, Log, Ctx) {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let ctx = Ctx::default();
        let log = Log::create(&config(place.folder.path()), &password(), &ctx).await.unwrap();
        (place, log, ctx)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn database(&self) -> PathBuf {
        self.path("app.db")
    }

    async fn open(&self) -> (Log, Ctx) {
        let ctx = Ctx::default();
        (Log::open(&config(self.folder.path()), &password(), &ctx).await.unwrap(), ctx)
    }

    fn ship(&self, log: &Log, ctx: &Ctx) -> Shipper {
        ship(self.folder.path(), log, ctx)
    }

    /// What is recovered to the end.
    async fn recovered(&self, log: &Log, known: Option<&Tip>) -> Connection {
        let path = self.path(&format!("recovered-{}.db", buttress_core::unique_number()));
        recover(log, None, &path, known).await.unwrap();
        Connection::open(path).unwrap()
    }
}

fn config(folder: &Path) -> LogConfig {
    let mut config = LogConfig::default();
    config.blobs.url = folder.join("store").display().to_string();
    config.interval = Duration::from_millis(50);
    config
}

fn ship(folder: &Path, log: &Log, ctx: &Ctx) -> Shipper {
    let mut config = SqlitePagesConfig::default();
    config.database = folder.join("app.db");
    config.folder = folder.join("pages");
    let source = SqlitePages::new(&config, ctx).unwrap();
    Shipper::start(log.clone(), source, folder.join("note"), Duration::from_secs(5)).unwrap()
}

fn password() -> SecretString {
    "correct horse battery staple".to_owned().into()
}

async fn stopped(ctx: &Ctx) {
    ctx.shutdown.stop();
    ctx.shutdown.finished().await;
}

/// A thousand accounts, with so many random bytes each.
fn make(path: &Path, filler: u32) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(30)).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
            CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, balance INTEGER, filler BLOB);
            CREATE TABLE IF NOT EXISTS transfers (number INTEGER PRIMARY KEY, source INTEGER, target INTEGER, amount INTEGER);
            INSERT OR IGNORE INTO accounts WITH RECURSIVE ids(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < 1000)
                SELECT id, 1000, randomblob({filler}) FROM ids"
        ))
        .unwrap();
    connection
}

/// One transfer: two accounts and the list of transfers change together.
fn transfer(connection: &mut Connection, random: &Random) -> i64 {
    let (from, to, amount) = (random.number() % 1000 + 1, random.number() % 1000 + 1, random.number() % 100);
    let transaction = connection.transaction().unwrap();
    let change = "UPDATE accounts SET balance = balance + ?2 WHERE id = ?1";
    transaction.execute(change, (from.cast_signed(), -amount.cast_signed())).unwrap();
    transaction.execute(change, (to.cast_signed(), amount.cast_signed())).unwrap();
    let insert = "INSERT INTO transfers (source, target, amount) VALUES (?1, ?2, ?3)";
    transaction.execute(insert, (from.cast_signed(), to.cast_signed(), amount.cast_signed())).unwrap();
    let number = transaction.last_insert_rowid();
    transaction.commit().unwrap();
    number
}

/// The number of transfers in a database that is whole, and in which each is done wholly or not at all.
fn consistent(connection: &Connection) -> i64 {
    let check: String = connection.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let wrong: i64 = connection
        .query_row(
            "WITH moved AS (SELECT target AS id, amount FROM transfers UNION ALL SELECT source, -amount FROM transfers),
                sums AS (SELECT id, sum(amount) AS moved FROM moved GROUP BY id)
                SELECT count(*) FROM accounts LEFT JOIN sums USING (id) WHERE balance <> 1000 + coalesce(moved, 0)",
            (),
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(wrong, 0, "accounts that do not agree with the list of transfers");
    let (count, last) = connection
        .query_row("SELECT count(*), coalesce(max(number), 0) FROM transfers", (), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
        .unwrap();
    assert_eq!(count, last, "no transfer is missing between others");
    count
}

/// Everything in the tables, for a comparison.
fn content(connection: &Connection) -> String {
    let dump = |sql: &str| {
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map((), |row| {
            (0..columns)
                .map(|at| row.get_ref(at).map(|value| format!("{value:?}")))
                .collect::<Result<Vec<_>, _>>()
        });
        format!("{:?}", rows.unwrap().collect::<Result<Vec<_>, _>>().unwrap())
    };
    let mut names =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    let names =
        names.query_map((), |row| row.get::<_, String>(0)).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let tables: Vec<_> =
        names.iter().map(|name| dump(&format!("SELECT * FROM \"{name}\" ORDER BY 1"))).collect();
    dump("SELECT type, name, sql FROM sqlite_schema ORDER BY name") + &tables.join("\n")
}

/// Transfers until it is dropped; number, begin and end of each.
struct Writer {
    stop: Arc<AtomicBool>,
    done: Arc<Mutex<Vec<(i64, SystemTime, SystemTime)>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(path: &Path, filler: u32) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let mut connection = make(path, filler);
        let (stopped, told) = (Arc::clone(&stop), Arc::clone(&done));
        let thread = std::thread::spawn(move || {
            let random = Random::new(3);
            while !stopped.load(Ordering::Relaxed) {
                let begun = SystemTime::now();
                let number = transfer(&mut connection, &random);
                told.lock().unwrap().push((number, begun, SystemTime::now()));
                // While somebody reads, the log of the database is not begun anew, and each copy reads through all of it: without a pause
                // it would grow faster than it is copied.
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { stop, done, thread: Some(thread) }
    }

    fn done(&self) -> Vec<(i64, SystemTime, SystemTime)> {
        self.done.lock().unwrap().clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_recovers_to_a_chosen_moment() {
    let (place, log, ctx) = Place::new().await;
    let writer = Writer::start(&place.database(), 400);
    let shipper = place.ship(&log, &ctx);
    let mut chosen = Vec::new();
    for _ in 0..4 {
        assert!(shipper.complete_at(SystemTime::now()).await);
        chosen.push(SystemTime::now());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(shipper.complete_at(SystemTime::now()).await);
    // Everything at once: who ships, and the database.
    let killed = SystemTime::now();
    ctx.shutdown.stop();
    let done = Arc::clone(&writer.done);
    drop(writer);
    ctx.shutdown.finished().await;
    // Only now: the last copy may have been made after the kill was asked for.
    let done = done.lock().unwrap().clone();
    for ending in ["app.db", "app.db-wal", "app.db-shm"] {
        fs::remove_file(place.path(ending)).ok();
    }
    let status = shipper.status();
    let (log, _ctx) = place.open().await;
    let mut last = 0;
    for (number, moment) in (0..).zip(chosen.iter().copied().map(Some).chain([None])) {
        let path = place.path(&format!("recovered-{number}.db"));
        let state = recover(&log, moment, &path, status.tip.as_ref()).await.unwrap();
        let count = consistent(&Connection::open(&path).unwrap());
        assert!(moment.is_none_or(|moment| state.time <= moment));
        let before = done.iter().filter(|(_, _, ended)| *ended < state.since).count();
        let after = done.iter().filter(|(_, begun, _)| *begun <= state.time).count();
        let count_of = usize::try_from(count).unwrap();
        assert!(
            (before..=after).contains(&count_of),
            "all {before} that were committed before, none of those after {after}: {count}"
        );
        assert!(count > last, "{count}");
        last = count;
        if moment.is_none() {
            assert_eq!(Some(state.tip), status.tip);
            // What was told to be in the log is there, whatever came after it.
            let shipped = done.iter().filter(|(_, _, ended)| *ended < status.complete.unwrap()).count();
            assert!(shipped > 0 && count_of >= shipped, "{shipped} were in the log, {count} are there");
            eprintln!(
                "the newest state has {count} of {} transfers and is {:?} older than the kill",
                done.len(),
                killed.duration_since(state.since).unwrap()
            );
        }
        let refused = recover(&log, moment, &path, None).await.unwrap_err();
        assert!(refused.to_string().contains("is there"), "{refused}");
    }
    let early = recover(&log, Some(SystemTime::UNIX_EPOCH), &place.path("early.db"), None).await.unwrap_err();
    assert!(early.to_string().contains("no whole state"), "{early}");
    assert!(!place.path("early.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_comes_back_whatever_was_done_to_it() {
    let (place, log, ctx) = Place::new().await;
    let mut connection = make(&place.database(), 400);
    let random = Random::new(5);
    let shipper = place.ship(&log, &ctx);
    let steps = [
        "DELETE FROM accounts WHERE id % 3 = 0",
        "VACUUM",
        "CREATE TABLE more (id INTEGER PRIMARY KEY, body BLOB); INSERT INTO more SELECT id, randomblob(3000) FROM accounts",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "ALTER TABLE more ADD COLUMN note TEXT DEFAULT 'none'; CREATE INDEX by_note ON more (note, id)",
        "UPDATE accounts SET balance = balance + 1",
        "DROP TABLE more; VACUUM; PRAGMA wal_checkpoint(RESTART)",
    ];
    for step in steps {
        transfer(&mut connection, &random);
        connection.execute_batch(step).unwrap();
        assert!(shipper.complete_at(SystemTime::now()).await, "{step}");
        let recovered = place.recovered(&log, shipper.status().tip.as_ref()).await;
        assert_eq!(content(&recovered), content(&connection), "{step}");
    }
    stopped(&ctx).await;

    // SQLite changes the journal's mode, and the size of pages, only where nobody else is connected.
    let steps = [
        "PRAGMA journal_mode = DELETE",
        "PRAGMA page_size = 16384; VACUUM",
        "PRAGMA page_size = 1024; PRAGMA auto_vacuum = FULL; VACUUM; PRAGMA journal_mode = WAL",
        "DELETE FROM accounts WHERE id > 500",
    ];
    for step in steps {
        connection.execute_batch(step).unwrap();
        let (log, ctx) = place.open().await;
        let shipper = place.ship(&log, &ctx);
        assert!(shipper.complete_at(SystemTime::now()).await, "{step}");
        transfer(&mut connection, &random);
        assert!(shipper.complete_at(SystemTime::now()).await, "{step}");
        let recovered = place.recovered(&log, shipper.status().tip.as_ref()).await;
        assert_eq!(content(&recovered), content(&connection), "{step}");
        stopped(&ctx).await;
    }
    let (log, ctx) = place.open().await;
    let shipper = place.ship(&log, &ctx);
    drop(connection);

    // Another database in its place.
    let other = Connection::open(place.path("other.db")).unwrap();
    other
        .execute_batch("CREATE TABLE other (id INTEGER PRIMARY KEY); INSERT INTO other VALUES (1), (2)")
        .unwrap();
    drop(other);
    for ending in ["app.db-wal", "app.db-shm"] {
        fs::remove_file(place.path(ending)).ok();
    }
    fs::rename(place.path("other.db"), place.database()).unwrap();
    assert!(shipper.complete_at(SystemTime::now()).await);
    let recovered = place.recovered(&log, shipper.status().tip.as_ref()).await;
    assert_eq!(content(&recovered), content(&Connection::open(place.database()).unwrap()));
    assert_eq!(recovered.query_row("SELECT count(*) FROM other", (), |row| row.get(0)), Ok(2));

    // No database is an error, and not an empty state.
    let before = shipper.status().tip;
    fs::rename(place.database(), place.path("moved.db")).unwrap();
    while shipper.status().failure.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(shipper.status().tip, before);
    fs::rename(place.path("moved.db"), place.database()).unwrap();
    assert!(shipper.complete_at(SystemTime::now()).await);
    stopped(&ctx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_ships_differences_and_lets_go_of_the_old() {
    let (place, log, ctx) = Place::new().await;
    let mut connection = make(&place.database(), 400);
    let random = Random::new(9);
    let shipper = place.ship(&log, &ctx);
    assert!(shipper.complete_at(SystemTime::now()).await);
    let size = |number: u64| {
        fs::metadata(place.path(&format!("store/log/main/{number:020}"))).map(|data| data.len()).unwrap()
    };
    let whole = size(1);
    for _ in 0..5 {
        transfer(&mut connection, &random);
        assert!(shipper.complete_at(SystemTime::now()).await);
    }
    let tip = shipper.status().tip.unwrap();
    assert!(tip.sequence >= 6);
    assert!(size(tip.sequence) * 10 < whole, "{} of {whole}", size(tip.sequence));
    let quiet = log.tip().await.unwrap();
    assert!(shipper.complete_at(SystemTime::now()).await);
    assert_eq!(log.tip().await.unwrap(), quiet, "where nothing is written, nothing is shipped");
    stopped(&ctx).await;

    // The copies are lost: the whole state is shipped anew, and what came before may go.
    fs::remove_dir_all(place.path("pages")).unwrap();
    let (log, ctx) = place.open().await;
    let shipper = place.ship(&log, &ctx);
    assert!(shipper.complete_at(SystemTime::now()).await);
    let anew = log.tip().await.unwrap().unwrap();
    assert_eq!((anew.sequence, anew.position.epoch), (tip.sequence + 1, 2));
    let base = base_before(&log, SystemTime::now()).await.unwrap().unwrap();
    assert_eq!(log.retain(base).await.unwrap(), tip.sequence);
    transfer(&mut connection, &random);
    assert!(shipper.complete_at(SystemTime::now()).await);
    let recovered = place.recovered(&log, None).await;
    assert_eq!(content(&recovered), content(&connection));
    stopped(&ctx).await;

    // A difference whose base is gone is no state.
    fs::remove_file(place.path(&format!("store/log/main/{:020}", anew.sequence))).unwrap();
    let (log, _ctx) = place.open().await;
    let refused = recover(&log, None, &place.path("none.db"), None).await.unwrap_err();
    assert!(matches!(refused, Error::Source { .. }), "{refused}");
}

/// The process that is killed.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(folder) = env::var(CHILD) else { return };
    let folder = Path::new(&folder);
    let mut config = config(folder);
    config.interval = Duration::from_millis(10);
    let log = Log::open(&config, &password(), &Ctx::default()).await.unwrap();
    let _shipper = ship(folder, &log, &Ctx::default());
    std::io::stdout().lock().write_all(b"ready\n").unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_goes_on_after_who_ships_was_killed() {
    let (place, log, _) = Place::new().await;
    // So many that a whole state takes several segments.
    let writer = Writer::start(&place.database(), 12_000);
    let random = Random::new(13);
    let (mut last, mut whole) = (0, 0);
    for kill in 0..KILLS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(CHILD, place.folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("ready")));
        std::thread::sleep(Duration::from_millis(random.number() % 1000));
        child.kill().unwrap();
        child.wait().unwrap();
        let Some(tip) = log.tip().await.unwrap() else { continue };
        let path = place.path("recovered.db");
        recover(&log, None, &path, Some(&tip)).await.unwrap();
        let count = consistent(&Connection::open(&path).unwrap());
        assert!(count >= last, "kill {kill}: {count} after {last}");
        last = count;
        whole = tip.position.epoch;
        for ending in ["", "-wal", "-shm"] {
            fs::remove_file(place.path(&format!("recovered.db{ending}"))).ok();
        }
    }
    let all = writer.done().len();
    drop(writer);
    assert!(last > 0, "some state was shipped");
    eprintln!("after {KILLS} kills {last} of {all} transfers; the whole state was shipped {whole} times");
    let (log, ctx) = place.open().await;
    let shipper = place.ship(&log, &ctx);
    assert!(shipper.complete_at(SystemTime::now()).await);
    stopped(&ctx).await;
    let recovered = place.recovered(&log, shipper.status().tip.as_ref()).await;
    assert_eq!(content(&recovered), content(&Connection::open(place.database()).unwrap()));
    consistent(&recovered);
}
