//! The index, from what is there.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use super::RepairIndexReport;
use crate::format::index::{IndexFile, IndexedBlob, IndexedPack};
use crate::format::pack::{self, PackBuilder};
use crate::repository::backup::packer::{PACK_SIZE, Uploads};
use crate::repository::blobs::{Opener, Part};
use crate::repository::index::{Index, IndexWriter, Location};
use crate::repository::lock::Lock;
use crate::repository::objects::{Objects, or_again};
use crate::{Error, Failure, Id, Object, ObjectKind};

pub(super) fn repair(objects: &Objects, read_data: bool) -> Result<RepairIndexReport, Error> {
    let lock = Lock::take(objects, true)?;
    let mut report = RepairIndexReport::default();
    let old: Vec<Object> = objects.list(ObjectKind::Index)?.iter().map(|listed| listed.object).collect();
    let known = known(objects, &lock, &old, &mut report)?;
    let sizes: BTreeMap<Id, u64> =
        objects.list(ObjectKind::Pack)?.iter().map(|listed| (listed.object.id(), listed.size)).collect();
    report.packs_gone = known.keys().filter(|pack| !sizes.contains_key(pack)).count() as u64;

    let (uploads, builder, replaced) = (Uploads::new(objects), PackBuilder::default(), Vec::new());
    let mut repair = Repair { objects, report, uploads, builder, replaced };
    let mut whole = Vec::new();
    for (id, size) in sizes {
        lock.keep()?;
        whole.extend(repair.pack(id, size, known.get(&id), read_data)?);
    }
    let Repair { mut report, uploads, replaced, .. } = repair;
    report.repaired =
        report.indexes_damaged > 0 || report.packs_gone > 0 || report.packs_found > 0 || !replaced.is_empty();
    if !report.repaired {
        return Ok(report);
    }
    // The index of what was saved, then of all else; only then the old ones go, and what was replaced.
    uploads.finish()?;
    let mut writer = IndexWriter::default();
    for pack in whole {
        lock.keep()?;
        writer.add(objects, pack)?;
    }
    writer.flush(objects)?;
    lock.confirm()?;
    old.into_iter().chain(replaced).try_for_each(|object| objects.delete(object))?;
    Ok(report)
}

/// What the indexes that can be read say of a pack.
struct Known {
    /// All that any of them says.
    blobs: Vec<IndexedBlob>,
    /// Whether another says something else.
    disputed: bool,
}

impl Known {
    fn add(&mut self, blobs: Vec<IndexedBlob>) {
        if self.blobs != blobs {
            self.disputed = true;
            let new = blobs.into_iter().filter(|blob| !self.blobs.contains(blob)).collect::<Vec<_>>();
            self.blobs.extend(new);
        }
    }
}

