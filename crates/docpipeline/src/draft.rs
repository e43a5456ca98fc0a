//! What extractors write into: the raw text, and marks of what stands where.

use bytes::Bytes;

use crate::budget::Budget;
use crate::document::{Heading, Metadata, Part, Span};
use crate::error::{Error, Result};
use crate::extract::Extractors;
use crate::format::Format;

/// The most warnings kept of one document.
const MAX_WARNINGS: usize = 100;

/// A table with more than this many places for each cell up to the last used one of its row is sparse: filled up to its
/// widest row, a sheet of a few kilobytes becomes megabytes of bars.
const SPARSE: usize = 4;

/// Places of a table that nobody minds, however few of them are used.
const SMALL_TABLE: usize = 10_000;

/// A document being written by an [`Extractor`](crate::Extractor).
///
/// Text goes in as blocks: whatever is pushed between two calls of [`end_block`](Draft::end_block) is one
/// paragraph. White space need not be tidy: the normalise stage tidies it and moves all marks along. Every push is
/// charged to the [`Budget`].
pub struct Draft<'b> {
    budget: &'b Budget,
    extractors: &'b Extractors,
    pub(crate) text: String,
    pub(crate) metadata: Metadata,
    pub(crate) headings: Vec<Heading>,
    pub(crate) tables: Vec<Span>,
    /// Where each page begins.
    pub(crate) page_starts: Vec<usize>,
    pub(crate) parts: Vec<Part>,
    pub(crate) warnings: Vec<String>,
    open_heading: Option<(u8, usize)>,
}

impl<'b> Draft<'b> {
    pub(crate) fn new(budget: &'b Budget, extractors: &'b Extractors) -> Self {
        Self {
            budget,
            extractors,
            text: String::new(),
            metadata: Metadata::default(),
            headings: Vec::new(),
            tables: Vec::new(),
            page_starts: Vec::new(),
            parts: Vec::new(),
            warnings: Vec::new(),
            open_heading: None,
        }
    }

