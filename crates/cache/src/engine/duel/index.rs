//! Where a shard's entries lie.

/// An open table with linear probing, of whatever size is wanted. A cell holds half of a key's hash beside the number of its
/// slot: so one look at memory finds the slot, entries are not touched to skip one another, and no key is hashed twice.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The half hash in the upper half, the slot's number and 1 in the lower. Three of seven are empty at least.
    cells: Vec<u64>,
    held: usize,
    /// So many entries are expected at most: room for just as many is made at last.
    expected: usize,
}

const EMPTY: u64 = 0;
const LEAST: usize = 12;

#[allow(clippy::cast_possible_truncation, reason = "it is cut into its halves")]
fn halves(cell: u64) -> (u32, u32) {
    ((cell >> 32) as u32, (cell as u32).wrapping_sub(1))
}

fn cell(hash: u32, slot: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(slot.wrapping_add(1))
}

/// Cells for so many entries.
fn cells_for(entries: usize) -> usize {
    entries + entries / 4 * 3 + 2
}

impl Index {
    pub(super) fn new(expected: usize) -> Self {
        Self { cells: Vec::new(), held: 0, expected }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "it is less than the length")]
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.cells.len() as u64) >> 32) as usize
    }

    /// Goes from the home of a hash over the cells, behind the last of them over the first, up to where `stop` says something.
    #[inline]
    fn walk<R>(&self, hash: u32, mut stop: impl FnMut(u64) -> Option<R>) -> Option<(usize, R)> {
        let home = self.home(hash);
        // Two plain loops: most walks are a step long, and end in the first.
        for (way, cell) in self.cells.get(home..)?.iter().enumerate() {
            if let Some(found) = stop(*cell) {
                return Some((home + way, found));
            }
        }
        self.cells.iter().enumerate().find_map(|(at, cell)| stop(*cell).map(|found| (at, found)))
    }

    /// The slot, among those of this hash, that is the one.
    #[inline]
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let found = self.walk(hash, |cell| {
            let (other, slot) = halves(cell);
            if cell == EMPTY {
                Some(None)
            } else {
                (other == hash && is_it(slot)).then_some(Some(slot))
            }
        });
        found?.1
    }

    /// Adds a slot that is not there.
    pub(super) fn insert(&mut self, hash: u32, slot: u32) {
        if cells_for(self.held + 1) > self.cells.len() {
            self.grow();
        }
        self.held += 1;
        self.put(cell(hash, slot));
    }

    fn put(&mut self, cell: u64) {
        if let Some((at, ())) = self.walk(halves(cell).0, |other| (other == EMPTY).then_some(())) {
            self.set(at, cell);
        }
    }

    fn grow(&mut self) {
        let (double, whole) = (LEAST.max(self.cells.len() * 2), cells_for(self.expected));
        // What is left over of a last doubling would never be used.
        let length = if self.cells.len() < whole { double.min(whole.max(LEAST)) } else { double };
        let cells = std::mem::replace(&mut self.cells, vec![EMPTY; length]);
        cells.into_iter().filter(|cell| *cell != EMPTY).for_each(|cell| self.put(cell));
    }

    /// Takes a slot out. Those behind it close up, so that no search ends too early.
    pub(super) fn remove(&mut self, hash: u32, slot: u32) {
        let wanted = cell(hash, slot);
        let Some((mut hole, ())) = self.walk(hash, |cell| (cell == wanted).then_some(())) else { return };
        let length = self.cells.len();
        let around = |at: usize| if at >= length { at - length } else { at };
        self.held -= 1;
        let mut at = hole;
        loop {
            at = around(at + 1);
            let cell = self.cells.get(at).copied().unwrap_or(EMPTY);
            if cell == EMPTY {
                break;
            }
            // How far it and the hole are behind its home.
            let home = self.home(halves(cell).0);
            if around(at + length - home) >= around(at + length - hole) {
                self.set(hole, cell);
                hole = at;
            }
        }
        self.set(hole, EMPTY);
    }

    #[inline]
    fn set(&mut self, at: usize, cell: u64) {
        if let Some(place) = self.cells.get_mut(at) {
            *place = cell;
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
        assert_eq!(index.cells.len(), cells_for(1000));
        index.insert(1, 1000);
        assert!(index.cells.len() > cells_for(1000));
    }
}
