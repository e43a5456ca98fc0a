//! Looking around in snapshots.

use std::path::{Path, PathBuf};

use super::Repository;
use super::blobs::Trees;
use super::index::Index;
use super::objects::Objects;
use crate::format::snapshot::Snapshot;
use crate::format::tree::{Name, Node, Tree};
use crate::{Error, Id, ObjectKind};

/// An entry of a snapshot, with its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the snapshot, from `/`.
    pub path: PathBuf,
    /// What it is.
    pub node: Node,
}

impl Repository {
    /// All snapshots, the oldest first.
    ///
    /// # Errors
    ///
    /// What a store answers; [`Error::Damaged`] for a snapshot that cannot be read, which [`check`](Repository::check) shows among all others.
    pub async fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        self.run(|objects| {
            let (snapshots, mut damaged) = load_snapshots(objects)?;
            match damaged.pop() {
                None => Ok(snapshots),
                Some(error) => Err(error),
            }
        })
        .await
    }

    /// The one snapshot whose id begins with `wanted`, or with `latest` the newest.
    ///
    /// # Errors
    ///
    /// [`Error::NoSnapshot`]; for `latest`, [`Error::Damaged`] when one cannot be read, which may be the latest; what a store answers.
    pub async fn snapshot(&self, wanted: &str) -> Result<Snapshot, Error> {
        let wanted = wanted.to_owned();
        self.run(move |objects| find_snapshot(objects, &wanted)).await
    }

    /// What is in a folder of a snapshot; with `deep` also what is in the folders in it. Of a file, itself.
    ///
    /// # Errors
    ///
    /// [`Error::NoEntry`]; [`Error::Damaged`]; what a store answers.
    pub async fn list(&self, snapshot: &Snapshot, path: &Path, deep: bool) -> Result<Vec<Entry>, Error> {
        let (snapshot, path) = (snapshot.clone(), path.to_owned());
        self.run(move |objects| {
            let index = Index::load(objects, None)?;
            let trees = Trees::new(objects, &index);
            let mut entries = Vec::new();
            match find(&trees, &snapshot, &path)? {
                Found::Root(tree) => list_tree(&trees, &tree, Path::new("/"), deep, &mut entries)?,
                Found::Node(node) => match node.subtree {
                    Some(tree) => list_tree(&trees, &tree, &path, deep, &mut entries)?,
                    None => entries.push(Entry { path, node: *node }),
                },
            }
            Ok(entries)
        })
        .await
    }
}

fn list_tree(
    trees: &Trees<'_>,
    tree: &Id,
    path: &Path,
    deep: bool,
    entries: &mut Vec<Entry>,
) -> Result<(), Error> {
    // A stack of its own: the folders of a snapshot may be deeper than that of a thread.
    let mut open = vec![(*tree, path.to_owned())];
    while let Some((tree, path)) = open.pop() {
        let Tree { nodes } = trees.read(&tree)?;
        let mut inner = Vec::new();
        for node in nodes {
            let path = path.join(node.name.as_os_str());
            if deep {
                inner.extend(node.subtree.map(|tree| (tree, path.clone())));
            }
            entries.push(Entry { path, node });
        }
        open.extend(inner.into_iter().rev());
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(())
}

/// All snapshots that can be read, the oldest first, and what is wrong with the others.
pub(super) fn load_snapshots(objects: &Objects) -> Result<(Vec<Snapshot>, Vec<Error>), Error> {
    let mut snapshots = Vec::new();
    let mut damaged = Vec::new();
    for listed in objects.list(ObjectKind::Snapshot)? {
        match objects.load::<Snapshot>(listed.object) {
            Ok(snapshot) => {
                snapshots.push(Snapshot { id: listed.object.id(), first_seen: listed.modified, ..snapshot });
            }
            // Forgotten by another since it was listed.
            Err(Error::Missing { .. }) => {}
            Err(error @ Error::Damaged { .. }) => damaged.push(error),
            Err(error) => return Err(error),
        }
    }
    snapshots.sort_by_key(|snapshot| (snapshot.time, snapshot.id));
    Ok((snapshots, damaged))
}

fn find_snapshot(objects: &Objects, wanted: &str) -> Result<Snapshot, Error> {
    let none = |problem: String| Error::NoSnapshot { wanted: wanted.to_owned(), problem };
    let (mut snapshots, mut damaged) = load_snapshots(objects)?;
    if wanted == "latest" {
        // When it was made is in it: it may be the latest.
        if let Some(damaged) = damaged.pop() {
            return Err(damaged);
        }
        return snapshots.pop().ok_or_else(|| none("there are none yet".to_owned()));
    }
    if wanted.is_empty() {
        return Err(none("an id begins with at least one digit".to_owned()));
    }
    let count = snapshots.len();
    snapshots.retain(|snapshot| snapshot.id.to_string().starts_with(wanted));
    match (snapshots.pop(), snapshots.len()) {
        (Some(snapshot), 0) => Ok(snapshot),
        (Some(_), others) => Err(none(format!("{} begin so; give more digits", others + 1))),
        (None, _) => Err(none(format!("of {count} none begins so"))),
    }
}

/// What a path of a snapshot leads to.
pub(super) enum Found {
    /// Its root, which has no node.
    Root(Id),
    Node(Box<Node>),
}

pub(super) fn find(trees: &Trees<'_>, snapshot: &Snapshot, path: &Path) -> Result<Found, Error> {
    use std::os::unix::ffi::OsStrExt;
    let missing = || Error::NoEntry { path: path.display().to_string(), snapshot: snapshot.id.short() };
    let mut found = Found::Root(snapshot.tree);
    let names = path.as_os_str().as_bytes().split(|byte| *byte == b'/').filter(|name| !name.is_empty());
    for name in names {
        let name = Name::new(name).ok_or_else(missing)?;
        let tree = match &found {
            Found::Root(tree) => *tree,
            Found::Node(node) => node.subtree.ok_or_else(missing)?,
        };
        found = Found::Node(Box::new(trees.read(&tree)?.find(&name).ok_or_else(missing)?.clone()));
    }
    Ok(found)
}
