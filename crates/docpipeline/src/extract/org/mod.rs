//! Org, the markup of Emacs' Org mode.

mod inline;

use std::ops::Range;

use crate::charset::decode;
use crate::draft::{Draft, Source, Table};
use crate::error::Result;
use crate::extract::Extractor;

/// Headlines as they are typed, lists, tables, blocks and notes; drawers, planning, settings and comments are left out.
pub(crate) struct Org;

impl Extractor for Org {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let (text, encoding) = decode(&source.bytes, None, draft.budget())?;
        draft.metadata().encoding = Some(encoding.to_owned());
        let lines = text.lines().collect();
        let mut reader =
            Reader { draft, lines, paragraph: String::new(), items: Vec::new(), no_drawer_end_before: 0 };
        reader.read()?;
        draft.title_from_heading();
        Ok(())
    }
}

struct Reader<'t, 'd, 'b> {
    draft: &'d mut Draft<'b>,
    lines: Vec<&'t str>,
    paragraph: String,
    /// How far the items are indented that are open, the innermost last.
    items: Vec<usize>,
    /// A line before which no drawer ends.
    no_drawer_end_before: usize,
}

impl<'t> Reader<'t, '_, '_> {
    fn line(&self, at: usize) -> &'t str {
        self.lines.get(at).copied().unwrap_or_default()
    }

    fn read(&mut self) -> Result<()> {
        let mut at = 0;
        while at < self.lines.len() {
            self.draft.budget().tick()?;
            at = self.element(at)?;
        }
        self.end_items()
    }

    /// Reads what begins at the line `at`; gives where it ends.
    fn element(&mut self, at: usize) -> Result<usize> {
        let line = self.line(at);
        let text = line.trim();
        if let Some((level, title)) = headline(line) {
            self.end_items()?;
            let title = inline::text(title, self.draft.budget())?;
            self.draft.heading(level, &title)?;
            return Ok(if is_planning(self.line(at + 1)) { at + 2 } else { at + 1 });
        }
        if text.is_empty() {
            self.end_paragraph()?;
            return Ok(at + 1);
        }
        if let Some(keyword) = text.strip_prefix("#+") {
            return self.keyword(keyword, at);
        }
        if text == "#" || text.starts_with("# ") {
            return Ok(at + 1);
        }
        if let Some(end) = self.drawer_end(at) {
            self.end_paragraph()?;
            return Ok(end);
        }
        if text.starts_with('|') {
            return self.table(at);
        }
        if text == ":" || text.starts_with(": ") {
            let fixed = |line: &str| line.trim() == ":" || line.trim_start().starts_with(": ");
            let end = self.run(at, fixed);
            self.verbatim(at..end, |line| line.trim_start().get(2..).unwrap_or_default())?;
            return Ok(end);
        }
        if text.len() >= 5 && text.bytes().all(|b| b == b'-') {
            self.end_items()?;
            return Ok(at + 1);
        }
        let indent = line.len() - line.trim_start().len();
        if let Some((marker, content)) = item(text, indent) {
            self.begin_item(indent, &marker)?;
            content.clone_into(&mut self.paragraph);
            return Ok(at + 1);
        }
        if self.items.last().is_some_and(|item| indent <= *item) {
            self.end_items()?;
        }
        if text.starts_with("[fn:") {
            self.end_items()?;
        }
        if !self.paragraph.is_empty() {
            self.paragraph.push(' ');
        }
        self.paragraph.push_str(text);
        Ok(at + 1)
    }

    /// Where the run of lines ends that are all of this kind.
    fn run(&self, at: usize, kind: impl Fn(&str) -> bool) -> usize {
        let lines = self.lines.get(at..).unwrap_or_default();
        at + lines.iter().position(|line| !kind(line)).unwrap_or(lines.len())
    }

    fn end_paragraph(&mut self) -> Result<()> {
        let paragraph = std::mem::take(&mut self.paragraph);
        if paragraph.is_empty() {
            return Ok(());
        }
        let text = inline::text(&paragraph, self.draft.budget())?;
        if self.items.is_empty() {
            return self.draft.paragraph(&text);
        }
        self.draft.push(&text)?;
        self.draft.end_line()
    }

    fn end_items(&mut self) -> Result<()> {
        self.end_paragraph()?;
        self.items.clear();
        self.draft.end_block()
    }

    fn begin_item(&mut self, indent: usize, marker: &str) -> Result<()> {
        self.end_paragraph()?;
        if self.items.is_empty() {
            self.draft.end_block()?;
        }
        while self.items.last().is_some_and(|item| *item >= indent) {
            self.items.pop();
        }
        self.items.push(indent);
        self.draft.begin_list_item(self.items.len() - 1, marker)
    }

    /// Writes lines as they are, less the indentation that all of them have.
    fn verbatim(&mut self, range: Range<usize>, content: impl Fn(&'t str) -> &'t str) -> Result<()> {
        self.end_paragraph()?;
        self.draft.end_block()?;
        let lines: Vec<&str> =
            self.lines.get(range).unwrap_or_default().iter().map(|line| content(line)).collect();
        let indent = |line: &&str| line.len() - line.trim_start_matches([' ', '\t']).len();
        let least = lines.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
        for line in lines {
            self.draft.push(line.get(least..).unwrap_or_default())?;
            self.draft.push("\n")?;
        }
        self.draft.end_block()
    }

    /// `#+TITLE: …`, or a block between `#+BEGIN_…` and `#+END_…`.
    fn keyword(&mut self, keyword: &str, at: usize) -> Result<usize> {
        let (name, value) = keyword.split_once([':', ' ']).unwrap_or((keyword, ""));
        let (name, value) = (name.to_ascii_lowercase(), value.trim());
        if let Some(block) = name.strip_prefix("begin_") {
            return self.block(block, at);
        }
        let metadata = self.draft.metadata();
        match name.as_str() {
            "title" => metadata.set_title(value),
            "author" => metadata.set_author(value),
            "date" => metadata.set_created(value.trim_matches(['<', '>', '[', ']'])),
            "description" | "keywords" | "language" | "email" | "subtitle" => {
                metadata.set_property(&name, value);
            }
            "caption" => {
                self.end_items()?;
                value.clone_into(&mut self.paragraph);
                self.end_paragraph()?;
            }
            _ => self.end_paragraph()?,
        }
        Ok(at + 1)
    }

    fn block(&mut self, name: &str, at: usize) -> Result<usize> {
        let is_raw = matches!(name, "src" | "example" | "verse");
        let is_left_out = matches!(name, "comment" | "export" | "html" | "latex" | "ascii");
        self.end_paragraph()?;
        if !is_raw && !is_left_out {
            // Its lines are text like any other.
            self.draft.end_block()?;
            return Ok(at + 1);
        }
        let end_mark = format!("#+end_{name}");
        let ends = |line: &str| {
            line.trim().get(..end_mark.len()).is_some_and(|mark| mark.eq_ignore_ascii_case(&end_mark))
        };
        let end = self.run(at + 1, |line| !ends(line));
        if is_raw {
            // A comma keeps lines of Org from being read as such.
            self.verbatim(at + 1..end, |line| match line.strip_prefix(',') {
                Some(quoted) if quoted.starts_with(['*', '#', ',']) => quoted,
                _ => line,
            })?;
        }
        Ok(end + 1)
    }

    /// Where the drawer ends that begins here, if one does: properties, or a log, between `:NAME:` and `:END:`.
    fn drawer_end(&mut self, at: usize) -> Option<usize> {
        let name = self.line(at).trim().strip_prefix(':')?.strip_suffix(':')?;
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !is_name || at < self.no_drawer_end_before {
            return None;
        }
        let is_end = |line: &str| line.trim().eq_ignore_ascii_case(":end:");
        let end = self.run(at, |line| !is_end(line) && headline(line).is_none());
        if is_end(self.line(end)) {
            return Some(end + 1);
        }
        self.no_drawer_end_before = end;
        None
    }

    fn table(&mut self, at: usize) -> Result<usize> {
        let budget = self.draft.budget();
        self.end_paragraph()?;
        let end = self.run(at, |line| line.trim_start().starts_with('|'));
        let mut table = Table::new();
        for line in self.lines.get(at..end).unwrap_or_default() {
            let line = line.trim();
            let row = line.strip_prefix('|').unwrap_or(line);
            if row.starts_with('-') {
                continue;
            }
            let row = row.strip_suffix('|').unwrap_or(row);
            let cells = row.split('|').map(|cell| inline::text(cell.trim(), budget));
            table.row(cells.collect::<Result<_>>()?, budget)?;
        }
        self.draft.table(&table)?;
        Ok(end)
    }
}

