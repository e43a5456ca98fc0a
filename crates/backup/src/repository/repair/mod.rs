//! Making the best of a repository that has lost something.
//!
//! First the index is made to say what is there, then snapshots are made to ask for no more than that. A repository with a replica is
//! mended from that instead, which loses nothing.

mod index;
mod snapshots;

use super::Repository;
use crate::{Error, Failure, Id};

/// What became of the index.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RepairIndexReport {
    /// Whether anything was wrong. Otherwise nothing was written.
    pub repaired: bool,
    /// Index objects that could not be read.
    pub indexes_damaged: u64,
    /// Packs that indexes named and that are not there.
    pub packs_gone: u64,
    /// Packs that no index named, or not rightly, and that were indexed by their own lists.
    pub packs_found: u64,
    /// Packs that are damaged. What of them is whole is in new packs.
    pub packs_damaged: Vec<Failure>,
    /// Blobs of damaged packs that are whole.
    pub blobs_saved: u64,
    /// Blobs of damaged packs that are lost, unless they are elsewhere too.
    pub blobs_lost: u64,
}

/// What became of the snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RepairSnapshotsReport {
    /// Snapshots that were looked at and have lost nothing.
    pub whole: u64,
    /// Snapshots that have lost something.
    pub damaged: Vec<RepairedSnapshot>,
}

/// A snapshot that has lost something.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RepairedSnapshot {
    /// Its id.
    pub old: Id,
    /// Its new version without what is lost; none if nothing is left of it.
    pub new: Option<Id>,
    /// What is lost: paths of files, and of folders all of whose entries are lost.
    pub lost: Vec<String>,
}

impl Repository {
    /// Makes the index say what is there: without indexes that are damaged, without packs that are gone, with packs that no index names.
    /// With `read_data` every byte of every pack is read, and packs of which a part is damaged are replaced by what of them is whole;
    /// without, only packs of a wrong length are.
    ///
    /// It is safe to kill at any moment: what goes does so last. Nobody else may use the repository meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`]; what a store answers.
    pub async fn repair_index(&self, read_data: bool) -> Result<RepairIndexReport, Error> {
        self.run(move |objects| index::repair(objects, read_data)).await
    }

    /// Makes a new version, tagged `repaired`, of each of these snapshots that has lost something, without the files that are not whole and
    /// with empty folders in the place of those that cannot be read. The old one stays, as the damage may be healed yet, or is removed with
    /// `forget`. Of no `snapshots`, all are looked at.
    ///
    /// What the index says is believed: after damage call [`repair_index`](Self::repair_index) first. Nobody else may use the repository meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::NoSnapshot`]; [`Error::Locked`]; what a store answers.
    pub async fn repair_snapshots(
        &self,
        snapshots: &[Id],
        forget: bool,
    ) -> Result<RepairSnapshotsReport, Error> {
        let snapshots = snapshots.to_vec();
        self.run(move |objects| snapshots::repair(objects, &snapshots, forget)).await
    }
}
