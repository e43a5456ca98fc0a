//! Looking whether all is there and whole.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::blobs::{Opener, Part, Trees, reads};
use super::index::{Index, Location, PackSizes, pack_sizes, read_all};
use super::lock::ReadLock;
use super::objects::{Objects, or_again};
use super::{Progress, Repository, browse};
use crate::error::Failure;
use crate::format::index::{IndexedBlob, IndexedPack};
use crate::format::snapshot::Snapshot;
use crate::format::{BlobKind, pack};
use crate::store::Listed;
use crate::{Error, Id, Object, ObjectKind, threads};

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
    /// Why no lock could be written, if none could: nothing kept others from removing what was being read.
    pub without_lock: Option<String>,
}

impl Repository {
    /// Checks the repository. Only a repository that is whole gives a report. Where no lock can be written it goes on without one, as
    /// [`restore`](Self::restore) does.
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

/// Packs that indexes name: their numbers, and what is in them, in its order.
type Packs = BTreeMap<Id, (u32, IndexedPack)>;

struct Check<'a> {
    objects: &'a Objects,
    lock: ReadLock,
    report: CheckReport,
    failures: Vec<Failure>,
}

impl<'a> Check<'a> {
    fn run(objects: &'a Objects, depth: CheckDepth, progress: &Progress) -> Result<CheckReport, Error> {
        let lock = ReadLock::take(objects)?;
        let mut check = Check { objects, lock, report: CheckReport::default(), failures: Vec::new() };
        check.keys()?;
        // In the order opposite to that of a backup, which may be at work: of what a snapshot here needs, the index is there, and then the packs.
        let (snapshots, damaged) = browse::load_snapshots(objects)?;
        check.report.snapshots = (snapshots.len() + damaged.len()) as u64;
        for error in damaged {
            let Error::Damaged { object, .. } = &error else { return Err(error) };
            check.failures.push(Failure::new(object.clone(), &error));
        }
        let (index, packs) = check.indexes()?;
        let sizes = pack_sizes(objects)?;
        check.report.packs = sizes.len() as u64;
        let chosen = |id: &Id| match depth {
            CheckDepth::Structure => false,
            CheckDepth::Data => true,
            CheckDepth::Part { part, of } => {
                let [first, second, ..] = *id.as_bytes();
                u16::from_be_bytes([first, second]) % u16::from(of.max(1)) == u16::from(part.max(1) - 1)
            }
        };
        // Of a pack that is not whole it is known already.
        let whole = |pack: &IndexedPack| sizes.get(&pack.id) == Some(&pack.size());
        let mut stretches = Vec::new();
        for (number, pack) in packs.values().filter(|(_, pack)| chosen(&pack.id) && whole(pack)) {
            progress.found(pack.size());
            stretches.extend(Stretch::all_of(*number, pack));
        }

        // What folders hold is looked at while packs are read.
        let (walked, data) = std::thread::scope(|scope| {
            let walk = scope.spawn(|| Walked::all(objects, &check.lock, &index, &snapshots));
            let data = DataRead::all(objects, &check.lock, &index, &stretches, progress);
            (threads::join(walk), data)
        });
        let (walked, data) = (walked?, data?);
        check.failures.extend(walked.failures);
        check.report.trees = walked.trees;
        check.report.blobs = walked.used.iter().filter(|(kind, _)| *kind == BlobKind::Data).count() as u64;
        check.packs(&index, &packs, &sizes, &walked.used);
        check.failures.extend(data.failures.into_values());
        check.report.packs_read = data.packs;
        check.report.bytes_read = data.bytes;
        check.finish()
    }

    fn finish(mut self) -> Result<CheckReport, Error> {
        self.report.without_lock = self.lock.without();
        if self.failures.is_empty() {
            return Ok(self.report);
        }
        let CheckReport { snapshots, packs, .. } = self.report;
        let done =
            format!("{snapshots} snapshots and {packs} packs in {} were checked", self.objects.place());
        Err(Error::Incomplete { done, failures: self.failures })
    }

    fn keys(&mut self) -> Result<(), Error> {
        for Listed { object, .. } in self.objects.list(ObjectKind::Key)? {
            let read = self.objects.get_whole(object);
            note(&mut self.failures, object, read)?;
        }
        Ok(())
    }

    fn indexes(&mut self) -> Result<(Index, Packs), Error> {
        let mut index = Index::default();
        let mut packs = BTreeMap::new();
        read_all(self.objects, |object, read| {
            for mut pack in note(&mut self.failures, object, read)?.unwrap_or_default().packs {
                pack.blobs.sort_by_key(|blob| blob.offset);
                match packs.entry(pack.id) {
                    Entry::Vacant(entry) => {
                        let number = index.add(&pack)?;
                        entry.insert((number, pack));
                    }
                    Entry::Occupied(entry) if entry.get().1 == pack => {}
                    Entry::Occupied(entry) => {
                        index.add_again(entry.get().0, &pack);
                        let pack = Object::new(ObjectKind::Pack, pack.id);
                        let problem = format!(
                            "it says of `{pack}` what another index does not; `repair index` finds out"
                        );
                        self.failures.push(Failure { of: object.path(), problem });
                    }
                }
            }
            Ok(())
        })?;
        Ok((index, packs))
    }

