//! Proofs as they are handed out.

use crate::merkle::{Hash, Nodes, position, root_at, verify_consistency, verify_inclusion};
use crate::{Checkpoint, Error};

/// That an entry is in the log, as far as a tree of some size goes. Holds without the log: see [`verify`](InclusionProof::verify).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct InclusionProof {
    /// The entry.
    pub sequence: u64,
    /// Its hash.
    pub leaf: Hash,
    /// The size of the tree.
    pub size: u64,
    /// The root of the tree.
    pub root: Hash,
    /// The hashes beside the way from the entry to the root.
    pub hashes: Vec<Hash>,
}

/// That a log only grew between two sizes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ConsistencyProof {
    /// The size before.
    pub old_size: u64,
    /// The root before.
    pub old_root: Hash,
    /// The size after.
    pub size: u64,
    /// The root after.
    pub root: Hash,
    /// The hashes that lead from one to the other.
    pub hashes: Vec<Hash>,
}

impl InclusionProof {
    pub(crate) fn of(nodes: &impl Nodes, sequence: u64, size: u64, hashes: Vec<Hash>) -> Result<Self, Error> {
        let (leaf, root) = (nodes.at(position(0, sequence))?, root_at(nodes, size)?);
        Ok(Self { sequence, leaf, size, root, hashes })
    }

    /// Checks that an entry with this hash is in the log that the checkpoint is of.
    ///
    /// # Errors
    ///
    /// [`Error::Proof`].
    pub fn verify(&self, leaf: &Hash, checkpoint: &Checkpoint) -> Result<(), Error> {
        if checkpoint.size != self.size {
            return Err(Error::Proof { problem: "it is for a tree of another size than the checkpoint's" });
        }
        verify_inclusion(leaf, self.sequence, self.size, &self.hashes, &checkpoint.root)
    }
}

impl ConsistencyProof {
    pub(crate) fn of(nodes: &impl Nodes, old_size: u64, size: u64, hashes: Vec<Hash>) -> Result<Self, Error> {
        let (old_root, root) = (root_at(nodes, old_size)?, root_at(nodes, size)?);
        Ok(Self { old_size, old_root, size, root, hashes })
    }

    /// Checks that the log of the older checkpoint is how that of the newer one begins.
    ///
    /// # Errors
    ///
    /// [`Error::Proof`].
    pub fn verify(&self, old: &Checkpoint, new: &Checkpoint) -> Result<(), Error> {
        if (old.size, new.size) != (self.old_size, self.size) {
            return Err(Error::Proof { problem: "it is for trees of other sizes than the checkpoints'" });
        }
        verify_consistency(old.size, &old.root, new.size, &new.root, &self.hashes)
    }
}
