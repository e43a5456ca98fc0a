//! Reading a segment frame by frame, believing nothing that does not fit what came before.

use std::io::{self, Read};

use super::frame::{FRAME_HEADER, FrameHeader, LONGEST_FRAME, chained};
use super::header::{HEADER, Header};
use crate::Error;
use crate::merkle::{Hash, leaf_hash};
use crate::wire::Reader;

/// A frame that was read and holds.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The sequence of its first entry.
    pub(crate) first: u64,
    /// Its entries, each after its length.
    pub(crate) payload: Vec<u8>,
    pub(crate) leaves: Vec<Hash>,
}

/// What is next in a segment.
#[derive(Debug)]
pub(crate) enum Next {
    Frame(Frame),
    /// It ends after whole frames.
    End,
    /// What follows does not hold.
    Broken(&'static str),
}

/// Reads frames one after the other.
pub(crate) struct Scanner<R> {
    from: R,
    marker: [u8; 8],
    sequence: u64,
    chain: Hash,
    offset: u64,
    end: u64,
}

impl<R: Read> Scanner<R> {
    /// `from` stands after the header. Bytes from `end` on, counted with the header, are not read.
    pub(crate) fn new(from: R, header: &Header, chain: Hash, end: u64) -> Self {
        Self { from, marker: header.marker, sequence: header.first, chain, offset: HEADER as u64, end }
    }

    /// The sequence after the last frame.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The chain after the last frame.
    pub(crate) fn chain(&self) -> Hash {
        self.chain
    }

    /// Where the last frame ends.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads on. After anything but a frame it says the same again or reads nonsense: stop there.
    pub(crate) fn next(&mut self) -> Result<Next, Error> {
        let left = self.end.saturating_sub(self.offset);
        if left == 0 {
            return Ok(Next::End);
        }
        let mut start = [0; FRAME_HEADER];
        if left < FRAME_HEADER as u64 || !fill(&mut self.from, &mut start)? {
            return Ok(Next::Broken("a frame ends before its header does"));
        }
        let Ok(header) = FrameHeader::decode(&start, self.marker) else {
            return Ok(Next::Broken("no frame begins where one should"));
        };
        if header.first != self.sequence {
            return Ok(Next::Broken("a frame has entries with other numbers than come next"));
        }
        let whole = (FRAME_HEADER + header.length + Hash::LENGTH) as u64;
        // Before the memory is asked for: a header that lies gains nothing.
        if whole > left {
            return Ok(Next::Broken("a frame is not whole"));
        }
        let mut payload = vec![0; header.length];
        let mut chain = Hash::default();
        if !fill(&mut self.from, &mut payload)? || !fill(&mut self.from, &mut chain.0)? {
            return Ok(Next::Broken("a frame is not whole"));
        }
        let mut leaves = Vec::with_capacity(header.count);
        for bytes in entries(&payload) {
            match bytes {
                Ok(bytes) => leaves.push(leaf_hash(bytes)),
                Err(_) => return Ok(Next::Broken("the entries of a frame do not fill it")),
            }
        }
        if leaves.len() != header.count {
            return Ok(Next::Broken("a frame has another number of entries than it says"));
        }
        if chained(&self.chain, &start, &leaves) != chain {
            return Ok(Next::Broken("a frame does not have the hash that its entries give"));
        }
        self.chain = chain;
        self.sequence += leaves.len() as u64;
        self.offset += whole;
        Ok(Next::Frame(Frame { first: header.first, payload, leaves }))
    }
}

/// The entries of a frame, without the length before each. Ends after the first error.
pub(crate) fn entries(payload: &[u8]) -> impl Iterator<Item = Result<&[u8], Error>> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut from = Reader::new(rest);
        let taken = from.bytes();
        rest = match &taken {
            Ok(bytes) => rest.get(4 + bytes.len()..).unwrap_or_default(),
            Err(_) => &[],
        };
        Some(taken)
    })
}

/// Whether a frame that begins after entry `sequence` has its header anywhere in `from`.
pub(crate) fn later_frame(mut from: impl Read, marker: [u8; 8], sequence: u64) -> Result<bool, Error> {
    let mut window = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut piece).map_err(|_| Error::malformed("it cannot be read"))?;
        window.extend_from_slice(piece.get(..read).unwrap_or_default());
        for bytes in window.windows(FRAME_HEADER) {
            if let Some(header) = bytes.first_chunk().filter(|_| bytes.starts_with(&marker))
                && FrameHeader::decode(header, marker).is_ok_and(|header| header.first > sequence)
            {
                return Ok(true);
            }
        }
        if read == 0 {
            return Ok(false);
        }
        let keep = window.len().saturating_sub(FRAME_HEADER - 1);
        window.drain(..keep);
    }
}

/// Whether there was enough to read.
fn fill(from: &mut impl Read, to: &mut [u8]) -> Result<bool, Error> {
    debug_assert!(to.len() <= LONGEST_FRAME);
    match from.read_exact(to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(_) => Err(Error::malformed("it cannot be read")),
    }
}
