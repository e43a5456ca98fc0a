//! Reading single files of a snapshot, and finding them, without a restore.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::backup::matches;
use super::blobs::{Opener, Trees};
use super::browse::{self, Entry, Found};
use super::index::{Index, Location};
use super::objects::Objects;
use super::{Progress, Repository};
use crate::format::BlobKind;
use crate::format::snapshot::Snapshot;
use crate::format::tree::{Node, NodeKind};
use crate::{Error, Id};

/// The most of a file that is read at a time, unless one blob is longer.
const AT_ONCE: u64 = 8 << 20;

/// An entry that was found, and in which snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundEntry {
    /// The snapshot.
    pub snapshot: Id,
    /// The entry.
    pub entry: Entry,
}

impl Repository {
    /// Writes the content of a file of a snapshot to `to`, in order. How many bytes it has.
    ///
    /// Each blob is proved to be what was backed up before it is written. Memory: for the index, and some 10 MiB whatever the file's size.
    ///
    /// # Errors
    ///
    /// [`Error::NoEntry`]; [`Error::Unsupported`] for what is no file; [`Error::Damaged`] when a part of it is lost, after what comes before that
    /// was written; [`Error::File`] when `to` fails; what a store answers.
    pub async fn read_file(
        &self,
        snapshot: &Snapshot,
        path: &Path,
        to: impl Write + Send + 'static,
        progress: &Progress,
    ) -> Result<u64, Error> {
        let (snapshot, path, progress) = (snapshot.clone(), path.to_owned(), progress.clone());
        self.run(move |objects| read_file(objects, &snapshot, &path, to, &progress)).await
    }

    /// The entries of these snapshots that a pattern matches, by snapshot and path. Patterns are those of
    /// [`BackupJob::exclude`](crate::BackupJob::exclude).
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`]; what a store answers.
    pub async fn find(&self, pattern: &str, snapshots: &[Snapshot]) -> Result<Vec<FoundEntry>, Error> {
        let (pattern, snapshots) = (pattern.to_owned(), snapshots.to_vec());
        self.run(move |objects| {
            let index = Index::load(objects, None)?;
            let trees = Trees::new(objects, &index);
            let mut found = Vec::new();
            for snapshot in &snapshots {
                let begin = found.len();
                let mut open = vec![(snapshot.tree, PathBuf::from("/"))];
                while let Some((tree, path)) = open.pop() {
                    for node in trees.read(&tree)?.nodes {
                        let path = path.join(node.name.as_os_str());
                        open.extend(node.subtree.map(|tree| (tree, path.clone())));
                        if matches(&pattern, &path) {
                            let entry = Entry { path, node };
                            found.push(FoundEntry { snapshot: snapshot.id, entry });
                        }
                    }
                }
                if let Some(found) = found.get_mut(begin..) {
                    found.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
                }
            }
            Ok(found)
        })
        .await
    }
}

fn read_file(
    objects: &Objects,
    snapshot: &Snapshot,
    path: &Path,
    mut to: impl Write,
    progress: &Progress,
) -> Result<u64, Error> {
    let index = Index::load(objects, None)?;
    let node = match browse::find(&Trees::new(objects, &index), snapshot, path)? {
        Found::Node(node) if node.kind == NodeKind::File => node,
        _ => {
            let what = format!("reading `{}`", path.display());
            let problem = "it is no file; `restore` brings it back".to_owned();
            return Err(Error::Unsupported { what, problem });
        }
    };
    progress.found(node.size);
    let mut opener = Opener::new(objects, &index)?;
    let mut written = 0;
    let blobs = located(objects, &index, &node)?;
    for run in runs(&blobs) {
        let part = opener.read_part(run.iter().map(|(location, _)| location))?;
        for (location, id) in run {
            let bytes = opener.open_in(&part, BlobKind::Data, id, location)?;
            to.write_all(bytes).map_err(|error| Error::file("write out", path, error))?;
            written += bytes.len() as u64;
            progress.done_bytes(bytes.len() as u64);
        }
    }
    to.flush().map_err(|error| Error::file("write out", path, error))?;
    progress.done_file();
    Ok(written)
}

fn located(objects: &Objects, index: &Index, node: &Node) -> Result<Vec<(Location, Id)>, Error> {
    let find = |id: &Id| {
        let missing = || objects.damaged(format!("blob {id} of {}", node.name), "no index knows it");
        Ok((index.find(BlobKind::Data, id).ok_or_else(missing)?, *id))
    };
    node.blobs().iter().map(find).collect()
}

/// Blobs that follow each other both in the file and in a pack, so that they are read at once.
fn runs(mut blobs: &[(Location, Id)]) -> Vec<&[(Location, Id)]> {
    let mut runs = Vec::new();
    while let Some((first, _)) = blobs.first() {
        let mut end = u64::from(first.offset);
        let together = blobs.iter().take_while(|(location, _)| {
            let next = location.pack == first.pack && u64::from(location.offset) == end;
            end = location.end();
            next && (end - u64::from(first.offset) <= AT_ONCE || location == first)
        });
        let (run, rest) = blobs.split_at(together.count());
        runs.push(run);
        blobs = rest;
    }
    runs
}
