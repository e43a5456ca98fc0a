//! reStructuredText, as Docutils and Sphinx read it.

mod directives;
mod inline;
mod tables;

use std::ops::Range;

use inline::Inline;

use crate::charset::decode;
use crate::draft::{Draft, Source};
use crate::error::Result;
use crate::extract::Extractor;

/// Sections, lists, tables, literal blocks and the text of directives; comments, options and targets are left out.
pub(crate) struct Rst;

impl Extractor for Rst {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let (text, encoding) = decode(&source.bytes, None, draft.budget())?;
        draft.metadata().encoding = Some(encoding.to_owned());
        let lines: Vec<Line<'_>> = text.lines().map(Line::new).collect();
        let inline = Inline::new(&lines, draft.budget())?;
        let all = 0..lines.len();
        let mut reader = Reader {
            draft,
            lines,
            inline,
            styles: Vec::new(),
            lists: 0,
            fresh_item: false,
            depth: 0,
            no_border_before: 0,
        };
        reader.blocks(all, 0)?;
        draft.title_from_heading();
        Ok(())
    }
}

/// A line, its indentation counted and cut off. What stands before a list item's text counts as indentation, too.
#[derive(Clone, Copy)]
struct Line<'t> {
    indent: usize,
    text: &'t str,
}

/// Columns between two tab stops.
const TAB: usize = 8;

impl<'t> Line<'t> {
    fn new(line: &'t str) -> Self {
        let text = line.trim_start_matches([' ', '\t', '\u{c}']);
        let before = line.len() - text.len();
        let indent = line.bytes().take(before).fold(0, |column, byte| match byte {
            b'\t' => (column / TAB + 1) * TAB,
            _ => column + 1,
        });
        Self { indent, text: text.trim_end() }
    }

    fn is_blank(self) -> bool {
        self.text.is_empty()
    }
}

struct Reader<'t, 'd, 'b> {
    draft: &'d mut Draft<'b>,
    lines: Vec<Line<'t>>,
    inline: Inline<'b>,
    /// The adornments of sections, the highest first: their character, and whether it stands above the title, too.
    styles: Vec<(char, bool)>,
    /// Open lists.
    lists: usize,
    /// Whether a list item has begun that has no text yet.
    fresh_item: bool,
    /// Blocks inside blocks.
    depth: usize,
    /// The end of a range in which no simple table ends any more.
    no_border_before: usize,
}

