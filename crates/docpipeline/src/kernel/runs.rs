//! Where runs of letters, digits and white space end.

use super::{BLOCK, Simd, block_at};

/// Looks along a text, block by block, for the ends of runs.
pub(crate) struct Runs<'t, S> {
    simd: S,
    text: &'t [u8],
    /// Where the present block begins.
    start: usize,
    present: Classes,
}

/// What stands in a block. Each byte is in one of these, or is a sign of ASCII.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Classes {
    /// Letters of ASCII.
    pub(crate) letters: u64,
    /// Digits of ASCII.
    pub(crate) digits: u64,
    /// White space of ASCII.
    pub(crate) spaces: u64,
    /// All that is not ASCII.
    pub(crate) wide: u64,
}

impl<'t, S: Simd> Runs<'t, S> {
    #[inline(always)]
    pub(crate) fn new(simd: S, text: &'t [u8]) -> Self {
        Self { simd, text, start: 0, present: Classes::of(simd, text, 0) }
    }

    /// The end of the run that begins at `at`: of bytes in `class`, at most `longest` of them.
    #[inline(always)]
    pub(crate) fn end(&mut self, at: usize, longest: usize, class: impl Fn(Classes) -> u64) -> usize {
        let limit = at.saturating_add(longest).min(self.text.len());
        let mut end = at;
        loop {
            let offset = end.wrapping_sub(self.start);
            if offset >= BLOCK {
                if end >= limit {
                    return limit;
                }
                self.start = end;
                self.present = Classes::of(self.simd, self.text, end);
                continue;
            }
            // The bits that come in from above are unset, so a run ends with the block at the latest.
            let run = (!(class(self.present) >> offset)).trailing_zeros() as usize;
            end += run;
            if offset + run < BLOCK {
                return end.min(limit);
            }
        }
    }
}

impl Classes {
    #[inline(always)]
    fn of<S: Simd>(simd: S, text: &[u8], at: usize) -> Self {
        let mut padded = [0; BLOCK];
        let block = simd.load(block_at(text, at, &mut padded, 0));
        Self {
            letters: simd.within(block, b'a', b'z') | simd.within(block, b'A', b'Z'),
            digits: simd.within(block, b'0', b'9'),
            spaces: simd.equal(block, b' ') | simd.within(block, b'\t', b'\r'),
            wide: simd.within(block, 0x80, 0xff),
        }
    }
}
