//! What is remembered of keys that were put out.

/// Two bytes for each of the last keys: 12 bits of a hash and how often the key was used. They lie in sets, each in the order in
/// which they came; a key whose set is full is forgotten. One key in a hundred is taken for another, which does no harm.
#[derive(Debug, Default)]
pub(super) struct Ghosts {
    sets: Vec<Set>,
    /// Made with the first ghost.
    length: usize,
}

/// The latest first; a cache line.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Set([u16; WAYS]);

const WAYS: usize = 32;
const NOBODY: u16 = 0;

/// What is remembered of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ghost {
    /// How often it was used.
    pub(super) uses: u8,
    /// Nobody of its set was put out later.
    pub(super) latest: bool,
}

impl Ghosts {
    /// For a shard of so many entries: one and a half as many ghosts.
    pub(super) fn new(entries: usize) -> Self {
        Self { sets: Vec::new(), length: (entries + entries / 2).div_ceil(WAYS).max(1) }
    }

    /// The set of a hash, and what it is told from others by.
    #[allow(clippy::cast_possible_truncation, reason = "parts of a hash are meant")]
    fn place(&self, hash: u32) -> (usize, u16) {
        let mixed = u64::from(hash.wrapping_mul(0x9e37_79b1));
        let set = (mixed * self.sets.len() as u64) >> 32;
        (set as usize, (hash & 0xfff) as u16)
    }

    /// Remembers a key that was used so often, 7 times at most.
    pub(super) fn remember(&mut self, hash: u32, uses: u8) {
        if self.sets.is_empty() {
            self.sets = vec![Set([NOBODY; WAYS]); self.length];
        }
        let (set, sign) = self.place(hash);
        if let Some(Set(ways)) = self.sets.get_mut(set) {
            ways.copy_within(..WAYS - 1, 1);
            ways[0] = sign << 4 | 8 | u16::from(uses.min(7));
        }
    }

    /// What is remembered of a key, which is forgotten with that.
    pub(super) fn take(&mut self, hash: u32) -> Option<Ghost> {
        let (set, sign) = self.place(hash);
        let Set(ways) = self.sets.get_mut(set)?;
        // All are looked at, which a processor does many at a time.
        let like = |way: u16| (way ^ (sign << 4 | 8)) & !7 == 0;
        if !ways.iter().fold(false, |any, way| any | like(*way)) {
            return None;
        }
        let at = ways.iter().position(|way| like(*way))?;
        let uses = ways.get(at).map_or(0, |way| (way & 7).to_le_bytes()[0]);
        ways.copy_within(at + 1.., at);
        ways[WAYS - 1] = NOBODY;
        Some(Ghost { uses, latest: at == 0 })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)] // Failing is what a test is for.
    use super::*;

    #[test]
    fn a_key_is_remembered_with_its_uses_until_as_many_came_after_it() {
        let mut ghosts = Ghosts::new(1000);
        assert_eq!(ghosts.take(7), None);
        ghosts.remember(7, 3);
        assert_eq!(ghosts.take(7), Some(Ghost { uses: 3, latest: true }));
        assert_eq!(ghosts.take(7), None, "once");
        let hashes: Vec<u32> = (1..=10_000_u32).map(|number| number.wrapping_mul(0x85eb_ca6b)).collect();
        for hash in &hashes {
            ghosts.remember(*hash, 200);
        }
        assert_eq!(ghosts.take(*hashes.last().unwrap()), Some(Ghost { uses: 7, latest: true }));
        let known = |range: &[u32], ghosts: &mut Ghosts| {
            range.iter().filter(|hash| ghosts.take(**hash).is_some()).count()
        };
        assert!(known(&hashes[9_000..9_999], &mut ghosts) > 950);
        assert!(known(&hashes[..5_000], &mut ghosts) < 100);
    }
}