impl<'t> Reader<'t, '_, '_> {
    fn line(&self, at: usize) -> Line<'t> {
        self.lines.get(at).copied().unwrap_or(Line { indent: 0, text: "" })
    }

    /// Reads the blocks of `range`, whose text stands at the column `base`.
    fn blocks(&mut self, range: Range<usize>, base: usize) -> Result<()> {
        self.depth += 1;
        self.draft.budget().nesting(self.depth)?;
        let mut at = range.start;
        while at < range.end {
            self.draft.budget().tick()?;
            let line = self.line(at);
            at = if line.is_blank() {
                at + 1
            } else if line.indent > base {
                let end = self.indented_end(at, range.end, base);
                let least = self.least_indent(at..end);
                self.blocks(at..end, least)?;
                end
            } else {
                self.block(at, range.end, base)?
            };
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads the block that begins at `at`; gives where it ends.
    fn block(&mut self, at: usize, end: usize, base: usize) -> Result<usize> {
        let text = self.line(at).text;
        if let Some(next) = self.section(at, end)? {
            return Ok(next);
        }
        if text == ".." || text.starts_with(".. ") {
            return self.explicit(at, end, base);
        }
        if text == "__" || text.starts_with("__ ") {
            return Ok(at + 1);
        }
        if let Some((marker, width)) = list_marker(text, self.line(at + 1).text) {
            return self.list(at, end, base, marker, width);
        }
        if let Some((name, width)) = field_marker(text) {
            return self.field(at, end, base, name, width);
        }
        if text.starts_with(">>> ") {
            let end = self.paragraph_end(at, end, base);
            self.verbatim(at..end, base)?;
            return Ok(end);
        }
        if text == "|" || text.starts_with("| ") {
            return self.line_block(at, end, base);
        }
        if let Some(next) = self.table(at, end, base)? {
            return Ok(next);
        }
        self.paragraph(at, end, base)
    }

    /// Where the lines end that stand further in than `base`, blank ones between them included.
    fn indented_end(&self, at: usize, end: usize, base: usize) -> usize {
        let lines = self.lines.get(at..end).unwrap_or_default();
        let length = lines.iter().position(|line| !line.is_blank() && line.indent <= base);
        length.map_or(end, |length| at + length)
    }

    fn least_indent(&self, range: Range<usize>) -> usize {
        let lines = self.lines.get(range).unwrap_or_default();
        lines.iter().filter(|line| !line.is_blank()).map(|line| line.indent).min().unwrap_or(0)
    }

    /// Where the run of lines ends that is not interrupted by a blank one, or one further out.
    fn paragraph_end(&self, at: usize, end: usize, base: usize) -> usize {
        let lines = self.lines.get(at..end).unwrap_or_default();
        at + lines.iter().position(|line| line.is_blank() || line.indent < base).unwrap_or(lines.len())
    }

    /// A title under a line of punctuation, or between two; or such a line alone, which separates and says nothing.
    fn section(&mut self, at: usize, end: usize) -> Result<Option<usize>> {
        let (first, second, third) = (self.line(at), self.line(at + 1), self.line(at + 2));
        if let Some(adornment) = adornment(first.text) {
            if at + 2 < end && adornment_of(third.text) == Some(adornment) && !second.is_blank() {
                self.heading(second.text, (adornment, true))?;
                return Ok(Some(at + 3));
            }
            let alone = second.is_blank() && first.text.len() >= 4;
            return Ok(alone.then_some(at + 1));
        }
        let Some(adornment) = adornment_of(second.text).filter(|_| at + 1 < end) else { return Ok(None) };
        let long_enough = second.text.len() >= 4 || second.text.len() >= first.text.chars().count();
        if first.indent != second.indent || !long_enough {
            return Ok(None);
        }
        self.heading(first.text, (adornment, false))?;
        Ok(Some(at + 2))
    }

    fn heading(&mut self, title: &str, style: (char, bool)) -> Result<()> {
        let level = self.styles.iter().position(|known| *known == style).unwrap_or(self.styles.len());
        if level == self.styles.len() {
            self.styles.push(style);
        }
        let title = self.inline.text(title)?;
        self.draft.heading(u8::try_from(level + 1).unwrap_or(u8::MAX), &title)
    }

    /// Writes a paragraph, or the text of a list item.
    fn write(&mut self, text: &str) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut self.fresh_item) || self.lists > 0 {
            self.draft.push(text)?;
            return self.draft.end_line();
        }
        self.draft.paragraph(text)
    }

    fn paragraph(&mut self, at: usize, end: usize, base: usize) -> Result<usize> {
        let next = self.line(at + 1);
        if at + 1 < end && !next.is_blank() && next.indent > base {
            return self.definition(at, end, base);
        }
        let mut stop = self.paragraph_end(at, end, base);
        if let Some(deeper) = (at..stop).find(|i| self.line(*i).indent > base) {
            stop = deeper;
        }
        let text = self.joined(at..stop);
        let (text, literal_follows) = match text.strip_suffix("::") {
            Some(before) if before.is_empty() || before.ends_with(char::is_whitespace) => {
                (before.trim_end().to_owned(), true)
            }
            Some(before) => (format!("{before}:"), true),
            None => (text, false),
        };
        let text = self.inline.text(&text)?;
        self.write(&text)?;
        if literal_follows { self.literal(stop, end, base) } else { Ok(stop) }
    }

    /// The literal block that a paragraph announced: what is indented, or each line of it quoted.
    fn literal(&mut self, at: usize, end: usize, base: usize) -> Result<usize> {
        let Some(start) = (at..end).find(|i| !self.line(*i).is_blank()) else { return Ok(end) };
        let first = self.line(start);
        let stop = if first.indent > base {
            self.indented_end(start, end, base)
        } else if first.text.starts_with(|c: char| c.is_ascii_punctuation()) {
            self.paragraph_end(start, end, base)
        } else {
            return Ok(start);
        };
        self.verbatim(start..stop, base)?;
        Ok(stop)
    }

    /// Writes lines as they are.
    fn verbatim(&mut self, range: Range<usize>, base: usize) -> Result<()> {
        let least = self.least_indent(range.clone()).max(base);
        self.fresh_item = false;
        self.draft.end_block()?;
        for at in range {
            let line = self.line(at);
            for _ in least..line.indent.min(least + 200) {
                self.draft.push(" ")?;
            }
            self.draft.push(line.text)?;
            self.draft.push("\n")?;
        }
        self.draft.end_block()
    }

    fn joined(&self, range: Range<usize>) -> String {
        let mut text = String::new();
        for line in self.lines.get(range).unwrap_or_default() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(line.text);
        }
        text
    }

    /// A term and what it means.
    fn definition(&mut self, at: usize, end: usize, base: usize) -> Result<usize> {
        let term = self.inline.text(self.line(at).text)?;
        self.write(&term)?;
        let stop = self.indented_end(at + 1, end, base);
        let least = self.least_indent(at + 1..stop);
        self.blocks(at + 1..stop, least)?;
        Ok(stop)
    }

    fn list(&mut self, at: usize, end: usize, base: usize, marker: &str, width: usize) -> Result<usize> {
        if self.lists == 0 {
            self.draft.end_block()?;
        }
        self.lists += 1;
        let (mut at, mut marker, mut width) = (at, marker.to_owned(), width);
        loop {
            self.draft.budget().tick()?;
            self.draft.begin_list_item(self.lists - 1, &marker)?;
            self.fresh_item = true;
            let stop = self.hang(at, end, base, width)?;
            if std::mem::take(&mut self.fresh_item) {
                self.draft.end_line()?;
            }
            let next = (stop..end).find(|i| !self.line(*i).is_blank()).unwrap_or(end);
            let follows = list_marker(self.line(next).text, self.line(next + 1).text);
            at = stop;
            let Some((following, following_width)) =
                follows.filter(|_| next < end && self.line(next).indent == base)
            else {
                break;
            };
            at = next;
            following.clone_into(&mut marker);
            width = following_width;
        }
        self.lists -= 1;
        if self.lists == 0 {
            self.draft.end_block()?;
        }
        Ok(at)
    }

    /// Reads what stands behind a marker of `width`, and the indented lines under it, as blocks of their own.
    fn hang(&mut self, at: usize, end: usize, base: usize, width: usize) -> Result<usize> {
        let stop = self.indented_end(at + 1, end, base);
        let first = self.line(at);
        let text = first.text.get(width..).unwrap_or_default();
        let content = text.trim_start();
        let under = self.least_indent(at + 1..stop);
        let column = base + width + (text.len() - content.len());
        // Text may hang under the marker at any column of its own.
        let column = if under > base { column.min(under) } else { column };
        if let Some(line) = self.lines.get_mut(at) {
            *line = Line { indent: column, text: content };
        }
        self.blocks(at..stop, column)?;
        Ok(stop)
    }

    fn field(&mut self, at: usize, end: usize, base: usize, name: &str, width: usize) -> Result<usize> {
        let stop = self.indented_end(at + 1, end, base);
        let label = self.inline.text(name)?;
        let value = self.line(at).text.get(width..).unwrap_or_default().trim();
        if base == 0 && self.lists == 0 {
            let value = self.inline.text(value)?;
            let metadata = self.draft.metadata();
            match name.to_ascii_lowercase().as_str() {
                "author" | "authors" => metadata.set_author(&value),
                "date" => metadata.set_created(&value),
                field @ ("copyright" | "version" | "organization" | "status") => {
                    metadata.set_property(field, &value);
                }
                _ => {}
            }
        }
        if self.lists == 0 {
            self.draft.end_line()?;
        }
        self.draft.push(&label)?;
        self.draft.push(": ")?;
        self.fresh_item = true;
        let stop = self.hang(at, stop, base, width)?;
        if std::mem::take(&mut self.fresh_item) {
            self.draft.end_line()?;
        }
        Ok(stop)
    }

    fn line_block(&mut self, at: usize, end: usize, base: usize) -> Result<usize> {
        let stop = self.paragraph_end(at, end, base);
        self.draft.end_block()?;
        for i in at..stop {
            let text = self.line(i).text;
            let text = self.inline.text(text.strip_prefix('|').unwrap_or(text).trim_start())?;
            self.draft.push(&text)?;
            self.draft.end_line()?;
        }
        self.draft.end_block()?;
        Ok(stop)
    }
}

