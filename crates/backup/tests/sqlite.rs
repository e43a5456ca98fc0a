//! Databases of SQLite are copied whole while they are written, and none that is not whole counts.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing expectation fails the test"
)]
#![allow(clippy::disallowed_methods, reason = "the writer lives in real time")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use buttress_backup::Error;
use buttress_backup::source::{Collected, Consistency, Source, Sqlite, SqliteCheck, SqliteConfig};
use buttress_connect::sqlite::client::Connection;
use buttress_core::{Ctx, chain};
use tempfile::TempDir;

/// A database of accounts whose money is moved between two tables, in `mode`.
fn database(folder: &Path, mode: &str, rows: u64) -> PathBuf {
    let path = folder.join("money.db");
    let mut database = Connection::open(&path).unwrap();
    database.pragma_update(None, "journal_mode", mode).unwrap();
    let schema = "CREATE TABLE debit(id INTEGER PRIMARY KEY, amount INTEGER, note TEXT);
                  CREATE TABLE credit(id INTEGER PRIMARY KEY, amount INTEGER, note TEXT);
                  CREATE INDEX by_amount ON debit(amount);";
    database.execute_batch(schema).unwrap();
    let transaction = database.transaction().unwrap();
    for id in 0..rows {
        book(&transaction, id);
    }
    transaction.commit().unwrap();
    path
}

fn book(database: &Connection, id: u64) {
    let (amount, note) = ((id * 7919 % 1000).cast_signed(), format!("{id:0300}"));
    for table in ["debit", "credit"] {
        let sql = format!("INSERT INTO {table}(amount, note) VALUES (?, ?)");
        database.execute(&sql, (amount, &note)).unwrap();
    }
}

