//! A database of SQLite, read again whenever something was committed.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use buttress_connect::sqlite::client::backup::{Backup, StepResult};
use buttress_connect::sqlite::client::{Connection, OpenFlags};
use buttress_core::{Ctx, SharedClock, Validate, Violations, units};
use serde::{Deserialize, Serialize};

use super::state::{Copy, Part, Parts};
use crate::Error;
use crate::log::{Kind, LogSource, Next, Piece, Segment, Tip};

/// The copy while it is made.
const NEW: &str = "new";

/// Which database is shipped.
///
/// | field | default | |
/// |---|---|---|
/// | `database` | `"app.db"` | the file |
/// | `folder` | `"pages"` | two copies of the database; without them, after a restart, the whole state is shipped anew |
/// | `full_every` | `"1h"` | how often a whole state is shipped, so that recovery need not read further back; retention keeps from one of these on |
/// | `patience` | `"10s"` | how long a lock of the database is waited for |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SqlitePagesConfig {
    /// The file.
    pub database: PathBuf,
    /// Where copies are kept.
    pub folder: PathBuf,
    /// How often a whole state is shipped.
    #[serde(with = "units::duration")]
    pub full_every: Duration,
    /// How long a lock of the database is waited for.
    #[serde(with = "units::duration")]
    pub patience: Duration,
}

impl Default for SqlitePagesConfig {
    fn default() -> Self {
        Self {
            database: "app.db".into(),
            folder: "pages".into(),
            full_every: Duration::from_hours(1),
            patience: Duration::from_secs(10),
        }
    }
}

impl Validate for SqlitePagesConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let shown = units::format_duration;
        let full = self.full_every >= Duration::from_secs(1);
        wrong.require(full, "full_every", shown(self.full_every), "must be at least \"1s\"; \"1h\" is usual");
        let patience = (Duration::from_millis(10)..=Duration::from_mins(5)).contains(&self.patience);
        wrong.require(
            patience,
            "patience",
            shown(self.patience),
            "must be \"10ms\" to \"5m\"; \"10s\" is usual",
        );
        wrong.into_result()
    }
}

/// The pages of a SQLite database as a source of a log.
#[derive(Debug)]
pub struct SqlitePages {
    config: SqlitePagesConfig,
    clock: SharedClock,
    /// Taken while it works on another thread.
    reader: Option<Reader>,
}

impl SqlitePages {
    /// A source for this database. It is opened with the first round, and has to be there then.
    ///
    /// # Errors
    ///
    /// [`Error::Config`]; [`Error::File`] when the folder cannot be made.
    pub fn new(config: &SqlitePagesConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        fs::create_dir_all(&config.folder).map_err(|error| Error::file("make", &config.folder, error))?;
        Ok(Self { config: config.clone(), clock: ctx.clock.clone(), reader: None })
    }

    /// Lets the reader work where it may wait for a disk. When that is cut off, a new one begins, as after a restart.
    async fn work<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Reader) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let config = self.config.clone();
        let clock = self.clock.clone();
        let mut reader = self.reader.take().unwrap_or_else(|| Reader::new(config, clock));
        let done = tokio::task::spawn_blocking(move || {
            let outcome = work(&mut reader);
            (reader, outcome)
        });
        let (reader, outcome) = done.await.map_err(|_| Error::Stopped)?;
        self.reader = Some(reader);
        outcome
    }
}

impl LogSource for SqlitePages {
    const KIND: Kind = Kind::SQLITE_PAGES;

    async fn resume(&mut self, newest: Option<&Segment>) -> Result<(), Error> {
        self.reader = None;
        let Some(newest) = newest.cloned() else { return Ok(()) };
        self.work(move |reader| reader.resume(&newest)).await
    }

    async fn next(&mut self, tip: Option<&Tip>) -> Result<Next, Error> {
        let tip = tip.copied();
        self.work(move |reader| reader.next(tip.as_ref())).await
    }

    async fn shipped(&mut self, _: &Tip) -> Result<(), Error> {
        self.work(Reader::shipped).await
    }
}

/// What works on a thread that may wait for the disk.
#[derive(Debug)]
struct Reader {
    config: SqlitePagesConfig,
    clock: SharedClock,
    open: Option<Open>,
    /// The state that the log ends with.
    shipped: Option<Copy>,
    /// When a whole state was last shipped by us.
    full: Option<SystemTime>,
    shipping: Option<Parts>,
}

/// A connection to the database, which is asked whether others have committed.
#[derive(Debug)]
struct Open {
    connection: Connection,
    /// Which file it is: another may stand under its name by now.
    file: (u64, u64),
    /// Of the last copy.
    version: Option<i64>,
}

impl Reader {
    fn new(config: SqlitePagesConfig, clock: SharedClock) -> Self {
        Self { config, clock, open: None, shipped: None, full: None, shipping: None }
    }

    /// Finds the copy that the log ends with.
    fn resume(&mut self, newest: &Segment) -> Result<(), Error> {
        let part = Part::decode(&newest.payload).map_err(|problem| self.fail(problem, None))?;
        let path = self.config.folder.join(Copy::name(part.shape.hash));
        if part.last && path.exists() {
            let copy = Copy::read(&path).map_err(|error| Error::file("read", &path, error))?;
            self.shipped = copy.filter(|copy| copy.shape == part.shape);
        }
        self.clear()
    }

