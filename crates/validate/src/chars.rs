//! What a character does to text around it. One table for all types, so that they agree.

use unicode_normalization::char::canonical_combining_class;
use unicode_script::{Script, UnicodeScript};

use crate::error::Code;

/// Marks in a row that text of any language needs (UAX 15, section 13, the stream-safe format).
pub(crate) const MOST_MARKS: usize = 30;

/// What is wrong with a character wherever it stands, or `None`. Line feed and tab are controls here.
pub(crate) fn fault(c: char) -> Option<Code> {
    // Nearly all text: printable ASCII.
    if matches!(c, ' '..='~') {
        return None;
    }
    if is_control(c) {
        Some(Code::Control)
    } else if is_bidi(c) {
        Some(Code::Bidi)
    } else if is_invisible(c) {
        Some(Code::Invisible)
    } else if c.script() == Script::Unknown {
        // Not assigned, a noncharacter, or private.
        Some(Code::Unassigned)
    } else {
        None
    }
}

/// C0, DEL, C1; the separators of lines and paragraphs, at which some readers end a line and others do not;
/// interlinear annotations and the mark of an embedded object.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffc}')
}

/// Marks, embeddings, overrides and isolates of UAX 9.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The marks among them: they move no text past others, and texts in Arabic and Hebrew use them.
pub(crate) fn is_bidi_mark(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}')
}

/// What takes no room: default ignorable code points (Unicode, `DerivedCoreProperties`), and blanks that are no space.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether an invisible character does its work between its neighbours: joiners after a virama (RFC 5892, appendix A)
/// and in Arabic script, and what makes emoji of several characters.
pub(crate) fn joins(before: Option<char>, c: char, after: Option<char>) -> bool {
    let Some(before) = before else { return false };
    let after_virama = canonical_combining_class(before) == 9;
    match c {
        '\u{200c}' => after_virama || is_cursive(before) && after.is_some_and(is_cursive),
        '\u{200d}' => after_virama || is_pictographic(before) && after.is_some_and(is_pictographic),
        '\u{fe0e}' | '\u{fe0f}' => is_pictographic(before) || matches!(before, '0'..='9' | '#' | '*'),
        _ => false,
    }
}

fn is_cursive(c: char) -> bool {
    matches!(c.script(), Script::Arabic | Script::Syriac | Script::Mongolian | Script::Nko | Script::Mandaic)
}

/// Symbols that may be shown as emoji, their skin tones and their selector; wider than `Extended_Pictographic`.
fn is_pictographic(c: char) -> bool {
    matches!(
        c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{2bff}' | '\u{3030}'
            | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}'
    )
}

/// Whether a character is drawn like a slash or becomes one when names are folded (NFKC, best fit).
pub(crate) fn is_like_slash(c: char) -> bool {
    matches!(
        c,
        '\u{2044}'
            | '\u{2215}'
            | '\u{2216}'
            | '\u{29f5}'
            | '\u{29f8}'
            | '\u{29f9}'
            | '\u{fe68}'
            | '\u{ff0f}'
            | '\u{ff3c}'
    )
}

/// Whether `c` is put onto the character before it.
pub(crate) fn is_mark(c: char) -> bool {
    canonical_combining_class(c) != 0
}

/// A code's problem and remedy, for the faults of characters.
pub(crate) fn told(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::Control => ("has a control character", "leave it out"),
        Code::Bidi => ("has a character that changes the direction of text", "leave it out"),
        Code::Invisible => ("has a character that is not seen", "leave it out"),
        Code::Unassigned => ("has a code point that no public character is assigned to", "leave it out"),
        Code::Marks => ("has more than 30 combining marks in a row", "leave some out"),
        Code::Confusable => (
            "has a character that can be taken for another",
            "use letters of one script, and plain punctuation",
        ),
        _ => ("has a character that is not allowed", "leave it out"),
    }
}
