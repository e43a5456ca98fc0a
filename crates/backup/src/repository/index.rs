//! Where every blob is.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;

use super::objects::Objects;
use crate::format::BlobKind;
use crate::format::index::{IndexFile, IndexedBlob, IndexedPack};
use crate::{Error, Id, Object, ObjectKind};

/// Where a blob is: some 48 bytes a blob, with its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Location {
    /// Which pack, of [`Index::pack`].
    pub(crate) pack: u32,
    pub(crate) offset: u32,
    /// Sealed.
    pub(crate) length: u32,
    uncompressed: Option<NonZeroU32>,
}

impl Location {
    /// Of a blob, in the pack of this number.
    pub(crate) fn new(pack: u32, blob: &IndexedBlob) -> Self {
        let uncompressed = blob.uncompressed_length.and_then(NonZeroU32::new);
        Self { pack, offset: blob.offset, length: blob.length, uncompressed }
    }

    /// The length of the blob itself.
    pub(crate) fn uncompressed(&self) -> Option<u32> {
        self.uncompressed.map(NonZeroU32::get)
    }

    /// How many bytes of content it has.
    pub(crate) fn content_length(&self) -> u64 {
        let overhead = u32::try_from(crate::format::crypto::OVERHEAD).unwrap_or_default();
        self.uncompressed().unwrap_or(self.length.saturating_sub(overhead)).into()
    }

    pub(crate) fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.length)
    }
}

/// The blobs of a repository, from all its index objects.
#[derive(Debug, Default)]
pub(crate) struct Index {
    packs: Vec<Id>,
    data: HashMap<Id, Location>,
    trees: HashMap<Id, Location>,
    /// Blobs that are in a second place, or a third.
    again: Vec<(BlobKind, Id, Location)>,
    /// The index objects that this was read from.
    files: Vec<Id>,
}

impl Index {
    /// Reads all index objects. Of packs that `present` leaves out nothing is taken: what they held is not there.
    pub(crate) fn load(objects: &Objects, present: Option<&HashSet<Id>>) -> Result<Self, Error> {
        let mut index = Self::default();
        let mut seen = HashSet::new();
        for listed in objects.list(ObjectKind::Index)? {
            let file: IndexFile = objects.load(listed.object)?;
            index.files.push(listed.object.id());
            for pack in file.packs {
                // After a prune that was cut short, an old index and the new one name the same packs.
                if present.is_none_or(|present| present.contains(&pack.id)) && seen.insert(pack.id) {
                    index.add(&pack)?;
                }
            }
        }
        Ok(index)
    }

    /// Adds a pack. Its number.
    pub(crate) fn add(&mut self, pack: &IndexedPack) -> Result<u32, Error> {
        let number = u32::try_from(self.packs.len())
            .map_err(|_| Error::Internal { problem: "there are more than 4 billion packs".to_owned() })?;
        self.packs.push(pack.id);
        for blob in &pack.blobs {
            let location = Location::new(number, blob);
            if let Some(before) = self.of_mut(blob.kind).insert(blob.id, location) {
                self.again.push((blob.kind, blob.id, before));
            }
        }
        Ok(number)
    }

    pub(crate) fn find(&self, kind: BlobKind, id: &Id) -> Option<Location> {
        self.of(kind).get(id).copied()
    }

    pub(crate) fn contains(&self, kind: BlobKind, id: &Id) -> bool {
        self.of(kind).contains_key(id)
    }

    /// The name of a pack.
    pub(crate) fn pack(&self, number: u32) -> Option<Id> {
        self.packs.get(number as usize).copied()
    }

    /// The index objects that it was read from.
    pub(crate) fn files(&self) -> &[Id] {
        &self.files
    }

    /// Where else a blob is.
    pub(crate) fn elsewhere(&self, kind: BlobKind, id: &Id) -> impl Iterator<Item = Location> {
        self.again.iter().filter(move |(k, i, _)| (*k, i) == (kind, id)).map(|(_, _, location)| *location)
    }

    /// All blobs, each in every place where it is.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = (BlobKind, Id, Location)> {
        let of = |kind, map: &'_ HashMap<Id, Location>| {
            map.iter().map(move |(id, location)| (kind, *id, *location)).collect::<Vec<_>>()
        };
        of(BlobKind::Data, &self.data)
            .into_iter()
            .chain(of(BlobKind::Tree, &self.trees))
            .chain(self.again.iter().copied())
    }

    fn of(&self, kind: BlobKind) -> &HashMap<Id, Location> {
        match kind {
            BlobKind::Data => &self.data,
            BlobKind::Tree => &self.trees,
        }
    }

    fn of_mut(&mut self, kind: BlobKind) -> &mut HashMap<Id, Location> {
        match kind {
            BlobKind::Data => &mut self.data,
            BlobKind::Tree => &mut self.trees,
        }
    }
}

/// An index entry as a location's blob, for writing indexes anew.
pub(crate) fn indexed(kind: BlobKind, id: Id, location: &Location) -> IndexedBlob {
    let (offset, length) = (location.offset, location.length);
    IndexedBlob { id, kind, offset, length, uncompressed_length: location.uncompressed() }
}

/// Index objects that are being written.
#[derive(Debug, Default)]
pub(crate) struct IndexWriter {
    pending: IndexFile,
    blobs: usize,
}

/// How many blobs an index object has at most, and a little more: some 5 MiB before compression.
const FULL: usize = 40_000;

impl IndexWriter {
    /// Notes a pack that is in the store, and writes an object when there are enough.
    pub(crate) fn add(&mut self, objects: &Objects, pack: IndexedPack) -> Result<Option<Object>, Error> {
        self.blobs += pack.blobs.len();
        self.pending.packs.push(pack);
        if self.blobs >= FULL { self.flush(objects) } else { Ok(None) }
    }

    /// Writes what is left. The object, if there was anything.
    pub(crate) fn flush(&mut self, objects: &Objects) -> Result<Option<Object>, Error> {
        if self.pending.packs.is_empty() {
            return Ok(None);
        }
        let id = objects.save(ObjectKind::Index, &self.pending)?;
        *self = Self::default();
        Ok(Some(Object::new(ObjectKind::Index, id)))
    }
}