/// A thread that commits as fast as it can, each time to both tables.
struct Writer {
    stop: Arc<AtomicBool>,
    committed: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(path: &Path) -> Self {
        let (stop, committed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (path, asked, count) = (path.to_owned(), Arc::clone(&stop), Arc::clone(&committed));
        let thread = std::thread::spawn(move || {
            let mut database = Connection::open(path).unwrap();
            database.busy_timeout(Duration::from_secs(30)).unwrap();
            while !asked.load(Ordering::SeqCst) {
                let transaction = database.transaction().unwrap();
                book(&transaction, count.load(Ordering::SeqCst));
                transaction.commit().unwrap();
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { stop, committed, thread: Some(thread) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn source(path: &Path, ctx: &Ctx) -> Sqlite {
    let mut config = SqliteConfig::default();
    config.name = "money".into();
    config.path = path.into();
    config.check = SqliteCheck::Full;
    Sqlite::new(config, ctx).unwrap()
}

async fn collect(source: &Sqlite) -> Result<(TempDir, Collected), Error> {
    let scratch = tempfile::tempdir().unwrap();
    let collected = source.collect(scratch.path()).await?;
    assert_eq!(collected.consistency, Consistency::Application);
    Ok((scratch, collected))
}

async fn refusal(path: &Path) -> String {
    chain(&collect(&source(path, &Ctx::default())).await.unwrap_err())
}

/// Rows of the copy, which must be the same in both tables and in the facts.
fn rows_of(collected: &Collected) -> u64 {
    let [root] = &collected.roots[..] else { panic!("{:?}", collected.roots) };
    assert_eq!(root.in_snapshot, Path::new("/money/money.db"));
    let copy = Connection::open(&root.on_disk).unwrap();
    let sum = |table| -> (i64, i64) {
        let sql = format!("SELECT count(*), sum(amount) FROM {table}");
        copy.query_row(&sql, (), |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    assert_eq!(sum("debit"), sum("credit"));
    let rows = sum("debit").0.cast_unsigned();
    assert_eq!(collected.facts["rows.debit"], rows.to_string());
    assert_eq!(collected.facts["rows.credit"], rows.to_string());
    assert_eq!(collected.facts["tables"], "2");
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_copy_is_whole_while_a_writer_commits() {
    let folder = tempfile::tempdir().unwrap();
    for mode in ["WAL", "DELETE"] {
        let path = database(folder.path(), mode, 20_000);
        let writer = Writer::start(&path);
        let source = source(&path, &Ctx::default());
        let mut last = 0;
        for _ in 0..8 {
            let before = 20_000 + writer.committed.load(Ordering::SeqCst);
            let (_scratch, collected) = collect(&source).await.unwrap();
            let after = 20_000 + writer.committed.load(Ordering::SeqCst);
            let rows = rows_of(&collected);
            // What was committed before is there; one commit may not have been counted yet.
            assert!((before.max(last)..=after + 1).contains(&rows), "{before} {rows} {after}");
            last = rows;
        }
        drop(writer);
        std::fs::remove_file(path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_is_not_held_up_and_the_copy_shows_the_moment_of_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path(), "WAL", 20_000);
    let writer = Writer::start(&path);
    let committed = Arc::clone(&writer.committed);
    let source = source(&path, &Ctx::default()).on_progress(move |done, all| {
        assert!(0 < done && done <= all, "{done} {all}");
        // The copy waits here for commits that it must not show.
        let now = committed.load(Ordering::SeqCst);
        buttress_testkit::wait_until("commits while the copy is made", Duration::from_mins(1), || {
            (committed.load(Ordering::SeqCst) >= now + 20).then_some(())
        });
    });
    let (_scratch, collected) = collect(&source).await.unwrap();
    let committed = 20_000 + writer.committed.load(Ordering::SeqCst);
    assert!(rows_of(&collected) + 20 <= committed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vacuum_or_another_schema_meanwhile_changes_nothing() {
    for sql in ["DELETE FROM debit WHERE id % 2; VACUUM", "ALTER TABLE debit ADD more; DROP TABLE credit"] {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path(), "WAL", 20_000);
        let (other, once) = (path.clone(), AtomicBool::new(true));
        let source = source(&path, &Ctx::default()).on_progress(move |_, _| {
            if once.swap(false, Ordering::SeqCst) {
                Connection::open(&other).unwrap().execute_batch(sql).unwrap();
            }
        });
        let (_scratch, collected) = collect(&source).await.unwrap();
        assert_eq!(rows_of(&collected), 20_000, "{sql}");
    }
}

#[tokio::test]
async fn the_next_copy_has_its_pages_where_the_last_had_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path(), "WAL", 20_000);
    let source = source(&path, &Ctx::default());
    let (_one, first) = collect(&source).await.unwrap();
    Connection::open(&path).unwrap().execute("UPDATE credit SET amount = 5 WHERE id = 777", ()).unwrap();
    let (_two, second) = collect(&source).await.unwrap();
    let pages = |collected: &Collected| {
        let bytes = std::fs::read(&collected.roots[0].on_disk).unwrap();
        bytes.chunks(4096).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let (first, second) = (pages(&first), pages(&second));
    assert_eq!(first.len(), second.len());
    let changed = first.iter().zip(&second).filter(|(one, two)| one != two).count();
    // The page of the row, and the first, which counts changes.
    assert!((1..=2).contains(&changed), "{changed} of {} pages", first.len());
}

#[tokio::test]
async fn what_is_damaged_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path(), "DELETE", 2_000);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xaa);
    std::fs::write(&path, bytes).unwrap();
    let told = refusal(&path).await;
    assert!(told.starts_with("money: the database is damaged"), "{told}");
}

#[tokio::test]
async fn an_index_that_does_not_fit_its_table_is_refused_by_the_full_check() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path(), "DELETE", 2_000);
    // The index is told to be another one, so that what it holds is no longer what it should.
    let sql = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX by_amount ON debit(note)' \
               WHERE name = 'by_amount'";
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    let told = refusal(&path).await;
    assert!(told.contains("the database is damaged") && told.contains("by_amount"), "{told}");
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("money.db");
    let told = refusal(&path).await;
    assert!(told.contains("cannot read") && told.contains("money.db"), "{told}");
    assert!(!path.exists());

    std::fs::write(&path, "").unwrap();
    let told = refusal(&path).await;
    assert!(told.contains("the database is empty"), "{told}");
    std::fs::write(
        &path,
        "no database, but a text that is long enough to be looked at by SQLite. ".repeat(20),
    )
    .unwrap();
    let told = refusal(&path).await;
    assert!(told.contains("not a database"), "{told}");
}

#[tokio::test]
async fn a_locked_database_is_not_waited_for_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path(), "DELETE", 100);
    let holder = Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut config = SqliteConfig::default();
    config.name = "money".into();
    config.path = path;
    config.patience = Duration::from_millis(50);
    let source = Sqlite::new(config, &Ctx::default()).unwrap();
    let told = chain(&collect(&source).await.unwrap_err());
    assert!(told.contains("locked"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_ends_the_copy() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path(), "WAL", 60_000);
    let ctx = Ctx::default();
    let (shutdown, steps) = (ctx.shutdown.clone(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&steps);
    let (told, heard) = std::sync::mpsc::channel::<()>();
    let heard = std::sync::Mutex::new(heard);
    let source = source(&path, &ctx).on_progress(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        shutdown.stop();
        // Until the caller has its answer.
        let _ = heard.lock().unwrap().recv();
    });
    assert!(matches!(collect(&source).await, Err(Error::Stopped)));
    drop(told);
    drop(source);
    buttress_testkit::wait_until("the thread to end", Duration::from_mins(1), || {
        (Arc::strong_count(&steps) == 1).then_some(())
    });
    assert_eq!(steps.load(Ordering::SeqCst), 1);
}

#[test]
fn a_wrong_configuration_says_what_would_do() {
    let mut config = SqliteConfig::default();
    config.name = "../up".into();
    let error = Sqlite::new(config, &Ctx::default()).unwrap_err().to_string();
    assert!(error.contains("name") && error.contains("path"), "{error}");
    assert!(serde_json::from_str::<SqliteConfig>(r#"{"name": "a", "path": "b", "pat": 1}"#).is_err());
}
