//! A base backup and the log, laid together for PostgreSQL to recover from.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::source::Payload;
use super::wal::{self, Shape};
use crate::Error;
use crate::log::{Kind, Log, Position, Segment, Tip};

/// How far to recover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// Everything that is in the log.
    End,
    /// All transactions that were committed at that time or before, by the server's clock, to the microsecond. PostgreSQL stops at the first commit
    /// in its log that is later.
    Time(SystemTime),
}

/// What is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepared {
    /// Where the base backup begins.
    pub first: Position,
    /// The end of the log.
    pub last: Tip,
    /// How many files of PostgreSQL's log were written.
    pub files: u64,
}

/// Prepares `data`, a restored base backup, to be recovered with `log`, whose files are written to `wal`; the module's page has all steps. `known` is a tip
/// that was kept elsewhere: what it says was in the log must be there.
///
/// All segments from the base backup's begin to the end of the log are read, and each is checked. `wal` must be empty, or not there; `data` is changed
/// last, when all else went well.
///
/// # Errors
///
/// [`Error::Source`] if the folder is no base backup of this cluster, a server runs on it, the log does not reach back to it, or ends before the
/// target; [`Error::Damaged`] for what is wrong in the log; [`Error::File`]; [`Error::Store`].
pub async fn prepare(
    log: &Log,
    data: &Path,
    wal: &Path,
    target: Target,
    known: Option<&Tip>,
) -> Result<Prepared, Error> {
    let base = Base::read(data)?;
    let refuse = |problem| Error::Source { of: data.display().to_string(), problem, source: None };
    let Some(newest) = log.newest().await? else {
        return Err(refuse(format!("the log `{}` is empty", log.name())));
    };
    let payload = payload(log, &newest)?;
    let needed = base.needed(payload.shape);
    let mut files = Files::new(wal, payload.shape)?;
    let Some(number) = log.locate(needed).await? else {
        let end = newest.last;
        return Err(refuse(format!(
            "the log `{}` ends at {end}, before this base backup begins",
            log.name()
        )));
    };
    let mut segments = log.segments(number, known).await?;
    let mut last: Option<Tip> = None;
    while let Some(segment) = segments.next().await? {
        if last.is_none() && segment.first > needed {
            return Err(refuse(format!(
                "the log `{}` begins at {}, and this base backup needs it from {needed} on; take one that was made after the log was begun",
                log.name(),
                segment.first
            )));
        }
        let payload = self::payload(log, &segment)?;
        if payload.shape.system != base.system {
            return Err(refuse(format!(
                "the base backup is of the cluster {}, and the log `{}` of another, {}",
                base.system,
                log.name(),
                payload.shape.system
            )));
        }
        last = Some(segment.tip());
        // A disk that is waited for a little now and then; the store is waited for much longer.
        files.write(&segment, &payload)?;
    }
    let files = files.finish()?;
    let last = last.ok_or_else(|| refuse(format!("the log `{}` lost its segments meanwhile", log.name())))?;
    if let Target::Time(time) = target
        && time > last.time
    {
        let (asked, ends) = (shown(time)?, shown(last.time)?);
        return Err(refuse(format!(
            "the log ends at {ends} and does not reach {asked}; recover to the end, or to an earlier time"
        )));
    }
    configure(data, wal, target)?;
    Ok(Prepared { first: base.begin, last, files })
}

fn payload(log: &Log, segment: &Segment) -> Result<Payload, Error> {
    if segment.kind != Kind::POSTGRES_WAL {
        return Err(log.refused(format!("it is a log of {}, not of PostgreSQL", segment.kind)));
    }
    let damaged = |problem: &str| log.damaged(&log.object(segment.sequence), problem.to_owned());
    Payload::decode(&segment.payload).map_err(damaged)
}

/// What a base backup says of itself.
struct Base {
    system: u64,
    begin: Position,
}

impl Base {
    fn read(data: &Path) -> Result<Self, Error> {
        let refuse = |problem: &str| Error::Source {
            of: data.display().to_string(),
            problem: problem.to_owned(),
            source: None,
        };
        if data.join("postmaster.pid").exists() {
            return Err(refuse(
                "a server runs on this folder, or did when it was copied: `postmaster.pid` is there",
            ));
        }
        let path = data.join("backup_label");
        let label = fs::read_to_string(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => refuse("it is no base backup: `backup_label` is not there"),
            _ => Error::file("read", &path, error),
        })?;
        let field = |name: &str| label.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let begin = (|| {
            let (high, low) = field("START WAL LOCATION")?.split_whitespace().next()?.split_once('/')?;
            let (high, low) = (u32::from_str_radix(high, 16).ok()?, u32::from_str_radix(low, 16).ok()?);
            let epoch = field("START TIMELINE")?.trim().parse().ok()?;
            Some(Position { epoch, offset: (u64::from(high) << 32) | u64::from(low) })
        })();
        let begin = begin.ok_or_else(|| refuse("its `backup_label` does not say where it begins"))?;
        let path = data.join("global/pg_control");
        let mut system = [0; 8];
        let read = File::open(&path).and_then(|file| file.read_exact_at(&mut system, 0));
        read.map_err(|error| Error::file("read", &path, error))?;
        Ok(Self { system: u64::from_ne_bytes(system), begin })
    }

    /// From where it needs the log: the begin of the file in which it begins.
    fn needed(&self, shape: Shape) -> Position {
        let inside = self.begin.offset.checked_rem(shape.size()).unwrap_or_default();
        Position { offset: self.begin.offset.saturating_sub(inside), ..self.begin }
    }
}

