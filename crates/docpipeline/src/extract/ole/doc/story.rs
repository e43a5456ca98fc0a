//! Paragraphs and tables out of the text.

use std::ops::Range;

use super::notes::Labels;
use super::pieces::{Pieces, Token};
use super::rows::Rows;
use super::runs::{Paragraph, Paragraphs};
use super::styles::Styles;
use crate::budget::Budget;
use crate::draft::Draft;
use crate::error::Result;
use crate::extract::numbering::Numbering;

/// Reads one part of the text after another.
pub(super) struct Stories<'s> {
    pub(super) pieces: Pieces<'s>,
    pub(super) omitted: Vec<Range<usize>>,
    pub(super) paragraphs: Paragraphs,
    pub(super) styles: Styles,
    pub(super) labels: Labels,
}

/// The most cells of a row that there can be; where the mark of its end is lost, it ends here.
const LONGEST_ROW: usize = 63;

/// What of a part of the text is not written yet.
struct Open<'s> {
    /// How far lists have been counted, through all parts.
    numbering: &'s mut Numbering,
    paragraph: String,
    cell: String,
    row: Vec<String>,
    rows: Rows<'s>,
    /// How much text is held.
    held: usize,
    /// Whether nothing stands between the mark of a cell and the present place.
    cell_ended: bool,
}

impl Stories<'_> {
    /// Reads the text at these positions behind a label.
    pub(super) fn read(
        &self,
        positions: Range<u32>,
        label: &str,
        numbering: &mut Numbering,
        draft: &mut Draft<'_>,
    ) -> Result<()> {
        let budget = draft.budget();
        let mut open = Open::new(numbering);
        open.push(label, budget)?;
        let mut tokens = self.pieces.tokens(positions, &self.omitted, budget);
        while let Some(token) = tokens.next()? {
            match token {
                Token::Text(text) => open.push(&text, budget)?,
                Token::Mark { code, position, at } => match code {
                    0x02 => open.push(&self.labels.at(position), budget)?,
                    0x07 => self.end_cell(&mut open, at, draft)?,
                    0x09 => open.push("\t", budget)?,
                    0x0b | 0x0e => open.push("\n", budget)?,
                    0x0c | 0x0d => self.end_paragraph(&mut open, at, draft)?,
                    0x1e => open.push("-", budget)?,
                    _ => {}
                },
            }
        }
        // A part that ends without a mark.
        self.end_paragraph(&mut open, usize::MAX, draft)?;
        open.end_table(draft)
    }

    /// The letters and digits at these positions: of everything, and of what stands outside of fields.
    pub(super) fn letters(&self, positions: Range<u32>, budget: &Budget) -> Result<(String, String)> {
        let (mut all, mut outside) = (String::new(), String::new());
        let mut tokens = self.pieces.tokens(positions, &self.omitted, budget);
        while let Some(token) = tokens.next()? {
            let Token::Text(text) = token else { continue };
            let letters = text.chars().filter(|c| c.is_alphanumeric());
            all.extend(letters.clone());
            if !tokens.is_in_field() {
                outside.extend(letters);
            }
            budget.room(all.len())?;
        }
        Ok((all, outside))
    }

    fn end_cell<'s>(&'s self, open: &mut Open<'s>, at: usize, draft: &mut Draft<'_>) -> Result<()> {
        let paragraph = self.paragraphs.at(at);
        let ends_row = if self.paragraphs.is_empty() {
            // Nothing says so, but a row ends with an empty cell.
            open.cell_ended && open.paragraph.is_empty() && open.cell.is_empty()
        } else {
            paragraph.ends_row
        };
        if ends_row || open.row.len() > LONGEST_ROW {
            open.paragraph.clear();
            return open.end_row(self.paragraphs.edges(paragraph), draft.budget());
        }
        let marker = open.marker(&self.styles.complete(paragraph));
        open.end_line_of_cell(&marker);
        open.row.push(std::mem::take(&mut open.cell));
        open.cell_ended = true;
        draft.budget().cells(1)
    }

    fn end_paragraph(&self, open: &mut Open<'_>, at: usize, draft: &mut Draft<'_>) -> Result<()> {
        let paragraph = self.styles.complete(self.paragraphs.at(at));
        let marker = open.marker(&paragraph);
        if paragraph.in_table {
            open.end_line_of_cell(&marker);
            return draft.budget().tick();
        }
        open.end_table(draft)?;
        let text = std::mem::take(&mut open.paragraph);
        open.held = 0;
        let text = text.trim_matches([' ', '\n', '\t']);
        if text.is_empty() {
            return Ok(());
        }
        if let Some(level) = paragraph.level.filter(|level| *level > 0) {
            draft.begin_heading(level)?;
            if !matches!(marker.as_str(), "" | "-") {
                draft.push(&marker)?;
                draft.push(" ")?;
            }
            draft.push(text)?;
            return draft.end_heading();
        }
        if marker.is_empty() {
            return draft.paragraph(text);
        }
        draft.begin_list_item(paragraph.depth.map_or(0, usize::from), &marker)?;
        draft.push(text)?;
        draft.end_line()
    }
}

impl<'s> Open<'s> {
    fn new(numbering: &'s mut Numbering) -> Self {
        Self {
            numbering,
            paragraph: String::new(),
            cell: String::new(),
            row: Vec::new(),
            rows: Rows::default(),
            held: 0,
            cell_ended: false,
        }
    }

    /// What stands before a paragraph that is an item of a list.
    fn marker(&mut self, paragraph: &Paragraph) -> String {
        // Numbers from 2047 on are those of lists that older editions of Word knew.
        let list =
            paragraph.list.filter(|list| (1..2047).contains(list) && !self.paragraph.trim().is_empty());
        let depth = paragraph.depth.map_or(0, usize::from);
        list.map(|list| self.numbering.next(u32::from(list), depth)).unwrap_or_default()
    }

    fn push(&mut self, text: &str, budget: &Budget) -> Result<()> {
        self.paragraph.push_str(text);
        self.cell_ended = false;
        self.held += text.len();
        budget.room(self.held)
    }

    fn end_line_of_cell(&mut self, marker: &str) {
        self.held += marker.len() + 2;
        for part in [marker, self.paragraph.trim()].into_iter().filter(|part| !part.is_empty()) {
            if !self.cell.is_empty() {
                self.cell.push(' ');
            }
            self.cell.push_str(part);
        }
        self.paragraph.clear();
    }

    fn end_row(&mut self, edges: &'s [i16], budget: &Budget) -> Result<()> {
        self.end_line_of_cell("");
        if !self.cell.trim().is_empty() {
            self.row.push(std::mem::take(&mut self.cell));
        }
        self.cell.clear();
        self.rows.push(std::mem::take(&mut self.row), edges);
        self.cell_ended = false;
        budget.cells(1)
    }

    fn end_table(&mut self, draft: &mut Draft<'_>) -> Result<()> {
        if !self.row.is_empty() || !self.cell.is_empty() {
            let paragraph = std::mem::take(&mut self.paragraph);
            self.end_row(&[], draft.budget())?;
            self.paragraph = paragraph;
        }
        let rows = std::mem::take(&mut self.rows);
        draft.table(&rows.into_table(draft.budget())?)
    }
}
