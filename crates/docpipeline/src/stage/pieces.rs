//! Where the pieces of a text begin, and how good a place each is to cut: a block at a time, a bit for each byte.

use crate::kernel::{BLOCK, Simd, below, block_at, from_first};
use crate::stage::tokens::{Kind, LONGEST_PIECE};

/// What begins in a block; bit `i` stands for byte `i`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// One bit for each token, at the character that begins it.
    pub(crate) tokens: u64,
    /// The beginnings of all pieces but white space: the places to cut before.
    pub(crate) places: u64,
    /// Those of them that follow the end of a sentence, and then white space, in their line.
    pub(crate) sentences: u64,
    /// Those that are the first in their line, but not in their paragraph.
    pub(crate) lines: u64,
    /// Those that are the first in their paragraph, headings or not.
    pub(crate) paragraphs: u64,
    /// Those that are the first in a heading.
    pub(crate) headings: u64,
}

/// Reads the marks of a text, block by block.
pub(crate) struct Pieces<'t, S> {
    simd: S,
    text: &'t str,
    /// Where the next block begins.
    at: usize,
    before: Before,
}

/// What stands before a block.
#[derive(Debug, Clone, Copy)]
struct Before {
    /// The kind of the last character, and how many of that kind stand in a row; for letters and digits up to any
    /// multiple of the longest piece.
    kind: Kind,
    characters: u32,
    /// Line ends in the white space at the end: none, one, or more.
    line_ends: u32,
    /// Whether only quotes and brackets that close, and white space, follow the end of a sentence.
    sentence_end: bool,
    /// Whether a sentence may begin here: white space is the last, or a mark that needs none.
    space: bool,
}

impl<'t, S: Simd> Pieces<'t, S> {
    #[inline(always)]
    pub(crate) fn new(simd: S, text: &'t str) -> Self {
        let before =
            Before { kind: Kind::Single, characters: 0, line_ends: 0, sentence_end: false, space: false };
        Self { simd, text, at: 0, before }
    }

    /// Where the next block begins.
    #[inline(always)]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The marks of the next block; `None` at the end.
    #[inline(always)]
    pub(crate) fn next_block(&mut self) -> Option<Marks> {
        let at = self.at;
        if at >= self.text.len() {
            return None;
        }
        self.at += BLOCK;
        let mut padded = [0; BLOCK];
        let block = self.simd.load(block_at(self.text.as_bytes(), at, &mut padded, b' '));
        Some(if self.simd.within(block, 0x80, 0xff) == 0 {
            self.before.read_plain(self.simd, block)
        } else {
            self.before.read(self.text, at)
        })
    }
}

impl Before {
    /// Reads a block by character.
    fn read(&mut self, text: &str, at: usize) -> Marks {
        let mut marks = Marks::default();
        let start = text.ceil_char_boundary(at);
        let end = text.ceil_char_boundary(at + BLOCK);
        let mut bit = 1_u64.checked_shl(u32::try_from(start - at).unwrap_or(u64::BITS)).unwrap_or(0);
        for c in text.get(start..end).unwrap_or_default().chars() {
            let kind = Kind::of(c);
            if kind == Kind::Space {
                self.line_ends = (self.line_ends + u32::from(c == '\n')).min(2);
                (self.kind, self.space) = (kind, true);
            } else {
                self.visible(c, kind, bit, &mut marks);
            }
            bit = bit.checked_shl(u32::try_from(c.len_utf8()).unwrap_or(u64::BITS)).unwrap_or(0);
        }
        marks
    }

    fn visible(&mut self, c: char, kind: Kind, bit: u64, marks: &mut Marks) {
        if kind != self.kind || kind == Kind::Single {
            self.characters = 0;
        }
        if self.characters.is_multiple_of(kind.characters_per_token()) {
            marks.tokens |= bit;
        }
        if self.characters.is_multiple_of(LONGEST_PIECE) {
            marks.places |= bit;
            match self.line_ends {
                2.. => {
                    marks.paragraphs |= bit;
                    marks.headings |= if c == '#' { bit } else { 0 };
                }
                1 => marks.lines |= bit,
                _ if self.sentence_end && self.space => marks.sentences |= bit,
                _ => {}
            }
        }
        // A closing quote or bracket after the end of a sentence still ends it; a full-width mark needs no space.
        let needs_no_space = matches!(c, '。' | '！' | '？');
        self.sentence_end = match c {
            '.' | '!' | '?' | '…' | '。' | '！' | '？' => true,
            '"' | '\'' | ')' | ']' | '”' | '’' | '»' => self.sentence_end,
            _ => false,
        };
        self.characters = (self.characters + 1) % LONGEST_PIECE;
        (self.kind, self.line_ends, self.space) = (kind, 0, needs_no_space);
    }

