//! What `pg_receivewal` has received, as pieces of a log.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use buttress_connect::postgres::Postgres;
use buttress_connect::postgres::client::types::Type;
use buttress_connect::{Address, ConnectionConfig};
use buttress_core::{Ctx, Validate, Violations, timeout};
use metrics::{Gauge, describe_gauge, gauge};
use serde::{Deserialize, Serialize};

use super::receiver::{Receiver, make_slot};
use super::wal::{self, Shape, WalFile};
use crate::Error;
use crate::log::segment::Fields;
use crate::log::{Kind, LogSource, Next, Piece, Position, Segment, Tip};

/// Bytes of the server's log that are not in the store. Label `log`: the slot.
pub const LAG: &str = "buttress_backup_log_lag_bytes";

/// How long the server may take to say how far it is. What was received is shipped without its answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which server's log, and how it is received.
///
/// | field | default | |
/// |---|---|---|
/// | `url` | `"postgres://postgres@localhost:5432/postgres"` | a login that may replicate; also a standby's |
/// | `slot` | `"buttress_backup"` | the replication slot; made if it is not there, and never removed |
/// | `folder` | `"wal"` | what was received and is not full or not shipped yet; a disk that survives a restart |
/// | `program` | `"pg_receivewal"` | of the server's version or a newer one |
/// | `connection` | | see [`ConnectionConfig`] |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PostgresWalConfig {
    /// A login that may replicate.
    pub url: Address,
    /// The replication slot.
    pub slot: String,
    /// Where what was received is kept until it is shipped.
    pub folder: PathBuf,
    /// The program that receives.
    pub program: PathBuf,
    /// How the server is asked how far it is.
    pub connection: ConnectionConfig,
}

impl PostgresWalConfig {
    /// The defaults, for this server.
    #[must_use]
    pub fn new(url: Address) -> Self {
        Self {
            url,
            slot: "buttress_backup".to_owned(),
            folder: "wal".into(),
            program: "pg_receivewal".into(),
            connection: ConnectionConfig::default(),
        }
    }
}

impl Default for PostgresWalConfig {
    #[expect(clippy::expect_used, reason = "the text is a constant, and a test parses it")]
    fn default() -> Self {
        Self::new("postgres://postgres@localhost:5432/postgres".parse().expect("an address"))
    }
}

impl Validate for PostgresWalConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let postgres = self.url.backend() == buttress_connect::Backend::Postgres;
        wrong.require(postgres, "url", &self.url, "must be the address of a PostgreSQL: `postgres://…`");
        let sign = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let slot = (1..=63).contains(&self.slot.len()) && self.slot.chars().all(sign);
        let quoted = format!("\"{}\"", self.slot);
        wrong.require(slot, "slot", quoted, "must be 1 to 63 small letters, digits and `_`");
        wrong.nest("connection", &self.connection);
        wrong.into_result()
    }
}

/// What a server says.
#[derive(Clone, Copy)]
struct Told {
    /// Its cluster's identifier.
    system: u64,
    /// How far its log is on its disk.
    flushed: Position,
    /// Up to where `pg_receivewal` has told it that it has the log on its disk.
    received: Option<u64>,
}

/// The write-ahead log of a PostgreSQL server.
#[derive(Debug)]
pub struct PostgresWal {
    config: PostgresWalConfig,
    ctx: Ctx,
    receiver: Receiver,
    /// Where the server was asked; made when it can be reached.
    server: Option<Postgres>,
    /// How far the server was at that time, until the log is.
    awaited: Option<(SystemTime, Position)>,
    /// The cluster that wrote the log, once that is known.
    shape: Option<Shape>,
    lag: Gauge,
}

impl PostgresWal {
    /// Makes the slot if it is not there, and starts to receive.
    ///
    /// # Errors
    ///
    /// [`Error::Config`]; [`Error::File`] when the folder cannot be made; [`Error::Source`] when `pg_receivewal` does not start or the server refuses.
    pub async fn start(config: &PostgresWalConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        fs::create_dir_all(&config.folder).map_err(|error| Error::file("make", &config.folder, error))?;
        make_slot(config, ctx).await?;
        describe_gauge!(LAG, "Bytes of the server's log that are not in the store");
        Ok(Self {
            receiver: Receiver::start(config.clone(), ctx),
            config: config.clone(),
            ctx: ctx.clone(),
            server: None,
            awaited: None,
            shape: None,
            lag: gauge!(LAG, "log" => config.slot.clone()),
        })
    }

