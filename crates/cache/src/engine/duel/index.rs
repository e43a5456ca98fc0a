//! Where a shard's entries lie.

/// A table of buckets, as many as are wanted. An entry lies in the bucket of its hash, or in the next that has room. A byte of each hash
/// stands beside the number of its slot: one look at memory finds a slot, and few entries are touched to skip one another. The whole
/// hashes are with the entries, where they are asked for when the table grows.
#[derive(Debug, Default)]
#[repr(C)] // A shard has the buckets beside its lock.
pub(super) struct Index {
    buckets: Vec<Bucket>,
    held: usize,
    /// So many entries are expected at most: room for just as many is made at last.
    expected: usize,
}

/// Half a cache line.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(32))]
struct Bucket {
    /// A byte for each lane, 0 where it is free. In the two above them stands how many passed by here, as there was no room.
    signs: u64,
    /// The numbers of the slots.
    slots: [u32; LANES],
}

const _: () = assert!(size_of::<Bucket>() == 32, "two buckets are a cache line");

const LANES: usize = 6;
/// The sign of a lane that is free.
const NOTHING: u64 = 0;
/// One in each lane.
const EACH: u64 = 0x0101_0101_0101;
/// Where how many passed by begins.
const PASSED: u32 = 48;
/// So many that passed by are not counted any more: this stays until the table grows.
const COUNTLESS: u64 = u64::MAX >> PASSED;

/// Buckets for so many entries: four in each, so that one in eighteen passes by.
fn buckets_for(entries: usize) -> usize {
    entries / 4 + 2
}

/// By what an entry is told from most others of its bucket, which has been found by the upper bits.
#[inline]
fn sign(hash: u32) -> u64 {
    u64::from(hash & 0xff).max(1)
}

/// Lanes: the highest bit of the byte of each.
struct Lanes(u64);

impl Lanes {
    #[inline]
    fn first(&self) -> Option<usize> {
        let lane = (self.0.trailing_zeros() / 8) as usize;
        (lane < LANES).then_some(lane)
    }
}

impl Iterator for Lanes {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let lane = self.first();
        self.0 &= self.0.wrapping_sub(1);
        lane
    }
}

impl Bucket {
    /// The lanes that have a sign.
    #[inline]
    fn lanes_with(&self, sign: u64) -> Lanes {
        // The highest bit of a byte is set, or comes to be set when all others are added to it, unless the byte is zero.
        let (differing, others) = (self.signs ^ (sign * EACH), EACH * 0x7f);
        Lanes(!(((differing & others) + others) | differing) & (EACH << 7))
    }

    #[inline]
    fn slot(&self, lane: usize) -> u32 {
        self.slots.get(lane).copied().unwrap_or(u32::MAX)
    }

    #[inline]
    fn set(&mut self, lane: usize, sign: u64, slot: u32) {
        if let Some(place) = self.slots.get_mut(lane) {
            *place = slot;
            let at = 8 * lane;
            self.signs = self.signs & !(0xff << at) | sign << at;
        }
    }

    /// How many passed by.
    #[inline]
    fn passed(&self) -> u64 {
        self.signs >> PASSED
    }

    fn note_passed(&mut self) {
        if self.passed() < COUNTLESS {
            self.signs += 1 << PASSED;
        }
    }

    fn forget_passed(&mut self) {
        if (1..COUNTLESS).contains(&self.passed()) {
            self.signs -= 1 << PASSED;
        }
    }
}

