//! SQLite databases, copied while they are written.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use buttress_connect::sqlite::client as rusqlite;
use buttress_core::{Ctx, Validate, Violations, units};
use ring::digest;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use serde::{Deserialize, Serialize};

use super::{Collected, Consistency, Source, failed, refused, require_name, root};
use crate::Error;

/// Which database, and how it is copied.
///
/// | field | default | |
/// |---|---|---|
/// | `name` | – | the source's name; in a snapshot the copy of `queue.db` by the source `jobs` is `/jobs/queue.db` |
/// | `path` | – | the database's file |
/// | `check` | `"quick"` | how the copy is checked before it counts: `quick` (each page and row), `full` (and each index) |
/// | `patience` | `"10s"` | how long a database that is locked is waited for |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SqliteConfig {
    /// The source's name.
    pub name: String,
    /// The database's file.
    pub path: PathBuf,
    /// How the copy is checked.
    pub check: SqliteCheck,
    /// How long a database that is locked is waited for.
    #[serde(with = "units::duration")]
    pub patience: Duration,
}

/// How a copy of a database is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SqliteCheck {
    /// `PRAGMA quick_check`: each page and each row is read.
    #[default]
    Quick,
    /// `PRAGMA integrity_check`: each index is compared with its table too, at several times the cost.
    Full,
}

impl SqliteCheck {
    fn pragma(self) -> &'static str {
        match self {
            Self::Quick => "PRAGMA quick_check(10)",
            Self::Full => "PRAGMA integrity_check(10)",
        }
    }

    /// What SQLite finds: `ok`, or the first ten faults.
    pub(crate) fn run(self, database: &Connection) -> rusqlite::Result<String> {
        let mut check = database.prepare(self.pragma())?;
        let found: rusqlite::Result<Vec<String>> = check.query_map((), |row| row.get(0))?.collect();
        Ok(found?.join("; "))
    }
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            path: PathBuf::new(),
            check: SqliteCheck::default(),
            patience: Duration::from_secs(10),
        }
    }
}

impl Validate for SqliteConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        require_name(&self.name, &mut wrong);
        let name = self.path.file_name().and_then(|name| name.to_str());
        wrong.require(name.is_some(), "path", self.path.display(), "must name the database's file, in UTF-8");
        let shown = units::format_duration(self.patience);
        let sensible = (Duration::from_millis(1)..=Duration::from_hours(1)).contains(&self.patience);
        wrong.require(sensible, "patience", shown, "must be \"1ms\" to \"1h\"; \"10s\" is usual");
        wrong.into_result()
    }
}

/// A SQLite database: an online backup (<https://sqlite.org/backup.html>) under one read transaction.
///
/// Writers are not waited for and not held up where the journal is a write-ahead log; its file grows meanwhile, as it cannot be reset under
/// a reader. With a rollback journal, commits wait while the copy is made. The transaction is what makes it end: without it, each commit
/// of another connection would start the copy again.
///
/// The copy counts when SQLite finds it whole. Its pages lie where they lie in the original, so that the next snapshot costs only the chunks that
/// changed; `VACUUM` moves them all.
///
/// Facts: `schema` (SHA-256 of all definitions), `tables`, `rows.TABLE` of the first 1,000 tables (as counted in the copy, which reads
/// the smallest b-tree of each), `page_size`, `page_count`, `user_version`, `application_id`.
#[derive(Clone)]
pub struct Sqlite {
    config: SqliteConfig,
    ctx: Ctx,
    progress: Option<Arc<Progress>>,
}

type Progress = dyn Fn(u64, u64) + Send + Sync;

/// How many tables have their rows counted.
const MOST_COUNTED: usize = 1000;

/// How long a locked database is waited for before it is asked again.
const POLL: Duration = Duration::from_millis(2);

/// Between two looks whether to go on, at 4 KiB a page: 4 MiB.
const PAGES_A_STEP: i32 = 1024;

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sqlite").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Sqlite {
    /// The source that `config` describes.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when something is wrong with it.
    pub fn new(config: SqliteConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        Ok(Self { config, ctx: ctx.clone(), progress: None })
    }

    /// Calls `told` with the pages that are copied, and all pages, every few megabytes.
    #[must_use]
    pub fn on_progress(mut self, told: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(told));
        self
    }
}

impl Source for Sqlite {
    fn name(&self) -> &str {
        &self.config.name
    }

