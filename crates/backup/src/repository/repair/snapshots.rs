//! Snapshots, without what is lost.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{RepairSnapshotsReport, RepairedSnapshot};
use crate::format::snapshot::Snapshot;
use crate::format::tree::{Node, NodeKind, Tree};
use crate::format::{BlobKind, Malformed};
use crate::repository::backup::packer::{Packer, Uploads};
use crate::repository::backup::publish;
use crate::repository::blobs::Trees;
use crate::repository::browse;
use crate::repository::index::{Index, pack_sizes};
use crate::repository::lock::Lock;
use crate::repository::objects::Objects;
use crate::{Error, Id, Object, ObjectKind};

/// The tag of new versions, as restic has it.
const TAG: &str = "repaired";

pub(super) fn repair(objects: &Objects, wanted: &[Id], forget: bool) -> Result<RepairSnapshotsReport, Error> {
    let lock = Lock::take(objects, true)?;
    let index = Index::load(objects, Some(&pack_sizes(objects)?))?;
    let (snapshots, unreadable) = chosen(objects, wanted)?;
    let uploads = Uploads::new(objects);
    let mut repair = Repair {
        objects,
        lock: &lock,
        index: &index,
        trees: Trees::new(objects, &index),
        uploads: &uploads,
        packer: Packer::new()?,
        stored: HashSet::new(),
        whole: HashSet::new(),
    };
    let mut report = RepairSnapshotsReport::default();
    let mut new_versions = Vec::new();
    for snapshot in snapshots {
        let mut lost = Vec::new();
        match repair.snapshot(snapshot.tree, &mut lost)? {
            Some(tree) if tree == snapshot.tree => report.whole += 1,
            tree => {
                report.damaged.push(RepairedSnapshot { old: snapshot.id, new: None, lost });
                new_versions.push(tree.map(|tree| new_version(snapshot, tree)));
            }
        }
    }
    uploads.finish()?;
    // Their trees are in the store now.
    for (damaged, new) in report.damaged.iter_mut().zip(new_versions) {
        damaged.new = new.map(|new| publish(objects, &lock, &index, &new)).transpose()?;
    }
    let lost = vec!["/".to_owned()];
    report.damaged.extend(unreadable.into_iter().map(|old| RepairedSnapshot {
        old,
        new: None,
        lost: lost.clone(),
    }));
    if forget {
        lock.confirm()?;
        for damaged in &report.damaged {
            objects.delete(Object::new(ObjectKind::Snapshot, damaged.old))?;
        }
    }
    Ok(report)
}

/// The snapshots of these names, or all; and those that cannot be read.
fn chosen(objects: &Objects, wanted: &[Id]) -> Result<(Vec<Snapshot>, Vec<Id>), Error> {
    let listed: Vec<Id> =
        objects.list(ObjectKind::Snapshot)?.into_iter().map(|listed| listed.object.id()).collect();
    if let Some(unknown) = wanted.iter().find(|id| !listed.contains(id)) {
        let problem = "it is not there".to_owned();
        return Err(Error::NoSnapshot { wanted: unknown.to_string(), problem });
    }
    let chosen = |id: &Id| wanted.is_empty() || wanted.contains(id);
    let (mut snapshots, _) = browse::load_snapshots(objects)?;
    let readable: HashSet<Id> = snapshots.iter().map(|snapshot| snapshot.id).collect();
    snapshots.retain(|snapshot| chosen(&snapshot.id));
    let unreadable = listed.into_iter().filter(|id| chosen(id) && !readable.contains(id));
    Ok((snapshots, unreadable.collect()))
}

fn new_version(old: Snapshot, tree: Id) -> Snapshot {
    let original = Some(old.original.unwrap_or(old.id));
    let mut new = Snapshot { tree, original, parent: None, summary: None, ..old };
    if !new.has_tag(TAG) {
        new.tags.push(TAG.to_owned());
    }
    new
}

struct Repair<'a> {
    objects: &'a Objects,
    lock: &'a Lock,
    index: &'a Index,
    trees: Trees<'a>,
    uploads: &'a Uploads,
    packer: Packer,
    /// Trees of this run that are new.
    stored: HashSet<Id>,
    /// Trees that have lost nothing, nor has what is in them.
    whole: HashSet<Id>,
}

/// A folder that is being gone through.
struct Folder {
    tree: Id,
    path: PathBuf,
    left: std::vec::IntoIter<Node>,
    kept: Vec<Node>,
    /// The folder in it that is being gone through.
    open: Option<Node>,
    changed: bool,
}

