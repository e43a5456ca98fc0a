//! Reading blobs.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::index::{Index, Location};
use super::objects::{Objects, or_again};
use crate::format::tree::Tree;
use crate::format::zstandard::Decompressor;
use crate::format::{BlobKind, Malformed};
use crate::{Error, Id, Object, ObjectKind};

/// Opens sealed blobs. One for each thread, as it keeps what decompression needs, and the blob that it has opened last.
pub(crate) struct Opener<'a> {
    objects: &'a Objects,
    index: &'a Index,
    decompressor: Decompressor,
    compressed: Vec<u8>,
    opened: Vec<u8>,
}

impl<'a> Opener<'a> {
    pub(crate) fn new(objects: &'a Objects, index: &'a Index) -> Result<Self, Error> {
        let decompressor = Decompressor::new()?;
        Ok(Self { objects, index, decompressor, compressed: Vec::new(), opened: Vec::new() })
    }

    /// The blob in its sealed bytes, if it is the one of this name.
    pub(crate) fn open(&mut self, id: &Id, location: &Location, sealed: &[u8]) -> Result<&[u8], Error> {
        match self.try_open(id, location, sealed) {
            Ok(()) => Ok(&self.opened),
            Err(problem) => Err(self.objects.damaged(self.name(id, location), problem)),
        }
    }

    fn try_open(&mut self, id: &Id, location: &Location, sealed: &[u8]) -> Result<(), String> {
        let compressed = location.uncompressed();
        let to = if compressed.is_some() { &mut self.compressed } else { &mut self.opened };
        if !self.objects.key.open(sealed, to) {
            return Err("its MAC does not fit".to_owned());
        }
        if let Some(length) = compressed {
            self.decompressor
                .exact(&self.compressed, length as usize, &mut self.opened)
                .map_err(|malformed| malformed.to_string())?;
        }
        if Id::of(&self.opened) == *id {
            Ok(())
        } else {
            Err("it is another blob than its name says".to_owned())
        }
    }

    /// Reads and opens one blob.
    pub(crate) fn read(&mut self, kind: BlobKind, id: &Id) -> Result<&[u8], Error> {
        let missing = || self.objects.damaged(format!("blob {id}"), "no index knows it");
        let location = self.index.find(kind, id).ok_or_else(missing)?;
        let mut read = or_again(|| self.read_at(id, &location));
        // A second copy is worth more than an error, and the first error more than others.
        for other in self.index.elsewhere(kind, id) {
            if read.is_ok() {
                break;
            }
            read = self.read_at(id, &other).or(read);
        }
        read.map(|()| self.opened.as_slice())
    }

    fn read_at(&mut self, id: &Id, location: &Location) -> Result<(), Error> {
        let range = u64::from(location.offset)..location.end();
        let sealed = self.objects.get(self.pack(location)?, Some(range))?;
        self.open(id, location, &sealed).map(drop)
    }

    /// Reads the part of a pack in which these blobs lie, which are in its order.
    pub(crate) fn read_part<'l>(
        &self,
        mut locations: impl DoubleEndedIterator<Item = &'l Location>,
    ) -> Result<Part, Error> {
        let Some(first) = locations.next() else { return Ok(Part::default()) };
        let begin = u64::from(first.offset);
        let end = locations.next_back().unwrap_or(first).end();
        match self.objects.get(self.pack(first)?, Some(begin..end)) {
            Err(Error::Stopped) => Err(Error::Stopped),
            // Each blob is tried alone then, and if it cannot be read, the reason is told.
            read => Ok(Part::new(begin, read.unwrap_or_default())),
        }
    }

    /// The blob of this name, from a part that was read; or else alone, or from where else it is.
    pub(crate) fn open_in(
        &mut self,
        part: &Part,
        kind: BlobKind,
        id: &Id,
        location: &Location,
    ) -> Result<&[u8], Error> {
        if self.open(id, location, part.sealed(location)).is_ok() {
            return Ok(&self.opened);
        }
        self.read(kind, id)
    }

    pub(crate) fn pack(&self, location: &Location) -> Result<Object, Error> {
        let id = self.index.pack(location.pack);
        let id = id.ok_or_else(|| Error::Internal { problem: "a blob is in no pack".to_owned() })?;
        Ok(Object::new(ObjectKind::Pack, id))
    }

    fn name(&self, id: &Id, location: &Location) -> String {
        let pack = self.pack(location).map(|pack| pack.path()).unwrap_or_default();
        format!("{pack}, blob {} at byte {}", id.short(), location.offset)
    }
}