/// The character of a line that is punctuation of one kind and nothing else.
fn adornment_of(text: &str) -> Option<char> {
    let first = text.chars().next().filter(char::is_ascii_punctuation)?;
    (text.len() >= 2 && text.bytes().all(|b| char::from(b) == first)).then_some(first)
}

/// As [`adornment_of`], for lines that begin a block, where some mean something else.
fn adornment(text: &str) -> Option<char> {
    adornment_of(text).filter(|_| !matches!(text, ".." | "__" | "::" | "--"))
}

/// The marker that a list item begins with, and how many bytes it takes with the space behind it.
fn list_marker<'t>(text: &'t str, next: &str) -> Option<(&'t str, usize)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if matches!(first, '*' | '+' | '-' | '•' | '‣' | '⁃') {
        let ends = chars.next().is_none_or(|c| c == ' ');
        return ends.then_some(("-", (first.len_utf8() + 1).min(text.len())));
    }
    let marker = text.split(' ').next().filter(|marker| marker.len() <= 12)?;
    let inner = marker.strip_prefix('(').unwrap_or(marker);
    let number = inner
        .strip_suffix(')')
        .or_else(|| inner.strip_suffix('.').filter(|_| inner.len() == marker.len()))?;
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    let roman = number
        .bytes()
        .all(|b| matches!(b.to_ascii_lowercase(), b'i' | b'v' | b'x' | b'l' | b'c' | b'd' | b'm'));
    let letter = number.len() == 1 && number.bytes().all(|b| b.is_ascii_alphabetic());
    if number.is_empty() || !(digits || roman || letter || number == "#") {
        return None;
    }
    // A sentence may begin with "A." or end a line with "1990."; an item's next line is blank, indented or an item.
    let next_is_text = !next.is_empty() && list_marker(next, "").is_none();
    let is_prose = next_is_text && !digits && number != "#";
    (!is_prose).then_some((if number == "#" { "-" } else { marker }, (marker.len() + 1).min(text.len())))
}

/// The name in `:name: …`, and the length of it with its colons.
fn field_marker(text: &str) -> Option<(&str, usize)> {
    let inner = text.strip_prefix(':')?;
    let (name, rest) = inner.split_once(": ").or_else(|| inner.strip_suffix(':').map(|name| (name, "")))?;
    let is_name = !name.is_empty() && !name.starts_with([' ', ':']) && !name.contains('`');
    is_name.then(|| (name, if rest.is_empty() { text.len() } else { name.len() + 3 }))
}