    /// The account that readers of this document charge.
    #[must_use]
    pub fn budget(&self) -> &'b Budget {
        self.budget
    }

    /// The extractors that this document may be read with, and their settings.
    #[must_use]
    pub fn extractors(&self) -> &'b Extractors {
        self.extractors
    }

    /// What the document says about itself.
    pub fn metadata(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// Takes the first heading of the highest level as the title, where the document names none.
    pub(crate) fn title_from_heading(&mut self) {
        let span = self.headings.iter().find(|heading| heading.level == 1).map(|heading| heading.span);
        if let Some(title) = span.and_then(|span| self.text.get(span.range())) {
            self.metadata.set_title(title);
        }
    }

    /// The text so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Appends text to the present block.
    ///
    /// # Errors
    ///
    /// [`Limit::OutputBytes`](crate::Limit), or the time limit.
    pub fn push(&mut self, text: &str) -> Result<()> {
        self.budget.tick()?;
        self.budget.output(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    /// Makes sure that white space separates what was pushed from what follows.
    ///
    /// # Errors
    ///
    /// As [`push`](Draft::push).
    pub fn space(&mut self) -> Result<()> {
        if self.text.is_empty() || self.text.ends_with(char::is_whitespace) {
            return Ok(());
        }
        self.push(" ")
    }

    /// Begins a new line in the present block.
    ///
    /// # Errors
    ///
    /// As [`push`](Draft::push).
    pub fn end_line(&mut self) -> Result<()> {
        if self.text.is_empty() || self.text.ends_with('\n') {
            return Ok(());
        }
        self.push("\n")
    }

    /// Ends the present block, if anything stands in it; what follows is a new paragraph.
    ///
    /// # Errors
    ///
    /// As [`push`](Draft::push).
    pub fn end_block(&mut self) -> Result<()> {
        if self.text.is_empty() || self.text.ends_with("\n\n") {
            return Ok(());
        }
        self.push(if self.text.ends_with('\n') { "\n" } else { "\n\n" })
    }

    /// Writes a paragraph.
    ///
    /// # Errors
    ///
    /// As [`push`](Draft::push).
    pub fn paragraph(&mut self, text: &str) -> Result<()> {
        self.end_block()?;
        self.push(text)?;
        self.end_block()
    }

    /// Writes a heading of `level` (1 to 6; others are brought into that range).
    ///
    /// # Errors
    ///
    /// As [`push`](Draft::push).
    pub fn heading(&mut self, level: u8, text: &str) -> Result<()> {
        self.begin_heading(level)?;
        self.push(text)?;
        self.end_heading()
    }

    /// Begins a heading; what is pushed until [`end_heading`](Draft::end_heading) is its text.
    ///
    /// # Errors
    ///
    /// As [`push`](Draft::push).
    pub fn begin_heading(&mut self, level: u8) -> Result<()> {
        self.end_heading()?;
        self.end_block()?;
        let level = level.clamp(1, 6);
        self.push("######".get(..usize::from(level)).unwrap_or("#"))?;
        self.push(" ")?;
        self.open_heading = Some((level, self.text.len()));
        Ok(())
    }

    /// Ends the heading begun last, if one is open. A heading without text leaves nothing behind.
    ///
    /// # Errors
    ///
    /// As [`push`](Draft::push).
    pub fn end_heading(&mut self) -> Result<()> {
        let Some((level, start)) = self.open_heading.take() else {
            return Ok(());
        };
        let written = self.text.get(start..).unwrap_or_default();
        if written.trim().is_empty() {
            self.text.truncate(start - usize::from(level) - 1);
            return Ok(());
        }
        if written.trim().contains(['\n', '\r']) {
            // A heading is one line, whatever its source says.
            let one_line = written.split_whitespace().collect::<Vec<_>>().join(" ");
            self.text.truncate(start);
            self.text.push_str(&one_line);
        }
        self.headings.push(Heading { level, span: Span { start, end: self.text.len() } });
        self.end_block()
    }

    /// Begins a list item at `depth` (0 is outermost) with `marker`: `"-"`, `"3."`.
    ///
    /// # Errors
    ///
    /// As [`push`](Draft::push).
    pub fn begin_list_item(&mut self, depth: usize, marker: &str) -> Result<()> {
        self.end_line()?;
        for _ in 0..depth.min(16) {
            self.push("  ")?;
        }
        self.push(marker)?;
        self.push(" ")
    }

    /// Writes a table as a Markdown table, its first row as the header. Trailing empty rows and columns are left
    /// out; a table with nothing in it leaves nothing behind. The cells are charged.
    ///
    /// # Errors
    ///
    /// As [`push`](Draft::push), and [`Limit::Cells`](crate::Limit).
    pub fn table(&mut self, table: &Table) -> Result<()> {
        let rows = table.used_rows();
        let columns = rows.iter().map(|row| used_cells(row)).max().unwrap_or(0);
        if columns == 0 {
            return Ok(());
        }
        self.end_block()?;
        let start = self.text.len();
        let used: usize = rows.iter().map(|row| used_cells(row)).sum();
        let is_sparse = rows.len() * columns > SPARSE * used + SMALL_TABLE;
        for (i, row) in rows.iter().enumerate() {
            // The first row says how many columns there are; others may end before the last (GFM, 4.10).
            let cells = if is_sparse && i > 0 { used_cells(row).max(1) } else { columns };
            self.push("|")?;
            for column in 0..cells {
                self.push(" ")?;
                self.cell(row.get(column).map_or("", String::as_str))?;
                self.push(" |")?;
            }
            self.push("\n")?;
            if i == 0 {
                self.push("|")?;
                for _ in 0..columns {
                    self.push(" --- |")?;
                }
                self.push("\n")?;
            }
        }
        self.tables.push(Span { start, end: self.text.len() });
        self.end_block()
    }

    /// A cell is one line, and its bars are not the table's.
    fn cell(&mut self, text: &str) -> Result<()> {
        let mut words = text.split_whitespace();
        if let Some(first) = words.next() {
            self.cell_word(first)?;
        }
        for word in words {
            self.push(" ")?;
            self.cell_word(word)?;
        }
        Ok(())
    }

    fn cell_word(&mut self, word: &str) -> Result<()> {
        if word.contains('|') { self.push(&word.replace('|', "\\|")) } else { self.push(word) }
    }

    /// Begins a page, slide or sheet, and charges it.
    ///
    /// # Errors
    ///
    /// [`Limit::Pages`](crate::Limit), or as [`push`](Draft::push).
    pub fn begin_page(&mut self) -> Result<()> {
        self.budget.page()?;
        self.end_block()?;
        self.page_starts.push(self.text.len());
        Ok(())
    }

    /// Notes what could not be read where the rest can. The first hundred are kept.
    pub fn warn(&mut self, warning: impl Into<String>) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning.into());
        }
    }

    /// Reads a document inside this one and appends its text as a part, under a heading with its name.
    ///
    /// A part that cannot be read leaves a warning and does not end the document, but a limit does: limits
    /// hold for the whole document.
    ///
    /// # Errors
    ///
    /// A limit, the time, or cancellation.
    pub fn embed(&mut self, name: &str, bytes: Bytes) -> Result<()> {
        self.embed_part(name, None, bytes)
    }

    /// As [`embed`](Draft::embed), for a part whose format the container tells, and whose `name` it makes up: its own
    /// title heads it, where it has one.
    ///
    /// # Errors
    ///
    /// As [`embed`](Draft::embed).
    pub fn embed_as(&mut self, format: Format, name: &str, bytes: Bytes) -> Result<()> {
        self.embed_part(name, Some(format), bytes)
    }

    fn embed_part(&mut self, name: &str, known: Option<Format>, bytes: Bytes) -> Result<()> {
        self.budget.entry()?;
        let inside = self.budget.enter()?;
        let refused = |draft: &mut Self, error: Error| {
            if error.concerns_only_this_part() {
                draft.warn(format!("{name}: {error}"));
                Ok(())
            } else {
                Err(error)
            }
        };
        if bytes.is_empty() {
            return refused(self, Error::Empty);
        }
        let source = Source { name: Some(name), bytes };
        let format = match known.map_or_else(|| self.extractors.detect(&source), Ok) {
            Ok(format) => format,
            Err(error) => return refused(self, error),
        };
        let mut part = Draft::new(self.budget, self.extractors);
        let read = self.extractors.extract(format, &source, &mut part);
        drop(inside);
        if let Err(error) = read {
            return refused(self, error);
        }
        let title = part.metadata.title.clone().filter(|_| known.is_some());
        self.heading(1, title.as_deref().unwrap_or(name))?;
        self.append(name, format, part)
    }

    fn append(&mut self, name: &str, format: Format, mut part: Draft<'_>) -> Result<()> {
        part.end_heading()?;
        let start = self.text.len();
        // Already charged when the part was written.
        self.text.push_str(&part.text);
        let end = self.text.len();
        let moved = |span: Span| Span { start: span.start + start, end: span.end + start };
        self.headings.extend(part.headings.iter().map(|h| Heading { level: h.level, span: moved(h.span) }));
        self.tables.extend(part.tables.iter().map(|span| moved(*span)));
        self.parts.push(Part {
            name: name.to_owned(),
            format,
            span: Span { start, end },
            metadata: part.metadata,
        });
        self.parts.extend(part.parts.into_iter().map(|inner| Part {
            name: format!("{name}/{}", inner.name),
            span: moved(inner.span),
            ..inner
        }));
        for warning in part.warnings {
            self.warn(format!("{name}: {warning}"));
        }
        self.end_block()
    }
}