/// The files of PostgreSQL's log. Each has its full length from the start: what is not in it yet are zeros, where PostgreSQL sees its end.
struct Files {
    folder: PathBuf,
    shape: Shape,
    open: Option<(String, File)>,
    count: u64,
}

impl Files {
    fn new(folder: &Path, shape: Shape) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(|error| Error::file("make", folder, error))?;
        let mut there = folder.read_dir().map_err(|error| Error::file("list", folder, error))?;
        if there.next().is_some() {
            let problem = "the folder for the log's files must be empty, or not there".to_owned();
            return Err(Error::Source { of: folder.display().to_string(), problem, source: None });
        }
        Ok(Self { folder: folder.to_owned(), shape, open: None, count: 0 })
    }

    fn write(&mut self, segment: &Segment, payload: &Payload) -> Result<(), Error> {
        let timeline = u32::try_from(segment.first.epoch)
            .map_err(|_| Error::Internal { problem: format!("timeline {}", segment.first.epoch) })?;
        if payload.history {
            let path = self.folder.join(wal::history_name(timeline));
            return fs::write(&path, &payload.bytes).map_err(|error| Error::file("write", path, error));
        }
        let name = wal::name(timeline, segment.first.offset, self.shape);
        let path = self.folder.join(&name);
        let failed = |error| Error::file("write", &path, error);
        if self.open.as_ref().is_none_or(|(open, _)| *open != name) {
            self.close()?;
            let file =
                OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
            file.set_len(self.shape.size()).map_err(failed)?;
            self.open = Some((name, file));
            self.count = self.count.saturating_add(1);
        }
        let inside = segment.first.offset.checked_rem(self.shape.size()).unwrap_or_default();
        match &self.open {
            Some((_, file)) => file.write_all_at(&payload.bytes, inside).map_err(failed),
            None => Ok(()),
        }
    }

    fn close(&mut self) -> Result<(), Error> {
        match self.open.take() {
            Some((name, file)) => {
                file.sync_all().map_err(|error| Error::file("write", self.folder.join(name), error))
            }
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<u64, Error> {
        self.close()?;
        Ok(self.count)
    }
}

/// Tells the server what to do when it starts.
fn configure(data: &Path, wal: &Path, target: Target) -> Result<(), Error> {
    let folder = wal.canonicalize().map_err(|error| Error::file("read", wal, error))?;
    let folder = folder.to_str().ok_or_else(|| Error::Source {
        of: wal.display().to_string(),
        problem: "PostgreSQL's configuration cannot name this folder: its name is not UTF-8".to_owned(),
        source: None,
    })?;
    // Quoted for the shell; then `%`, which PostgreSQL replaces; then quoted for the configuration.
    let quoted = format!("'{}'", folder.replace('\'', r"'\''")).replace('%', "%%");
    let mut settings = vec![
        ("restore_command", format!("cp {quoted}/%f \"%p\"")),
        ("recovery_target_timeline", "latest".to_owned()),
        ("recovery_target_action", "promote".to_owned()),
    ];
    if let Target::Time(time) = target {
        settings.push(("recovery_target_time", shown(time)?));
    }
    let mut text = String::from("\n# To recover; remove when that is done.\n");
    for (name, value) in settings {
        let value = value.replace('\\', r"\\").replace('\'', "''");
        text.extend([name, " = '", &value, "'\n"]);
    }
    let path = data.join("postgresql.auto.conf");
    let appended = OpenOptions::new().create(true).append(true).open(&path);
    let appended =
        appended.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    appended.map_err(|error| Error::file("write", &path, error))?;
    let path = data.join("recovery.signal");
    fs::write(&path, "").map_err(|error| Error::file("write", &path, error))
}

/// As PostgreSQL reads a time, to the microsecond below.
fn shown(time: SystemTime) -> Result<String, Error> {
    let stamp = jiff::Timestamp::try_from(time);
    let stamp =
        stamp.map_err(|error| Error::Internal { problem: format!("a time cannot be written: {error}") })?;
    Ok(stamp.strftime("%Y-%m-%d %H:%M:%S.%6f+00").to_string())
}