/// What the indexes that can be read say.
fn known(
    objects: &Objects,
    lock: &Lock,
    indexes: &[Object],
    report: &mut RepairIndexReport,
) -> Result<HashMap<Id, Known>, Error> {
    let mut known: HashMap<Id, Known> = HashMap::new();
    for object in indexes {
        lock.keep()?;
        match objects.load::<IndexFile>(*object) {
            Ok(file) => {
                for mut pack in file.packs {
                    pack.blobs.sort_by_key(|blob| blob.offset);
                    match known.entry(pack.id) {
                        Entry::Vacant(entry) => {
                            entry.insert(Known { blobs: pack.blobs, disputed: false });
                        }
                        Entry::Occupied(mut entry) => entry.get_mut().add(pack.blobs),
                    }
                }
            }
            Err(Error::Damaged { .. } | Error::Missing { .. }) => report.indexes_damaged += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(known)
}

struct Repair<'a> {
    objects: &'a Objects,
    report: RepairIndexReport,
    uploads: Uploads,
    /// Where what is whole of damaged packs goes.
    builder: PackBuilder,
    /// Damaged packs of which all that is whole is in new ones.
    replaced: Vec<Object>,
}

impl Repair<'_> {
    /// The pack as an index should have it; none if it is damaged.
    fn pack(
        &mut self,
        id: Id,
        size: u64,
        known: Option<&Known>,
        read_data: bool,
    ) -> Result<Option<IndexedPack>, Error> {
        if let Some(known) = known.filter(|known| !known.disputed && !read_data) {
            let pack = IndexedPack { id, blobs: known.blobs.clone() };
            if pack.size() == size {
                return Ok(Some(pack));
            }
        }
        let object = Object::new(ObjectKind::Pack, id);
        match or_again(|| self.own_list(object, size)) {
            Ok(blobs) if !read_data || self.is_whole(object)? => {
                if known.is_none_or(|known| known.disputed || known.blobs != blobs) {
                    self.report.packs_found += 1;
                }
                Ok(Some(IndexedPack { id, blobs }))
            }
            Ok(blobs) => {
                let error = self.objects.damaged(object, "its content is not that of its name");
                self.replace(object, &blobs, &error)?;
                Ok(None)
            }
            Err(error @ (Error::Damaged { .. } | Error::Missing { .. })) => {
                match known {
                    Some(known) => self.replace(object, &known.blobs, &error)?,
                    None => self.report.packs_damaged.push(Failure::new(object.path(), &error)),
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn is_whole(&self, object: Object) -> Result<bool, Error> {
        match self.objects.get_whole(object) {
            Err(Error::Damaged { .. }) => Ok(false),
            read => read.map(|_| true),
        }
    }

    /// The list at the end of the pack.
    fn own_list(&self, object: Object, size: u64) -> Result<Vec<IndexedBlob>, Error> {
        let malformed = |malformed| self.objects.malformed(object, &malformed);
        if size < 4 {
            return Err(self.objects.damaged(object, "it is shorter than a pack can be"));
        }
        let trailer = self.objects.get(object, Some(size.saturating_sub(4)..size))?;
        let trailer = trailer.first_chunk().copied().unwrap_or_default();
        let length = pack::list_length(trailer, size).map_err(malformed)?;
        let end = self.objects.get(object, Some(size.saturating_sub(length as u64)..size))?;
        pack::read_list(&self.objects.key, &end, size).map_err(malformed)
    }

    /// Puts the blobs of a damaged pack that are whole into a new one.
    fn replace(&mut self, object: Object, blobs: &[IndexedBlob], error: &Error) -> Result<(), Error> {
        self.report.packs_damaged.push(Failure::new(object.path(), error));
        self.replaced.push(object);
        let whole = Part::new(0, self.objects.get(object, None)?);
        let mut index = Index::default();
        let number = index.add(&IndexedPack { id: object.id(), blobs: blobs.to_vec() })?;
        let mut opener = Opener::new(self.objects, &index)?;
        for blob in blobs {
            let location = Location::new(number, blob);
            let mut part = whole.clone();
            if opener.open(&blob.id, &location, part.sealed(&location)).is_err() {
                // Alone, since what is not saved here is lost.
                part = opener.read_part(std::iter::once(&location))?;
                if opener.open(&blob.id, &location, part.sealed(&location)).is_err() {
                    self.report.blobs_lost += 1;
                    continue;
                }
            }
            let sealed = part.sealed(&location);
            self.report.blobs_saved += 1;
            self.builder.add_sealed(blob.kind, blob.id, sealed, blob.uncompressed_length)?;
            if self.builder.len() >= PACK_SIZE {
                self.send()?;
            }
        }
        // The blobs of a pack are of one kind, and so they stay.
        self.send()
    }

    fn send(&mut self) -> Result<(), Error> {
        let builder = std::mem::take(&mut self.builder);
        if builder.is_empty() { Ok(()) } else { self.uploads.send(builder.finish(&self.objects.key)?) }
    }
}
