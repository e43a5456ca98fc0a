//! Characters, words and lines.

use super::{BLOCK, Kernel, Simd, bits, block_at};
use crate::document::Statistics;

/// Counts a text as [`Statistics`] defines it.
pub(crate) struct Count<'t>(pub(crate) &'t str);

impl Kernel for Count<'_> {
    type Output = Statistics;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Statistics {
        let text = self.0.as_bytes();
        let mut counts = Statistics { characters: text.len(), words: 0, lines: 0 };
        // What the block before hands on, as its lowest bit: a text begins as after a line end.
        let (mut after_space, mut line_starts, mut after_lone_return) = (1, 1, 0);
        // Wide white space that began in the block before.
        let mut spilled = 0;
        let mut padded = [0; BLOCK];
        // The last block is not full, or even empty: its padding ends the last line.
        for at in (0..=text.len()).step_by(BLOCK) {
            let block = simd.load(block_at(text, at, &mut padded, b'\n'));
            let line_feeds = simd.equal(block, b'\n');
            let mut spaces = simd.equal(block, b' ') | simd.within(block, b'\t', b'\r') | spilled;
            spilled = 0;
            if simd.within(block, 0x80, 0xff) != 0 {
                counts.characters -= simd.within(block, 0x80, 0xbf).count_ones() as usize;
                for start in bits(wide_space_leads(simd, block)) {
                    let length = wide_space(text, at + start as usize);
                    spaces |= length << start;
                    spilled |= length.checked_shr(u64::BITS - start).unwrap_or(0);
                }
            }
            counts.words += (!spaces & (spaces << 1 | after_space)).count_ones() as usize;
            after_space = spaces >> 63;

            // A line is empty if it ends where it starts, or has nothing but the return of its own line end.
            let starts = line_feeds << 1 | line_starts;
            let lone_returns = simd.equal(block, b'\r') & starts;
            let empty = starts | lone_returns << 1 | after_lone_return;
            counts.lines += (line_feeds & !empty).count_ones() as usize;
            (line_starts, after_lone_return) = (line_feeds >> 63, lone_returns >> 63);
        }
        // Without a line feed behind it, a return is a character of the line, and the padding was none.
        counts.lines += usize::from(text == b"\r" || text.ends_with(b"\n\r"));
        counts
    }
}

/// The first bytes of all white space outside of ASCII, and of much else.
#[inline(always)]
fn wide_space_leads<S: Simd>(simd: S, block: S::Block) -> u64 {
    simd.equal(block, 0xc2) | simd.within(block, 0xe1, 0xe3)
}

/// A bit for each byte of the white space at `at`, if any stands there.
#[inline(always)]
fn wide_space(text: &[u8], at: usize) -> u64 {
    match text.get(at..).unwrap_or_default() {
        [0xc2, 0x85 | 0xa0, ..] => 0b11,
        [0xe1, 0x9a, 0x80, ..]
        | [0xe2, 0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf, ..]
        | [0xe2, 0x81, 0x9f, ..]
        | [0xe3, 0x80, 0x80, ..] => 0b111,
        _ => 0,
    }
}