    async fn collect(&self, scratch: &Path) -> Result<Collected, Error> {
        let stop = Stop::default();
        let copying = Copying {
            config: self.config.clone(),
            to: scratch.join(self.config.path.file_name().unwrap_or_default()),
            progress: self.progress.clone(),
            stop: Arc::clone(&stop.0),
            clock: self.ctx.clock.clone(),
        };
        let copy = tokio::task::spawn_blocking(move || copying.run());
        tokio::select! {
            // The thread hears of it by `stop`, which is dropped with this future, and ends after a step at the latest.
            () = self.ctx.shutdown.stopped() => Err(Error::Stopped),
            copied = copy => copied.unwrap_or_else(|gone| {
                Err(failed(&self.config.name, "the copy was given up", gone))
            }),
        }
    }
}

/// Tells the copying thread to stop when it is dropped.
#[derive(Default)]
pub(crate) struct Stop(pub(crate) Arc<Stopping>);

/// What the thread sees of it.
#[derive(Default)]
pub(crate) struct Stopping {
    asked: AtomicBool,
    /// Ends the statement that runs.
    interrupt: Mutex<Option<InterruptHandle>>,
}

impl Stopping {
    /// Ends from now on what runs on this database too.
    pub(crate) fn watch(&self, database: &Connection) {
        let interrupt = database.get_interrupt_handle();
        *self.interrupt.lock().unwrap_or_else(PoisonError::into_inner) = Some(interrupt);
    }

    pub(crate) fn go_on(&self) -> Result<(), Error> {
        if self.asked.load(Ordering::SeqCst) { Err(Error::Stopped) } else { Ok(()) }
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.asked.store(true, Ordering::SeqCst);
        if let Some(interrupt) = &*self.0.interrupt.lock().unwrap_or_else(PoisonError::into_inner) {
            interrupt.interrupt();
        }
    }
}

/// A copy in the making, on a thread that may wait.
struct Copying {
    config: SqliteConfig,
    to: PathBuf,
    progress: Option<Arc<Progress>>,
    stop: Arc<Stopping>,
    clock: buttress_core::SharedClock,
}

impl Copying {
    fn run(self) -> Result<Collected, Error> {
        let taken = self.copy()?;
        // Opened anew: what is checked is what is on the disk.
        let copy = open_copy(&self.to).map_err(|error| self.failed("its copy cannot be opened", error))?;
        self.stop.watch(&copy);
        self.check(&copy)?;
        let facts = self.facts(&copy)?;
        let name = self.to.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let copy = root(&self.to, &self.config.name, name);
        let mut collected = Collected::new(vec![copy], Consistency::Application, taken);
        collected.facts.extend(facts);
        Ok(collected)
    }

    /// Copies all pages as they are at one moment, which it returns.
    fn copy(&self) -> Result<SystemTime, Error> {
        let cannot_open = |error| {
            self.failed(format!("the database {} cannot be opened", self.config.path.display()), error)
        };
        let cannot_copy = |error| {
            self.failed(format!("the database {} cannot be copied", self.config.path.display()), error)
        };
        // A source that is not there is not made, and one that is there is not written: no checkpoint, no recovery.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let about = std::fs::metadata(&self.config.path)
            .map_err(|error| Error::file("read", &self.config.path, error))?;
        let from = Connection::open_with_flags(&self.config.path, flags).map_err(cannot_open)?;
        let mut to = Connection::open(&self.to).map_err(cannot_copy)?;
        // Restored, it is for nobody who could not read the original.
        std::fs::set_permissions(&self.to, about.permissions())
            .map_err(|error| Error::file("write", &self.to, error))?;
        // The copy is read again before it counts, and made again after a crash.
        to.pragma_update(None, "synchronous", "OFF").map_err(cannot_copy)?;

        let tables = self.begin(&from)?.map_err(cannot_open)?;
        let taken = self.clock.wall();
        if tables == 0 {
            return Err(self.refused("the database is empty: it has no table; is it the right file?"));
        }
        let backup = Backup::new(&from, &mut to).map_err(cannot_copy)?;
        let begun = self.clock.now();
        loop {
            self.stop.go_on()?;
            let step = backup.step(PAGES_A_STEP).map_err(cannot_copy)?;
            if let Some(told) = &self.progress {
                let progress = backup.progress();
                let pages = |count: i32| u64::try_from(count).unwrap_or_default();
                told(pages(progress.pagecount.saturating_sub(progress.remaining)), pages(progress.pagecount));
            }
            match step {
                StepResult::Done => return Ok(taken),
                StepResult::More => {}
                // The busy timeout has passed inside the step.
                _ if self.clock.now().saturating_duration_since(begun) > self.config.patience => {
                    return Err(self.refused(format!(
                        "the database stayed locked for {}",
                        units::format_duration(self.config.patience)
                    )));
                }
                _ => std::thread::yield_now(),
            }
        }
    }

