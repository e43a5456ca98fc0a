//! White space between visible characters, made tidy.

use super::{BLOCK, Kernel, Simd, below, bits, block_at};

/// Tidies a stretch of a text, up to what it leaves to a slower hand: a character that is not copied as it stands, or
/// white space that goes on past the block. The stretch must follow a visible character.
pub(crate) struct Collapse<'a> {
    pub(crate) raw: &'a str,
    /// Where the stretch begins in `raw`.
    pub(crate) at: usize,
    pub(crate) tidied: &'a mut Tidied,
    /// Ascending positions in `raw`; those in the stretch become positions in `tidied`.
    pub(crate) offsets: &'a mut [usize],
    /// Whether a character is visible and copied as it stands. Asked only of characters whose first byte is one of
    /// those of `odd_leads`; all others have to be.
    pub(crate) is_plain: fn(char) -> bool,
}

impl Kernel for Collapse<'_> {
    /// The end of the stretch in `raw`, and how many offsets were moved.
    type Output = (usize, usize);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> (usize, usize) {
        let Self { raw, mut at, tidied, offsets, is_plain } = self;
        let bytes = raw.as_bytes();
        let mut moved = 0;
        let mut padded = [0; BLOCK];
        loop {
            // The padding is not visible, so the stretch ends at the text's last visible character.
            let from = block_at(bytes, at, &mut padded, 0);
            let seen = Seen::of(simd, from);
            let mut odd = !(seen.visible | seen.white());
            if seen.wide != 0 {
                let is_odd = |start: &u32| {
                    let c = raw.get(at + *start as usize..).and_then(|rest| rest.chars().next());
                    c.is_some_and(|c| !is_plain(c))
                };
                odd |= bits(seen.odd_leads).find(is_odd).map_or(0, |start| 1 << start);
            }
            // Up to the last visible byte before what is odd: white space then stands between visible bytes only.
            let visible = seen.visible & below(odd.trailing_zeros());
            if visible == 0 {
                return (at, moved);
            }
            let length = u64::BITS - visible.leading_zeros();
            let kept = seen.kept(visible, below(length));
            let Some(to) = tidied.room() else { return (at, moved) };
            simd.compress(from, kept.bytes, to);
            for (changed, byte) in [(kept.to_space, b' '), (kept.to_line_feed, b'\n')] {
                for place in bits(changed) {
                    if let Some(to) = to.get_mut((kept.bytes & below(place)).count_ones() as usize) {
                        *to = byte;
                    }
                }
            }
            let end = at + length as usize;
            while let Some(offset) = offsets.get_mut(moved).filter(|offset| **offset < end) {
                // What followed the offset is the next visible character that begins there or later.
                let place = u32::try_from(raw.ceil_char_boundary(*offset).saturating_sub(at)).unwrap_or(0);
                let next = (visible & !below(place)).trailing_zeros();
                if next >= length {
                    break;
                }
                *offset = tidied.length + (kept.bytes & below(next)).count_ones() as usize;
                moved += 1;
            }
            tidied.length += kept.bytes.count_ones() as usize;
            at = end;
        }
    }
}

/// What stands in a block.
#[derive(Clone, Copy)]
struct Seen {
    /// All but white space and controls; each byte of a character outside of ASCII.
    visible: u64,
    wide: u64,
    odd_leads: u64,
    blanks: u64,
    tabs: u64,
    line_feeds: u64,
    returns: u64,
    /// Vertical tabs and form feeds.
    other_feeds: u64,
}

/// What is made of it.
struct Kept {
    bytes: u64,
    /// Those of `bytes` that become a space.
    to_space: u64,
    /// Those of `bytes` that become a line feed.
    to_line_feed: u64,
}

