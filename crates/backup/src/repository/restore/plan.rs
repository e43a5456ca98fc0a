//! What has to be written where, in the order in which it lies in packs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32};

use super::metadata::Metadata;
use super::{Progress, RestoreReport};
use crate::error::Failure;
use crate::format::BlobKind;
use crate::format::tree::{Node, NodeKind};
use crate::repository::blobs::Trees;
use crate::repository::browse::Found;
use crate::repository::index::{Index, Location};
use crate::repository::objects::Objects;
use crate::{Error, Id};

/// All that has to be done.
pub(super) struct Plan {
    /// Folders, each before what is in it.
    pub(super) folders: Vec<(Box<Path>, Metadata)>,
    pub(super) files: Vec<PlannedFile>,
    /// More names of a file.
    pub(super) hard_links: Vec<(PathBuf, usize)>,
    /// Links, pipes, devices.
    pub(super) others: Vec<(PathBuf, Node)>,
    /// Where the content of files is, in the order of packs.
    pub(super) pieces: Vec<Piece>,
    /// What cannot be brought back, as the repository has lost it.
    pub(super) failures: Vec<Failure>,
}

/// A file. All files of a snapshot are in memory at once, so it has no more than it needs.
pub(super) struct PlannedFile {
    pub(super) path: Box<Path>,
    pub(super) metadata: Metadata,
    /// The length of its content.
    pub(super) length: u64,
    /// How many pieces that is.
    pub(super) pieces: u32,
    /// How many of them are not written yet.
    pub(super) left: AtomicU32,
    /// Whether zeros were left out.
    pub(super) has_holes: AtomicBool,
    pub(super) damaged: AtomicBool,
}

/// The first name of a file that has several: its number, and its content.
type FirstNames = HashMap<(u64, u64), (usize, Vec<Id>)>;

/// A blob, and where in a file it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Piece {
    pub(super) location: Location,
    pub(super) id: Id,
    pub(super) file: usize,
    pub(super) offset: u64,
}

impl Plan {
    pub(super) fn make(
        objects: &Objects,
        index: &Index,
        trees: &Trees<'_>,
        found: Found,
        target: &Path,
        progress: &Progress,
    ) -> Result<Self, Error> {
        let mut plan = Self {
            folders: Vec::new(),
            files: Vec::new(),
            hard_links: Vec::new(),
            others: Vec::new(),
            pieces: Vec::new(),
            failures: Vec::new(),
        };
        let mut names = FirstNames::new();
        // Folders whose trees are to be read. Not by recursion: they may be deeper than the stack of a thread.
        let mut open = Vec::new();
        match found {
            Found::Root(tree) => open.push((tree, target.to_owned())),
            Found::Node(node) => match node.subtree {
                Some(tree) => {
                    open.push((tree, target.to_owned()));
                    plan.folders.push((target.into(), (*node).into()));
                }
                None => plan.entry(index, &mut names, target.join(node.name.as_os_str()), *node, progress),
            },
        }
        while let Some((tree, path)) = open.pop() {
            objects.go_on()?;
            let tree = match trees.read(&tree) {
                Ok(tree) => tree,
                Err(Error::Stopped) => return Err(Error::Stopped),
                Err(error) => {
                    plan.failures.push(Failure::new(path.display().to_string(), &error));
                    continue;
                }
            };
            for node in tree.nodes {
                let path = path.join(node.name.as_os_str());
                if let Some(tree) = node.subtree {
                    open.push((tree, path.clone()));
                    plan.folders.push((path.into(), node.into()));
                } else {
                    plan.entry(index, &mut names, path, node, progress);
                }
            }
        }
        plan.pieces.sort_unstable();
        Ok(plan)
    }

    fn entry(
        &mut self,
        index: &Index,
        names: &mut FirstNames,
        path: PathBuf,
        mut node: Node,
        progress: &Progress,
    ) {
        if node.kind != NodeKind::File {
            return self.others.push((path, node));
        }
        let number = self.files.len();
        if node.links > 1 {
            match names.entry((node.device_id, node.inode)) {
                Entry::Occupied(first) => {
                    let (first, content) = first.get();
                    // Another file may have had the number since, if the snapshot took long.
                    if content == node.blobs() {
                        return self.hard_links.push((path, *first));
                    }
                }
                Entry::Vacant(entry) => drop(entry.insert((number, node.blobs().to_vec()))),
            }
        }
        let content = node.content.take().unwrap_or_default();
        let Ok(pieces) = u32::try_from(content.len()) else {
            let problem = "it has more than 4 billion blobs".to_owned();
            return self.failures.push(Failure { of: path.display().to_string(), problem });
        };
        let mut offset = 0_u64;
        let begin = self.pieces.len();
        for id in &content {
            let Some(location) = index.find(BlobKind::Data, id) else {
                let problem = format!("blob {} of it is in no pack", id.short());
                self.failures.push(Failure { of: path.display().to_string(), problem });
                return self.pieces.truncate(begin);
            };
            self.pieces.push(Piece { location, id: *id, file: number, offset });
            offset = offset.saturating_add(location.content_length());
        }
        progress.found(offset);
        self.files.push(PlannedFile {
            path: path.into(),
            metadata: node.into(),
            length: offset,
            pieces,
            left: AtomicU32::new(pieces),
            has_holes: AtomicBool::new(false),
            damaged: AtomicBool::new(false),
        });
    }

    pub(super) fn report(&self) -> RestoreReport {
        RestoreReport {
            files: (self.files.len() + self.hard_links.len()) as u64,
            folders: self.folders.len() as u64,
            others: self.others.len() as u64,
            bytes: self.pieces.iter().map(|piece| piece.location.content_length()).sum(),
            without_lock: None,
        }
    }
}