    /// How far the server is. `None` if it does not answer: what was received is shipped all the same.
    async fn ask(&mut self) -> Option<Told> {
        const HOW_FAR: &str = "SELECT left(pg_walfile_name(flushed), 8), (flushed - '0/0')::int8, \
            (SELECT (restart_lsn - '0/0')::int8 FROM pg_replication_slots WHERE slot_name = $1 AND active), \
            (SELECT system_identifier FROM pg_control_system()) \
            FROM (SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_flush_lsn() END AS flushed) AS now";
        if self.server.is_none() {
            self.server = Postgres::connect(&self.config.url, &self.config.connection, &self.ctx).await.ok();
        }
        let rows = self.server.as_ref()?.query(HOW_FAR, &[(&self.config.slot, Type::TEXT)]).await.ok()?;
        let row = rows.first()?;
        let timeline: String = row.try_get(0).ok()?;
        let flushed: i64 = row.try_get(1).ok()?;
        let received: Option<i64> = row.try_get(2).ok()?;
        let epoch = u64::from_str_radix(&timeline, 16).ok()?;
        let offset = u64::try_from(flushed).ok()?;
        let system: i64 = row.try_get(3).ok()?;
        Some(Told {
            system: system.cast_unsigned(),
            flushed: Position { epoch, offset },
            received: received.and_then(|lsn| u64::try_from(lsn).ok()),
        })
    }

    fn fail(&self, problem: String) -> Error {
        Error::Source {
            of: format!("the log of PostgreSQL, slot `{}`", self.config.slot),
            problem,
            source: None,
        }
    }
}

impl LogSource for PostgresWal {
    const KIND: Kind = Kind::POSTGRES_WAL;

    async fn resume(&mut self, newest: Option<&Segment>) -> Result<(), Error> {
        let Some(newest) = newest else { return Ok(()) };
        let payload = Payload::decode(&newest.payload).map_err(|problem| self.fail(problem.to_owned()))?;
        self.shape = Some(payload.shape);
        self.shipped(&newest.tip()).await
    }

    async fn next(&mut self, tip: Option<&Tip>) -> Result<Next, Error> {
        let now = self.ctx.clock.wall();
        let clock = self.ctx.clock.clone();
        let told = Box::pin(timeout(&*clock, PATIENCE, self.ask())).await.ok().flatten();
        if let Some(Told { flushed: at, system, .. }) = told {
            if let Some(shape) = self.shape.filter(|shape| shape.system != system) {
                return Err(self.fail(other_cluster(shape.system, system)));
            }
            // What was received was on the server's disk before.
            if let Some(tip) = tip.filter(|tip| at < tip.position) {
                let end = tip.position;
                return Err(self.fail(format!(
                    "the server is at {at} and the log at {end}: it was put back without a new timeline, so what it writes \
                     now is another history; make a base backup and ship to a log of another name"
                )));
            }
            let shipped =
                tip.filter(|tip| tip.position.epoch == at.epoch).map_or(0, |tip| tip.position.offset);
            self.lag.set(at.offset.saturating_sub(shipped) as f64);
            self.awaited.get_or_insert((now, at));
        }
        if let Some((time, _)) = self.awaited.take_if(|(_, at)| tip.is_some_and(|tip| tip.position >= *at)) {
            return Ok(Next::Complete(time));
        }
        let (folder, from, shape) = (self.config.folder.clone(), tip.map(|tip| tip.position), self.shape);
        let received = told.and_then(|told| told.received);
        let found = tokio::task::spawn_blocking(move || next(&folder, from, received, shape)).await;
        match found.map_err(|_| Error::Stopped)?? {
            Found::Piece(epoch, first, last, payload) => {
                self.shape = Some(payload.shape);
                // Asked again, so that nothing in it is later.
                let time = self.ctx.clock.wall();
                Ok(Next::Piece(Piece { epoch, first, last, time, payload: payload.encode().into() }))
            }
            Found::Gap(problem) => Err(self.fail(problem)),
            Found::Nothing => match self.receiver.trouble() {
                Some(trouble) => Err(self.fail(ended(&trouble))),
                None => Ok(Next::Unknown),
            },
        }
    }

    /// Removes full files that are in the store, but for the last, which tells `pg_receivewal` where to go on.
    async fn shipped(&mut self, tip: &Tip) -> Result<(), Error> {
        let Some(shape) = self.shape else { return Ok(()) };
        let (folder, position) = (self.config.folder.clone(), tip.position);
        let removed = tokio::task::spawn_blocking(move || remove_shipped(&folder, position, shape)).await;
        removed.map_err(|_| Error::Stopped)?
    }
}

/// What a segment of such a log holds.
pub(super) struct Payload {
    /// The history of a timeline, not bytes of the log.
    pub(super) history: bool,
    pub(super) shape: Shape,
    pub(super) bytes: Vec<u8>,
}

impl Payload {
    fn encode(self) -> Vec<u8> {
        let mut bytes = vec![if self.history { 2 } else { 1 }];
        bytes.extend_from_slice(&self.shape.system.to_be_bytes());
        bytes.extend_from_slice(&self.shape.segment.to_be_bytes());
        bytes.extend_from_slice(&self.bytes);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut fields = Fields(bytes);
        let head = (|| Some((fields.take::<1>()?, fields.u64()?, fields.take()?)))();
        let ([what], system, segment) = head.ok_or("its payload is shorter than 13 bytes")?;
        let shape = Shape::new(system, u32::from_be_bytes(segment));
        let shape = shape.ok_or("it names a size that no file of the log has")?;
        match what {
            1 | 2 => Ok(Self { history: what == 2, shape, bytes: fields.0.to_vec() }),
            _ => Err("its payload is neither bytes of the log nor a history"),
        }
    }
}

