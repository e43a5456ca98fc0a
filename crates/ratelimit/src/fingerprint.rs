//! Keys as 128 bits: what a limiter remembers of a key.
//!
//! A limiter keeps no text. A key of any length takes 16 bytes, nothing is allocated for it, and a dump of the memory
//! tells no names. Two of `n` keys meet by chance with a probability of about n² / 2^129 (n² / 2^113 where a smaller entry has room
//! for 112 bits), and nobody can look for such keys, or for keys that crowd one place of the table, who does not know the secrets of
//! the process.
//!
//! For keys of up to 71 bytes the function is multilinear: the sum of the key's words, each times a secret number of 128 bits.
//! Any two keys get any two results with the same probability. That is proven (Lemire and Kaser, "Strongly universal string hashing is
//! fast", 2014) where of other functions it is believed, and takes a third of `SipHash`'s time. The proof asks that nobody learns
//! anything of the results, and a limiter tells nothing of them: its decisions would be the same by any other function. Longer keys get
//! the standard library's `SipHash-1-3`.

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

/// Whole words of the longest key that the multilinear functions take.
const WORDS: usize = 8;

/// A secret function from keys to fingerprints.
#[derive(Clone)]
pub(crate) struct Secret {
    place: Multilinear,
    rest: Multilinear,
    long: (RandomState, RandomState),
}

impl Secret {
    /// One that nobody else has: the standard library's source of such, which it asks the system for.
    pub(crate) fn random() -> Self {
        Self {
            place: Multilinear::random(),
            rest: Multilinear::random(),
            long: (RandomState::new(), RandomState::new()),
        }
    }

    #[inline]
    pub(crate) fn fingerprint(&self, key: &[u8]) -> Fingerprint {
        let (words, rest) = key.as_chunks::<8>();
        if words.len() > WORDS {
            return self.of_long(key);
        }
        // With the length in it, no other key has the same words, nor the same but for words of nothing.
        let last = tail(key, rest) | (key.len() as u64) << 56;
        Fingerprint { place: mixed(self.place.of(words, last)), rest: self.rest.of(words, last) }
    }

    #[cold]
    fn of_long(&self, key: &[u8]) -> Fingerprint {
        Fingerprint { place: self.long.0.hash_one(key), rest: self.long.1.hash_one(key) }
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

/// A secret function from words to a word: the upper half of a sum of 128 bits.
#[derive(Clone)]
struct Multilinear {
    base: u128,
    words: [u128; WORDS],
    last: u128,
}

impl Multilinear {
    fn random() -> Self {
        let source = RandomState::new();
        let half = |number: usize| u128::from(source.hash_one(number));
        let number = |index: usize| half(2 * index) << 64 | half(2 * index + 1);
        Self { base: number(WORDS), words: std::array::from_fn(number), last: number(WORDS + 1) }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the upper half")]
    fn of(&self, words: &[[u8; 8]], last: u64) -> u64 {
        let times = |factor: u128, word: u64| factor.wrapping_mul(u128::from(word));
        let begin = self.base.wrapping_add(times(self.last, last));
        let sum = words
            .iter()
            .zip(&self.words)
            .fold(begin, |sum, (word, factor)| sum.wrapping_add(times(*factor, u64::from_le_bytes(*word))));
        (sum >> 64) as u64
    }
}

/// Turns a number into another that no other is turned into, so that keys which count up, as most do, are not found at regular
/// distances.
#[inline]
fn mixed(place: u64) -> u64 {
    let place = (place ^ place >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    place ^ place >> 32
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "a test")]
mod tests {
    use super::*;

    /// How often two keys have the same `bits` of either half, over so many secrets.
    fn meetings(one: &[u8], other: &[u8], secrets: u32, bits: u32) -> [u32; 2] {
        let mask = (1 << bits) - 1;
        let mut met = [0; 2];
        for _ in 0..secrets {
            let secret = Secret::random();
            let (one, other) = (secret.fingerprint(one), secret.fingerprint(other));
            met[0] += u32::from((one.place ^ other.place) & mask == 0);
            met[1] += u32::from((one.rest ^ other.rest) & mask == 0);
        }
        met
    }

    #[test]
    fn any_two_keys_meet_as_seldom_as_by_chance() {
        let long = [7; 71];
        let mut longer = [7; 80];
        longer[79] = 8;
        let pairs: [(&[u8], &[u8]); 9] = [
            (b"", b"\0"),
            (b"", b"\0\0\0\0\0\0\0\0"),
            (b"user-1", b"user-2"),
            (b"user-1", b"user-1\0"),
            (b"user-1-of-many", b"user-2-of-many"),
            (b"12345678abcdefgh", b"abcdefgh12345678"),
            (b"12345678", b"12345678\0"),
            (&long, &long[..70]),
            (&longer, &[7; 80]),
        ];
        for (one, other) in pairs {
            // Of 16,384 tries 64 are expected to meet; 8 deviations are as good as never.
            for met in meetings(one, other, 1 << 14, 8) {
                assert!(met.abs_diff(64) < 64, "{one:?} and {other:?}: {met}");
            }
        }
    }

    #[test]
    fn keys_that_count_up_spread_over_shards_and_tables() {
        const KEYS: u32 = 1 << 16;
        for _ in 0..64 {
            let secret = Secret::random();
            let mut counts = [[0_u32; 64]; 3];
            for key in 0..KEYS {
                let place = secret.fingerprint(format!("user-{key}").as_bytes()).place;
                // The shard, and what a table goes by: the lowest bits and the highest.
                for (counts, index) in
                    counts.iter_mut().zip([shard(place, 64), place as usize & 63, (place >> 58) as usize])
                {
                    counts[index] += 1;
                }
            }
            for count in counts.as_flattened() {
                // 1,024 are expected; 8 deviations are 256.
                assert!(count.abs_diff(KEYS / 64) < 256, "{counts:?}");
            }
        }
    }

    #[test]
    fn every_bit_of_a_key_counts() {
        let secret = Secret::random();
        for length in 0..=100 {
            let key: Vec<u8> = (0..length).collect();
            let print = secret.fingerprint(&key);
            assert_eq!(print, secret.clone().fingerprint(&key));
            for bit in 0..key.len() * 8 {
                let mut other = key.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                let other = secret.fingerprint(&other);
                assert!(
                    print.place != other.place && print.rest != other.rest,
                    "bit {bit} of {length} bytes"
                );
            }
        }
    }

    #[test]
    fn no_two_secrets_are_the_same() {
        assert_ne!(Secret::random().fingerprint(b"user-1"), Secret::random().fingerprint(b"user-1"));
    }
}
