//! Footnotes, endnotes and comments: where they stand, and what they begin with.

use std::collections::HashMap;
use std::ops::Range;

use super::super::numbers_at::{u16_at, u32_at, utf16};
use super::header::{Header, Part, Table};
use crate::budget::Budget;
use crate::error::Result;

/// What stands for a mark of a note in the text, by its position.
pub(super) struct Labels(HashMap<u32, Label>);

/// The number of a note.
#[derive(Clone, Copy)]
enum Label {
    /// Where the text refers to it.
    Reference(u32),
    /// Where it begins.
    Note(u32),
}

impl Labels {
    pub(super) fn read(header: &Header<'_>, tables: &[u8], budget: &Budget) -> Result<Self> {
        let mut labels = HashMap::new();
        let mut notes = Vec::new();
        for (references, texts, part) in [
            (Table::FootnoteReferences, Table::Footnotes, Part::Footnotes),
            (Table::EndnoteReferences, Table::Endnotes, Part::Endnotes),
        ] {
            let (positions, _) = entries(header.table(references, tables), 2);
            let (starts, _) = entries(header.table(texts, tables), 0);
            let first = header.part(part).start;
            notes.extend(positions.zip(starts.map(|start| first.saturating_add(start))));
            // The last position is that of the end.
            notes.pop();
        }
        notes.sort_unstable();
        for (number, (reference, text)) in (1..).zip(notes) {
            budget.tick()?;
            labels.insert(reference, Label::Reference(number));
            labels.insert(text, Label::Note(number));
        }
        Ok(Self(labels))
    }

    /// What the mark at this position stands for.
    pub(super) fn at(&self, position: u32) -> String {
        match self.0.get(&position) {
            None => String::new(),
            Some(Label::Reference(number)) => format!("[{number}]"),
            Some(Label::Note(number)) => format!("[{number}] "),
        }
    }
}

/// The positions of each comment, and what it begins with: who wrote it.
pub(super) fn comments<'t>(
    header: &Header<'_>,
    tables: &'t [u8],
) -> impl Iterator<Item = (Range<u32>, String)> + use<'t> {
    let first = header.part(Part::Comments).start;
    let authors = authors(header.table(Table::CommentAuthors, tables));
    let reference_size = if header.is_unicode { 30 } else { 20 };
    let (_, references) = entries(header.table(Table::CommentReferences, tables), reference_size);
    let (starts, _) = entries(header.table(Table::Comments, tables), 0);
    let (ends, _) = entries(header.table(Table::Comments, tables), 0);
    starts.zip(ends.skip(1)).zip(references).map(move |((start, end), reference)| {
        let author = u16_at(reference, 20).and_then(|index| authors.get(usize::from(index)));
        let label = match author.map(|author| author.trim()) {
            Some(author) if !author.is_empty() => format!("Comment ({author}): "),
            _ => "Comment: ".to_owned(),
        };
        (first.saturating_add(start)..first.saturating_add(end), label)
    })
}

/// The positions of the stories of headers and footers. The first six separate notes from the text; then there are six
/// for each section: headers of even and odd pages, footers of even and odd pages, header and footer of the first page.
pub(super) fn header_stories(header: &Header<'_>, tables: &[u8]) -> (Vec<Range<u32>>, Vec<Range<u32>>) {
    let first = header.part(Part::Headers).start;
    let (positions, _) = entries(header.table(Table::Headers, tables), 0);
    let positions: Vec<u32> = positions.map(|position| first.saturating_add(position)).collect();
    let stories = positions.windows(2).filter_map(|pair| Some(*pair.first()?..*pair.last()?));
    let (mut headers, mut footers) = (Vec::new(), Vec::new());
    for (i, story) in stories.enumerate().skip(6).filter(|(_, story)| !story.is_empty()) {
        if matches!(i % 6, 0 | 1 | 4) { headers.push(story) } else { footers.push(story) }
    }
    (headers, footers)
}

/// The positions and the data of a table (PLC) that has so many bytes of data for each of its entries. There is one
/// position more than there are entries.
fn entries(table: &[u8], data_size: usize) -> (impl Iterator<Item = u32>, impl Iterator<Item = &[u8]>) {
    let count = table.len().saturating_sub(4) / (4 + data_size);
    let positions = (0..=count).filter_map(|i| u32_at(table, 4 * i));
    let data = table.get(4 * (count + 1)..).unwrap_or_default();
    (positions, data.chunks_exact(data_size.max(1)))
}

/// The names of those who wrote comments: each with its length before it.
fn authors(mut table: &[u8]) -> Vec<String> {
    let mut authors = Vec::new();
    while let Some(length) = u16_at(table, 0).map(|length| 2 * usize::from(length)) {
        let Some(name) = table.get(2..2 + length) else { break };
        authors.push(utf16(name));
        table = table.get(2 + length..).unwrap_or_default();
    }
    authors
}
