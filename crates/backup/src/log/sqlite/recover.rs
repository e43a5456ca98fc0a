//! The state of a database at a moment, put together from a log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::state::{Part, Shape, hash};
use crate::Error;
use crate::log::{Kind, Log, Position, Segment, Tip};

/// A state that was put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// Everything that was committed before that time is in it.
    pub since: SystemTime,
    /// Nothing in it was committed later.
    pub time: SystemTime,
    /// The last segment of the state.
    pub tip: Tip,
}

/// Puts together the newest state, or that of the last copy made at or before `until`, as a new file at `into`. `known` is a tip that was kept
/// elsewhere: what it says was in the log must be there.
///
/// Reads all segments from the first that is kept. Needs room for the database, and for the largest state once more. The file is there when all went well,
/// and compared by its hash with the copy that was shipped.
///
/// # Errors
///
/// [`Error::Source`] if there is a file, or the log has no state that early; [`Error::Damaged`] for what is wrong in the log;
/// [`Error::File`]; [`Error::Store`].
pub async fn recover(
    log: &Log,
    until: Option<SystemTime>,
    into: &Path,
    known: Option<&Tip>,
) -> Result<Recovered, Error> {
    let refuse = |problem| Error::Source { of: into.display().to_string(), problem, source: None };
    for there in [into.to_owned(), beside(into, "-wal"), beside(into, "-journal")] {
        if there.exists() {
            return Err(refuse(format!("{} is there; move it away first", there.display())));
        }
    }
    let mut segments = log.segments(1, known).await?;
    let mut building = Building::new(into)?;
    let mut found: Option<Recovered> = None;
    while let Some(segment) = segments.next().await? {
        let part = part(log, &segment)?;
        // States are in the order in which they were copied: the first that is too late ends it.
        if part.last && until.is_some_and(|until| segment.time > until) {
            break;
        }
        building.take(&part)?;
        if part.last && building.state().is_some() {
            found = Some(Recovered { since: part.since, time: segment.time, tip: segment.tip() });
        }
    }
    let Some(found) = found else {
        return Err(refuse(format!("the log `{}` has no whole state that early", log.name())));
    };
    let done = tokio::task::spawn_blocking(move || building.finish()).await;
    if done.map_err(|_| Error::Stopped)?? {
        return Ok(found);
    }
    let problem = "the state that it completes is not the one that was copied: its hash is another";
    Err(log.damaged(&log.object(found.tip.sequence), problem.to_owned()))
}

/// Where the last whole state at or before `time` begins: what retention may keep from, for recovery to any moment since. `None` if there is none.
/// Reads all segments.
///
/// # Errors
///
/// [`Error::Damaged`]; [`Error::Store`].
pub async fn base_before(log: &Log, time: SystemTime) -> Result<Option<Position>, Error> {
    let mut segments = log.segments(1, None).await?;
    let (mut base, mut begun) = (None, None);
    while let Some(segment) = segments.next().await? {
        let part = part(log, &segment)?;
        if part.first {
            begun = part.full.then_some(segment.first);
        }
        if part.last && segment.time <= time {
            base = begun.take().or(base);
        }
    }
    Ok(base)
}

fn part<'a>(log: &Log, segment: &'a Segment) -> Result<Part<&'a [u8]>, Error> {
    if segment.kind != Kind::SQLITE_PAGES {
        return Err(log.refused(format!("it is a log of {}, not of SQLite", segment.kind)));
    }
    let damaged = |problem: &str| log.damaged(&log.object(segment.sequence), problem.to_owned());
    Part::decode(&segment.payload).map_err(damaged)
}

/// A path with more at its end.
fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    name.into()
}

/// The database while it is put together: the last whole state, and aside the parts of the next, which may never become one.
struct Building {
    into: PathBuf,
    database: Aside,
    parts: Aside,
    state: Option<Shape>,
    /// The state whose parts are aside, if its first was seen.
    pending: Option<(Shape, bool)>,
}

impl Building {
    fn new(into: &Path) -> Result<Self, Error> {
        Ok(Self {
            into: into.to_owned(),
            database: Aside::new(beside(into, ".recovering"))?,
            parts: Aside::new(beside(into, ".parts"))?,
            state: None,
            pending: None,
        })
    }

    /// The state that the file has, if it has one.
    fn state(&self) -> Option<Shape> {
        self.state
    }

    fn take(&mut self, part: &Part<&[u8]>) -> Result<(), Error> {
        if part.first {
            self.pending = Some((part.shape, part.full));
            self.parts.work(|file| file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map(drop))?;
        }
        // Without its first part, which retention let go, a state is nothing.
        let Some((shape, full)) = self.pending.filter(|(shape, _)| *shape == part.shape) else {
            return Ok(());
        };
        self.parts.work(|file| file.write_all(part.pages))?;
        if !part.last {
            return Ok(());
        }
        self.pending = None;
        let based = self.state.is_some_and(|state| state.page == shape.page);
        if !full && !based {
            self.state = None;
            return Ok(());
        }
        let mut pages = Vec::with_capacity(shape.page_bytes().saturating_add(4));
        let length = shape.page_bytes().saturating_add(4) as u64;
        self.database.work(|file| file.set_len(if full { 0 } else { shape.length() }))?;
        self.database.work(|file| file.set_len(shape.length()))?;
        self.parts.work(|file| file.seek(SeekFrom::Start(0)).map(drop))?;
        let mut parts = BufReader::with_capacity(1 << 20, &self.parts.file);
        loop {
            pages.clear();
            let read = parts.by_ref().take(length).read_to_end(&mut pages);
            if read.map_err(|error| self.parts.failed(error))? == 0 {
                break;
            }
            let one = Part { pages: pages.as_slice(), ..part.clone() };
            for (at, page) in one.pages().flatten() {
                self.database.file.write_all_at(page, at).map_err(|error| self.database.failed(error))?;
            }
        }
        self.state = Some(shape);
        Ok(())
    }

    /// Gives the file its name, if it is what was copied.
    fn finish(mut self) -> Result<bool, Error> {
        let Some(state) = self.state else { return Ok(false) };
        self.database.work(|file| file.seek(SeekFrom::Start(0)).map(drop))?;
        if hash(&self.database.file).map_err(|error| self.database.failed(error))? != state.hash {
            return Ok(false);
        }
        self.database.work(|file| file.sync_all())?;
        // A link is made only where nothing is; the other name goes when this is dropped.
        fs::hard_link(&self.database.path, &self.into)
            .map_err(|error| Error::file("write", &self.into, error))?;
        let folder = self.into.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| Error::file("write", folder, error))?;
        Ok(true)
    }
}

/// A file that goes when this does.
struct Aside {
    path: PathBuf,
    file: File,
}

impl Aside {
    fn new(path: PathBuf) -> Result<Self, Error> {
        let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path);
        let file = file.map_err(|error| Error::file("make", &path, error))?;
        Ok(Self { path, file })
    }

    fn work(&mut self, work: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), Error> {
        work(&mut self.file).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::file("write", &self.path, error)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // What cannot be removed is in nobody's way: its name says what it is.
        let _ = fs::remove_file(&self.path);
    }
}
