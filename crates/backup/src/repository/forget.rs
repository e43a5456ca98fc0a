//! Taking away: snapshots, and what only they needed.

use std::collections::{BTreeMap, HashSet};

use super::backup::packer::{PACK_SIZE, Uploads};
use super::blobs::{Opener, Part, Trees};
use super::index::{Index, IndexWriter, Location, indexed, pack_sizes};
use super::lock::Lock;
use super::objects::Objects;
use super::{Repository, browse};
use crate::error::Failure;
use crate::format::BlobKind;
use crate::format::index::IndexedPack;
use crate::format::pack::PackBuilder;
use crate::store::Listed;
use crate::{Error, Id, Object, ObjectKind};

/// What pruning has removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct PruneReport {
    /// Blobs that no snapshot needs, and that are gone.
    pub blobs_removed: u64,
    /// Packs that are gone.
    pub packs_removed: u64,
    /// Packs whose needed blobs were written again, into new ones.
    pub packs_rewritten: u64,
    /// Bytes of packs before.
    pub bytes_before: u64,
    /// Bytes of packs afterwards.
    pub bytes_after: u64,
}

/// How much of the packs may be blobs that nobody needs, before they are written anew: one part of so many.
const UNUSED_PART: u64 = 20;

impl Repository {
    /// Removes snapshots. What only they needed stays until [`prune`](Repository::prune).
    ///
    /// # Errors
    ///
    /// [`Error::Locked`]; what a store answers.
    pub async fn forget(&self, snapshots: &[Id]) -> Result<(), Error> {
        let snapshots = snapshots.to_vec();
        self.run(move |objects| {
            let lock = Lock::take(objects, true)?;
            for id in snapshots {
                lock.keep()?;
                objects.delete(Object::new(ObjectKind::Snapshot, id))?;
            }
            Ok(())
        })
        .await
    }

    /// Removes what no snapshot needs. Up to a twentieth of the needed bytes may stay in packs that are mostly needed.
    ///
    /// Nobody else may use the repository meanwhile. It is safe to kill at any moment: first what is needed is written again, then new
    /// indexes, then the old ones go, then packs.
    ///
    /// Its lock may be taken while it lives: by [`unlock`](Repository::unlock) with `all`, or when it was stopped for half an hour. Then a backup
    /// may come in that relies on what is to go. A prune whose lock is gone when it has removed the old indexes gives way before it removes packs, and
    /// puts back what the indexes said; a backup that sees an index go on which it relied makes no snapshot. Two cases are left. If such a prune is
    /// killed before it could put the indexes back, the snapshot lacks them: all packs are there, and [`repair_index`](Repository::repair_index)
    /// mends it. And restic's `backup` does not look whether its indexes are still there, so beside it nobody may take a lock from the living.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`]; [`Error::Damaged`] or [`Error::Missing`] when a snapshot, an index or a tree cannot be read, as what it needs is not
    /// known then; [`Error::Incomplete`] when something that snapshots need is in no pack that an index knows, as it may be in one of the others.
    /// Nothing was removed then. What a store answers.
    pub async fn prune(&self) -> Result<PruneReport, Error> {
        self.run(prune).await
    }
}

fn prune(objects: &Objects) -> Result<PruneReport, Error> {
    let lock = Lock::take(objects, true)?;
    let sizes = pack_sizes(objects)?;
    let index = Index::load(objects, Some(&sizes))?;
    let used = used(objects, &lock, &index)?;
    let damaged = damaged_copies(objects, &lock, &index, &used)?;
    let plan = Plan::make(&index, &used, &damaged, objects)?;

    let mut report = PruneReport { bytes_before: sizes.values().sum(), ..PruneReport::default() };
    let rewritten = rewrite(objects, &lock, &index, &plan)?;
    report.packs_rewritten = plan.rewrite.len() as u64;
    report.blobs_removed = plan.blobs_removed;

    // From here on the repository is told twice what it has, then once.
    let mut writer = IndexWriter::default();
    let mut new_files = HashSet::new();
    for pack in plan.keep.into_iter().chain(rewritten) {
        lock.keep()?;
        new_files.extend(writer.add(objects, pack)?);
    }
    new_files.extend(writer.flush(objects)?);
    lock.confirm()?;
    let kept: HashSet<Id> = plan.kept;
    let removed = remove_index(objects, &lock, &index, &new_files).and_then(|()| lock.confirm());
    if let Err(error) = removed {
        // Whoever came in meanwhile may rely on what the old indexes said.
        put_back(objects, &index, &kept)?;
        return Err(error);
    }
    // Packs that no index named are left from runs that were cut short. While this lock is held, none of them is alive.
    for pack in sizes.keys().filter(|pack| !kept.contains(pack)) {
        lock.keep()?;
        objects.delete(Object::new(ObjectKind::Pack, *pack))?;
        report.packs_removed += 1;
    }
    report.bytes_after = objects.list(ObjectKind::Pack)?.iter().map(|listed| listed.size).sum();
    Ok(report)
}

