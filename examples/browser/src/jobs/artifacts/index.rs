//! What is known of the files without looking: their sizes, and when they were used.

use std::collections::{BTreeSet, HashMap};

use super::Usage;

/// Disks keep files in blocks. Counting them so also bounds how many files a quota allows, and with it this index.
const BLOCK: u64 = 4 << 10;

#[derive(Debug, Default)]
pub(super) struct Index {
    entries: HashMap<blake3::Hash, Entry>,
    /// By use: the one to give way first comes first.
    order: BTreeSet<(i64, [u8; 32])>,
    bytes: u64,
    reserved: u64,
    evicted: u64,
    released: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    bytes: u64,
    /// When it was last put or got, in milliseconds.
    used: i64,
    /// When this process last put it.
    put: Option<i64>,
    /// It did not read back: the next put writes it anew.
    doubtful: bool,
}

/// Whether there is room.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Once these are removed; the index has forgotten them.
    Evict(Vec<blake3::Hash>),
    /// Not without removing one that is too new.
    None,
}

impl Index {
    /// What a file takes.
    pub(super) fn on_disk(bytes: u64) -> u64 {
        bytes.max(1).div_ceil(BLOCK).saturating_mul(BLOCK)
    }

    pub(super) fn insert(&mut self, hash: blake3::Hash, bytes: u64, used: i64, put: Option<i64>) {
        self.remove(&hash);
        self.entries.insert(hash, Entry { bytes, used, put, doubtful: false });
        self.order.insert((used, *hash.as_bytes()));
        self.bytes += Self::on_disk(bytes);
    }

    pub(super) fn remove(&mut self, hash: &blake3::Hash) -> bool {
        let Some(entry) = self.entries.remove(hash) else { return false };
        self.order.remove(&(entry.used, *hash.as_bytes()));
        self.bytes -= Self::on_disk(entry.bytes);
        true
    }

    /// Notes that a file was used, or put again, and says whether it is there. One that is doubtful cannot be put by
    /// a note alone.
    pub(super) fn touch(&mut self, hash: &blake3::Hash, now: i64, put: bool) -> bool {
        let Some(entry) = self.entries.get_mut(hash) else { return false };
        if put && entry.doubtful {
            return false;
        }
        self.order.remove(&(entry.used, *hash.as_bytes()));
        entry.used = now;
        if put {
            entry.put = Some(now);
        }
        self.order.insert((now, *hash.as_bytes()));
        true
    }

    pub(super) fn doubt(&mut self, hash: &blake3::Hash) {
        if let Some(entry) = self.entries.get_mut(hash) {
            entry.doubtful = true;
        }
    }

    /// Whether this process put the file after a point in time.
    pub(super) fn put_after(&self, hash: &blake3::Hash, after: i64) -> bool {
        self.entries.get(hash).is_some_and(|entry| entry.put.is_some_and(|put| put > after))
    }

    /// Forgets files, those used longest ago first, until one of `bytes` fits in `quota`; none that was put after
    /// `new`. If that is not enough nothing is forgotten.
    pub(super) fn make_room(&mut self, bytes: u64, quota: u64, new: i64) -> Room {
        let wanted = self.bytes + self.reserved + if bytes == 0 { 0 } else { Self::on_disk(bytes) };
        let mut excess = wanted.saturating_sub(quota);
        let mut going = Vec::new();
        for (_, hash) in &self.order {
            if excess == 0 {
                break;
            }
            let hash = blake3::Hash::from_bytes(*hash);
            let Some(entry) = self.entries.get(&hash) else { continue };
            if entry.put.is_none_or(|put| put <= new) {
                excess = excess.saturating_sub(Self::on_disk(entry.bytes));
                going.push(hash);
            }
        }
        if excess > 0 {
            return Room::None;
        }
        for hash in &going {
            self.remove(hash);
            self.evicted += 1;
        }
        Room::Evict(going)
    }

    /// Keeps room for a file that is being written.
    pub(super) fn reserve(&mut self, bytes: u64) {
        self.reserved += Self::on_disk(bytes);
    }

    pub(super) fn unreserve(&mut self, bytes: u64) {
        self.reserved -= Self::on_disk(bytes);
    }

    pub(super) fn count_release(&mut self) {
        self.released += 1;
    }

    pub(super) fn hashes(&self) -> Vec<String> {
        self.entries.keys().map(|hash| hash.to_hex().to_string()).collect()
    }

    pub(super) fn usage(&self) -> Usage {
        Usage {
            files: self.entries.len() as u64,
            bytes: self.bytes + self.reserved,
            quota: 0,
            evicted: self.evicted,
            released: self.released,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(number: u8) -> blake3::Hash {
        blake3::hash(&[number])
    }

    #[test]
    fn a_file_of_nothing_takes_a_block_too() {
        assert_eq!([0, 1, BLOCK, BLOCK + 1].map(Index::on_disk), [BLOCK, BLOCK, BLOCK, 2 * BLOCK]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Whatever is put, read and removed: the sums hold, the quota holds, and only what is old enough gives way,
        /// the longest unused first.
        #[test]
        fn the_quota_holds(steps in prop::collection::vec((0_u8..12, 1_u64..5 * BLOCK, 0_u8..4), 1..80)) {
            let (mut index, quota, new) = (Index::default(), 10 * BLOCK, 5);
            for (now, (number, bytes, what)) in (0_i64..).zip(steps) {
                let before: Vec<_> = index.order.iter().copied().collect();
                match what {
                    0 => { index.remove(&hash(number)); }
                    1 => { index.touch(&hash(number), now, false); }
                    _ => {
                        index.remove(&hash(number));
                        match index.make_room(bytes, quota, now - new) {
                            Room::Evict(gone) => {
                                let stays = |at: &(i64, [u8; 32])| index.order.contains(at);
                                let last = before.iter().rposition(|at| gone.iter().any(|hash| *hash.as_bytes() == at.1));
                                for at in before.iter().take(last.unwrap_or(0)).filter(|at| stays(at)) {
                                    prop_assert!(index.put_after(&blake3::Hash::from_bytes(at.1), now - new));
                                }
                                index.insert(hash(number), bytes, now, Some(now));
                            }
                            Room::None => {
                                let old = index.entries.values().filter(|entry| entry.put.is_none_or(|put| put <= now - new));
                                let free: u64 = old.map(|entry| Index::on_disk(entry.bytes)).sum();
                                prop_assert!(index.bytes - free + Index::on_disk(bytes) > quota);
                            }
                        }
                    }
                }
                let sum: u64 = index.entries.values().map(|entry| Index::on_disk(entry.bytes)).sum();
                prop_assert_eq!(index.bytes, sum);
                prop_assert!(index.bytes <= quota);
                prop_assert_eq!(index.order.len(), index.entries.len());
            }
        }
    }
}