    /// Begins to read, at the moment that the copy is of. How many tables there are.
    ///
    /// A writer that hardly ever lets go is caught between two commits only by whoever asks often: the system's own waiting makes
    /// longer and longer pauses.
    fn begin(&self, from: &Connection) -> Result<rusqlite::Result<i64>, Error> {
        let begun = self.clock.now();
        let began = from.busy_timeout(POLL).and_then(|()| from.execute_batch("BEGIN"));
        if let Err(error) = began {
            return Ok(Err(error));
        }
        loop {
            self.stop.go_on()?;
            // The transaction begins with what it reads first.
            let tables = from.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0));
            let locked = tables.as_ref().is_err_and(|error: &rusqlite::Error| {
                error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
            });
            if !locked || self.clock.now().saturating_duration_since(begun) > self.config.patience {
                return Ok(tables.and_then(|tables| from.busy_timeout(self.config.patience).map(|()| tables)));
            }
        }
    }

    fn check(&self, copy: &Connection) -> Result<(), Error> {
        self.stop.go_on()?;
        let found =
            self.config.check.run(copy).map_err(|error| self.failed("the database is damaged", error))?;
        match found.as_str() {
            "ok" => Ok(()),
            found => Err(self.refused(format!("the database is damaged: {found}"))),
        }
    }

    fn facts(&self, copy: &Connection) -> Result<Vec<(String, String)>, Error> {
        let cannot_count = |error| self.failed("its copy cannot be counted", error);
        let number = |name: &str| -> rusqlite::Result<i64> {
            copy.query_row(&format!("PRAGMA {name}"), (), |row| row.get(0))
        };
        let mut facts = vec![("schema".to_owned(), schema(copy).map_err(cannot_count)?)];
        for name in ["page_size", "page_count", "user_version", "application_id"] {
            facts.push((name.to_owned(), number(name).map_err(cannot_count)?.to_string()));
        }
        let tables = tables(copy).map_err(cannot_count)?;
        facts.push(("tables".to_owned(), tables.len().to_string()));
        for table in tables.iter().take(MOST_COUNTED) {
            self.stop.go_on()?;
            facts.push((format!("rows.{table}"), rows(copy, table).map_err(cannot_count)?.to_string()));
        }
        Ok(facts)
    }

    fn refused(&self, problem: impl Into<String>) -> Error {
        refused(&self.config.name, problem)
    }

    fn failed(&self, problem: impl Into<String>, error: rusqlite::Error) -> Error {
        failed(&self.config.name, problem, error)
    }
}

/// Opens a database that nobody else has open, and leaves no file beside it.
pub(crate) fn open_copy(path: &Path) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{}?immutable=1", escaped(path)), flags)
}

/// A path in a URI.
fn escaped(path: &Path) -> String {
    let path = path.to_string_lossy();
    path.replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

/// The tables that hold rows of their own, in the order of their names.
pub(crate) fn tables(database: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' \
               AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
    database.prepare(sql)?.query_map((), |row| row.get(0))?.collect()
}

/// How many rows a table has.
pub(crate) fn rows(database: &Connection, table: &str) -> rusqlite::Result<i64> {
    let sql = format!("SELECT count(*) FROM main.\"{}\"", table.replace('"', "\"\""));
    database.query_row(&sql, (), |row| row.get(0))
}

/// The SHA-256 of all definitions, in hexadecimal digits.
pub(crate) fn schema(database: &Connection) -> rusqlite::Result<String> {
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut statement = database
        .prepare("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name")?;
    let mut found = statement.query(())?;
    while let Some(row) = found.next()? {
        for column in 0..4 {
            let text: String = row.get(column)?;
            hash.update(text.as_bytes());
            hash.update(b"\0");
        }
    }
    Ok(data_encoding::HEXLOWER.encode(hash.finish().as_ref()))
}
