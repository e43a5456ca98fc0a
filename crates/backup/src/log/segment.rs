//! One object of a log: its header in the clear, its payload compressed and sealed. The layout is in `docs/formats/backup-log.md`.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::id::Id;

/// The largest payload, in bytes.
pub(super) const MAX_PAYLOAD: usize = 32 << 20;
/// The length of a header.
pub(super) const HEADER: usize = 144;
/// What the tag of AES-256-GCM takes.
const TAG: usize = 16;
const MAGIC: [u8; 16] = *b"buttress-log   1";

/// What writes a log, so that another does not continue it. Numbers from 1000 are for sources of your own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind(
    /// The number that stands in each segment.
    pub u32,
);

impl Kind {
    /// The write-ahead log of PostgreSQL: an epoch is a timeline, an offset a place in the log (LSN).
    pub const POSTGRES_WAL: Self = Self(1);
    /// Changed pages of SQLite.
    pub const SQLITE_PAGES: Self = Self(2);
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::POSTGRES_WAL => f.write_str("PostgreSQL's write-ahead log"),
            Self::SQLITE_PAGES => f.write_str("pages of SQLite"),
            Self(other) => write!(f, "kind {other}"),
        }
    }
}

/// A place in what a log is of. Epochs go first: a new one begins where the source's own history forked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Which history: PostgreSQL's timeline.
    pub epoch: u64,
    /// Where in it: PostgreSQL's LSN.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:#x}", self.epoch, self.offset)
    }
}

/// What a source gives to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Which history it belongs to.
    pub epoch: u64,
    /// Where it begins: in the same epoch, where the one before ended; at the begin of another, not behind that.
    pub first: u64,
    /// Where it ends, itself not included.
    pub last: u64,
    /// When it was read: nothing in it happened later.
    pub time: SystemTime,
    /// The bytes, at most 32 MiB.
    pub payload: Bytes,
}

/// A segment as it was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its number, from 1.
    pub sequence: u64,
    /// What wrote it.
    pub kind: Kind,
    /// Where it begins.
    pub first: Position,
    /// Where it ends, itself not included.
    pub last: Position,
    /// When it was read from its source, to the nanosecond.
    pub time: SystemTime,
    /// What the source gave.
    pub payload: Bytes,
    /// The SHA-256 of the object.
    pub hash: Id,
}

impl Segment {
    /// This segment as the end of the log.
    #[must_use]
    pub fn tip(&self) -> Tip {
        Tip { sequence: self.sequence, hash: self.hash, position: self.last, time: self.time }
    }
}

/// How far a log goes: its last segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// The number of the last segment.
    pub sequence: u64,
    /// The SHA-256 of its object, which binds all before it.
    pub hash: Id,
    /// Where it ends.
    pub position: Position,
    /// When it was read from its source.
    pub time: SystemTime,
}

/// What a segment says in the clear. Nothing of it counts until the segment has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub(super) log: [u8; 16],
    pub(super) salt: [u8; 32],
    pub(super) sequence: u64,
    pub(super) epoch: u64,
    pub(super) first: u64,
    pub(super) last: u64,
    /// Nanoseconds since 1970.
    pub(super) time: i64,
    pub(super) previous: Id,
    pub(super) kind: Kind,
    /// Of the payload before it was compressed.
    pub(super) length: u32,
}

impl Header {
    /// Reads the header of an object, and what follows it.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), &'static str> {
        let cut = "it is shorter than a segment's header and tag";
        let (header, sealed) = bytes.split_first_chunk::<HEADER>().ok_or(cut)?;
        if sealed.len() < TAG {
            return Err(cut);
        }
        let mut fields = Fields(header);
        if fields.take::<16>().is_none_or(|magic| magic != MAGIC) {
            return Err("it does not begin as a segment of version 1 does");
        }
        // There is enough for all: HEADER is the sum of their lengths.
        let header = (|| {
            Some(Self {
                log: fields.take()?,
                salt: fields.take()?,
                sequence: fields.u64()?,
                epoch: fields.u64()?,
                first: fields.u64()?,
                last: fields.u64()?,
                time: i64::from_be_bytes(fields.take()?),
                previous: Id::new(fields.take()?),
                kind: Kind(u32::from_be_bytes(fields.take()?)),
                length: u32::from_be_bytes(fields.take()?),
            })
        })();
        let header = header.ok_or(cut)?;
        if header.sequence == 0 {
            return Err("its number is 0; the first is 1");
        }
        if header.last < header.first {
            return Err("it ends before it begins");
        }
        if header.length as usize > MAX_PAYLOAD {
            return Err("it claims a payload of more than 32 MiB");
        }
        Ok((header, sealed))
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.log);
        bytes.extend_from_slice(&self.salt);
        for number in [self.sequence, self.epoch, self.first, self.last] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.time.to_be_bytes());
        bytes.extend_from_slice(self.previous.as_bytes());
        bytes.extend_from_slice(&self.kind.0.to_be_bytes());
        bytes.extend_from_slice(&self.length.to_be_bytes());
        bytes
    }

    pub(super) fn into_segment(self, payload: Bytes, hash: Id) -> Segment {
        Segment {
            sequence: self.sequence,
            kind: self.kind,
            first: Position { epoch: self.epoch, offset: self.first },
            last: Position { epoch: self.epoch, offset: self.last },
            time: from_nanos(self.time),
            payload,
            hash,
        }
    }
}

/// Whether something that begins at `first` may follow what ends at `end`; if not, why.
pub(super) fn follows(end: Position, first: Position) -> Result<(), String> {
    let same = first.epoch == end.epoch && first.offset == end.offset;
    let forked = first.epoch > end.epoch && first.offset <= end.offset;
    if same || forked {
        return Ok(());
    }
    let what =
        if first.epoch < end.epoch || first.offset < end.offset { "goes back" } else { "leaves a gap" };
    Err(format!("it begins at {first}, which {what}: the one before it ends at {end}"))
}

/// The fields of a header or a payload, from the front.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
}

/// Nanoseconds since 1970; a time that does not fit is the nearest that does, in the years 1677 and 2262.
pub(super) fn to_nanos(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

pub(super) fn from_nanos(nanos: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    let time = if nanos < 0 { epoch.checked_sub(distance) } else { epoch.checked_add(distance) };
    time.unwrap_or(epoch)
}
