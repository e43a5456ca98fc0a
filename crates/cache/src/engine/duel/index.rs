//! Where a shard's entries lie.

/// A table of buckets, as many as are wanted. An entry lies in the bucket of its hash, or in the next that has room. Halves of
/// hashes stand beside the numbers of slots: so one look at memory finds a slot, entries are not touched to skip one another, and no
/// key is hashed twice.
#[derive(Debug, Default)]
pub(super) struct Index {
    buckets: Vec<Bucket>,
    held: usize,
    /// So many entries are expected at most: room for just as many is made at last.
    expected: usize,
}

/// A cache line. A processor compares all of it at once.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Bucket {
    hashes: [u32; LANES + 1],
    /// A slot's number and 1, or nothing; behind them how many passed by here, as there was no room.
    slots: [u32; LANES + 1],
}

const LANES: usize = 7;
const NOTHING: u32 = 0;

/// Buckets for so many entries: four and a half in each, so that one in twelve passes by.
fn buckets_for(entries: usize) -> usize {
    entries / 9 * 2 + 2
}

/// The lanes that have some number: a bit for each, from the second bit on.
struct Lanes(u32);

/// All eight are looked at alike, and no bit is left in its place: compilers make one comparison of that. What stands in the last is no
/// lane, and is left out by [`Lanes`].
#[inline]
fn lanes_with(number: u32, lanes: &[u32; LANES + 1]) -> Lanes {
    let mut bits = 0;
    for (lane, other) in lanes.iter().enumerate() {
        bits |= u32::from(*other == number) << (lane + 1);
    }
    Lanes(bits)
}

impl Lanes {
    #[inline]
    fn first(&self) -> Option<usize> {
        let lane = self.0.trailing_zeros().wrapping_sub(1) as usize;
        (lane < LANES).then_some(lane)
    }

    #[inline]
    fn and(self, others: &Self) -> Self {
        Self(self.0 & others.0)
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
    #[inline]
    fn slot(&self, lane: usize) -> u32 {
        self.slots.get(lane).copied().unwrap_or(NOTHING)
    }

    #[inline]
    fn set(&mut self, lane: usize, hash: u32, slot: u32) {
        if let (Some(own), Some(number)) = (self.hashes.get_mut(lane), self.slots.get_mut(lane)) {
            (*own, *number) = (hash, slot);
        }
    }

    #[inline]
    fn passed(&mut self) -> &mut u32 {
        &mut self.slots[LANES]
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

    /// The slot, among those of this hash, that is the one.
    #[inline(always)] // It is what a hit costs, and compilers take it for too long to go into each of the few that look.
    #[allow(clippy::inline_always)]
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = self.home(hash);
        // Each bucket at most once: of a small table all may have been passed by.
        for _ in 0..self.buckets.len() {
            let bucket = self.buckets.get(at)?;
            for lane in lanes_with(hash, &bucket.hashes) {
                let slot = bucket.slot(lane);
                if slot != NOTHING && is_it(slot - 1) {
                    return Some(slot - 1);
                }
            }
            if bucket.slots[LANES] == 0 {
                break;
            }
            at = self.after(at);
        }
        None
    }

    /// Adds a slot that is not there.
    pub(super) fn insert(&mut self, hash: u32, slot: u32) {
        if buckets_for(self.held + 1) > self.buckets.len() {
            self.grow();
        }
        self.held += 1;
        self.put(hash, slot + 1);
    }

    fn put(&mut self, hash: u32, slot: u32) {
        let mut at = self.home(hash);
        while let Some(bucket) = self.buckets.get_mut(at) {
            if let Some(free) = lanes_with(NOTHING, &bucket.slots).first() {
                bucket.set(free, hash, slot);
                return;
            }
            *bucket.passed() += 1;
            at = self.after(at);
        }
    }

    fn grow(&mut self) {
        let (double, whole) = ((self.buckets.len() * 2).max(4), buckets_for(self.expected));
        // What is left over of a last doubling would never be used.
        let length = if self.buckets.len() < whole { double.min(whole) } else { double };
        let buckets = std::mem::replace(&mut self.buckets, vec![Bucket::default(); length]);
        for Bucket { hashes, slots } in buckets {
            for (hash, slot) in hashes.into_iter().zip(slots).take(LANES) {
                if slot != NOTHING {
                    self.put(hash, slot);
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
            let there = lanes_with(slot + 1, &bucket.slots).and(&lanes_with(hash, &bucket.hashes));
            if let Some(lane) = there.first() {
                bucket.set(lane, 0, NOTHING);
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
                *bucket.passed() -= 1;
            }
            by = self.after(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Hashes from a few, so that they collide and wrap.
        #[test]
        fn it_holds_what_a_set_holds(
            expected in 0_usize..40,
            steps in prop::collection::vec((any::<bool>(), 0_u32..6, 0_u32..20), 0..300),
        ) {
            let (mut index, mut model) = (Index::new(expected), HashSet::new());
            for (put, hash, slot) in steps {
                let hash = u32::MAX / 5 * hash;
                if !put {
                    index.remove(hash, slot);
                    model.remove(&(hash, slot));
                } else if model.insert((hash, slot)) {
                    index.insert(hash, slot);
                }
                prop_assert_eq!(index.held, model.len());
                for hash in (0..6).map(|part| u32::MAX / 5 * part) {
                    for slot in 0..20 {
                        let there = index.find(hash, |found| found == slot).is_some();
                        prop_assert_eq!(there, model.contains(&(hash, slot)));
                    }
                }
            }
        }
    }

    #[test]
    fn room_for_what_is_expected_is_not_outgrown() {
        let mut index = Index::new(1000);
        (0..1000_u32).for_each(|slot| index.insert(slot.wrapping_mul(0x9e37_79b9), slot));
        assert_eq!(index.buckets.len(), buckets_for(1000));
        (1000..1010).for_each(|slot| index.insert(slot, slot));
        assert!(index.buckets.len() > buckets_for(1000));
    }
}