impl Folder {
    fn new(tree: Id, path: PathBuf, nodes: Vec<Node>) -> Self {
        Self { tree, path, left: nodes.into_iter(), kept: Vec::new(), open: None, changed: false }
    }

    /// Keeps a folder in it, with the tree that it has now.
    fn keep(&mut self, node: Node, tree: Id) {
        self.changed |= node.subtree != Some(tree);
        self.kept.push(Node { subtree: Some(tree), ..node });
    }
}

impl Repair<'_> {
    /// The tree of a snapshot without what is lost, which is named; none if its root is lost.
    fn snapshot(&mut self, root: Id, lost: &mut Vec<String>) -> Result<Option<Id>, Error> {
        if self.whole.contains(&root) {
            return Ok(Some(root));
        }
        let Some(nodes) = self.read(root)? else {
            lost.push("/".to_owned());
            return Ok(None);
        };
        // A stack of its own: the folders of a snapshot may be deeper than that of a thread.
        let mut above: Vec<Folder> = Vec::new();
        let mut folder = Folder::new(root, PathBuf::from("/"), nodes);
        loop {
            self.lock.keep()?;
            while let Some(node) = folder.left.next() {
                let path = folder.path.join(node.name.as_os_str());
                match node.subtree {
                    None if self.is_whole(&node) => folder.kept.push(node),
                    None => {
                        folder.changed = true;
                        lost.push(shown(&path));
                    }
                    Some(tree) if self.whole.contains(&tree) => folder.kept.push(node),
                    Some(tree) => {
                        if let Some(nodes) = self.read(tree)? {
                            folder.open = Some(node);
                            above.push(std::mem::replace(&mut folder, Folder::new(tree, path, nodes)));
                        } else {
                            lost.push(shown(&path));
                            let empty = self.store(&Tree::default().encode()?)?;
                            folder.keep(node, empty);
                        }
                    }
                }
            }
            let tree = if folder.changed {
                let kept = Tree { nodes: std::mem::take(&mut folder.kept) };
                let bytes = self.trees.decode(&folder.tree, |before| anew(before, &kept))??;
                self.store(&bytes)?
            } else {
                self.whole.insert(folder.tree);
                folder.tree
            };
            match above.pop() {
                None => return Ok(Some(tree)),
                Some(outer) => folder = outer,
            }
            if let Some(node) = folder.open.take() {
                folder.keep(node, tree);
            }
        }
    }

    fn is_whole(&self, node: &Node) -> bool {
        // A folder without a tree cannot be restored.
        node.kind != NodeKind::Dir && node.blobs().iter().all(|id| self.index.contains(BlobKind::Data, id))
    }

    /// The entries of a folder; none if they are lost.
    fn read(&self, tree: Id) -> Result<Option<Vec<Node>>, Error> {
        match self.trees.read(&tree) {
            Ok(tree) => Ok(Some(tree.nodes)),
            Err(Error::Damaged { .. } | Error::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn store(&mut self, bytes: &[u8]) -> Result<Id, Error> {
        let id = Id::of(bytes);
        self.objects.go_on()?;
        // The index may promise it in a pack that is damaged, so it is read to see.
        let there = self.index.contains(BlobKind::Tree, &id) && self.trees.read(&id).is_ok();
        if self.stored.insert(id) && !there {
            self.packer.add(self.uploads, BlobKind::Tree, id, bytes)?;
        }
        Ok(id)
    }
}

/// A tree of which only these entries are left, as `before` has them: also with what a newer program says of them, which is not known here.
fn anew(before: &[u8], kept: &Tree) -> Result<Result<Vec<u8>, Error>, Malformed> {
    let value = |json: &[u8]| serde_json::from_slice::<Value>(json);
    let edit = || {
        let mut tree = value(before)?;
        let known: Tree = serde_json::from_slice(before)?;
        if known.encode().is_ok_and(|known| value(&known).is_ok_and(|known| known == tree)) {
            return Ok(None);
        }
        if let Some(Value::Array(nodes)) = tree.get_mut("nodes") {
            let left = std::mem::take(nodes).into_iter().zip(&known.nodes);
            nodes.extend(left.filter_map(|(mut node, known)| {
                let subtree = kept.find(&known.name)?.subtree;
                if let (Some(subtree), Some(fields)) = (subtree, node.as_object_mut()) {
                    fields.insert("subtree".to_owned(), Value::String(subtree.to_string()));
                }
                Some(node)
            }));
        }
        serde_json::to_vec(&tree).map(Some)
    };
    let edited = edit().map_err(|error| Malformed::json("the JSON of the tree", &error))?;
    Ok(edited.map_or_else(|| kept.encode(), Ok))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