    fn next(&mut self, tip: Option<&Tip>) -> Result<Next, Error> {
        if self.shipping.is_none() {
            let since = self.clock.wall();
            if let Some(parts) = self.changed(since)? {
                self.shipping = Some(parts);
            } else {
                return Ok(Next::Complete(since));
            }
        }
        let begins_anew = self.shipped.is_none();
        let Some(parts) = &mut self.shipping else { return Ok(Next::Unknown) };
        let time = parts.time;
        let part = parts.part().map_err(|error| Error::file("read", &parts.new.path, error))?;
        let (epoch, first) = tip.map_or((0, 0), |tip| (tip.position.epoch, tip.position.offset));
        let epoch = if begins_anew && part.first { epoch.saturating_add(1) } else { epoch };
        let payload = part.encode().into();
        Ok(Next::Piece(Piece { epoch, first, last: first.saturating_add(1), time, payload }))
    }

    /// The last part that was given is in the log; if it was the state's last, the log ends with that state.
    fn shipped(&mut self) -> Result<(), Error> {
        if let Some(parts) = self.shipping.take_if(|parts| parts.is_done()) {
            self.shipped = Some(parts.new);
            return self.clear();
        }
        Ok(())
    }

    /// Copies the database, if something was committed since the last copy.
    fn changed(&mut self, since: SystemTime) -> Result<Option<Parts>, Error> {
        let file = fs::metadata(&self.config.database);
        let file = file.map_err(|error| Error::file("read", &self.config.database, error))?;
        let file = (file.dev(), file.ino());
        if self.open.as_ref().is_none_or(|open| open.file != file) {
            let connection = self.connect().map_err(|error| self.fail("it cannot be opened", Some(error)))?;
            self.open = Some(Open { connection, file, version: None });
        }
        let failed = |error| fail(&self.config.database, "it cannot be read", Some(error));
        let Some(open) = &mut self.open else { return Ok(None) };
        // Asked before the copy is made: what is committed meanwhile makes another one.
        let version =
            open.connection.query_row("PRAGMA data_version", (), |row| row.get(0)).map_err(failed)?;
        if open.version == Some(version) && self.shipped.is_some() {
            return Ok(None);
        }
        let path = self.config.folder.join(NEW);
        remove(&path)?;
        copy(&open.connection, &path).map_err(failed)?;
        let time = self.clock.wall();
        open.version = Some(version);
        let made = Copy::read(&path).map_err(|error| Error::file("read", &path, error))?;
        let Some(mut new) = made else {
            return Err(self.fail("it is empty: nothing was ever written to it", None));
        };
        if self.shipped.as_ref().is_some_and(|shipped| shipped.shape == new.shape) {
            return Ok(None);
        }
        new.path = self.config.folder.join(Copy::name(new.shape.hash));
        fs::rename(&path, &new.path).map_err(|error| Error::file("write", &new.path, error))?;
        let every = self.config.full_every;
        let due = self.full.is_none_or(|full| time.duration_since(full).map_or(true, |age| age >= every));
        // After a restart it is not known when it was; a state that can be a difference is one then, and the whole is due an hour later.
        let old = self.shipped.clone().filter(|_| !due || self.full.is_none());
        if old.is_none() || self.full.is_none() {
            self.full = Some(time);
        }
        Ok(Some(Parts::new(new, old, since, time)))
    }

    fn connect(&self) -> Result<Connection, buttress_connect::sqlite::client::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.config.database, flags)?;
        connection.busy_timeout(self.config.patience)?;
        Ok(connection)
    }

    /// Removes copies that are no longer needed.
    fn clear(&self) -> Result<(), Error> {
        let folder = &self.config.folder;
        let kept = self.shipped.as_ref().map(|copy| copy.path.as_path());
        for entry in folder.read_dir().map_err(|error| Error::file("list", folder, error))? {
            let path = entry.map_err(|error| Error::file("list", folder, error))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let copy = name.strip_suffix(".db").is_some_and(|hash| crate::Id::parse(hash).is_some());
            if copy && Some(path.as_path()) != kept {
                remove(&path)?;
            }
        }
        Ok(())
    }

    fn fail(&self, problem: &str, source: Option<buttress_connect::sqlite::client::Error>) -> Error {
        fail(&self.config.database, problem, source)
    }
}

fn fail(database: &Path, problem: &str, source: Option<buttress_connect::sqlite::client::Error>) -> Error {
    let source = source.map(Into::into);
    Error::Source { of: database.display().to_string(), problem: problem.to_owned(), source }
}

/// One step, and so one read transaction: a copy made in several begins anew with each commit of others.
fn copy(from: &Connection, path: &Path) -> Result<(), buttress_connect::sqlite::client::Error> {
    let mut to = Connection::open(path)?;
    // A copy that was cut short is removed, so it needs no journal and no sync.
    to.pragma_update(None, "journal_mode", "OFF")?;
    to.pragma_update(None, "synchronous", "OFF")?;
    match Backup::new(from, &mut to)?.step(-1)? {
        StepResult::Done => Ok(()),
        _ => Err(buttress_connect::sqlite::client::Error::SqliteFailure(
            buttress_connect::sqlite::client::ffi::Error::new(
                buttress_connect::sqlite::client::ffi::SQLITE_BUSY,
            ),
            None,
        )),
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("delete", path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert_eq!(SqlitePagesConfig::default().validate(), Ok(()));
    }
}
