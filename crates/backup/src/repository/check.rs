//! Looking whether all is there and whole.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::blobs::{Opener, Trees};
use super::index::{Index, Location, PackSizes, pack_sizes};
use super::lock::Lock;
use super::objects::Objects;
use super::{Progress, Repository, browse, threads};
use crate::error::Failure;
use crate::format::index::{IndexFile, IndexedBlob, IndexedPack};
use crate::format::snapshot::Snapshot;
use crate::format::{BlobKind, pack};
use crate::store::Listed;
use crate::{Error, Id, Object, ObjectKind};

/// How deep a check goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckDepth {
    /// Everything that a snapshot refers to is there: indexes, trees, packs and their lengths.
    Structure,
    /// Also every byte of every pack.
    Data,
    /// Also every byte of a part of the packs: the `part`-th of `of`, from 1. All parts, one after the other, are all packs.
    Part {
        /// Which part.
        part: u8,
        /// Of how many.
        of: u8,
    },
}

/// What a check has looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct CheckReport {
    /// Snapshots.
    pub snapshots: u64,
    /// Trees, each once.
    pub trees: u64,
    /// Blobs of files that snapshots refer to, each once.
    pub blobs: u64,
    /// Packs in the store.
    pub packs: u64,
    /// Packs that were read whole.
    pub packs_read: u64,
    /// Bytes of them.
    pub bytes_read: u64,
    /// What is in order but could be tidied: what is left of runs that were cut short.
    pub remarks: Vec<String>,
}

impl Repository {
    /// Checks the repository. Only a repository that is whole gives a report.
    ///
    /// # Errors
    ///
    /// [`Error::Incomplete`], with everything that is wrong by name; [`Error::Locked`]; what a store answers.
    pub async fn check(&self, depth: CheckDepth) -> Result<CheckReport, Error> {
        self.check_with_progress(depth, &Progress::new()).await
    }

    /// [`check`](Self::check) that tells how far it is with reading packs, which are the files of `progress`.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check).
    pub async fn check_with_progress(
        &self,
        depth: CheckDepth,
        progress: &Progress,
    ) -> Result<CheckReport, Error> {
        let progress = progress.clone();
        self.run(move |objects| Check::run(objects, depth, &progress)).await
    }
}

/// Packs that indexes name: their numbers, and what is in them.
type Packs = BTreeMap<Id, (u32, IndexedPack)>;

struct Check<'a> {
    objects: &'a Objects,
    lock: Lock,
    report: CheckReport,
    failures: Vec<Failure>,
}

impl<'a> Check<'a> {
    fn run(objects: &'a Objects, depth: CheckDepth, progress: &Progress) -> Result<CheckReport, Error> {
        let lock = Lock::take(objects, false)?;
        let mut check = Check { objects, lock, report: CheckReport::default(), failures: Vec::new() };
        check.keys()?;
        // In the order opposite to that of a backup, which may be at work: of what a snapshot here needs, the index is there, and then the packs.
        let snapshots = browse::load_snapshots(objects)?;
        let (index, packs) = check.indexes()?;
        let sizes = pack_sizes(objects)?;
        check.report.packs = sizes.len() as u64;
        let used = check.snapshots(&index, snapshots)?;
        let unneeded = check.packs(&index, &packs, &sizes, &used);
        let chosen = |id: &Id| match depth {
            CheckDepth::Structure => false,
            CheckDepth::Data => true,
            CheckDepth::Part { part, of } => {
                let [first, second, ..] = *id.as_bytes();
                u16::from_be_bytes([first, second]) % u16::from(of.max(1)) == u16::from(part.max(1) - 1)
            }
        };
        let readable = |id: &Id| sizes.contains_key(id) && !unneeded.contains(id);
        let read: Vec<_> = packs.iter().filter(|(id, _)| chosen(id) && readable(id)).collect();
        for size in read.iter().filter_map(|(id, _)| sizes.get(id)) {
            progress.found(*size);
        }
        check.read(&index, &read, progress)?;
        check.finish()
    }

    fn finish(self) -> Result<CheckReport, Error> {
        if self.failures.is_empty() {
            return Ok(self.report);
        }
        let CheckReport { snapshots, packs, .. } = self.report;
        let done =
            format!("{snapshots} snapshots and {packs} packs in {} were checked", self.objects.place());
        Err(Error::Incomplete { done, failures: self.failures })
    }

