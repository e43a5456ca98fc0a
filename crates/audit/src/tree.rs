//! The hashes of the tree in a file, those of the last segment in memory until they are durable.
//!
//! The file may be behind: what it lacks follows from the segments after the one before whose header it was last made durable.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::disk::{Disk, DiskFile};
use crate::merkle::{CompactRange, Hash, Nodes, nodes_below, position};

/// Stored hashes.
#[derive(Debug)]
pub(crate) struct Tree {
    stored: StoredTree,
    file: Box<dyn DiskFile>,
    /// After those that are durable.
    pending: Vec<Hash>,
}

impl Tree {
    /// The tree of the first `size` leaves, which are durable.
    pub(crate) fn open(disk: &dyn Disk, path: &Path, size: u64) -> Result<Self, Error> {
        let file = disk.open(path).map_err(Error::disk("open", path))?;
        let stored = StoredTree::open(path, size)?;
        Ok(Self { stored, file, pending: Vec::new() })
    }

    pub(crate) fn push(&mut self, node: &Hash) {
        self.pending.push(*node);
    }

    /// Makes all hashes durable. After a failure they are still in memory, and the next call writes all of them again.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let path = self.stored.path.clone();
        let bytes: Vec<u8> = self.pending.iter().flat_map(|hash| hash.0).collect();
        self.file.write_at(&bytes, self.stored.nodes * 32).map_err(Error::disk("write", &path))?;
        self.file.sync().map_err(Error::disk("sync", &path))?;
        self.stored.nodes += self.pending.len() as u64;
        self.pending = Vec::new();
        Ok(())
    }
}

impl Nodes for Tree {
    fn at(&self, position: u64) -> Result<Hash, Error> {
        match position.checked_sub(self.stored.nodes) {
            None => self.stored.at(position),
            Some(pending) => usize::try_from(pending)
                .ok()
                .and_then(|index| self.pending.get(index))
                .copied()
                .ok_or_else(|| Error::damaged(&self.stored.path, "it lacks a hash")),
        }
    }
}

/// The file alone.
#[derive(Debug)]
pub(crate) struct StoredTree {
    path: PathBuf,
    file: Option<File>,
    /// How many of its hashes count.
    nodes: u64,
}

impl StoredTree {
    pub(crate) fn open(path: &Path, size: u64) -> Result<Self, Error> {
        let file = match File::open(path) {
            Ok(file) => Some(file),
            Err(error) if size == 0 && error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::disk("open", path)(error)),
        };
        Ok(Self { path: path.to_owned(), file, nodes: nodes_below(size) })
    }

    /// What is kept of the tree of the first `size` leaves.
    pub(crate) fn range(&self, size: u64) -> Result<CompactRange, Error> {
        let mut peaks = Vec::new();
        let mut start = 0;
        for level in (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1) {
            peaks.push(self.at(position(level, start >> level))?);
            start += 1 << level;
        }
        CompactRange::from_peaks(size, peaks).ok_or_else(|| Error::damaged(&self.path, "it lacks a hash"))
    }

    /// The hash of a leaf.
    pub(crate) fn leaf(&self, number: u64) -> Result<Hash, Error> {
        self.at(position(0, number))
    }
}

impl Nodes for StoredTree {
    fn at(&self, position: u64) -> Result<Hash, Error> {
        let mut hash = Hash::default();
        let short = || Error::damaged(&self.path, "it lacks a hash");
        let file = self.file.as_ref().filter(|_| position < self.nodes).ok_or_else(short)?;
        file.read_exact_at(&mut hash.0, position * 32).map_err(|_| short())?;
        Ok(hash)
    }
}
