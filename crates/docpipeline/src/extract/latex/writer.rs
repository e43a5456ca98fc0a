//! Where the text of a LaTeX document goes: paragraphs, headings, cells, notes.

use crate::budget::Budget;
use crate::draft::{Draft, Table};
use crate::error::Result;

/// Columns that one cell may span.
const WIDEST_SPAN: usize = 64;

/// Where the text of a group goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Capture {
    Heading(u8),
    Paragraph,
    Note,
    Title,
    Author,
    Date,
    Cell,
}

/// A table whose end has not come; its last cell is being captured.
#[derive(Default)]
struct OpenTable {
    table: Table,
    row: Vec<String>,
}

pub(super) struct Writer<'d, 'b> {
    draft: &'d mut Draft<'b>,
    /// The paragraph in the making.
    text: String,
    /// What is captured, the innermost last.
    captured: Vec<(Capture, String)>,
    tables: Vec<OpenTable>,
    /// The next number of each open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    notes: Vec<String>,
    title: String,
    author: String,
    date: String,
}

impl<'d, 'b> Writer<'d, 'b> {
    pub(super) fn new(draft: &'d mut Draft<'b>) -> Self {
        Self {
            draft,
            text: String::new(),
            captured: Vec::new(),
            tables: Vec::new(),
            lists: Vec::new(),
            notes: Vec::new(),
            title: String::new(),
            author: String::new(),
            date: String::new(),
        }
    }