    /// Compares what indexes say with what is there.
    fn packs(&mut self, index: &Index, packs: &Packs, sizes: &PackSizes, used: &HashSet<(BlobKind, Id)>) {
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
    }
}

/// Notes what is damaged, and gives up on what else went wrong.
fn note<T>(
    failures: &mut Vec<Failure>,
    of: impl Display,
    outcome: Result<T, Error>,
) -> Result<Option<T>, Error> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error @ (Error::Damaged { .. } | Error::Missing { .. })) => {
            failures.push(Failure::new(of.to_string(), &error));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What snapshots refer to.
#[derive(Default)]
struct Walked {
    trees: u64,
    used: HashSet<(BlobKind, Id)>,
    failures: Vec<Failure>,
}

impl Walked {
    /// Reads all trees, each once.
    fn all(objects: &Objects, lock: &ReadLock, index: &Index, snapshots: &[Snapshot]) -> Result<Self, Error> {
        let trees = Trees::new(objects, index);
        let mut walked = Self::default();
        for snapshot in snapshots {
            let mut open = vec![(snapshot.tree, std::path::PathBuf::from("/"))];
            while let Some((tree, path)) = open.pop() {
                lock.keep()?;
                if !walked.used.insert((BlobKind::Tree, tree)) {
                    continue;
                }
                walked.trees += 1;
                let at = || format!("snapshot {}, {}", snapshot.id.short(), path.display());
                let read = match trees.read(&tree) {
                    Ok(read) => read,
                    failed => note(&mut walked.failures, at(), failed)?.unwrap_or_default(),
                };
                for node in read.nodes {
                    if let Some(tree) = node.subtree {
                        open.push((tree, path.join(node.name.as_os_str())));
                    }
                    for id in node.blobs() {
                        if walked.used.insert((BlobKind::Data, *id)) && !index.contains(BlobKind::Data, id) {
                            let of = format!("{}: {}", at(), node.name);
                            let problem = format!("blob {} of it is in no pack", id.short());
                            walked.failures.push(Failure { of, problem });
                        }
                    }
                }
            }
        }
        Ok(walked)
    }
}

/// A part of a pack that is read at a time: blobs that follow each other, and after the last ones the list.
struct Stretch<'a> {
    number: u32,
    pack: &'a IndexedPack,
    blobs: &'a [IndexedBlob],
    /// Where it begins and ends in the pack.
    range: Range<u64>,
}

impl<'a> Stretch<'a> {
    /// All of a pack that is as long as its index says.
    fn all_of(number: u32, pack: &'a IndexedPack) -> impl Iterator<Item = Self> {
        let mut parts = reads(&pack.blobs, |blob| Location::new(number, blob)).into_iter().peekable();
        let mut begin = 0;
        std::iter::from_fn(move || {
            let blobs = parts.next()?;
            let next = parts.peek().and_then(|next| next.first());
            let end = next.map_or(pack.size(), |next| u64::from(next.offset));
            let range = begin..end;
            begin = end;
            Some(Self { number, pack, blobs, range })
        })
    }

    fn length(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// That it is what the pack's list and the index say. Every byte of it is a part of something sealed, so that its MAC tells of any that was
    /// changed; the hash of the whole pack, which is its name, would say nothing more.
    fn read(&self, objects: &Objects, opener: &mut Opener<'_>) -> Result<(), Error> {
        let object = Object::new(ObjectKind::Pack, self.pack.id);
        let part = Part::new(self.range.start, objects.get(object, Some(self.range.clone()))?);
        for blob in self.blobs {
            let location = Location::new(self.number, blob);
            opener.open(&blob.id, &location, part.sealed(&location))?;
        }
        if self.is_last() {
            let list = pack::read_list(&objects.key, part.bytes(), self.pack.size())
                .map_err(|malformed| objects.malformed(object, &malformed))?;
            if list != self.pack.blobs {
                return Err(objects.damaged(object, "its list and the index do not agree"));
            }
        }
        Ok(())
    }

    fn is_last(&self) -> bool {
        self.range.end == self.pack.size()
    }
}

/// What was read of packs.
#[derive(Default)]
struct DataRead {
    packs: u64,
    bytes: u64,
    /// What was found first of each pack.
    failures: BTreeMap<Id, Failure>,
}

impl DataRead {
    /// Reads parts of packs, with as many threads as there are processors.
    fn all(
        objects: &Objects,
        lock: &ReadLock,
        index: &Index,
        stretches: &[Stretch<'_>],
        progress: &Progress,
    ) -> Result<Self, Error> {
        let done = Mutex::new(Self::default());
        threads::share(
            stretches,
            || Opener::new(objects, index),
            |opener, stretch| {
                lock.keep()?;
                let read = or_again(|| stretch.read(objects, opener));
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                match read {
                    Ok(()) => {}
                    Err(error @ (Error::Damaged { .. } | Error::Missing { .. })) => {
                        let pack = Object::new(ObjectKind::Pack, stretch.pack.id);
                        let failure = || Failure::new(pack.path(), &error);
                        done.failures.entry(stretch.pack.id).or_insert_with(failure);
                    }
                    Err(error) => return Err(error),
                }
                done.bytes += stretch.length();
                progress.done_bytes(stretch.length());
                if stretch.is_last() {
                    done.packs += 1;
                    progress.done_file();
                }
                Ok(())
            },
        )?;
        Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}
