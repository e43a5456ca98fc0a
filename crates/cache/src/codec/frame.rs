//! The frame around a body: its header, and the checksum.

use std::time::{Duration, SystemTime};

use xxhash_rust::xxh3::Xxh3;

use super::Unreadable;

const MAGIC: [u8; 4] = *b"BTRC";
const VERSION: u8 = 1;
/// Header, without the checksum behind it.
const HEADER: usize = 50;
const CHECKSUM: usize = 8;

pub(super) const NOTHING: u8 = 1;
pub(super) const COMPRESSED: u8 = 2;
pub(super) const SEALED: u8 = 4;
pub(super) const TAGGED: u8 = 8;
/// The lifetime of what is fresh for ever.
pub(super) const FOREVER: u64 = u64::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) flags: u8,
    /// Version, and hash of the name.
    pub(super) schema: (u32, u64),
    pub(super) written: u64,
    pub(super) fresh: u64,
    pub(super) kept: u64,
    pub(super) cost: u32,
    pub(super) length: u32,
}

impl Header {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend(MAGIC);
        bytes.extend([VERSION, self.flags]);
        bytes.extend(self.schema.0.to_le_bytes());
        bytes.extend(self.schema.1.to_le_bytes());
        bytes.extend(self.written.to_le_bytes());
        bytes.extend(self.fresh.to_le_bytes());
        bytes.extend(self.kept.to_le_bytes());
        bytes.extend(self.cost.to_le_bytes());
        bytes.extend(self.length.to_le_bytes());
        bytes
    }

    /// What a seal binds the body to.
    #[cfg(feature = "encrypt")]
    pub(super) fn bound(&self, key: &[u8]) -> Vec<u8> {
        let mut bound = self.bytes();
        bound.extend(key);
        bound
    }

    /// Header, checksum and body.
    pub(super) fn frame(&self, key: &[u8], body: &[u8]) -> Vec<u8> {
        let mut frame = self.bytes();
        frame.reserve_exact(CHECKSUM + body.len());
        let checksum = checksum(&frame, key, body);
        frame.extend(checksum.to_le_bytes());
        frame.extend(body);
        frame
    }

    pub(super) fn parse<'a>(key: &[u8], frame: &'a [u8]) -> Result<(Self, &'a [u8]), Unreadable> {
        let (head, rest) = frame.split_at_checked(HEADER).ok_or(Unreadable::Foreign)?;
        let (told, body) = rest.split_first_chunk().ok_or(Unreadable::Foreign)?;
        let mut reader = Reader(head);
        if reader.take()? != MAGIC {
            return Err(Unreadable::Foreign);
        }
        // What another version means by the rest is not known.
        let [version, flags] = reader.take()?;
        if version != VERSION || flags & !(NOTHING | COMPRESSED | SEALED | TAGGED) != 0 {
            return Err(Unreadable::Version);
        }
        if checksum(head, key, body) != u64::from_le_bytes(*told) {
            return Err(Unreadable::Checksum);
        }
        let header = Self {
            flags,
            schema: (u32::from_le_bytes(reader.take()?), u64::from_le_bytes(reader.take()?)),
            written: u64::from_le_bytes(reader.take()?),
            fresh: u64::from_le_bytes(reader.take()?),
            kept: u64::from_le_bytes(reader.take()?),
            cost: u32::from_le_bytes(reader.take()?),
            length: u32::from_le_bytes(reader.take()?),
        };
        Ok((header, body))
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Unreadable::Foreign)?;
        self.0 = rest;
        Ok(*taken)
    }
}

fn checksum(head: &[u8], key: &[u8], body: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(head);
    // The length keeps key and body apart.
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(body);
    hasher.digest()
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(FOREVER - 1)
}

/// Times before 1970 count as 1970.
pub(super) fn millis_of(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis)
}

/// A time that no clock shows counts as 1970: long ago.
pub(super) fn time_of(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(SystemTime::UNIX_EPOCH)
}