    pub(super) fn budget(&self) -> &'b Budget {
        self.draft.budget()
    }

    /// Whether text goes to the page itself.
    pub(super) fn is_outside(&self) -> bool {
        self.captured.is_empty()
    }

    fn target(&mut self) -> &mut String {
        self.captured.last_mut().map_or(&mut self.text, |(_, text)| text)
    }

    pub(super) fn push(&mut self, text: &str) -> Result<()> {
        self.budget().room(text.len())?;
        let target = self.target();
        let text = if target.is_empty() || target.ends_with([' ', '\n']) {
            text.trim_start_matches(' ')
        } else {
            text
        };
        target.push_str(text);
        Ok(())
    }

    /// Writes lines as they are.
    pub(super) fn push_lines(&mut self, lines: &str) -> Result<()> {
        self.budget().room(lines.len())?;
        self.target().push_str(lines.trim_end());
        Ok(())
    }

    pub(super) fn end_paragraph(&mut self) -> Result<()> {
        match self.captured.last_mut() {
            // What is captured is one line, but for notes.
            Some((_, text)) => {
                if !text.is_empty() && !text.ends_with([' ', '\n']) {
                    text.push(' ');
                }
                Ok(())
            }
            None => self.flush(),
        }
    }

    fn flush(&mut self) -> Result<()> {
        let text = std::mem::take(&mut self.text);
        if text.trim().is_empty() {
            return Ok(());
        }
        if self.lists.is_empty() {
            self.draft.paragraph(&text)
        } else {
            self.draft.push(&text)?;
            self.draft.end_line()
        }
    }

    pub(super) fn begin(&mut self, capture: Capture) {
        self.captured.push((capture, String::new()));
    }

    /// Ends what was captured last, and puts it where it belongs.
    pub(super) fn end(&mut self) -> Result<()> {
        let Some((capture, text)) = self.captured.pop() else { return Ok(()) };
        let outside = self.is_outside();
        match capture {
            Capture::Heading(level) if outside => {
                self.flush()?;
                self.draft.heading(level, text.trim())
            }
            Capture::Paragraph if outside => {
                self.flush()?;
                self.draft.paragraph(text.trim())
            }
            Capture::Heading(_) | Capture::Paragraph => {
                self.push(" ")?;
                self.push(text.trim())?;
                self.push(" ")
            }
            Capture::Note
                if self
                    .captured
                    .iter()
                    .any(|(outer, _)| matches!(outer, Capture::Author | Capture::Title)) =>
            {
                Ok(())
            }
            Capture::Note => {
                self.notes.push(text);
                let mark = format!("[{}]", self.notes.len());
                self.push(&mark)
            }
            Capture::Title => {
                self.draft.metadata().set_title(&text);
                self.title = text;
                Ok(())
            }
            Capture::Author => {
                self.draft.metadata().set_author(&text);
                self.author = text;
                Ok(())
            }
            Capture::Date => {
                self.draft.metadata().set_created(&text);
                self.date = text;
                Ok(())
            }
            Capture::Cell => {
                if let Some(table) = self.tables.last_mut() {
                    table.row.push(text);
                }
                Ok(())
            }
        }
    }

    /// Writes the title, where the document asks for it.
    pub(super) fn title(&mut self) -> Result<()> {
        if !self.is_outside() {
            return Ok(());
        }
        self.flush()?;
        let (title, author, date) = (
            std::mem::take(&mut self.title),
            std::mem::take(&mut self.author),
            std::mem::take(&mut self.date),
        );
        self.draft.heading(1, title.trim())?;
        self.draft.paragraph(author.trim())?;
        self.draft.paragraph(date.trim())
    }

    pub(super) fn begin_list(&mut self, first: Option<u64>) {
        self.lists.push(first);
    }

    pub(super) fn item(&mut self, label: Option<&str>) -> Result<()> {
        self.end_paragraph()?;
        let depth = self.lists.len().saturating_sub(1);
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{number}.");
                *number = number.saturating_add(1);
                marker
            }
            _ => "-".to_owned(),
        };
        if self.is_outside() {
            self.draft.begin_list_item(depth, &marker)?;
        }
        match label.map(str::trim).filter(|label| !label.is_empty()) {
            Some(label) => {
                self.push(label)?;
                self.push(" ")
            }
            None => Ok(()),
        }
    }

    pub(super) fn end_list(&mut self) -> Result<()> {
        self.end_paragraph()?;
        self.lists.pop();
        if self.lists.is_empty() && self.is_outside() { self.draft.end_block() } else { Ok(()) }
    }

    pub(super) fn begin_table(&mut self) {
        self.tables.push(OpenTable::default());
        self.begin(Capture::Cell);
    }

    fn in_cell(&self) -> bool {
        matches!(self.captured.last(), Some((Capture::Cell, _)))
    }

    /// `&`, which outside of a table is what it is.
    pub(super) fn next_cell(&mut self) -> Result<()> {
        if !self.in_cell() {
            return self.push("&");
        }
        self.end()?;
        self.begin(Capture::Cell);
        Ok(())
    }

    /// `\\`: the end of a row, or of a line.
    pub(super) fn end_row(&mut self) -> Result<()> {
        if !self.in_cell() {
            return self.push(if self.is_outside() { "\n" } else { " " });
        }
        self.end()?;
        self.row()?;
        self.begin(Capture::Cell);
        Ok(())
    }

    fn row(&mut self) -> Result<()> {
        let budget = self.budget();
        match self.tables.last_mut() {
            Some(table) => table.table.row(std::mem::take(&mut table.row), budget),
            None => Ok(()),
        }
    }

    /// The cell that begins spans so many columns: the others are empty.
    pub(super) fn span(&mut self, columns: usize) -> Result<()> {
        let further = columns.clamp(1, WIDEST_SPAN) - 1;
        self.budget().cells(further)?;
        if self.in_cell()
            && let Some(table) = self.tables.last_mut()
        {
            table.row.extend(std::iter::repeat_n(String::new(), further));
        }
        Ok(())
    }

    pub(super) fn end_table(&mut self) -> Result<()> {
        if !self.in_cell() {
            return Ok(());
        }
        self.end()?;
        self.row()?;
        let Some(OpenTable { table, .. }) = self.tables.pop() else { return Ok(()) };
        if self.is_outside() {
            self.flush()?;
            return self.draft.table(&table);
        }
        let mut inner = String::new();
        table.flatten_into(&mut inner);
        self.push(&inner)
    }

    /// Writes what is left, and the notes.
    pub(super) fn finish(mut self) -> Result<()> {
        while !self.captured.is_empty() {
            self.end()?;
        }
        self.lists.clear();
        self.flush()?;
        for (index, note) in std::mem::take(&mut self.notes).iter().enumerate() {
            self.draft.paragraph(&format!("[{}] {}", index + 1, note.trim()))?;
        }
        Ok(())
    }
}