impl Index {
    pub(super) fn new(expected: usize) -> Self {
        Self { buckets: Vec::new(), held: 0, expected }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "it is less than the length")]
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.buckets.len() as u64) >> 32) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.buckets.len() { 0 } else { at + 1 }
    }

    /// The slot, among those that may have this hash, that is the one.
    #[inline(always)] // It is what a hit costs, and compilers take it for too long to go into each of the few that look.
    #[allow(clippy::inline_always)]
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let home = self.home(hash);
        let mut at = home;
        loop {
            let bucket = self.buckets.get(at)?;
            for lane in bucket.lanes_with(sign(hash)) {
                let slot = bucket.slot(lane);
                if is_it(slot) {
                    return Some(slot);
                }
            }
            at = self.after(at);
            // Each bucket at most once: of a small table all may have been passed by.
            if bucket.passed() == 0 || at == home {
                return None;
            }
        }
    }

    /// Adds a slot that is not there. `hash_of` tells the hashes of those that are.
    pub(super) fn insert(&mut self, hash: u32, slot: u32, hash_of: impl Fn(u32) -> u32) {
        if buckets_for(self.held + 1) > self.buckets.len() {
            self.grow(hash_of);
        }
        self.held += 1;
        self.put(hash, slot);
    }

    fn put(&mut self, hash: u32, slot: u32) {
        let mut at = self.home(hash);
        while let Some(bucket) = self.buckets.get_mut(at) {
            if let Some(free) = bucket.lanes_with(NOTHING).first() {
                bucket.set(free, sign(hash), slot);
                return;
            }
            bucket.note_passed();
            at = self.after(at);
        }
    }

    #[cold]
    fn grow(&mut self, hash_of: impl Fn(u32) -> u32) {
        let (double, whole) = ((self.buckets.len() * 2).max(4), buckets_for(self.expected));
        // What is left over of a last doubling would never be used.
        let length = if self.buckets.len() < whole { double.min(whole) } else { double };
        let buckets = std::mem::replace(&mut self.buckets, vec![Bucket::default(); length]);
        for bucket in buckets {
            for (sign, slot) in bucket.signs.to_le_bytes().into_iter().zip(bucket.slots) {
                if u64::from(sign) != NOTHING {
                    self.put(hash_of(slot), slot);
                }
            }
        }
    }

    /// Takes a slot out, if it is there.
    pub(super) fn remove(&mut self, hash: u32, slot: u32) {
        let home = self.home(hash);
        let mut at = home;
        let found = (0..self.buckets.len()).any(|_| {
            let Some(bucket) = self.buckets.get_mut(at) else { return false };
            if let Some(lane) = bucket.lanes_with(sign(hash)).find(|lane| bucket.slot(*lane) == slot) {
                bucket.set(lane, NOTHING, 0);
                return true;
            }
            at = self.after(at);
            false
        });
        if !found {
            return;
        }
        self.held -= 1;
        let mut by = home;
        while by != at {
            if let Some(bucket) = self.buckets.get_mut(by) {
                bucket.forget_passed();
            }
            by = self.after(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Hashes from a few, so that they collide and wrap.
        #[test]
        fn it_holds_what_a_set_holds(
            expected in 0_usize..40,
            steps in prop::collection::vec((any::<bool>(), 0_u32..6, 0_u32..20), 0..300),
        ) {
            let (mut index, mut model) = (Index::new(expected), HashMap::new());
            for (put, hash, slot) in steps {
                let hash = u32::MAX / 5 * hash;
                if !put {
                    index.remove(hash, slot);
                    if model.get(&slot) == Some(&hash) {
                        model.remove(&slot);
                    }
                } else if !model.contains_key(&slot) {
                    index.insert(hash, slot, |slot| model.get(&slot).copied().unwrap_or(0));
                    model.insert(slot, hash);
                }
                prop_assert_eq!(index.held, model.len());
                for hash in (0..6).map(|part| u32::MAX / 5 * part) {
                    for slot in 0..20 {
                        let is_of = |found: u32| model.get(&found) == Some(&hash);
                        let there = index.find(hash, |found| found == slot && is_of(found)).is_some();
                        prop_assert_eq!(there, is_of(slot));
                    }
                }
            }
        }
    }

    #[test]
    fn room_for_what_is_expected_is_not_outgrown() {
        let (mut index, hash_of) = (Index::new(1000), |slot: u32| slot.wrapping_mul(0x9e37_79b9));
        (0..1000).for_each(|slot| index.insert(hash_of(slot), slot, hash_of));
        assert_eq!(index.buckets.len(), buckets_for(1000));
        (1000..1010).for_each(|slot| index.insert(hash_of(slot), slot, hash_of));
        assert!(index.buckets.len() > buckets_for(1000));
    }

    /// Where very many hashes are the same, those that passed by are too many to count.
    #[test]
    fn what_passed_by_is_found_however_many_did() {
        let most = u32::try_from(COUNTLESS).unwrap_or(u32::MAX) + 20;
        let mut bucket = Bucket::default();
        (0..most).for_each(|_| bucket.note_passed());
        (0..most).for_each(|_| bucket.forget_passed());
        assert_eq!(bucket.passed(), COUNTLESS);
        bucket = Bucket::default();
        (0..9).for_each(|_| bucket.note_passed());
        (0..9).for_each(|_| bucket.forget_passed());
        assert_eq!(bucket.passed(), 0);
    }
}