/// A part of a pack; nothing if it could not be read.
#[derive(Clone, Default)]
pub(crate) struct Part {
    begin: u64,
    bytes: Bytes,
}

impl Part {
    /// These bytes, which begin there in the pack.
    pub(crate) fn new(begin: u64, bytes: Bytes) -> Self {
        Self { begin, bytes }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The sealed bytes of a blob; nothing if not all of them are in this part.
    pub(crate) fn sealed(&self, location: &Location) -> &[u8] {
        let begin = u64::from(location.offset).checked_sub(self.begin);
        let begin = begin.and_then(|begin| usize::try_from(begin).ok());
        let sealed = begin.and_then(|begin| self.bytes.get(begin..)?.get(..location.length as usize));
        sealed.unwrap_or_default()
    }
}

/// What lies between two blobs is read with them when it is shorter: another request takes longer.
const GAP: u64 = 256 << 10;
/// The most that is read at a time, unless one blob is longer: as much memory, for each thread.
const LONGEST_READ: u64 = 4 << 20;

/// Pieces of packs that are read together: of one pack, and near each other. They are in the order of packs.
pub(crate) fn reads<T>(pieces: &[T], location: impl Fn(&T) -> Location) -> Vec<&[T]> {
    let mut reads = Vec::new();
    for pack in pieces.chunk_by(|a, b| location(a).pack == location(b).pack) {
        let mut rest = pack;
        while let Some(first) = rest.first().map(&location) {
            let begin = u64::from(first.offset);
            let mut end = first.end();
            let together = rest.iter().map(&location).take_while(|next| {
                let near = u64::from(next.offset) <= end + GAP;
                let fits = next.end() - begin <= LONGEST_READ || u64::from(next.offset) == begin;
                end = end.max(next.end());
                near && fits
            });
            let (read, after) = rest.split_at(together.count());
            reads.push(read);
            rest = after;
        }
    }
    reads
}

/// Reads trees. Those of a folder and of the folders in it lie together, so a pack is read once for many.
pub(crate) struct Trees<'a> {
    objects: &'a Objects,
    index: &'a Index,
    cache: Mutex<VecDeque<(u32, Part)>>,
    openers: Mutex<Vec<Opener<'a>>>,
}

/// How many packs of trees are kept in memory.
const CACHED: usize = 2;
/// The largest pack that is read whole for the sake of one tree.
const LARGEST_CACHED: u64 = 32 << 20;

impl<'a> Trees<'a> {
    pub(crate) fn new(objects: &'a Objects, index: &'a Index) -> Self {
        Self { objects, index, cache: Mutex::default(), openers: Mutex::default() }
    }

    /// The tree of this name.
    pub(crate) fn read(&self, id: &Id) -> Result<Tree, Error> {
        self.decode(id, Tree::decode)
    }

    /// What `decode` makes of the bytes of the tree of this name.
    pub(crate) fn decode<T>(
        &self,
        id: &Id,
        decode: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, Error> {
        let opener = self.openers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut opener = opener.map_or_else(|| Opener::new(self.objects, self.index), Ok)?;
        let malformed = |malformed| self.objects.malformed(format!("tree {id}"), &malformed);
        let tree = self.open(&mut opener, id).and_then(|bytes| decode(bytes).map_err(malformed));
        self.openers.lock().unwrap_or_else(PoisonError::into_inner).push(opener);
        tree
    }

    fn open<'o>(&self, opener: &'o mut Opener<'a>, id: &Id) -> Result<&'o [u8], Error> {
        if let Some(location) = self.index.find(BlobKind::Tree, id)
            && let Some(pack) = self.whole_pack(opener, &location)
        {
            return opener.open_in(&pack, BlobKind::Tree, id, &location);
        }
        opener.read(BlobKind::Tree, id)
    }

    /// The pack of a tree; none if it cannot be read whole, or is too long for that. The tree is read alone then, which tells what is wrong.
    fn whole_pack(&self, opener: &Opener<'a>, location: &Location) -> Option<Part> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, whole)) = cache.iter().find(|(pack, _)| *pack == location.pack) {
            return Some(whole.clone());
        }
        if location.end() > LARGEST_CACHED {
            return None;
        }
        let whole = Part::new(0, self.objects.get(opener.pack(location).ok()?, None).ok()?);
        cache.truncate(CACHED - 1);
        cache.push_front((location.pack, whole.clone()));
        Some(whole)
    }
}
