//! How much there is.

use super::Repository;
use super::index::{Index, Location};
use super::objects::Objects;
use crate::format::BlobKind;
use crate::{Error, ObjectKind};

/// What is in a repository, and what it takes. Blobs that are there twice count twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Snapshots.
    pub snapshots: u64,
    /// Blobs of files.
    pub data_blobs: u64,
    /// Their bytes, before compression.
    pub bytes: u64,
    /// Blobs of folders.
    pub tree_blobs: u64,
    /// Their bytes, before compression.
    pub tree_bytes: u64,
    /// Packs in the store.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Index objects.
    pub indexes: u64,
    /// Their bytes.
    pub index_bytes: u64,
}

impl Repository {
    /// How much there is, by listings and indexes; content is not read.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] for an index; what a store answers.
    pub async fn stats(&self) -> Result<Stats, Error> {
        self.run(stats).await
    }
}

fn stats(objects: &Objects) -> Result<Stats, Error> {
    let index = Index::load(objects, None)?;
    let listed = |kind| -> Result<(u64, u64), Error> {
        let listed = objects.list(kind)?;
        Ok((listed.len() as u64, listed.iter().map(|one| one.size).sum()))
    };
    let blobs = |kind| {
        let of_kind = index.blobs().filter(move |(of, ..)| *of == kind);
        of_kind.fold((0, 0), |(count, bytes), (_, _, location): (_, _, Location)| {
            (count + 1, bytes + location.content_length())
        })
    };
    let (data_blobs, bytes) = blobs(BlobKind::Data);
    let (tree_blobs, tree_bytes) = blobs(BlobKind::Tree);
    let (packs, pack_bytes) = listed(ObjectKind::Pack)?;
    let (indexes, index_bytes) = listed(ObjectKind::Index)?;
    let (snapshots, _) = listed(ObjectKind::Snapshot)?;
    Ok(Stats {
        snapshots,
        data_blobs,
        bytes,
        tree_blobs,
        tree_bytes,
        packs,
        pack_bytes,
        indexes,
        index_bytes,
    })
}
