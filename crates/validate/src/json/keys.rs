//! Names of the objects that are open.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// Names of an object up to which they are looked through one by one.
const FEW: usize = 24;

/// Keeps names as hashes with a key of this process: two different names are taken for one once in 2^64 pairs, and nobody outside
/// can make it more.
#[derive(Debug, Default)]
pub(super) struct Names {
    hasher: RandomState,
    /// Of all open objects with few names, one after the other.
    few: Vec<u64>,
}

/// Names of one object.
#[derive(Debug)]
pub(super) struct Seen {
    /// Where its part of `few` begins.
    start: usize,
    many: Option<HashSet<u64, BuildHasherDefault<AsItIs>>>,
}

impl Names {
    pub(super) fn open(&self) -> Seen {
        Seen { start: self.few.len(), many: None }
    }

    pub(super) fn close(&mut self, seen: &Seen) {
        self.few.truncate(seen.start);
    }

    /// Takes a name of the innermost object; `false` when it has it already.
    pub(super) fn insert(&mut self, seen: &mut Seen, name: &[u8]) -> bool {
        let hash = self.hasher.hash_one(name);
        if let Some(many) = &mut seen.many {
            return many.insert(hash);
        }
        let own = self.few.get(seen.start..).unwrap_or_default();
        if own.contains(&hash) {
            return false;
        }
        if own.len() < FEW {
            self.few.push(hash);
        } else {
            seen.many = Some(own.iter().copied().chain([hash]).collect());
            self.few.truncate(seen.start);
        }
        true
    }
}

/// What is hashed already.
#[derive(Debug, Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only numbers come here.
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte));
    }
}
