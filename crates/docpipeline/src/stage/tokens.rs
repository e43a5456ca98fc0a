//! How many tokens a model will see, near enough to cut by.

use crate::kernel::{Kernel, Level, Simd};
use crate::stage::pieces::Pieces;

/// What a piece of text consists of: a run of letters, digits or white space, or one other character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Space,
    Latin,
    Digits,
    OtherLetters,
    Single,
}

impl Kind {
    pub(crate) fn of(c: char) -> Self {
        match c {
            c if c.is_whitespace() => Self::Space,
            '0'..='9' => Self::Digits,
            'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' => Self::Latin,
            // Scripts written without spaces: about a token a character.
            '\u{e00}'..='\u{eff}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{3040}'..='\u{30ff}'
            | '\u{3400}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7af}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}' => Self::Single,
            c if is_letter(c) => Self::OtherLetters,
            _ => Self::Single,
        }
    }

    /// How many characters make a token; white space makes none. Sub-word vocabularies hold most short words whole, and
    /// cut long ones, numbers and less common scripts.
    pub(crate) const fn characters_per_token(self) -> u32 {
        match self {
            Self::Space => u32::MAX,
            Self::Latin => 6,
            Self::Digits | Self::OtherLetters => 3,
            Self::Single => 1,
        }
    }
}

/// As [`char::is_alphabetic`], which searches in a table, and faster for the most common letters.
pub(crate) fn is_letter(c: char) -> bool {
    let is_latin = matches!(c, 'a'..='z' | 'A'..='Z' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2c1}');
    let is_greek_or_cyrillic = matches!(c, '\u{3a3}'..='\u{3f5}' | '\u{400}'..='\u{481}');
    let is_hebrew_or_arabic = matches!(c, '\u{5d0}'..='\u{5ea}' | '\u{620}'..='\u{657}');
    let is_kana = matches!(c, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}');
    let is_han_or_hangul = matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}');
    is_latin
        || is_greek_or_cyrillic
        || is_hebrew_or_arabic
        || is_kana
        || is_han_or_hangul
        || c.is_alphabetic()
}

/// The longest piece of letters or digits, in characters: what has no end of its own (an encoded image, say) is cut all
/// the same. Whole tokens of every kind make it up.
pub(crate) const LONGEST_PIECE: u32 = 24;

/// Estimates how many tokens a sub-word tokenizer makes of a text, without a vocabulary: a Latin word counts one
/// token for each six letters begun, digits and other alphabets one for each three, every other character one, white
/// space none.
///
/// The estimate is additive over words, so that it can be kept while cutting. Cost: linear, no allocation; gigabytes a
/// second for ASCII.
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
        let mut pieces = Pieces::new(simd, self.0);
        let mut tokens = 0;
        while let Some(block) = pieces.next_block() {
            tokens += block.tokens.count_ones() as usize;
        }
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::is_letter;

    #[test]
    fn letters_are_those_of_unicode() {
        assert!(('\0'..=char::MAX).all(|c| is_letter(c) == c.is_alphabetic()));
    }
}