/// A document as it comes in.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// Its file name, if it has one: decides only between kinds that the content leaves open, such as plain text and
    /// Markdown.
    pub name: Option<&'a str>,
    /// Its content.
    pub bytes: Bytes,
}

impl Source<'_> {
    /// The name's extension in lower case, without the dot; empty if there is none.
    #[must_use]
    pub fn extension(&self) -> String {
        let file = self.name.unwrap_or_default().rsplit(['/', '\\']).next().unwrap_or_default();
        file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
    }
}

/// A table in the making; its first row is the header.
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with no rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row, and charges its cells.
    ///
    /// # Errors
    ///
    /// [`Limit::Cells`](crate::Limit).
    pub fn row(&mut self, cells: Vec<String>, budget: &Budget) -> Result<()> {
        budget.cells(cells.len().max(1))?;
        self.rows.push(cells);
        Ok(())
    }

    /// Adds a row whose cells have been charged one by one.
    pub(crate) fn charged_row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether no row has been added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The length of the text of all cells.
    pub(crate) fn text_len(&self) -> usize {
        self.rows.iter().flatten().map(String::len).sum()
    }

    /// Appends the text of all cells to `cell` of a table that this one stands in.
    pub(crate) fn flatten_into(&self, cell: &mut String) {
        for text in self.rows.iter().flatten().filter(|text| !text.trim().is_empty()) {
            if !cell.is_empty() {
                cell.push(' ');
            }
            cell.push_str(text);
        }
    }

    /// Leading and trailing empty rows left out.
    fn used_rows(&self) -> &[Vec<String>] {
        let used = |row: &Vec<String>| used_cells(row) > 0;
        match (self.rows.iter().position(used), self.rows.iter().rposition(used)) {
            (Some(first), Some(last)) => self.rows.get(first..=last).unwrap_or_default(),
            _ => &[],
        }
    }
}

fn used_cells(row: &[String]) -> usize {
    row.iter().rposition(|cell| !cell.trim().is_empty()).map_or(0, |last| last + 1)
}
