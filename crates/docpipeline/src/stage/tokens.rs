//! How many tokens a model will see, near enough to cut by.

use crate::kernel::{Kernel, Level, Runs, Simd};

/// What a token piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where it begins, in bytes.
    pub(crate) start: usize,
    /// Where it ends, in bytes.
    pub(crate) end: usize,
    pub(crate) kind: Kind,
    /// How many tokens it counts as; white space counts as none.
    pub(crate) tokens: usize,
}

/// What a piece consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Space,
    Latin,
    Digits,
    OtherLetters,
    Single,
}

fn kind(c: char) -> Kind {
    match c {
        c if c.is_whitespace() => Kind::Space,
        '0'..='9' => Kind::Digits,
        'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' => Kind::Latin,
        // Scripts written without spaces: about a token a character.
        '\u{e00}'..='\u{eff}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' => Kind::Single,
        c if c.is_alphabetic() => Kind::OtherLetters,
        _ => Kind::Single,
    }
}

/// The longest piece, in characters: what has no end of its own (an encoded image, say) is cut all the same.
const LONGEST_PIECE: usize = 24;

/// The pieces of a text: runs of letters, digits or white space, and other characters one by one. They cover the
/// text without gaps.
pub(crate) struct Pieces<'t, S> {
    text: &'t str,
    at: usize,
    runs: Runs<'t, S>,
}

impl<'t, S: Simd> Pieces<'t, S> {
    #[inline(always)]
    pub(crate) fn new(simd: S, text: &'t str) -> Self {
        Self { text, at: 0, runs: Runs::new(simd, text.as_bytes()) }
    }

    /// The piece at `start`, if it is of ASCII and nothing else may belong to it.
    #[inline(always)]
    fn plain(&mut self, start: usize, first: u8) -> Option<Piece> {
        let (kind, end) = match first {
            b'a'..=b'z' | b'A'..=b'Z' => {
                (Kind::Latin, self.runs.end(start, LONGEST_PIECE, |seen| seen.letters))
            }
            b'0'..=b'9' => (Kind::Digits, self.runs.end(start, LONGEST_PIECE, |seen| seen.digits)),
            b' ' | b'\t'..=b'\r' => (Kind::Space, self.runs.end(start, usize::MAX, |seen| seen.spaces)),
            _ if first.is_ascii() => {
                return Some(Piece { start, end: start + 1, kind: Kind::Single, tokens: 1 });
            }
            _ => return None,
        };
        // A letter with an accent goes on with the run, unless it is as long as it may be.
        let may_go_on = kind == Kind::Space || end - start < LONGEST_PIECE;
        let goes_on = may_go_on && self.text.as_bytes().get(end).is_some_and(|next| !next.is_ascii());
        (!goes_on).then(|| Piece { start, end, kind, tokens: tokens(kind, end - start) })
    }
}

impl<S: Simd> Iterator for Pieces<'_, S> {
    type Item = Piece;

    #[inline(always)]
    fn next(&mut self) -> Option<Piece> {
        let first = *self.text.as_bytes().get(self.at)?;
        let piece = match self.plain(self.at, first) {
            Some(piece) => piece,
            None => piece_at(self.text, self.at)?,
        };
        self.at = piece.end;
        Some(piece)
    }
}

/// The piece at `start`, by characters.
pub(crate) fn piece_at(text: &str, start: usize) -> Option<Piece> {
    let rest = text.get(start..)?;
    let kind_of_first = kind(rest.chars().next()?);
    let longest = match kind_of_first {
        Kind::Single => 1,
        Kind::Space => usize::MAX,
        _ => LONGEST_PIECE,
    };
    let (mut length, mut characters) = (0, 0);
    for c in rest.chars().take_while(|c| kind(*c) == kind_of_first).take(longest) {
        length += c.len_utf8();
        characters += 1;
    }
    Some(Piece { start, end: start + length, kind: kind_of_first, tokens: tokens(kind_of_first, characters) })
}

/// Sub-word vocabularies hold most short words whole, and cut long ones, numbers and less common scripts.
fn tokens(kind: Kind, characters: usize) -> usize {
    match kind {
        Kind::Space => 0,
        Kind::Latin => characters.div_ceil(6),
        Kind::Digits | Kind::OtherLetters => characters.div_ceil(3),
        Kind::Single => 1,
    }
}

/// Estimates how many tokens a sub-word tokenizer makes of a text, without a vocabulary: a Latin word counts one
/// token for each six letters begun, digits and other alphabets one for each three, every other character one, white
/// space none.
///
/// The estimate is additive over words, so that it can be kept while cutting. Cost: linear, no allocation.
///
/// ```
/// assert_eq!(buttress_docpipeline::count_tokens("Hello, world!"), 4);
/// ```
#[must_use]
pub fn count_tokens(text: &str) -> usize {
    Level::best().run(CountTokens(text))
}

/// [`count_tokens`].
pub(crate) struct CountTokens<'t>(pub(crate) &'t str);

impl Kernel for CountTokens<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> usize {
        let mut tokens = 0;
        for piece in Pieces::new(simd, self.0) {
            tokens += piece.tokens;
        }
        tokens
    }
}
