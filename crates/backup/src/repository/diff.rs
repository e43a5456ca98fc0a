//! What is between two snapshots.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::Repository;
use super::blobs::Trees;
use super::index::Index;
use super::objects::Objects;
use crate::format::BlobKind;
use crate::format::snapshot::Snapshot;
use crate::format::tree::{Node, NodeKind, Tree};
use crate::{Error, Id};

/// How an entry differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Change {
    /// Only the later snapshot has it.
    Added,
    /// Only the earlier one has it.
    Removed,
    /// A file has other content, a link leads elsewhere, a device has another number.
    Content,
    /// Only its permissions, its time, its owner or its attributes are others.
    Metadata,
    /// It is another kind of thing: a file where a folder was.
    Kind,
}

/// An entry that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changed {
    /// Its path in both snapshots, from `/`.
    pub path: PathBuf,
    /// How it differs.
    pub change: Change,
    /// What it is in the later snapshot; of what was removed, what it was.
    pub kind: NodeKind,
    /// Its bytes in the earlier snapshot; 0 if it is no file there.
    pub bytes_before: u64,
    /// Its bytes in the later snapshot; 0 if it is no file there.
    pub bytes_after: u64,
}

/// What is between two snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The entries that differ, by path.
    pub entries: Vec<Changed>,
    /// Bytes of content that entries have only in the later snapshot, each blob once, before compression.
    pub bytes_added: u64,
    /// Bytes of content that entries have only in the earlier snapshot.
    pub bytes_removed: u64,
}

impl Difference {
    /// How many entries differ so.
    #[must_use]
    pub fn count(&self, change: Change) -> usize {
        self.entries.iter().filter(|entry| entry.change == change).count()
    }
}

impl Repository {
    /// What is other in the snapshot `after` than in `before`. Folders that are the same in both are not looked into.
    ///
    /// When a file was read and what its number is does not count. Content is compared by its blobs: bytes that two programs have cut at
    /// other places are other content. Cost: the trees that differ are read; some 100 bytes of memory an entry that differs, and as many a blob.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] for a tree that cannot be read; what a store answers.
    pub async fn diff(&self, before: &Snapshot, after: &Snapshot) -> Result<Difference, Error> {
        let (before, after) = (before.tree, after.tree);
        self.run(move |objects| {
            let index = Index::load(objects, None)?;
            let mut walk = Walk::new(objects, &index);
            walk.folders(before, after)?;
            Ok(walk.finish(&index))
        })
        .await
    }
}

struct Walk<'a> {
    objects: &'a Objects,
    trees: Trees<'a>,
    found: Difference,
    /// Blobs of entries that differ.
    blobs_before: HashSet<Id>,
    blobs_after: HashSet<Id>,
    /// Folders that are still to be compared.
    open: Vec<(Option<Id>, Option<Id>, PathBuf)>,
}

impl<'a> Walk<'a> {
    fn new(objects: &'a Objects, index: &'a Index) -> Self {
        Self {
            objects,
            trees: Trees::new(objects, index),
            found: Difference::default(),
            blobs_before: HashSet::new(),
            blobs_after: HashSet::new(),
            open: Vec::new(),
        }
    }

    fn folders(&mut self, before: Id, after: Id) -> Result<(), Error> {
        self.later(Some(before), Some(after), Path::new("/"));
        while let Some((before, after, path)) = self.open.pop() {
            self.objects.go_on()?;
            let (before, after) = (self.read(before)?, self.read(after)?);
            self.folder(before, after, &path);
        }
        Ok(())
    }

    fn later(&mut self, before: Option<Id>, after: Option<Id>, path: &Path) {
        if before != after {
            self.open.push((before, after, path.to_owned()));
        }
    }

    fn read(&self, tree: Option<Id>) -> Result<Tree, Error> {
        tree.map_or_else(|| Ok(Tree::default()), |tree| self.trees.read(&tree))
    }

    /// Goes through both lists at once, which are in order.
    fn folder(&mut self, before: Tree, after: Tree, path: &Path) {
        let (mut before, mut after) =
            (before.nodes.into_iter().peekable(), after.nodes.into_iter().peekable());
        loop {
            let order = match (before.peek(), after.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(before), Some(after)) => before.name.cmp(&after.name),
            };
            let before = if order.is_le() { before.next() } else { None };
            let after = if order.is_ge() { after.next() } else { None };
            let Some(name) = after.as_ref().or(before.as_ref()).map(|node| node.name.clone()) else { return };
            self.entry(before.as_ref(), after.as_ref(), path.join(name.as_os_str()));
        }
    }

    fn entry(&mut self, before: Option<&Node>, after: Option<&Node>, path: PathBuf) {
        let subtree = |node: Option<&Node>| node.and_then(|node| node.subtree);
        self.later(subtree(before), subtree(after), &path);
        let change = match (before, after) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            (Some(before), Some(after)) if before.kind != after.kind => Change::Kind,
            (Some(before), Some(after)) if !same_content(before, after) => Change::Content,
            (Some(before), Some(after)) if !same_metadata(before, after) => Change::Metadata,
            _ => return,
        };
        let Some(kind) = after.or(before).map(|node| node.kind) else { return };
        self.blobs_before.extend(before.iter().flat_map(|node| node.blobs()));
        self.blobs_after.extend(after.iter().flat_map(|node| node.blobs()));
        let bytes = |node: Option<&Node>| node.map_or(0, |node| node.size);
        let (bytes_before, bytes_after) = (bytes(before), bytes(after));
        self.found.entries.push(Changed { path, change, kind, bytes_before, bytes_after });
    }

    fn finish(mut self, index: &Index) -> Difference {
        self.found.entries.sort_by(|a, b| a.path.cmp(&b.path));
        let bytes = |of: &HashSet<Id>, without: &HashSet<Id>| {
            let only = of.difference(without).filter_map(|id| index.find(BlobKind::Data, id));
            only.map(|location| location.content_length()).sum()
        };
        self.found.bytes_added = bytes(&self.blobs_after, &self.blobs_before);
        self.found.bytes_removed = bytes(&self.blobs_before, &self.blobs_after);
        self.found
    }
}

/// Of two entries of one kind. What is in folders is compared by itself.
fn same_content(before: &Node, after: &Node) -> bool {
    before.blobs() == after.blobs()
        && before.link_target() == after.link_target()
        && before.device == after.device
}

/// What a restore brings back, but for content.
fn same_metadata(before: &Node, after: &Node) -> bool {
    before.mode == after.mode
        && before.mtime == after.mtime
        && (before.uid, before.gid) == (after.uid, after.gid)
        && before.extended_attributes == after.extended_attributes
}
