//! Packs: sealed blobs, one after the other, and at the end a sealed list of them.

use super::crypto::{OVERHEAD, SealKey};
use super::index::{IndexedBlob, IndexedPack};
use super::{BlobKind, Malformed};
use crate::{Error, Id, buffer};

/// The length of the list, in the last four bytes of a pack.
const TRAILER: usize = 4;
/// The longest list that is read: of half a million blobs.
const LONGEST_LIST: usize = 16 << 20;

/// How long packs become, mostly.
const ROOM: usize = 14 << 20;

/// A pack that is being filled.
#[derive(Debug, Default)]
pub(crate) struct PackBuilder {
    bytes: Vec<u8>,
    blobs: Vec<IndexedBlob>,
}

/// A pack ready for a store.
#[derive(Debug)]
pub(crate) struct Pack {
    pub(crate) bytes: Vec<u8>,
    pub(crate) about: IndexedPack,
}

impl PackBuilder {
    /// Seals a blob onto the end: `content`, compressed if `uncompressed_length` says from how much.
    pub(crate) fn add(
        &mut self,
        key: &SealKey,
        kind: BlobKind,
        id: Id,
        content: &[u8],
        uncompressed_length: Option<u32>,
    ) -> Result<(), Error> {
        self.reserve();
        let begin = self.bytes.len();
        key.seal_onto(content, &mut self.bytes)?;
        self.note(begin, kind, id, uncompressed_length)
    }

    /// Adds a blob that is sealed already.
    pub(crate) fn add_sealed(
        &mut self,
        kind: BlobKind,
        id: Id,
        sealed: &[u8],
        uncompressed_length: Option<u32>,
    ) -> Result<(), Error> {
        self.reserve();
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(sealed);
        self.note(begin, kind, id, uncompressed_length)
    }

    /// Lists what lies from `begin` to the end.
    fn note(
        &mut self,
        begin: usize,
        kind: BlobKind,
        id: Id,
        uncompressed_length: Option<u32>,
    ) -> Result<(), Error> {
        let too_large = |_| Error::Internal { problem: "a pack has outgrown 4 GiB".to_owned() };
        let offset = u32::try_from(begin).map_err(too_large)?;
        let end = u32::try_from(self.bytes.len()).map_err(too_large)?;
        self.blobs.push(IndexedBlob { id, kind, offset, length: end - offset, uncompressed_length });
        Ok(())
    }