/// The level and text of a headline: stars at the beginning of a line.
fn headline(line: &str) -> Option<(u8, &str)> {
    let title = line.trim_start_matches('*');
    let stars = line.len() - title.len();
    let title = title.strip_prefix(' ').filter(|_| stars > 0)?;
    Some((u8::try_from(stars).unwrap_or(u8::MAX), title.trim()))
}

fn is_planning(line: &str) -> bool {
    ["SCHEDULED:", "DEADLINE:", "CLOSED:"].iter().any(|keyword| line.trim_start().starts_with(keyword))
}

/// The marker of a list item, and its text. A star is one only where it cannot be a headline's.
fn item(text: &str, indent: usize) -> Option<(String, &str)> {
    let (marker, content) = text.split_once(' ').unwrap_or((text, ""));
    let counter = marker.strip_suffix(['.', ')']);
    let counted = counter.is_some_and(|counter| {
        let digits = !counter.is_empty() && counter.len() <= 9 && counter.bytes().all(|b| b.is_ascii_digit());
        digits || counter.len() == 1 && counter.bytes().all(|b| b.is_ascii_alphabetic()) && indent > 0
    });
    let bullet = matches!(marker, "-" | "+") || marker == "*" && indent > 0;
    (counted || bullet).then(|| (if counted { marker.to_owned() } else { "-".to_owned() }, content.trim()))
}