impl Seen {
    #[inline(always)]
    fn of<S: Simd>(simd: S, bytes: &[u8; BLOCK]) -> Self {
        let block = simd.load(bytes);
        let wide = simd.within(block, 0x80, 0xff);
        let odd_leads = if wide == 0 {
            0
        } else {
            simd.equal(block, 0xc2) | simd.within(block, 0xe1, 0xe3) | simd.equal(block, 0xef)
        };
        Self {
            visible: simd.within(block, b'!', b'~') | wide,
            wide,
            odd_leads,
            blanks: simd.equal(block, b' '),
            tabs: simd.equal(block, b'\t'),
            line_feeds: simd.equal(block, b'\n'),
            returns: simd.equal(block, b'\r'),
            other_feeds: simd.within(block, 0x0b, 0x0c),
        }
    }

    #[inline(always)]
    fn white(self) -> u64 {
        self.blanks | self.tabs | self.line_feeds | self.returns | self.other_feeds
    }

    /// What of a stretch is kept, which begins after a visible byte and ends with one: of a gap without line ends one
    /// space, of the others the first two line ends and the indentation after the last.
    #[inline(always)]
    fn kept(self, visible: u64, stretch: u64) -> Kept {
        let gaps = !visible & stretch;
        if gaps & gaps << 1 == 0 && gaps & !(self.blanks | self.line_feeds) == 0 {
            return Kept { bytes: stretch, to_space: 0, to_line_feed: 0 };
        }
        // The return of a line end of two bytes is white space that is never kept.
        let line_ends =
            (self.line_feeds | self.other_feeds | self.returns & !(self.line_feeds >> 1)) & stretch;
        let broken = from_first(gaps, line_ends);
        let first = line_ends & !(broken << 1);
        let others = line_ends & !first;
        let second = others & !(from_first(gaps, others) << 1);
        let spaces = (self.blanks | self.tabs) & gaps;
        let mut indentation = spaces & broken;
        if indentation != 0 {
            // Back from the end of each gap to its last line end.
            let to_last = from_first(gaps.reverse_bits(), line_ends.reverse_bits()).reverse_bits();
            indentation &= !to_last;
        }
        let single = visible >> 1 & spaces & !broken;
        Kept {
            bytes: visible | first | second | indentation | single,
            to_space: single & self.tabs,
            to_line_feed: (first | second) & !self.line_feeds,
        }
    }
}

/// For each run of bits in `runs`, its bits from the first one that is also in `marks`, which must lie in the runs.
#[inline(always)]
fn from_first(runs: u64, marks: u64) -> u64 {
    // The sum carries from the first mark to the end of its run, if need be out of the word, and puts the other marks
    // back.
    runs & !(runs.wrapping_add(marks)) | marks
}

/// A text in the making, which is written in whole blocks.
#[derive(Debug, Default)]
pub(crate) struct Tidied {
    bytes: Vec<u8>,
    length: usize,
}

impl Tidied {
    /// With room for as much text as `bytes`.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: vec![0; bytes + BLOCK], length: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(crate) fn push_str(&mut self, text: &str) {
        let end = self.length + text.len();
        self.grow(end);
        if let Some(to) = self.bytes.get_mut(self.length..end) {
            to.copy_from_slice(text.as_bytes());
        }
        self.length = end;
    }

    /// The block behind the text so far; there always is one.
    #[inline(always)]
    fn room(&mut self) -> Option<&mut [u8; BLOCK]> {
        self.grow(self.length + BLOCK);
        self.bytes.get_mut(self.length..)?.first_chunk_mut()
    }

    #[inline(always)]
    fn grow(&mut self, end: usize) {
        if self.bytes.len() < end {
            self.bytes.resize(end * 2, 0);
        }
    }
}

impl From<Tidied> for String {
    fn from(mut tidied: Tidied) -> Self {
        tidied.bytes.truncate(tidied.length);
        // SAFETY: what was pushed is UTF-8, and of the UTF-8 that a kernel copied it left out or replaced single bytes
        // of ASCII only, so every other character is there whole.
        #[allow(unsafe_code)]
        unsafe {
            Self::from_utf8_unchecked(tidied.bytes)
        }
    }
}