    /// Room for a whole pack at once: memory that is not written to is not taken, and growing would move all that is.
    fn reserve(&mut self) {
        if self.bytes.capacity() == 0 {
            self.bytes = buffer::with_room(ROOM);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    /// Puts the list at the end.
    pub(crate) fn finish(mut self, key: &SealKey) -> Result<Pack, Error> {
        let list = encode_list(&self.blobs);
        let before = self.bytes.len();
        key.seal_onto(&list, &mut self.bytes)?;
        let length = u32::try_from(self.bytes.len() - before)
            .map_err(|_| Error::Internal { problem: "the list of a pack has outgrown 4 GiB".to_owned() })?;
        self.bytes.extend_from_slice(&length.to_le_bytes());
        let about = IndexedPack { id: Id::of(&self.bytes), blobs: self.blobs };
        Ok(Pack { bytes: self.bytes, about })
    }
}

/// The list of a pack, not sealed.
pub(crate) fn encode_list(blobs: &[IndexedBlob]) -> Vec<u8> {
    blobs.iter().flat_map(encode_entry).collect()
}

/// How long the blobs of an opened list are, if it is one.
#[cfg(feature = "test-util")]
pub(crate) fn body_of(list: &[u8]) -> Option<u64> {
    let mut body = 0_u64;
    let mut rest = list;
    while let Some((kind, after)) = rest.split_first() {
        body += u64::from(u32::from_le_bytes(*after.first_chunk()?));
        rest = after.get(if *kind < 2 { 36 } else { 40 }..)?;
    }
    Some(body)
}

fn encode_entry(blob: &IndexedBlob) -> Vec<u8> {
    let (data, tree) = (0, 1);
    let kind = match blob.kind {
        BlobKind::Data => data,
        BlobKind::Tree => tree,
    };
    let mut entry = Vec::with_capacity(41);
    entry.push(if blob.uncompressed_length.is_some() { kind + 2 } else { kind });
    entry.extend_from_slice(&blob.length.to_le_bytes());
    if let Some(length) = blob.uncompressed_length {
        entry.extend_from_slice(&length.to_le_bytes());
    }
    entry.extend_from_slice(blob.id.as_bytes());
    entry
}

/// How many bytes at the end of a pack its list takes, given the last four bytes and the size of the pack.
pub(crate) fn list_length(trailer: [u8; TRAILER], pack_size: u64) -> Result<usize, Malformed> {
    let length = u32::from_le_bytes(trailer) as usize;
    if !(OVERHEAD..=LONGEST_LIST).contains(&length) || (length + TRAILER) as u64 > pack_size {
        return Err(Malformed::new(format!(
            "its last four bytes say that its list has {length} bytes, which cannot be"
        )));
    }
    Ok(length + TRAILER)
}

/// Reads the list of blobs at the end of a pack. `end` are its last bytes, at least as many as [`list_length`] says.
pub(crate) fn read_list(key: &SealKey, end: &[u8], pack_size: u64) -> Result<Vec<IndexedBlob>, Malformed> {
    let trailer = *end.last_chunk().ok_or_else(|| Malformed::new("it is shorter than a pack can be"))?;
    let length = list_length(trailer, pack_size)?;
    let begin = end.len().checked_sub(length).ok_or_else(|| Malformed::new("its list is cut off"))?;
    let sealed = end.get(begin..end.len().saturating_sub(TRAILER)).unwrap_or_default();
    let mut list = Vec::new();
    if !key.open(sealed, &mut list) {
        return Err(Malformed::new("the MAC of its list does not fit"));
    }
    decode_list(&list, pack_size.saturating_sub(length as u64))
}

/// Reads an opened list. The blobs must fill the `body` bytes before it.
pub(crate) fn decode_list(mut list: &[u8], body: u64) -> Result<Vec<IndexedBlob>, Malformed> {
    let cut = || Malformed::new("the last entry of its list is cut off");
    let mut blobs = Vec::with_capacity(list.len() / 37);
    let mut offset = 0_u32;
    while let Some((&kind, rest)) = list.split_first() {
        let (length, mut rest) = rest.split_first_chunk().ok_or_else(cut)?;
        let length = u32::from_le_bytes(*length);
        let (kind, compressed) = match kind {
            0 => (BlobKind::Data, false),
            1 => (BlobKind::Tree, false),
            2 => (BlobKind::Data, true),
            3 => (BlobKind::Tree, true),
            other => return Err(Malformed::new(format!("its list has an entry of unknown type {other}"))),
        };
        let mut uncompressed_length = None;
        if compressed {
            let (length, after) = rest.split_first_chunk().ok_or_else(cut)?;
            uncompressed_length = Some(u32::from_le_bytes(*length));
            rest = after;
        }
        let (hash, rest) = rest.split_first_chunk().ok_or_else(cut)?;
        blobs.push(IndexedBlob { id: Id::new(*hash), kind, offset, length, uncompressed_length });
        offset = offset
            .checked_add(length)
            .ok_or_else(|| Malformed::new("the blobs of its list are longer than 4 GiB"))?;
        list = rest;
    }
    if u64::from(offset) == body {
        return Ok(blobs);
    }
    Err(Malformed::new(format!("its list has {offset} bytes of blobs, where {body} are")))
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_a_pack_is_what_was_put_in() {
        let key = SealKey::random().expect("random");
        let mut builder = PackBuilder::default();
        for (number, uncompressed) in [(1_u8, None), (2, Some(700)), (3, None)] {
            let content = vec![number; usize::from(number) * 100];
            builder.add(&key, BlobKind::Data, Id::of(&content), &content, uncompressed).expect("added");
        }
        let pack = builder.finish(&key).expect("finished");
        let size = pack.bytes.len() as u64;
        assert_eq!(read_list(&key, &pack.bytes, size), Ok(pack.about.blobs.clone()));
        let last = &pack.bytes[pack.bytes.len() - 200..];
        assert_eq!(read_list(&key, last, size), Ok(pack.about.blobs));

        assert!(read_list(&key, &pack.bytes[1..], size - 1).is_err());
        assert!(read_list(&key, &pack.bytes[..pack.bytes.len() - 1], size - 1).is_err());
        assert!(read_list(&key, &[], 0).is_err());
        assert!(read_list(&key, &[255; 4], 4).is_err());
    }
}
