//! Taking snapshots to another repository, which has another key.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::backup::packer::{Packer, Uploads};
use super::backup::publish;
use super::blobs::{Opener, Trees, reads};
use super::index::{Index, Location, pack_sizes};
use super::lock::{Lock, ReadLock};
use super::objects::Objects;
use super::{Progress, Repository, browse};
use crate::error::Failure;
use crate::format::BlobKind;
use crate::format::snapshot::Snapshot;
use crate::{Error, Id, threads};

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct CopyReport {
    /// The snapshots that were asked for, in the order of their times.
    pub snapshots: Vec<CopiedSnapshot>,
    /// Blobs that the other repository did not have.
    pub blobs: u64,
    /// Bytes of these blobs.
    pub bytes: u64,
    /// Bytes that they take there.
    pub bytes_packed: u64,
    /// Why no lock could be written to the repository that was copied from, if none could: nothing kept others from removing what was being read.
    pub without_lock: Option<String>,
}

/// A snapshot, and what it is in the other repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct CopiedSnapshot {
    /// Its id in the repository that it was copied from.
    pub from: Id,
    /// Its id in the other one.
    pub to: Id,
    /// Whether the other one had it already.
    pub already: bool,
}

/// So much is copied before an index of it is written, which is what a later run goes on from if this one is cut short.
const BATCH: u64 = 1 << 30;

impl Repository {
    /// Copies snapshots to another repository: what that one has not is opened, proved, and sealed with its key. A copy names the
    /// snapshot that it is of as its `original`, by which it is known: a second copy of the same is not made.
    ///
    /// What a run that was cut short has copied is not copied again. Cost: all trees of the snapshots are read; memory for both indexes and
    /// some 100 MiB. To `progress` each blob is a file.
    ///
    /// # Errors
    ///
    /// [`Error::NoSnapshot`]; [`Error::Incomplete`] with the snapshots that could not be copied, as something of them is lost or damaged, when
    /// all others were; [`Error::Locked`]; what either store answers.
    pub async fn copy_to(
        &self,
        to: &Self,
        snapshots: &[Id],
        progress: &Progress,
    ) -> Result<CopyReport, Error> {
        if self.id == to.id {
            let of = format!("the copy to {}", to.place());
            let problem = "it is this repository, or a mirror of it with the same key".to_owned();
            return Err(Error::Source { of, problem, source: None });
        }
        let wanted = snapshots.to_vec();
        let target = to.objects();
        let _give_up = target.give_up_on_drop();
        let progress = progress.clone();
        self.run(move |from| run(from, &target, &wanted, &progress)).await
    }
}

fn run(from: &Objects, to: &Objects, wanted: &[Id], progress: &Progress) -> Result<CopyReport, Error> {
    let (from_lock, to_lock) = (ReadLock::take(from)?, Lock::take(to, false)?);
    let from_index = Index::load(from, None)?;
    // What an index promises in packs that are gone has to be stored again.
    let to_index = Index::load(to, Some(&pack_sizes(to)?))?;
    let snapshots = chosen(from, wanted)?;
    let (there, _) = browse::load_snapshots(to)?;
    let mut copy = Copy {
        from,
        to,
        from_lock: &from_lock,
        to_lock: &to_lock,
        trees: Trees::new(from, &from_index),
        from_index: &from_index,
        to_index: &to_index,
        progress,
        copied: HashSet::new(),
        report: CopyReport::default(),
    };
    let mut failures = Vec::new();
    for snapshot in &snapshots {
        let mut copied = CopiedSnapshot { from: snapshot.id, to: snapshot.id, already: true };
        if let Some(same) = there.iter().find(|other| is_copy(other, snapshot)) {
            copied.to = same.id;
        } else {
            let lost = copy.contents(snapshot)?;
            if !lost.is_empty() {
                failures.extend(lost);
                continue;
            }
            copied.already = false;
            let original = Some(snapshot.original.unwrap_or(snapshot.id));
            let new = Snapshot { original, parent: None, ..snapshot.clone() };
            copied.to = publish(to, &to_lock, &to_index, &new)?;
        }
        copy.report.snapshots.push(copied);
    }
    if failures.is_empty() {
        copy.report.without_lock = from_lock.without();
        return Ok(copy.report);
    }
    let new = copy.report.snapshots.iter().filter(|snapshot| !snapshot.already).count();
    Err(Error::Incomplete { done: format!("{new} snapshots were copied to {}", to.place()), failures })
}

/// The snapshots of these names, the oldest first.
fn chosen(from: &Objects, wanted: &[Id]) -> Result<Vec<Snapshot>, Error> {
    let (mut snapshots, mut damaged) = browse::load_snapshots(from)?;
    if let Some(missing) = wanted.iter().find(|id| !snapshots.iter().any(|snapshot| snapshot.id == **id)) {
        return Err(damaged.pop().unwrap_or_else(|| Error::NoSnapshot {
            wanted: missing.to_string(),
            problem: "it is not there".to_owned(),
        }));
    }
    snapshots.retain(|snapshot| wanted.contains(&snapshot.id));
    Ok(snapshots)
}

/// Whether one is a copy of the other: of one origin, and of the same content and description.
fn is_copy(one: &Snapshot, other: &Snapshot) -> bool {
    let described = |snapshot: &Snapshot| Snapshot {
        id: snapshot.original.unwrap_or(snapshot.id),
        first_seen: None,
        original: None,
        parent: None,
        ..snapshot.clone()
    };
    described(one) == described(other)
}