/// Removes the index objects that new ones replace.
fn remove_index(objects: &Objects, lock: &Lock, index: &Index, new: &HashSet<Object>) -> Result<(), Error> {
    for file in index.files() {
        lock.keep()?;
        let old = Object::new(ObjectKind::Index, *file);
        if !new.contains(&old) {
            objects.delete(old)?;
        }
    }
    Ok(())
}

/// Says again which packs there are that were to go. Another prune may have removed them meanwhile.
fn put_back(objects: &Objects, index: &Index, kept: &HashSet<Id>) -> Result<(), Error> {
    let there = pack_sizes(objects)?;
    let goes = |pack: &Id| there.contains_key(pack) && !kept.contains(pack);
    let mut packs: BTreeMap<Id, Vec<_>> = BTreeMap::new();
    for (kind, id, location) in index.blobs() {
        if let Some(pack) = index.pack(location.pack).filter(goes) {
            packs.entry(pack).or_default().push(indexed(kind, id, &location));
        }
    }
    let mut writer = IndexWriter::default();
    for (id, mut blobs) in packs {
        blobs.sort_by_key(|blob| blob.offset);
        writer.add(objects, IndexedPack { id, blobs })?;
    }
    writer.flush(objects).map(drop)
}

/// The blobs that snapshots need.
fn used(objects: &Objects, lock: &Lock, index: &Index) -> Result<HashSet<(BlobKind, Id)>, Error> {
    let listed = objects.list(ObjectKind::Snapshot)?;
    let (snapshots, mut damaged) = browse::load_snapshots(objects)?;
    if let Some(error) = damaged.pop() {
        return Err(error);
    }
    // Nobody can have forgotten one since. If it cannot be read now, it may be again.
    let read: HashSet<Id> = snapshots.iter().map(|snapshot| snapshot.id).collect();
    if let Some(Listed { object, .. }) = listed.into_iter().find(|listed| !read.contains(&listed.object.id()))
    {
        return Err(Error::Missing { object, place: objects.place() });
    }
    let trees = Trees::new(objects, index);
    let mut used = HashSet::new();
    let mut open: Vec<Id> = snapshots.iter().map(|snapshot| snapshot.tree).collect();
    while let Some(tree) = open.pop() {
        lock.keep()?;
        if !used.insert((BlobKind::Tree, tree)) {
            continue;
        }
        for node in trees.read(&tree)?.nodes {
            open.extend(node.subtree);
            used.extend(node.blobs().iter().map(|id| (BlobKind::Data, *id)));
        }
    }
    Ok(used)
}

/// Of needed blobs that are in several packs, the copies that cannot be read: the others have to stay.
fn damaged_copies(
    objects: &Objects,
    lock: &Lock,
    index: &Index,
    used: &HashSet<(BlobKind, Id)>,
) -> Result<HashSet<(BlobKind, Id, Location)>, Error> {
    let mut copies: Vec<_> = index.in_several_places().into_iter().collect();
    copies.retain(|(kind, id, _)| used.contains(&(*kind, *id)));
    copies.sort_by_key(|(_, _, location)| *location);
    let mut opener = Opener::new(objects, index)?;
    let mut damaged = HashSet::new();
    for of_a_pack in copies.chunk_by(|(_, _, a), (_, _, b)| a.pack == b.pack) {
        lock.keep()?;
        let Some((_, _, first)) = of_a_pack.first() else { continue };
        let whole = Part::new(0, objects.get(opener.pack(first)?, None)?);
        for (kind, id, location) in of_a_pack {
            if opener.open(id, location, whole.sealed(location)).is_err() {
                damaged.insert((*kind, *id, *location));
            }
        }
    }
    Ok(damaged)
}

/// What becomes of each pack.
#[derive(Default)]
struct Plan {
    /// Packs that stay, as new indexes will have them.
    keep: Vec<IndexedPack>,
    /// Their names.
    kept: HashSet<Id>,
    /// Blobs that are needed, in packs that go.
    rewrite: BTreeMap<u32, Vec<(BlobKind, Id, Location)>>,
    blobs_removed: u64,
}

#[derive(Default)]
struct Content {
    needed: Vec<(BlobKind, Id, Location)>,
    needed_bytes: u64,
    /// Also blobs that another pack has already.
    other: Vec<(BlobKind, Id, Location)>,
    other_bytes: u64,
    /// Whether one of the others cannot be read.
    is_damaged: bool,
}

