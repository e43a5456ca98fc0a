//! What a document is, exactly and roughly.

use xxhash_rust::xxh3::xxh3_64;

use crate::budget::Budget;
use crate::document::{Document, Fingerprint};
use crate::draft::Source;
use crate::error::Result;
use crate::kernel::{self, BLOCK, Kernel, Level, Simd, bits, block_at};
use crate::pipeline::Stage;
use crate::stage::tokens::is_letter;

/// Values in a `MinHash` signature: the standard error of [`Fingerprint::similarity`] is at most 1/16.
pub const SIGNATURE_LENGTH: usize = kernel::SIGNATURE_LENGTH;

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
            min_hash: Level::best().run(MinHash { text: &document.text, budget })?,
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

/// The least of each of 64 hash functions over the text's shingles; empty for a text with no words.
pub(crate) struct MinHash<'a> {
    pub(crate) text: &'a str,
    pub(crate) budget: &'a Budget,
}

impl Kernel for MinHash<'_> {
    type Output = Result<Vec<u32>>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Result<Vec<u32>> {
        let text = self.text.as_bytes();
        let mut shingles = Shingles::new();
        let mut lower = String::new();
        let mut padded = [0; BLOCK];
        // Where the word begins that goes on from the block before.
        let mut open = None;
        // The last block is not full, or even empty: its padding ends the last word.
        for at in (0..=text.len()).step_by(BLOCK) {
            self.budget.tick()?;
            let block = simd.load(block_at(text, at, &mut padded, 0));
            let letters = simd.within(block, b'a', b'z') | simd.within(block, b'A', b'Z');
            // What is not ASCII is looked at by character.
            let words = letters | simd.within(block, b'0', b'9') | simd.within(block, 0x80, 0xff);
            let after_word = words << 1 | u64::from(open.is_some());
            let mut starts = bits(words & !after_word).map(|start| at + start as usize);
            for end in bits(!words & after_word) {
                let end = at + end as usize;
                let Some(start) = open.take().or_else(|| starts.next()) else { break };
                if let Some(hash) = short_word(text, start, end) {
                    shingles.push(simd, hash);
                    continue;
                }
                for word in words_of(self.text.get(start..end).unwrap_or_default()) {
                    lower.clear();
                    lower.extend(word.chars().flat_map(char::to_lowercase));
                    shingles.push(simd, xxh3_64(lower.as_bytes()));
                }
            }
            open = open.or_else(|| starts.next());
        }
        Ok(shingles.finish(simd))
    }
}

/// Words up to this length, which is most of them, are brought to small letters in a register.
const SHORT_WORD: usize = 16;

/// The hash of a word of ASCII, if it is short and not the text's last.
#[inline(always)]
fn short_word(text: &[u8], start: usize, end: usize) -> Option<u64> {
    let length = end - start;
    let word = text.get(start..)?.first_chunk::<SHORT_WORD>().filter(|_| length <= SHORT_WORD)?;
    // One bit is what makes a letter of ASCII a small one, and its digits have it.
    let lower = u128::from_le_bytes(*word) | u128::from_le_bytes([0x20; SHORT_WORD]);
    let lower = lower.to_le_bytes();
    let lower = lower.get(..length)?;
    lower.is_ascii().then(|| xxh3_64(lower))
}

/// The signature of the words so far.
struct Shingles {
    words: usize,
    /// The hashes of the last words.
    window: [u64; SHINGLE_WORDS],
    /// Shingles that are not in the signature yet: many at a time are fast.
    waiting: [u32; 256],
    waiting_count: usize,
    smallest: [u32; SIGNATURE_LENGTH],
}

impl Shingles {
    fn new() -> Self {
        Self {
            words: 0,
            window: [0; SHINGLE_WORDS],
            waiting: [0; 256],
            waiting_count: 0,
            smallest: [u32::MAX; SIGNATURE_LENGTH],
        }
    }

    #[inline(always)]
    fn push<S: Simd>(&mut self, simd: S, word: u64) {
        let [_, before_last, last] = self.window;
        self.window = [before_last, last, word];
        self.words += 1;
        if self.words >= SHINGLE_WORDS {
            self.shingle(simd);
        }
    }

    /// Takes the words of the window, in their order.
    #[inline(always)]
    fn shingle<S: Simd>(&mut self, simd: S) {
        let hash = self.window.iter().fold(0_u64, |sum, word| sum.rotate_left(21) ^ word);
        if self.waiting_count == self.waiting.len() {
            self.settle(simd);
        }
        if let Some(slot) = self.waiting.get_mut(self.waiting_count) {
            *slot = u32::try_from(hash >> 32).unwrap_or_default();
            self.waiting_count += 1;
        }
    }

    #[inline(always)]
    fn settle<S: Simd>(&mut self, simd: S) {
        let waiting = self.waiting.get(..self.waiting_count).unwrap_or_default();
        simd.hash_down(waiting, &mut self.smallest);
        self.waiting_count = 0;
    }

    #[inline(always)]
    fn finish<S: Simd>(mut self, simd: S) -> Vec<u32> {
        if self.words == 0 {
            return Vec::new();
        }
        if self.words < SHINGLE_WORDS {
            self.shingle(simd);
        }
        self.settle(simd);
        self.smallest.to_vec()
    }
}

/// Runs of letters and digits; in scripts written without spaces, each character.
pub(crate) fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !(is_letter(c) || c.is_numeric())).filter(|run| !run.is_empty()).flat_map(|run| {
        let spaceless =
            run.chars().next().is_some_and(|c| matches!(c, '\u{3040}'..='\u{9fff}' | '\u{e00}'..='\u{e7f}'));
        let ends = run.char_indices().map(|(i, _)| i).skip(1).filter(move |_| spaceless).chain([run.len()]);
        ends.scan(0, move |start, end| run.get(std::mem::replace(start, end)..end))
    })
}
