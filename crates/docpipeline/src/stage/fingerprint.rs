//! What a document is, exactly and roughly.

use xxhash_rust::xxh3::xxh3_64;

use crate::budget::Budget;
use crate::document::{Document, Fingerprint};
use crate::draft::Source;
use crate::error::Result;
use crate::pipeline::Stage;

/// Values in a `MinHash` signature: the standard error of [`Fingerprint::similarity`] is at most 1/16.
pub const SIGNATURE_LENGTH: usize = 64;

/// Words in a shingle.
const SHINGLE_WORDS: usize = 3;

/// Fills [`Document::fingerprint`].
#[derive(Debug, Clone, Copy, Default)]
pub struct FingerprintStage;

impl Stage for FingerprintStage {
    fn name(&self) -> &'static str {
        "fingerprint"
    }

    fn apply(&self, document: &mut Document, source: &Source<'_>, budget: &Budget) -> Result<()> {
        document.fingerprint = Fingerprint {
            content: Fingerprint::of_bytes(&source.bytes),
            text: Fingerprint::of_bytes(document.text.as_bytes()),
            min_hash: min_hash(&document.text, budget)?,
        };
        Ok(())
    }
}

impl Fingerprint {
    /// BLAKE3 of `bytes`, in hex: 64 characters.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> String {
        blake3::hash(bytes).to_hex().to_string()
    }

    /// An estimate of how alike two texts are: the share of three-word sequences that both have among those that
    /// either has (Jaccard), 0 to 1. Letter case and punctuation do not count. 0 when either has no words.
    ///
    /// Source: Broder, "On the resemblance and containment of documents", 1997.
    #[must_use]
    pub fn similarity(&self, other: &Self) -> f64 {
        if self.min_hash.is_empty() || self.min_hash.len() != other.min_hash.len() {
            return 0.0;
        }
        let equal = self.min_hash.iter().zip(&other.min_hash).filter(|(a, b)| a == b).count();
        equal as f64 / self.min_hash.len() as f64
    }

    /// Sixteen keys for finding near duplicates without comparing all pairs: two texts of similarity *s* share at
    /// least one with probability 1 − (1 − *s*⁴)¹⁶, which is 0.99 for *s* = 0.7 and 0.12 for *s* = 0.3.
    #[must_use]
    pub fn bands(&self) -> Vec<u64> {
        let band = |(i, rows): (usize, &[u32])| {
            let mut bytes = vec![u8::try_from(i).unwrap_or(u8::MAX)];
            bytes.extend(rows.iter().flat_map(|row| row.to_le_bytes()));
            xxh3_64(&bytes)
        };
        self.min_hash.chunks(SIGNATURE_LENGTH / 16).enumerate().map(band).collect()
    }
}

/// BLAKE3 of bytes that come in pieces: gives what [`Fingerprint::of_bytes`] gives for all of them.
#[derive(Debug, Clone, Default)]
pub struct ContentHasher(blake3::Hasher);

impl ContentHasher {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The hash of all pieces, in hex.
    #[must_use]
    pub fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

/// The smallest of each of 64 hash functions over the text's shingles; empty for a text with no words.
fn min_hash(text: &str, budget: &Budget) -> Result<Vec<u32>> {
    let mut smallest = [u32::MAX; SIGNATURE_LENGTH];
    let mut window = [0_u64; SHINGLE_WORDS];
    let mut words = 0_usize;
    let mut take = |window: &[u64; SHINGLE_WORDS]| {
        let shingle = window.iter().fold(0_u64, |sum, word| sum.rotate_left(21) ^ word);
        for (slot, (multiplier, addend)) in smallest.iter_mut().zip(FUNCTIONS) {
            // Multiply-shift (Dietzfelbinger et al., 1997): the upper half of a product is universal.
            let hash = shingle.wrapping_mul(multiplier).wrapping_add(addend) >> 32;
            *slot = (*slot).min(u32::try_from(hash).unwrap_or(u32::MAX));
        }
    };
    let mut lower = String::new();
    for word in words_of(text) {
        budget.tick()?;
        lower.clear();
        lower.extend(word.chars().flat_map(char::to_lowercase));
        window.rotate_left(1);
        if let Some(last) = window.last_mut() {
            *last = xxh3_64(lower.as_bytes());
        }
        words += 1;
        if words >= SHINGLE_WORDS {
            take(&window);
        }
    }
    if words == 0 {
        return Ok(Vec::new());
    }
    if words < SHINGLE_WORDS {
        take(&window);
    }
    Ok(smallest.to_vec())
}

/// Runs of letters and digits; in scripts written without spaces, each character.
fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty()).flat_map(|run| {
        let spaceless =
            run.chars().next().is_some_and(|c| matches!(c, '\u{3040}'..='\u{9fff}' | '\u{e00}'..='\u{e7f}'));
        let ends = run.char_indices().map(|(i, _)| i).skip(1).filter(move |_| spaceless).chain([run.len()]);
        ends.scan(0, move |start, end| run.get(std::mem::replace(start, end)..end))
    })
}

/// Odd multipliers and addends of the hash functions, drawn once by `SplitMix64` from a fixed seed: signatures are
/// stored, so they may never change.
const FUNCTIONS: [(u64, u64); SIGNATURE_LENGTH] = {
    let mut functions = [(0, 0); SIGNATURE_LENGTH];
    let mut state = 0x0062_7574_7472_6573_u64;
    let mut i = 0;
    while i < SIGNATURE_LENGTH {
        let (multiplier, after) = split_mix(state);
        let (addend, after) = split_mix(after);
        state = after;
        // The index runs to the array's own length.
        #[allow(clippy::indexing_slicing)]
        {
            functions[i] = (multiplier | 1, addend);
        }
        i += 1;
    }
    functions
};

/// One step of `SplitMix64` (Steele, Lea and Flood, 2014): a value and the next state.
const fn split_mix(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31), state)
}
