//! Text for people, without characters that trick people or programs.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::chars;
use crate::error::{Code, Invalid};

const WHAT: &str = "text";

/// What a text may hold.
///
/// | field | default | |
/// |---|---|---|
/// | `max_chars` | 10000 | code points, as parsed |
/// | `max_bytes` | 40000 | bytes of UTF-8, before and after normalisation |
/// | `lines` | yes | line feeds and tabs; `\r\n` becomes `\n` |
/// | `bidi_marks` | no | `U+061C`, `U+200E`, `U+200F`, which texts in Arabic and Hebrew use; embeddings never |
/// | `private_use` | no | code points of private use |
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
#[allow(clippy::struct_field_names, reason = "the names say what they bound")]
pub struct TextPolicy {
    /// The most code points.
    pub max_chars: usize,
    /// The most bytes of UTF-8.
    pub max_bytes: usize,
    /// Whether there may be more than one line, and tabs.
    pub lines: bool,
    /// Whether marks of direction are allowed.
    pub bidi_marks: bool,
    /// Whether code points of private use are allowed.
    pub private_use: bool,
}

impl Default for TextPolicy {
    fn default() -> Self {
        Self { max_chars: 10_000, max_bytes: 40_000, lines: true, bidi_marks: false, private_use: false }
    }
}

impl TextPolicy {
    /// One line of at most `max_chars`: a name, a title.
    #[must_use]
    pub fn line(max_chars: usize) -> Self {
        Self { max_chars, max_bytes: max_chars.saturating_mul(4), lines: false, ..Self::default() }
    }

    /// Checks `text`, and puts it into NFC.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn parse(&self, text: &str) -> Result<PlainText, Invalid> {
        self.check(text).map(PlainText)
    }

    fn check(&self, text: &str) -> Result<Box<str>, Invalid> {
        self.check_length(text)?;
        if self.is_plainly_right(text) {
            return Ok(text.into());
        }
        if is_nfc(text) && !text.contains('\r') {
            self.check_chars(text)?;
            return Ok(text.into());
        }
        let plain: Box<str> = text.replace("\r\n", "\n").nfc().collect::<String>().into();
        self.check_length(&plain)?;
        // What is wrong is looked for in the text as it came first, so that its place is right.
        self.check_chars(&text.replace("\r\n", " \n"))?;
        self.check_chars(&plain)?;
        Ok(plain)
    }

    /// Whether there is nothing but printable ASCII, as in most texts. Looked at in pieces, which the compiler makes vectors of.
    fn is_plainly_right(&self, text: &str) -> bool {
        let lines = self.lines;
        let is_right = |byte: u8| matches!(byte, b' '..=b'~') | (lines & matches!(byte, b'\n' | b'\t'));
        text.as_bytes().chunks(64).all(|piece| piece.iter().fold(true, |right, byte| right & is_right(*byte)))
    }

    fn check_length(&self, text: &str) -> Result<(), Invalid> {
        let fail = |unit: &str, most: usize| {
            let problem = format!("is longer than {most} {unit}");
            Err(Invalid::new(WHAT, Code::TooLong, problem, "write less"))
        };
        if text.len() > self.max_bytes {
            return fail("bytes", self.max_bytes);
        }
        if text.len() > self.max_chars && text.chars().count() > self.max_chars {
            return fail("characters", self.max_chars);
        }
        Ok(())
    }

    fn check_chars(&self, text: &str) -> Result<(), Invalid> {
        let mut before = None;
        let mut marks = 0_usize;
        let mut rest = text.char_indices();
        while let Some((at, c)) = rest.next() {
            if matches!(c, ' '..='~') {
                (marks, before) = (0, Some(c));
                continue;
            }
            if let Some(code) = chars::fault(c) {
                let allowed = match code {
                    Code::Control => self.lines && matches!(c, '\n' | '\t'),
                    Code::Bidi => self.bidi_marks && chars::is_bidi_mark(c),
                    Code::Invisible => chars::joins(before, c, rest.as_str().chars().next()),
                    Code::Unassigned => self.private_use && is_private(c),
                    _ => false,
                };
                if !allowed {
                    return Err(refused(code).at_byte(at));
                }
            }
            marks = if chars::is_mark(c) { marks + 1 } else { 0 };
            if marks > chars::MOST_MARKS {
                return Err(refused(Code::Marks).at_byte(at));
            }
            before = Some(c);
        }
        Ok(())
    }
}

/// Whether a text is certainly in NFC. No code point below `U+0300` takes part in a composition with one before it.
fn is_nfc(text: &str) -> bool {
    text.chars().all(|c| c < '\u{300}') || is_nfc_quick(text.chars()) == IsNormalized::Yes
}

fn refused(code: Code) -> Invalid {
    let (problem, remedy) = chars::told(code);
    Invalid::new(WHAT, code, problem, remedy)
}

fn is_private(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}')
}

/// Text for people in NFC: no controls, nothing that changes its direction (Trojan Source) or is not seen, no code points without
/// a character, no towers of marks.
///
/// Joiners stay where scripts and emoji need them. Reading from a string takes the default [`TextPolicy`]; other limits by
/// [`TextPolicy::parse`].
///
/// It is not escaped for anything: HTML, SQL and shells have types and parameters of their own.
///
/// ```
/// use buttress_validate::{Code, PlainText, TextPolicy};
///
/// let name = TextPolicy::line(80).parse("Zoe\u{308}")?;
/// assert_eq!(name.as_str(), "Zoë");
/// let trick = "access\u{202e}level".parse::<PlainText>().unwrap_err();
/// assert_eq!((trick.code(), trick.at()), (Code::Bidi, Some(6)));
/// # Ok::<(), buttress_validate::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlainText(Box<str>);

impl PlainText {
    fn check(text: &str) -> Result<Box<str>, Invalid> {
        TextPolicy::default().check(text)
    }
}

text_type!(PlainText);
