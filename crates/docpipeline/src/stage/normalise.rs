//! Tidy text: one kind of space, one kind of line end, nothing invisible.

use unicode_normalization::UnicodeNormalization;

use crate::budget::Budget;
use crate::document::{Document, Span};
use crate::draft::Source;
use crate::error::Result;
use crate::kernel::{Collapse, Level, Rewrite};
use crate::pipeline::Stage;

/// Tidies [`Document::text`] with [`normalise`] and moves every span along.
#[derive(Debug, Clone, Copy, Default)]
pub struct NormaliseStage;

impl Stage for NormaliseStage {
    fn name(&self) -> &'static str {
        "normalise"
    }

    fn apply(&self, document: &mut Document, _: &Source<'_>, _: &Budget) -> Result<()> {
        let mut offsets: Vec<usize> = Vec::new();
        for_each_span(document, |span| offsets.extend([span.start, span.end]));
        offsets.sort_unstable();
        offsets.dedup();

        let mut moved = offsets.clone();
        let text = normalise(std::mem::take(&mut document.text), &mut moved);
        for_each_span(document, |span| {
            let new = |old: usize| {
                offsets.binary_search(&old).ok().and_then(|i| moved.get(i)).copied().unwrap_or(text.len())
            };
            *span = trim(&text, Span { start: new(span.start), end: new(span.end) });
        });
        document.text = text;
        Ok(())
    }
}

fn for_each_span(document: &mut Document, mut visit: impl FnMut(&mut Span)) {
    document.headings.iter_mut().for_each(|heading| visit(&mut heading.span));
    document.tables.iter_mut().for_each(&mut visit);
    document.pages.iter_mut().for_each(&mut visit);
    document.parts.iter_mut().for_each(|part| visit(&mut part.span));
}

/// A span names what stands there, not the space around it.
fn trim(text: &str, span: Span) -> Span {
    let inside = text.get(span.range()).unwrap_or_default();
    let start = span.start + (inside.len() - inside.trim_start().len());
    Span { start, end: (start + inside.trim().len()).max(start) }
}

/// Tidies a text in one pass:
///
/// - line ends (`\r\n`, `\r`, vertical tab, form feed, NEL, U+2028, U+2029) become `\n`; more than one empty line
///   becomes one; the text begins and ends with a character that is not white space;
/// - within a line, any run of white space becomes one space, but the indentation at its beginning stays (tabs
///   as they are); spaces at its end go;
/// - control characters, zero-width characters, soft hyphens, byte order marks and bidirectional controls go;
/// - Latin ligatures (U+FB00 to U+FB06) and Arabic presentation forms become letters.
///
/// `offsets`, which must be ascending, are positions in `raw`; each becomes the position in the result of what
/// followed it. Cost: linear; the result is written into the memory of `raw`.
///
/// ```
/// let mut offsets = [10];
/// let raw = "ﬁne \u{a0} text\r\n\r\n\r\n  next ".to_owned();
/// let text = buttress_docpipeline::normalise(raw, &mut offsets);
/// assert_eq!(text, "fine text\n\n  next");
/// assert_eq!(&text[offsets[0]..], "ext\n\n  next");
/// ```
#[must_use]
pub fn normalise(raw: String, offsets: &mut [usize]) -> String {
    normalise_at(Level::best(), raw, offsets)
}

pub(crate) fn normalise_at(level: Level, raw: String, offsets: &mut [usize]) -> String {
    let mut tidy = Tidy { text: Rewrite::new(raw), newlines: 0, spaces: String::new() };
    // How many offsets have become positions in the result.
    let mut moved = 0;
    loop {
        let waiting = offsets.get_mut(moved..).unwrap_or_default();
        if tidy.is_settled() {
            moved += level.run(Collapse { text: &mut tidy.text, offsets: waiting, is_plain });
        }
        // What is no run of plain text goes by character.
        let Some(mut c) = tidy.text.character(0) else { break };
        let waiting = offsets.get_mut(moved..).unwrap_or_default();
        let passed = waiting.iter().take_while(|offset| tidy.text.ahead(**offset) == 0).count();
        tidy.text.skip(c);
        if c == '\r' && tidy.text.character(0) == Some('\n') {
            c = '\n';
            tidy.text.skip(c);
        }
        if let Some(position) = tidy.character(c) {
            waiting.get_mut(..passed).unwrap_or_default().fill(position);
            moved += passed;
        }
    }
    let text = tidy.text.finish();
    offsets.get_mut(moved..).unwrap_or_default().fill(text.len());
    text
}

struct Tidy {
    text: Rewrite,
    /// Line ends read and not yet written.
    newlines: usize,
    /// White space read after them and not yet written: one space, or an indentation.
    spaces: String,
}

impl Tidy {
    /// Whether a visible character was the last one read.
    fn is_settled(&self) -> bool {
        self.newlines == 0 && self.spaces.is_empty() && self.text.written() > 0
    }

    /// Reads one character; gives where it stands in the result if it is visible.
    fn character(&mut self, c: char) -> Option<usize> {
        match c {
            '\r' | '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => self.line_end(),
            c if is_form(c) => {
                let letters: String = std::iter::once(c).nfkc().collect();
                // The form of a mark that stands alone is the mark over a space.
                Some(self.visible(letters.trim_start()))
            }
            c if c.is_whitespace() => self.space(c),
            c if c.is_control() || is_invisible(c) => None,
            c => Some(self.visible(c.encode_utf8(&mut [0; 4]))),
        }
    }

    fn line_end(&mut self) -> Option<usize> {
        self.newlines += 1;
        self.spaces.clear();
        None
    }

    fn space(&mut self, c: char) -> Option<usize> {
        let indents = self.newlines > 0;
        if indents {
            self.spaces.push(if c == '\t' { '\t' } else { ' ' });
        } else if self.spaces.is_empty() {
            self.spaces.push(' ');
        }
        None
    }

    fn visible(&mut self, run: &str) -> usize {
        if self.text.written() > 0 {
            self.text.push_str("\n\n".get(..self.newlines.min(2)).unwrap_or_default());
            self.text.push_str(&self.spaces);
        }
        self.newlines = 0;
        self.spaces.clear();
        let position = self.text.written();
        self.text.push_str(run);
        position
    }
}

/// Whether a character goes into the result as it stands.
fn is_plain(c: char) -> bool {
    !(c.is_whitespace() || c.is_control() || is_invisible(c) || is_form(c))
}

/// Forms of letters for setting type, as PDF and old software store them: one ligature, one shape each.
fn is_form(c: char) -> bool {
    matches!(c, '\u{fb00}'..='\u{fb06}' | '\u{fb50}'..='\u{fdfb}' | '\u{fe80}'..='\u{fefc}')
}

/// Characters that take no room and carry no meaning once a text is plain. The zero-width joiners stay: Persian,
/// Hindi and emoji need them.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}
