//! One group of entries: a header, the entries, and the chain up to them.

use super::header::check;
use crate::Error;
use crate::merkle::Hash;
use crate::wire::Reader;

/// The length of a frame's header.
pub(crate) const FRAME_HEADER: usize = 32;
/// No frame has more bytes of entries.
pub(crate) const LONGEST_FRAME: usize = 16 << 20;

/// What stands before the entries of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Bytes of its entries, with the length before each.
    pub(crate) length: usize,
    /// How many entries.
    pub(crate) count: usize,
    /// The sequence of the first.
    pub(crate) first: u64,
}

impl FrameHeader {
    /// The marker, which is another for each segment, comes first.
    pub(crate) fn encode(&self, marker: [u8; 8]) -> [u8; FRAME_HEADER] {
        let length = u32::try_from(self.length).unwrap_or(u32::MAX);
        let count = u32::try_from(self.count).unwrap_or(u32::MAX);
        let body =
            [&marker[..], &length.to_be_bytes(), &count.to_be_bytes(), &self.first.to_be_bytes()].concat();
        let mut bytes = [0; FRAME_HEADER];
        bytes.iter_mut().zip(body.iter().chain(&check(&body))).for_each(|(to, from)| *to = *from);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; FRAME_HEADER], marker: [u8; 8]) -> Result<Self, Error> {
        let mut from = Reader::new(bytes);
        let body = Reader::new(bytes).take(FRAME_HEADER - 8)?;
        let found: [u8; 8] = from.array()?;
        let (length, count, first) = (from.u32()?, from.u32()?, from.u64()?);
        if found != marker || from.array()? != check(body) {
            return Err(Error::malformed("no frame begins where one should"));
        }
        let size = |value| usize::try_from(value).unwrap_or(usize::MAX);
        let header = Self { length: size(length), count: size(count), first };
        if header.count == 0 || header.length > LONGEST_FRAME || header.count > header.length / 4 {
            return Err(Error::malformed("a frame has no entries, or is over 16 MiB"));
        }
        Ok(header)
    }
}

/// The chain after a frame: what came before, the frame's header and the hashes of its entries.
pub(crate) fn chained(chain: &Hash, header: &[u8; FRAME_HEADER], leaves: &[Hash]) -> Hash {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(&[2]);
    context.update(&chain.0);
    context.update(header);
    for leaf in leaves {
        context.update(&leaf.0);
    }
    let mut hash = Hash::default();
    hash.0.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

/// Finishes a frame in place: `bytes` has room for the header and then the entries. Answers the chain after it.
pub(crate) fn build(bytes: &mut Vec<u8>, first: u64, leaves: &[Hash], marker: [u8; 8], chain: &Hash) -> Hash {
    let length = bytes.len().saturating_sub(FRAME_HEADER);
    let header = FrameHeader { length, count: leaves.len(), first }.encode(marker);
    bytes.iter_mut().zip(header).for_each(|(to, from)| *to = from);
    let chain = chained(chain, &header, leaves);
    bytes.extend_from_slice(&chain.0);
    chain
}
