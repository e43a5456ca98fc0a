//! How many tokens a model will see, near enough to cut by.

use std::iter::from_fn;

/// What a token piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where it begins, in bytes.
    pub(crate) start: usize,
    /// Where it ends, in bytes.
    pub(crate) end: usize,
    /// How many tokens it counts as; white space counts as none.
    pub(crate) tokens: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
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
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = Piece> {
    let mut at = 0;
    from_fn(move || {
        let rest = text.get(at..)?;
        let first = kind(rest.chars().next()?);
        let longest = match first {
            Kind::Single => 1,
            Kind::Space => usize::MAX,
            _ => LONGEST_PIECE,
        };
        let (mut length, mut characters) = (0, 0);
        for c in rest.chars().take_while(|c| kind(*c) == first).take(longest) {
            length += c.len_utf8();
            characters += 1;
        }
        let start = at;
        at += length;
        Some(Piece { start, end: at, tokens: tokens(first, characters) })
    })
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
    pieces(text).map(|piece| piece.tokens).sum()
}
