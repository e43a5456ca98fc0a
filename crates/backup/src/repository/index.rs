//! Where every blob is.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;

use super::objects::Objects;
use crate::format::BlobKind;
use crate::format::index::{IndexFile, IndexedBlob, IndexedPack};
use crate::store::Listed;
use crate::{Error, Id, Object, ObjectKind, threads};

/// Where a blob is: some 48 bytes a blob, with its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// How long each pack is that the store has.
pub(crate) type PackSizes = HashMap<Id, u64>;

/// What packs the store has.
pub(crate) fn pack_sizes(objects: &Objects) -> Result<PackSizes, Error> {
    Ok(objects.list(ObjectKind::Pack)?.iter().map(|listed| (listed.object.id(), listed.size)).collect())
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
    /// Reads all index objects. Of packs that `present` leaves out, or that are shorter there than they were, nothing is taken: what they
    /// held is not there.
    pub(crate) fn load(objects: &Objects, present: Option<&PackSizes>) -> Result<Self, Error> {
        let (index, mut damaged) = Self::load_whole_ones(objects, present)?;
        damaged.pop().map_or(Ok(index), |(_, error)| Err(error))
    }

    /// Reads the index objects that can be read, and tells of the others.
    pub(crate) fn load_whole_ones(
        objects: &Objects,
        present: Option<&PackSizes>,
    ) -> Result<(Self, Vec<(Object, Error)>), Error> {
        let mut index = Self::default();
        let mut damaged = Vec::new();
        let mut numbers = HashMap::new();
        let there = |pack: &IndexedPack| {
            present.is_none_or(|present| present.get(&pack.id).is_some_and(|size| *size >= pack.size()))
        };
        read_all(objects, |object, read| {
            let file = match read {
                Ok(file) => file,
                Err(error) => {
                    damaged.push((object, error));
                    return Ok(());
                }
            };
            index.files.push(object.id());
            for pack in file.packs {
                if !there(&pack) {
                    continue;
                }
                match numbers.entry(pack.id) {
                    Entry::Vacant(entry) => {
                        entry.insert(index.add(&pack)?);
                    }
                    Entry::Occupied(entry) => index.add_again(*entry.get(), &pack),
                }
            }
            Ok(())
        })?;
        Ok((index, damaged))
    }

    /// That nobody has pruned since it was loaded: that replaces index objects before it removes packs.
    pub(crate) fn require_current(&self, objects: &Objects) -> Result<(), Error> {
        let there: HashSet<Id> =
            objects.list(ObjectKind::Index)?.into_iter().map(|listed| listed.object.id()).collect();
        match self.files.iter().find(|file| !there.contains(file)) {
            None => Ok(()),
            Some(gone) => Err(Error::LockLost {
                place: objects.place(),
                problem: format!("somebody has removed `{}`", Object::new(ObjectKind::Index, *gone)),
            }),
        }
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

    /// Adds what is said of a pack that was added before. After a prune that was cut short, an old index and the new one say the same. If
    /// they do not, one of them is wrong, and which it is shows when a blob is opened.
    pub(crate) fn add_again(&mut self, number: u32, pack: &IndexedPack) {
        for blob in &pack.blobs {
            let location = Location::new(number, blob);
            match self.find(blob.kind, &blob.id) {
                Some(known) if known == location => {}
                Some(_) if self.elsewhere(blob.kind, &blob.id).any(|known| known == location) => {}
                Some(_) => self.again.push((blob.kind, blob.id, location)),
                None => drop(self.of_mut(blob.kind).insert(blob.id, location)),
            }
        }
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

    /// Blobs that are in several places, each in every one of them.
    pub(crate) fn in_several_places(&self) -> HashSet<(BlobKind, Id, Location)> {
        let first = |(kind, id, _): &(BlobKind, Id, Location)| Some((*kind, *id, self.find(*kind, id)?));
        self.again.iter().copied().chain(self.again.iter().filter_map(first)).collect()
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

/// Reads all index objects, some at a time, and gives them to `take` in their order: the object, or that it is damaged or gone.
pub(crate) fn read_all(
    objects: &Objects,
    mut take: impl FnMut(Object, Result<IndexFile, Error>) -> Result<(), Error>,
) -> Result<(), Error> {
    for some in objects.list(ObjectKind::Index)?.chunks(threads::count()) {
        let read = std::thread::scope(|scope| {
            let read = |listed: &Listed| {
                let object = listed.object;
                scope.spawn(move || match objects.load(object) {
                    Err(error @ (Error::Damaged { .. } | Error::Missing { .. })) => Ok((object, Err(error))),
                    read => read.map(|file| (object, Ok(file))),
                })
            };
            let readers: Vec<_> = some.iter().map(read).collect();
            readers.into_iter().map(threads::join).collect::<Result<Vec<_>, Error>>()
        })?;
        for (object, file) in read {
            take(object, file)?;
        }
    }
    Ok(())
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
    bytes: u64,
}

/// How many blobs an index object has at most, and a little more: some 3 MiB before compression.
const FULL: usize = 20_000;
/// How many bytes of packs it has at most: so much may be stored again after a run that was killed.
const FULL_BYTES: u64 = 1 << 30;

impl IndexWriter {
    /// Notes a pack that is in the store, and writes an object when there are enough.
    pub(crate) fn add(&mut self, objects: &Objects, pack: IndexedPack) -> Result<Option<Object>, Error> {
        self.blobs += pack.blobs.len();
        self.bytes += pack.size();
        self.pending.packs.push(pack);
        let full = self.blobs >= FULL || self.bytes >= FULL_BYTES;
        if full { self.flush(objects) } else { Ok(None) }
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