struct Copy<'a> {
    from: &'a Objects,
    to: &'a Objects,
    from_lock: &'a ReadLock,
    to_lock: &'a Lock,
    trees: Trees<'a>,
    from_index: &'a Index,
    to_index: &'a Index,
    progress: &'a Progress,
    /// What earlier snapshots of this run needed, and is in the other repository now.
    copied: HashSet<(BlobKind, Id)>,
    report: CopyReport,
}

/// A blob that the other repository has not, where it is in this one.
type Missing = (Location, BlobKind, Id);

impl Copy<'_> {
    fn keep(&self) -> Result<(), Error> {
        self.from_lock.keep()?;
        self.to_lock.keep()
    }

    /// Copies all that a snapshot needs. What of it is lost.
    fn contents(&mut self, snapshot: &Snapshot) -> Result<Vec<Failure>, Error> {
        let of = format!("snapshot {}", snapshot.id.short());
        let (needed, mut missing, mut failures) = self.missing(snapshot.tree, &of)?;
        // In the order in which it lies in packs.
        missing.sort_unstable();
        for (location, ..) in &missing {
            self.progress.found(location.content_length());
        }
        let mut rest = missing.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let batch = rest.iter().take_while(|(location, ..)| {
                let begun = bytes < BATCH;
                bytes += u64::from(location.length);
                begun
            });
            let (batch, after) = rest.split_at(batch.count());
            failures.extend(self.batch(batch, &of)?);
            rest = after;
        }
        if failures.is_empty() {
            self.copied.extend(needed);
        }
        Ok(failures)
    }

    /// What a snapshot needs and this run has not copied yet, what of it the other repository has not, and what is lost.
    #[allow(clippy::type_complexity, reason = "three lists")]
    fn missing(
        &self,
        root: Id,
        of: &str,
    ) -> Result<(HashSet<(BlobKind, Id)>, Vec<Missing>, Vec<Failure>), Error> {
        let (mut needed, mut missing, mut failures) = (HashSet::new(), Vec::new(), Vec::new());
        let mut need = |kind: BlobKind, id: Id, failures: &mut Vec<Failure>| {
            if self.copied.contains(&(kind, id)) || !needed.insert((kind, id)) {
                return false;
            }
            if !self.to_index.contains(kind, &id) {
                match self.from_index.find(kind, &id) {
                    Some(location) => missing.push((location, kind, id)),
                    // Of a tree that is told when it is read.
                    None if kind == BlobKind::Tree => {}
                    None => failures.push(Failure {
                        of: of.to_owned(),
                        problem: format!("blob {} of it is in no pack", id.short()),
                    }),
                }
            }
            true
        };
        let mut open = vec![root];
        while let Some(tree) = open.pop() {
            self.keep()?;
            // The other repository may have a tree and not what is in it, so all are read.
            if !need(BlobKind::Tree, tree, &mut failures) {
                continue;
            }
            match self.trees.read(&tree) {
                Ok(tree) => {
                    for node in tree.nodes {
                        open.extend(node.subtree);
                        for blob in node.blobs() {
                            need(BlobKind::Data, *blob, &mut failures);
                        }
                    }
                }
                Err(error @ (Error::Damaged { .. } | Error::Missing { .. })) => {
                    failures.push(Failure::new(of, &error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((needed, missing, failures))
    }

    /// Copies blobs with as many threads as there are processors, and writes an index of them. What could not be read.
    fn batch(&mut self, blobs: &[Missing], of: &str) -> Result<Vec<Failure>, Error> {
        let reads = reads(blobs, |(location, ..)| *location);
        let uploads = Uploads::new(self.to);
        let failures = Mutex::new(Vec::new());
        let begin = || Ok((Opener::new(self.from, self.from_index)?, Packer::new()?));
        threads::share(&reads, begin, |(opener, packer), blobs| {
            self.keep()?;
            let lost = self.read(opener, blobs, packer, &uploads)?;
            let lost = lost.iter().map(|error| Failure::new(of, error));
            failures.lock().unwrap_or_else(PoisonError::into_inner).extend(lost);
            Ok(())
        })?;
        self.report.bytes_packed += uploads.finish()?;
        let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.report.blobs += blobs.len() as u64;
        self.report.bytes += blobs.iter().map(|(location, ..)| location.content_length()).sum::<u64>();
        Ok(failures)
    }

    /// Reads a part of a pack, and stores what is in it. What could not be read.
    fn read(
        &self,
        opener: &mut Opener<'_>,
        blobs: &[Missing],
        packer: &mut Packer,
        uploads: &Uploads,
    ) -> Result<Vec<Error>, Error> {
        let mut lost = Vec::new();
        let part = opener.read_part(blobs.iter().map(|(location, ..)| location))?;
        for (location, kind, id) in blobs {
            match opener.open_in(&part, *kind, id, location) {
                Ok(bytes) => {
                    packer.add(uploads, *kind, *id, bytes)?;
                    self.progress.done_bytes(bytes.len() as u64);
                    self.progress.done_file();
                }
                Err(error @ (Error::Damaged { .. } | Error::Missing { .. })) => lost.push(error),
                Err(error) => return Err(error),
            }
        }
        Ok(lost)
    }
}
