//! White space between visible characters, made tidy.

use super::rewrite::Rewrite;
use super::{BLOCK, Kernel, Simd, below, bits, from_first};

/// Tidies a stretch of a text, up to what it leaves to a slower hand: a character that is not copied as it stands, or
/// white space that goes on past the block. The stretch must follow a visible character.
pub(crate) struct Collapse<'a> {
    pub(crate) text: &'a mut Rewrite,
    /// Ascending positions in the text as it was; those in the stretch become positions in what was written.
    pub(crate) offsets: &'a mut [usize],
    /// Whether a character is visible and copied as it stands. Asked only of characters whose first byte is one of
    /// those of `odd_leads`; all others have to be.
    pub(crate) is_plain: fn(char) -> bool,
}

impl Kernel for Collapse<'_> {
    /// How many offsets were moved.
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> usize {
        let Self { text, offsets, is_plain } = self;
        let mut moved = 0;
        let mut padded = [0; BLOCK];
        loop {
            // The padding is not visible, so the stretch ends at the text's last visible character.
            let from = text.next_block(&mut padded);
            let seen = Seen::of(simd, from);
            let mut odd = !(seen.visible | seen.white());
            if seen.odd_leads != 0 {
                let is_odd = |start: &u32| text.character(*start as usize).is_some_and(|c| !is_plain(c));
                odd |= bits(seen.odd_leads).find(is_odd).map_or(0, |start| 1 << start);
            }
            // Up to the last visible byte before what is odd: white space then stands between visible bytes only.
            let visible = seen.visible & below(odd.trailing_zeros());
            if visible == 0 {
                return moved;
            }
            let length = u64::BITS - visible.leading_zeros();
            let kept = seen.kept(visible, below(length));
            while let Some(offset) = offsets.get_mut(moved) {
                // What followed the offset is the next character that begins there or later.
                let ahead = u32::try_from(text.ahead(*offset)).unwrap_or(u32::MAX);
                let next = (visible & seen.starts & !below(ahead)).trailing_zeros();
                if next >= length {
                    break;
                }
                *offset = text.written() + (kept.bytes & below(next)).count_ones() as usize;
                moved += 1;
            }
            if kept.bytes == below(length) && kept.to_space | kept.to_line_feed == 0 {
                text.keep(length as usize);
                continue;
            }
            let from = *from;
            let mut to = [0; BLOCK];
            simd.compress(&from, kept.bytes, &mut to);
            for (changed, byte) in [(kept.to_space, b' '), (kept.to_line_feed, b'\n')] {
                for place in bits(changed) {
                    if let Some(to) = to.get_mut((kept.bytes & below(place)).count_ones() as usize) {
                        *to = byte;
                    }
                }
            }
            text.replace(length as usize, &to, kept.bytes.count_ones() as usize);
        }
    }
}

/// What stands in a block.
#[derive(Clone, Copy)]
struct Seen {
    /// All but white space and controls; each byte of a character outside of ASCII.
    visible: u64,
    /// The first bytes of characters, and perhaps white space.
    starts: u64,
    /// The first bytes of all characters outside of ASCII that are not copied as they stand, and of others.
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
        let (starts, odd_leads) = if wide == 0 {
            (u64::MAX, 0)
        } else {
            let odd_leads =
                simd.equal(block, 0xc2) | simd.within(block, 0xe1, 0xe3) | simd.equal(block, 0xef);
            (!simd.within(block, 0x80, 0xbf), odd_leads)
        };
        Self {
            visible: simd.within(block, b'!', b'~') | wide,
            starts,
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
