//! The first bytes of a segment, which bind it to the log and to the segment before it.

use std::io::Read;

use crate::Error;
use crate::merkle::Hash;
use crate::wire::{Reader, Writer};

/// The length of a header.
pub(crate) const HEADER: usize = 172;
const MAGIC: &[u8; 16] = b"buttress-audit 1";
const PREVIOUS_FAILED: u32 = 1;

/// What stands at the beginning of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) log: [u8; 16],
    /// From 1, without a gap.
    pub(crate) number: u64,
    /// The sequence of its first entry.
    pub(crate) first: u64,
    /// The wall clock when it was made.
    pub(crate) opened: i64,
    /// How often the log was opened until then. The ticks of entries begin anew with each.
    pub(crate) session: u64,
    /// Stands before each frame; nobody foresees it.
    pub(crate) marker: [u8; 8],
    /// Of the tree of all entries before it.
    pub(crate) root: Hash,
    /// The chain at the end of the segment before it; zeros for the first.
    pub(crate) chain: Hash,
    /// How many bytes of the segment before it count.
    pub(crate) previous_length: u64,
    /// When the entries of the segment before it happened: the earliest and the latest.
    pub(crate) previous_times: (i64, i64),
    /// Whether the segment before it was given up after a write or an fsync failed.
    pub(crate) previous_failed: bool,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER);
        let mut out = Writer::new(&mut bytes);
        out.raw(MAGIC);
        out.raw(&self.log);
        out.u64(self.number);
        out.u64(self.first);
        out.i64(self.opened);
        out.u64(self.session);
        out.raw(&self.marker);
        out.raw(&self.root.0);
        out.raw(&self.chain.0);
        out.u64(self.previous_length);
        out.i64(self.previous_times.0);
        out.i64(self.previous_times.1);
        out.u32(if self.previous_failed { PREVIOUS_FAILED } else { 0 });
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut from = Reader::new(bytes);
        let body = Reader::new(bytes).take(HEADER - 8)?;
        if from.array()? != *MAGIC {
            return Err(Error::malformed("it does not begin as a segment"));
        }
        let header = Self {
            log: from.array()?,
            number: from.u64()?,
            first: from.u64()?,
            opened: from.i64()?,
            session: from.u64()?,
            marker: from.array()?,
            root: Hash(from.array()?),
            chain: Hash(from.array()?),
            previous_length: from.u64()?,
            previous_times: (from.i64()?, from.i64()?),
            previous_failed: match from.u32()? {
                0 => false,
                PREVIOUS_FAILED => true,
                _ => return Err(Error::malformed("its header has flags that are not known")),
            },
        };
        if from.array()? != check(body) {
            return Err(Error::malformed("its header does not have its own sum"));
        }
        from.end()?;
        Ok(header)
    }

    pub(crate) fn read(from: &mut impl Read) -> Result<Self, Error> {
        let mut bytes = [0; HEADER];
        from.read_exact(&mut bytes).map_err(|_| Error::malformed("it is shorter than a header"))?;
        Self::decode(&bytes)
    }

    /// The chain before its first frame.
    pub(crate) fn chain_start(&self) -> Hash {
        Hash::of(&[&[3], &self.encode()])
    }
}

/// The first eight bytes of the SHA-256.
pub(super) fn check(bytes: &[u8]) -> [u8; 8] {
    Hash::of(&[bytes]).start()
}

/// The name of the file of a segment.
pub(crate) fn file_name(number: u64) -> String {
    format!("{number:010}.segment")
}

/// The number in a file's name, if it is the name of a segment.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".segment")?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}