    /// Reads a block of ASCII.
    #[inline(always)]
    fn read_plain<S: Simd>(&mut self, simd: S, block: S::Block) -> Marks {
        let letters = simd.within(block, b'a', b'z') | simd.within(block, b'A', b'Z');
        let digits = simd.within(block, b'0', b'9');
        let spaces = simd.equal(block, b' ') | simd.within(block, b'\t', b'\r');
        let singles = !(letters | digits | spaces);

        let latin = self.run(Kind::Latin, letters, |run| {
            let three = run & run << 1 & run << 2;
            three & three << 3
        });
        let number = self.run(Kind::Digits, digits, |run| run & run << 1 & run << 2);
        let mut marks = Marks {
            tokens: singles | latin.tokens | number.tokens,
            places: singles | latin.places | number.places,
            ..Marks::default()
        };

        // Line ends in the white space before a place, also in what began in the block before.
        let line_feeds = simd.equal(block, b'\n');
        let (one_before, two_before) = (u64::from(self.line_ends > 0), u64::from(self.line_ends > 1));
        let leading = below(spaces.trailing_ones());
        let broken = from_first(spaces, line_feeds) | (leading * one_before);
        let others = line_feeds & (broken << 1 | one_before);
        let broken_twice = from_first(spaces, others) | (leading * two_before);
        let after_line_end = marks.places & (broken << 1 | one_before);
        marks.paragraphs = marks.places & (broken_twice << 1 | two_before);
        marks.lines = after_line_end & !marks.paragraphs;
        if marks.paragraphs != 0 {
            marks.headings = marks.paragraphs & simd.equal(block, b'#');
        }

        let ends = simd.equal(block, b'.') | simd.equal(block, b'!') | simd.equal(block, b'?');
        let mut ended = 0;
        if ends != 0 || self.sentence_end {
            let quotes = simd.equal(block, b'"') | simd.equal(block, b'\'');
            let silent = spaces | quotes | simd.equal(block, b')') | simd.equal(block, b']');
            ended = from_first(silent, silent & (ends << 1 | u64::from(self.sentence_end)));
            let may_begin = (ended & spaces) << 1 | u64::from(self.sentence_end && self.space);
            marks.sentences = marks.places & may_begin & !after_line_end;
        }

        self.line_ends = u32::from(broken >> 63 == 1) + u32::from(broken_twice >> 63 == 1);
        self.sentence_end = (ends | ended) >> 63 == 1;
        self.space = spaces >> 63 == 1;
        (self.kind, self.characters) = match () {
            () if letters >> 63 == 1 => (Kind::Latin, self.characters_after(Kind::Latin, letters)),
            () if digits >> 63 == 1 => (Kind::Digits, self.characters_after(Kind::Digits, digits)),
            () if self.space => (Kind::Space, 0),
            () => (Kind::Single, 1),
        };
        marks
    }

    /// The tokens and places in runs of one kind. `full` gives the bytes that end as many of a run as make a token.
    #[inline(always)]
    fn run(&self, kind: Kind, run: u64, full: impl Fn(u64) -> u64) -> Marks {
        let mut marks = Marks::default();
        if run == 0 {
            return marks;
        }
        let per_token = kind.characters_per_token();
        let continues = self.kind == kind;
        // From the beginning of each run from token to token, as long as the run goes on.
        let full = full(run);
        let mut tokens = run & !(run << 1 | u64::from(continues));
        let mut characters = 0;
        while tokens != 0 {
            marks.tokens |= tokens;
            if characters % LONGEST_PIECE == 0 {
                marks.places |= tokens;
            }
            tokens = tokens << per_token & full;
            characters += per_token;
        }
        if continues {
            for at in 0..run.trailing_ones() {
                let characters = self.characters + at;
                marks.tokens |= u64::from(characters.is_multiple_of(per_token)) << at;
                marks.places |= u64::from(characters.is_multiple_of(LONGEST_PIECE)) << at;
            }
        }
        marks
    }

    /// How many of a kind stand in a row at the end of a block that ends with one.
    #[inline(always)]
    fn characters_after(&self, kind: Kind, run: u64) -> u32 {
        let before = if run == u64::MAX && self.kind == kind { self.characters } else { 0 };
        (before + run.leading_ones()) % LONGEST_PIECE
    }
}