enum Found {
    /// Epoch, first, last, and what.
    Piece(u64, u64, u64, Payload),
    Nothing,
    Gap(String),
}

/// What comes after `from` in the folder.
fn next(
    folder: &Path,
    from: Option<Position>,
    received: Option<u64>,
    expected: Option<Shape>,
) -> Result<Found, Error> {
    let files = wal::files(folder).map_err(|error| Error::file("list", folder, error))?;
    let mut shape = None;
    for file in &files {
        match Shape::read(&file.path) {
            Ok(None) => {}
            Ok(found) => {
                shape = found;
                break;
            }
            // Full, and renamed in this moment.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(Error::file("read", &file.path, error)),
        }
    }
    let Some(shape) = shape else { return Ok(Found::Nothing) };
    if let Some(expected) = expected.filter(|expected| *expected != shape) {
        return Ok(Found::Gap(other_cluster(expected.system, shape.system)));
    }
    let Some(from) = from else {
        return files.first().map_or(Ok(Found::Nothing), |file| begin(folder, file, shape));
    };
    let wanted = u32::try_from(from.epoch).map(|timeline| wal::name(timeline, from.offset, shape));
    let wanted = wanted.map_err(|_| Error::Internal { problem: format!("timeline {}", from.epoch) })?;
    let named = |file: &&WalFile| file.path.file_stem().is_some_and(|stem| *stem == *wanted);
    if let Some(file) = files.iter().find(named) {
        match wal::read(file, from.offset, received, shape) {
            Ok(read) if read.last > from.offset => {
                let payload = Payload { history: false, shape, bytes: read.bytes };
                return Ok(Found::Piece(from.epoch, from.offset, read.last, payload));
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(Error::file("read", &file.path, error)),
        }
    }
    // Files are received in order: where there is one of a later timeline, this one has ended.
    if let Some(file) = files.iter().find(|file| u64::from(file.timeline) > from.epoch) {
        if file.start(shape) <= from.offset {
            return begin(folder, file, shape);
        }
        return Ok(Found::Gap(missing(&wanted, file)));
    }
    let behind = |file: &&WalFile| u64::from(file.timeline) == from.epoch && file.start(shape) > from.offset;
    Ok(files.iter().find(behind).map_or(Found::Nothing, |file| {
        // The one that is wanted may have been renamed between the listing and now.
        if folder.join(&wanted).exists() { Found::Nothing } else { Found::Gap(missing(&wanted, file)) }
    }))
}

fn other_cluster(log: u64, server: u64) -> String {
    format!(
        "the log is of the cluster {log} and the server is another, {server}; ship it to a log of another name"
    )
}

fn ended(trouble: &str) -> String {
    // The server's own words; one that speaks another language is told about without the remedy.
    let remedy = if trouble.contains("has already been removed") {
        "; the server no longer has what comes next, so no recovery can cross this: make a base backup, drop the slot, and ship to \
         a log of another name with another folder"
    } else {
        ""
    };
    format!("pg_receivewal ended: {trouble}{remedy}")
}

fn missing(wanted: &str, later: &WalFile) -> String {
    let later = later.path.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "the log went on without us: {wanted} is missing and {later} is there, so no recovery can cross this; make a base \
         backup and ship to a log of another name"
    )
}

/// The first piece of a timeline: its history, if it has one.
fn begin(folder: &Path, file: &WalFile, shape: Shape) -> Result<Found, Error> {
    let (epoch, start) = (u64::from(file.timeline), file.start(shape));
    if file.timeline > 1 {
        let path = folder.join(wal::history_name(file.timeline));
        return match fs::read(&path) {
            Ok(bytes) => Ok(Found::Piece(epoch, start, start, Payload { history: true, shape, bytes })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(Error::file("read", path, error)),
        };
    }
    match wal::read(file, start, None, shape) {
        Ok(read) if read.last > start => {
            Ok(Found::Piece(epoch, start, read.last, Payload { history: false, shape, bytes: read.bytes }))
        }
        Ok(_) => Ok(Found::Nothing),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(Error::file("read", &file.path, error)),
    }
}

fn remove_shipped(folder: &Path, position: Position, shape: Shape) -> Result<(), Error> {
    let files = wal::files(folder).map_err(|error| Error::file("list", folder, error))?;
    let newest =
        files.iter().max_by_key(|file| (file.start(shape), file.timeline)).map(|file| file.path.clone());
    let full = files.iter().rfind(|file| !file.partial).map(|file| file.path.clone());
    for file in files {
        let end = file.start(shape).saturating_add(shape.size());
        let same = u64::from(file.timeline) == position.epoch && !file.partial && end <= position.offset;
        let former = u64::from(file.timeline) < position.epoch;
        if (same || former) && Some(&file.path) != newest.as_ref() && Some(&file.path) != full.as_ref() {
            fs::remove_file(&file.path).map_err(|error| Error::file("delete", &file.path, error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert_eq!(PostgresWalConfig::default().validate(), Ok(()));
    }
}