    /// Notes what is damaged, and gives up on what else went wrong.
    fn note<T>(&mut self, of: impl Display, outcome: Result<T, Error>) -> Result<Option<T>, Error> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(error @ (Error::Damaged { .. } | Error::Missing { .. })) => {
                self.failures.push(Failure::new(of.to_string(), &error));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn keys(&mut self) -> Result<(), Error> {
        for Listed { object, .. } in self.objects.list(ObjectKind::Key)? {
            let read = self.objects.get_whole(object);
            self.note(object, read)?;
        }
        Ok(())
    }

    fn indexes(&mut self) -> Result<(Index, Packs), Error> {
        let mut index = Index::default();
        let mut packs = BTreeMap::new();
        for Listed { object, .. } in self.objects.list(ObjectKind::Index)? {
            let loaded = self.objects.load::<IndexFile>(object);
            for pack in self.note(object, loaded)?.unwrap_or_default().packs {
                if let Entry::Vacant(entry) = packs.entry(pack.id) {
                    let number = index.add(&pack)?;
                    entry.insert((number, pack));
                }
            }
        }
        Ok((index, packs))
    }

    /// Walks all trees, each once. The blobs that are referred to.
    fn snapshots(
        &mut self,
        index: &Index,
        (snapshots, damaged): (Vec<Snapshot>, Vec<Error>),
    ) -> Result<HashSet<(BlobKind, Id)>, Error> {
        self.report.snapshots = (snapshots.len() + damaged.len()) as u64;
        for error in damaged {
            self.note::<()>("snapshot", Err(error))?;
        }
        let trees = Trees::new(self.objects, index);
        let mut used = HashSet::new();
        for snapshot in &snapshots {
            let mut open = vec![(snapshot.tree, std::path::PathBuf::from("/"))];
            while let Some((tree, path)) = open.pop() {
                self.lock.keep()?;
                if !used.insert((BlobKind::Tree, tree)) {
                    continue;
                }
                self.report.trees += 1;
                let at = format!("snapshot {}, {}", snapshot.id.short(), path.display());
                let read = trees.read(&tree);
                for node in self.note(&at, read)?.unwrap_or_default().nodes {
                    if let Some(tree) = node.subtree {
                        open.push((tree, path.join(node.name.as_os_str())));
                    }
                    for id in node.blobs() {
                        if !used.insert((BlobKind::Data, *id)) {
                            continue;
                        }
                        self.report.blobs += 1;
                        if !index.contains(BlobKind::Data, id) {
                            let of = format!("{at}: {}", node.name);
                            let problem = format!("blob {} of it is in no pack", id.short());
                            self.failures.push(Failure { of, problem });
                        }
                    }
                }
            }
        }
        Ok(used)
    }

    /// Compares what indexes say with what is there. The packs that are not whole, but not needed either.
    fn packs(
        &mut self,
        index: &Index,
        packs: &Packs,
        sizes: &PackSizes,
        used: &HashSet<(BlobKind, Id)>,
    ) -> HashSet<Id> {
        let mut unneeded = HashSet::new();
        let whole = |pack: &Id| match (packs.get(pack), sizes.get(pack)) {
            (Some((_, pack)), Some(size)) => pack.size() == *size,
            _ => false,
        };
        for (pack, (_, about)) in packs.iter().filter(|(pack, _)| !whole(pack)) {
            // What no snapshot needs, or what is elsewhere too, is not lost.
            let elsewhere = |blob: &IndexedBlob| {
                let here = |location: Location| index.pack(location.pack).is_some_and(|other| whole(&other));
                index.find(blob.kind, &blob.id).is_some_and(here)
                    || index.elsewhere(blob.kind, &blob.id).any(here)
            };
            let lost = about
                .blobs
                .iter()
                .filter(|blob| used.contains(&(blob.kind, blob.id)) && !elsewhere(blob))
                .count();
            let object = Object::new(ObjectKind::Pack, *pack);
            let problem = match sizes.get(pack) {
                None => "is not there".to_owned(),
                Some(size) => format!("has {size} bytes instead of {}", about.size()),
            };
            if lost == 0 {
                unneeded.insert(*pack);
                self.report.remarks.push(format!("{object} {problem}; nothing needs it, `prune` tidies up"));
            } else {
                let problem = format!("it {problem}; {lost} blobs that snapshots need were in it");
                self.failures.push(Failure { of: object.path(), problem });
            }
        }
        let unknown = sizes.keys().filter(|pack| !packs.contains_key(pack)).count();
        if unknown > 0 {
            self.report.remarks.push(format!(
                "{unknown} packs are in no index: a run that was cut short left them, or one is at work; `prune` removes them"
            ));
        }
        unneeded
    }

    /// Reads packs whole, with as many threads as there are processors.
    fn read(
        &mut self,
        index: &Index,
        packs: &[(&Id, &(u32, IndexedPack))],
        progress: &Progress,
    ) -> Result<(), Error> {
        let (objects, lock) = (self.objects, &self.lock);
        let (read, bytes, failures) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::new(Vec::new()));
        threads::share(
            packs,
            || Opener::new(objects, index),
            |opener, (id, (number, about))| {
                lock.keep()?;
                let object = Object::new(ObjectKind::Pack, **id);
                match read_pack(objects, opener, object, *number, about) {
                    Ok(length) => {
                        bytes.fetch_add(length, Ordering::Relaxed);
                        progress.done_bytes(length);
                        progress.done_file();
                    }
                    Err(error @ (Error::Damaged { .. } | Error::Missing { .. })) => {
                        let failure = Failure::new(object.path(), &error);
                        failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
                    }
                    Err(error) => return Err(error),
                }
                read.fetch_add(1, Ordering::Relaxed);
                Ok(())
            },
        )?;
        self.report.packs_read = read.into_inner();
        self.report.bytes_read = bytes.into_inner();
        self.failures.extend(failures.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }
}

/// That a pack is what its name, its list and its index say. Its length.
fn read_pack(
    objects: &Objects,
    opener: &mut Opener<'_>,
    object: Object,
    number: u32,
    about: &IndexedPack,
) -> Result<u64, Error> {
    let mut bytes = objects.get_whole(object)?;
    let length = bytes.len() as u64;
    let list = pack::read_list(&objects.key, &bytes, length)
        .map_err(|malformed| objects.malformed(object, &malformed))?;
    let mut expected = about.blobs.clone();
    expected.sort_by_key(|blob| blob.offset);
    if list != expected {
        return Err(objects.damaged(object, "its list and the index do not agree"));
    }
    for blob in &list {
        let (begin, length) = (blob.offset as usize, blob.length as usize);
        let sealed = bytes.get_mut(begin..begin.saturating_add(length)).unwrap_or_default();
        opener.open(&blob.id, &Location::new(number, blob), sealed)?;
    }
    Ok(length)
}
