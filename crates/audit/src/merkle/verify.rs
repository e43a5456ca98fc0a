//! Checking proofs: pure functions that need nothing but the proof (RFC 9162, sections 2.1.3.2 and 2.1.4.2).

use super::{Hash, node_hash};
use crate::Error;

fn wrong(problem: &'static str) -> Error {
    Error::Proof { problem }
}

/// Checks that the leaf is number `index` (from 0) of the tree of `size` leaves with this root.
///
/// # Errors
///
/// [`Error::Proof`].
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), Error> {
    if index >= size {
        return Err(wrong("the entry is not below the size of the tree"));
    }
    let (mut number, mut last, mut node) = (index, size - 1, *leaf);
    for beside in proof {
        if last == 0 {
            return Err(wrong("it is longer than a path in this tree"));
        }
        if number & 1 == 1 || number == last {
            node = node_hash(beside, &node);
            // Where there is nothing to the right, the node is its own parent.
            while number & 1 == 0 && number != 0 {
                number >>= 1;
                last >>= 1;
            }
        } else {
            node = node_hash(&node, beside);
        }
        number >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong("it is shorter than the path in this tree"));
    }
    if node == *root { Ok(()) } else { Err(wrong("it leads to another root")) }
}

/// Checks that the tree of `old_size` leaves with `old_root` is how the tree of `size` leaves with `root` began: nothing that was in
/// the old one was changed, taken out or put in since.
///
/// # Errors
///
/// [`Error::Proof`].
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    size: u64,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), Error> {
    if old_size > size {
        return Err(wrong("the old tree is larger than the new one"));
    }
    if old_size == size || old_size == 0 {
        let empty = Hash::of(&[]);
        return match () {
            () if !proof.is_empty() => Err(wrong("it is longer than it need be")),
            () if old_size == size && old_root != root => Err(wrong("trees of one size have two roots")),
            () if old_size == 0 && *old_root != empty => Err(wrong("the root of no entries is another")),
            () => Ok(()),
        };
    }
    // A complete old tree is a node of the new one, so its root is not repeated in the proof.
    let (first, rest) = if old_size.is_power_of_two() {
        (*old_root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or_else(|| wrong("it is empty"))?;
        (*first, rest)
    };
    let shift = (old_size - 1).trailing_ones();
    // A shift by 64 would need an old tree of 2^64 leaves.
    let (mut number, mut last) = ((old_size - 1) >> shift, (size - 1) >> shift);
    let (mut old, mut new) = (first, first);
    for beside in rest {
        if last == 0 {
            return Err(wrong("it is longer than a path in this tree"));
        }
        if number & 1 == 1 || number == last {
            old = node_hash(beside, &old);
            new = node_hash(beside, &new);
            while number & 1 == 0 && number != 0 {
                number >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, beside);
        }
        number >>= 1;
        last >>= 1;
    }
    match () {
        () if last != 0 => Err(wrong("it is shorter than the path in this tree")),
        () if old != *old_root => Err(wrong("it leads to another old root")),
        () if new != *root => Err(wrong("it leads to another root")),
        () => Ok(()),
    }
}
