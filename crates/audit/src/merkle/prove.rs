//! Making proofs from stored hashes, in as many reads as the proof has hashes, and one for each level where the tree is ragged.
//!
//! All complete subtrees are stored in the order in which they were completed (a post-order walk), so the place of each follows
//! from its level and number, and the file only grows at its end.

use super::{Hash, node_hash};
use crate::Error;

/// Where stored hashes are read.
pub(crate) trait Nodes {
    /// The hash at a position.
    fn at(&self, position: u64) -> Result<Hash, Error>;
}

/// How many hashes are stored for a tree of `size` leaves.
pub(crate) fn nodes_below(size: u64) -> u64 {
    2 * size - u64::from(size.count_ones())
}

/// Where the root of the complete subtree of leaves from `number << level`, `1 << level` of them, is stored.
pub(crate) fn position(level: u32, number: u64) -> u64 {
    let last_leaf = ((number + 1) << level) - 1;
    nodes_below(last_leaf) + u64::from(level)
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (u64::BITS - 1 - (size - 1).leading_zeros())
}

/// The root of the leaves from `start`, `size` of them. `start` is a multiple of a power of two no less than `size`.
fn subtree(nodes: &impl Nodes, start: u64, size: u64) -> Result<Hash, Error> {
    if size == 0 {
        return Ok(Hash::of(&[]));
    }
    if size.is_power_of_two() {
        let level = size.trailing_zeros();
        return nodes.at(position(level, start >> level));
    }
    let left = split(size);
    Ok(node_hash(&subtree(nodes, start, left)?, &subtree(nodes, start + left, size - left)?))
}

/// The root of the first `size` leaves.
pub(crate) fn root_at(nodes: &impl Nodes, size: u64) -> Result<Hash, Error> {
    subtree(nodes, 0, size)
}

/// The audit path of RFC 9162, section 2.1.3.1; `index < size`.
pub(crate) fn inclusion(nodes: &impl Nodes, index: u64, size: u64) -> Result<Vec<Hash>, Error> {
    let mut proof = Vec::new();
    let (mut start, mut size) = (0, size);
    while size > 1 {
        let left = split(size);
        if index - start < left {
            proof.push(subtree(nodes, start + left, size - left)?);
            size = left;
        } else {
            proof.push(subtree(nodes, start, left)?);
            start += left;
            size -= left;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The consistency proof of RFC 9162, section 2.1.4.1; `old <= size`.
pub(crate) fn consistency(nodes: &impl Nodes, old: u64, size: u64) -> Result<Vec<Hash>, Error> {
    let mut proof = Vec::new();
    if old == 0 || old == size {
        return Ok(proof);
    }
    let (mut start, mut old, mut size) = (0, old, size);
    let mut whole = true;
    while old != size {
        let left = split(size);
        if old <= left {
            proof.push(subtree(nodes, start + left, size - left)?);
            size = left;
        } else {
            proof.push(subtree(nodes, start, left)?);
            start += left;
            old -= left;
            size -= left;
            whole = false;
        }
    }
    if !whole {
        proof.push(subtree(nodes, start, size)?);
    }
    proof.reverse();
    Ok(proof)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
