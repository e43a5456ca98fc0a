//! The root of a growing tree, from a few hashes.

use super::{Hash, node_hash};

/// What is kept of a tree to which leaves are added: the roots of its complete subtrees, one for each bit of its size.
///
/// At most 64 hashes. A leaf costs two hashes on average; a root at most 63.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactRange {
    size: u64,
    /// From the largest to the smallest.
    peaks: Vec<Hash>,
}

impl CompactRange {
    /// A tree of `size` leaves with these complete subtrees, from the largest to the smallest; `None` where their number is another.
    pub(crate) fn from_peaks(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_into(leaf, |_| ());
    }

    /// Adds a leaf and tells every hash that this completes, the leaf's first, each parent after its children.
    pub(crate) fn push_into(&mut self, leaf: Hash, mut completed: impl FnMut(&Hash)) {
        completed(&leaf);
        let mut node = leaf;
        // The ones at the end of the size are the subtrees that the leaf completes.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
                completed(&node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root of the tree. That of no leaves is the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut smallest_first = self.peaks.iter().rev();
        match smallest_first.next() {
            None => Hash::of(&[]),
            Some(last) => smallest_first.fold(*last, |right, left| node_hash(left, &right)),
        }
    }
}