impl Plan {
    fn make(
        index: &Index,
        used: &HashSet<(BlobKind, Id)>,
        damaged: &HashSet<(BlobKind, Id, Location)>,
        objects: &Objects,
    ) -> Result<Self, Error> {
        let mut packs: BTreeMap<u32, Content> = BTreeMap::new();
        let mut seen = HashSet::new();
        for (kind, id, location) in index.blobs() {
            let content = packs.entry(location.pack).or_default();
            let blob = (kind, id, location);
            // Of a blob that is in several packs one is needed.
            if used.contains(&(kind, id)) && !damaged.contains(&blob) && seen.insert((kind, id)) {
                content.needed_bytes += u64::from(location.length);
                content.needed.push(blob);
            } else {
                content.is_damaged |= damaged.contains(&blob);
                content.other_bytes += u64::from(location.length);
                content.other.push(blob);
            }
        }
        let lost = used.iter().filter(|blob| !seen.contains(blob)).map(|(_, id)| Failure {
            of: format!("blob {}", id.short()),
            problem: "a snapshot needs it, and it is in no pack that an index knows; `check` tells more"
                .to_owned(),
        });
        let failures: Vec<_> = lost.collect();
        if !failures.is_empty() {
            return Err(Error::Incomplete {
                done: format!("nothing was removed from {}", objects.place()),
                failures,
            });
        }
        let all_needed: u64 = packs.values().map(|content| content.needed_bytes).sum();
        let mut plan = Self::default();
        let mut mixed: Vec<(u32, Content)> = Vec::new();
        for (number, content) in packs {
            match (content.needed.is_empty(), content.other.is_empty()) {
                (true, _) => plan.blobs_removed += content.other.len() as u64,
                (false, true) if content.needed_bytes >= SMALL => plan.keep_pack(index, number, &content)?,
                (false, _) => mixed.push((number, content)),
            }
        }
        plan.decide(index, mixed, all_needed / UNUSED_PART)?;
        Ok(plan)
    }

    /// Keeps packs with the least waste and no damage, as long as all of it is within the allowance; and small packs, unless there are some to put together.
    fn decide(&mut self, index: &Index, mut mixed: Vec<(u32, Content)>, allowance: u64) -> Result<(), Error> {
        let small = mixed.iter().filter(|(_, content)| content.needed_bytes < SMALL).count();
        let waste = |content: &Content| {
            content.other_bytes * 1_000 / (content.needed_bytes + content.other_bytes).max(1)
        };
        mixed.sort_by_key(|(_, content)| waste(content));
        let mut wasted = 0;
        for (number, content) in mixed {
            let together = content.needed_bytes < SMALL && small > MANY_SMALL;
            if !together && !content.is_damaged && wasted + content.other_bytes <= allowance {
                wasted += content.other_bytes;
                self.keep_pack(index, number, &content)?;
            } else {
                self.blobs_removed += content.other.len() as u64;
                self.rewrite.insert(number, content.needed);
            }
        }
        Ok(())
    }

    fn keep_pack(&mut self, index: &Index, number: u32, content: &Content) -> Result<(), Error> {
        let id = index.pack(number);
        let id = id.ok_or_else(|| Error::Internal { problem: "a blob is in no pack".to_owned() })?;
        let all = content.needed.iter().chain(&content.other);
        let mut blobs: Vec<_> = all.map(|(kind, id, location)| indexed(*kind, *id, location)).collect();
        blobs.sort_by_key(|blob| blob.offset);
        self.keep.push(IndexedPack { id, blobs });
        self.kept.insert(id);
        Ok(())
    }
}

/// A pack with less in it is small, and so many of them are put together.
const SMALL: u64 = PACK_SIZE as u64 / 4;
const MANY_SMALL: usize = 8;

/// Writes needed blobs into new packs, each proved before. Those packs.
fn rewrite(objects: &Objects, lock: &Lock, index: &Index, plan: &Plan) -> Result<Vec<IndexedPack>, Error> {
    let uploads = Uploads::new(objects);
    let mut opener = Opener::new(objects, index)?;
    let mut building = [BlobKind::Data, BlobKind::Tree].map(|kind| (kind, PackBuilder::default()));
    let mut written = Vec::new();
    let mut send = |builder: &mut PackBuilder| -> Result<(), Error> {
        let pack = std::mem::take(builder).finish(&objects.key)?;
        written.push(pack.about.clone());
        uploads.send(pack)
    };
    for blobs in plan.rewrite.values() {
        lock.keep()?;
        let Some((_, _, first)) = blobs.first() else { continue };
        let whole = Part::new(0, objects.get(opener.pack(first)?, None)?);
        for (kind, id, location) in blobs {
            let sealed = whole.sealed(location);
            // What is damaged here may be whole elsewhere; else nothing is removed.
            let proved = opener.open(id, location, sealed);
            let Some((_, builder)) = building.iter_mut().find(|(of, _)| of == kind) else { continue };
            match proved {
                Ok(_) => builder.add_sealed(*kind, *id, sealed, location.uncompressed())?,
                Err(_) => builder.add(&objects.key, *kind, *id, opener.read(*kind, id)?, None)?,
            }
            if builder.len() >= PACK_SIZE {
                send(builder)?;
            }
        }
    }
    for (_, builder) in &mut building {
        if !builder.is_empty() {
            send(builder)?;
        }
    }
    uploads.finish()?;
    Ok(written)
}
