//! Keys as 128 bits: what a limiter remembers of a key.
//!
//! A limiter keeps no text. A key of any length takes 16 bytes, nothing is allocated for it, and a dump of the memory
//! tells no names. Two of `n` keys meet by chance with a probability of about n² / 2^129 (n² / 2^113 where a smaller entry has room
//! for 112 bits), and nobody can look for such keys, or for
//! keys that crowd one place of the table: the function is SipHash-1-3 (Aumasson and Bernstein, 2012) with 128 bits of result,
//! under secrets of the process.

use std::hash::{BuildHasher, RandomState};

/// What is remembered of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint {
    /// Finds the shard and the entry in it.
    pub(crate) place: u64,
    /// Tells keys of one place apart.
    pub(crate) rest: u64,
}

impl Fingerprint {
    /// The key of the `index`-th entry that belongs to this one: in the same place, so that one lock is enough for all of them.
    pub(crate) fn part(self, index: usize) -> Self {
        Self { rest: self.rest.wrapping_add((index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)), ..self }
    }

    /// The key of two together.
    pub(crate) fn with(self, other: Self) -> Self {
        Self { place: self.place ^ other.place.rotate_left(17), rest: self.rest ^ other.rest.rotate_left(29) }
    }
}

/// Which of so many shards a place belongs to, a power of two. The table in a shard goes by the bits below and above those.
#[inline]
pub(crate) fn shard(place: u64, shards: usize) -> usize {
    // The index is cut off before it could be too large to convert.
    #[allow(clippy::cast_possible_truncation)]
    let bits = (place >> 40) as usize;
    bits & (shards - 1)
}

/// A fingerprint whose place is known, and whose rest is still to be made.
pub(crate) struct Begun {
    pub(crate) place: u64,
    state: State,
}

impl Begun {
    #[inline]
    pub(crate) fn finish(self) -> Fingerprint {
        let Self { place, mut state } = self;
        state.v1 ^= 0xdd;
        state.rounds();
        Fingerprint { place, rest: state.all() }
    }
}

/// A secret function from keys to fingerprints.
#[derive(Clone)]
pub(crate) struct Secret(u64, u64);

impl Secret {
    /// One that nobody else has: the standard library's source of such, which it asks the system for.
    pub(crate) fn random() -> Self {
        let source = RandomState::new();
        Self(source.hash_one(0_u8), source.hash_one(1_u8))
    }

    pub(crate) fn fingerprint(&self, key: &[u8]) -> Fingerprint {
        self.begin(key).finish()
    }

    #[inline]
    pub(crate) fn begin(&self, key: &[u8]) -> Begun {
        let mut state = State {
            v0: self.0 ^ 0x736f_6d65_7073_6575,
            v1: self.1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            v2: self.0 ^ 0x6c79_6765_6e65_7261,
            v3: self.1 ^ 0x7465_6462_7974_6573,
        };
        let (words, rest) = key.as_chunks::<8>();
        for word in words {
            state.take(u64::from_le_bytes(*word));
        }
        state.take(tail(key, rest) | (key.len() as u64) << 56);
        state.v2 ^= 0xee;
        state.rounds();
        Begun { place: state.all(), state }
    }
}

/// The last bytes of a key, fewer than eight, as a number; without a loop, since most keys are short.
#[inline]
fn tail(key: &[u8], rest: &[u8]) -> u64 {
    if rest.is_empty() {
        return 0;
    }
    if let Some(last) = key.last_chunk::<8>() {
        return u64::from_le_bytes(*last) >> (64 - 8 * rest.len());
    }
    if let (Some(first), Some(last)) = (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        let last = u64::from(u32::from_le_bytes(*last));
        return u64::from(u32::from_le_bytes(*first)) | last << (8 * (rest.len() - 4));
    }
    rest.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

struct State {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl State {
    #[inline]
    fn take(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.v0 ^= word;
    }

    #[inline]
    fn rounds(&mut self) {
        for _ in 0..3 {
            self.round();
        }
    }

    #[inline]
    fn all(&self) -> u64 {
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }

    #[inline]
    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use proptest::prelude::*;
    use siphasher::sip128::{Hasher128, SipHasher13};

    use super::*;

    proptest! {
        #[test]
        fn it_is_siphash(one: u64, other: u64, key in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut reference = SipHasher13::new_with_keys(one, other);
            reference.write(&key);
            let expected = reference.finish128();
            let found = Secret(one, other).fingerprint(&key);
            prop_assert_eq!((found.place, found.rest), (expected.h1, expected.h2));
        }
    }

    #[test]
    fn no_two_secrets_are_the_same() {
        assert_ne!(Secret::random().fingerprint(b"user-1"), Secret::random().fingerprint(b"user-1"));
    }
}
