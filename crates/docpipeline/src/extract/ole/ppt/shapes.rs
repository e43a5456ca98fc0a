//! The shapes of a slide or of its notes, and the text in them.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::super::numbers_at::{i32_at, u16_at, u32_at, usize_at};
use super::records::{Record, Records, kind};
use super::text::{Role, Text, TextRecords};
use crate::budget::Budget;
use crate::draft::{Draft, Table};
use crate::error::Result;

/// What a slide shows, in order.
pub(super) enum Shape<'o> {
    Text(Cow<'o, Text>),
    Table(Vec<Cell>),
}

/// A cell of a table, by the place of its upper left corner.
pub(super) struct Cell {
    top: i32,
    left: i32,
    text: String,
}

/// A group whose shapes are being read.
struct Group<'s> {
    records: Records<'s>,
    cells: Option<Vec<Cell>>,
}

/// The shapes of a slide with text. `outline` is the text that the list of slides holds for it.
pub(super) fn shapes<'o>(
    slide: Record<'_>,
    outline: &'o [Text],
    draft: &Draft<'_>,
) -> Result<Vec<Shape<'o>>> {
    let budget = draft.budget();
    let (mut shapes, mut held) = (Vec::new(), 0);
    let drawing = slide.child(kind::DRAWING).and_then(|drawing| drawing.child(kind::DRAWING_CONTAINER));
    let mut open: Vec<Group<'_>> = Vec::new();
    open.extend(drawing.map(|drawing| Group { records: drawing.children(), cells: None }));
    while let Some(group) = open.last_mut() {
        budget.tick()?;
        let Some(record) = group.records.next() else {
            let done = open.pop().and_then(|group| group.cells);
            shapes.extend(done.map(Shape::Table));
            continue;
        };
        match record.kind {
            kind::GROUP => {
                let cells = is_table(record).then(Vec::new);
                budget.nesting(open.len() + 1)?;
                open.push(Group { records: record.children(), cells });
            }
            kind::SHAPE => {
                let Some(text) = text_of(record, outline, budget)? else { continue };
                match (&mut group.cells, anchor(record)) {
                    (Some(cells), Some((top, left))) => {
                        let lines = text.paragraphs.iter().map(|paragraph| paragraph.text.as_str());
                        let text = lines.collect::<Vec<_>>().join(" ");
                        held += text.len();
                        budget.room(held)?;
                        cells.push(Cell { top, left, text });
                    }
                    _ => shapes.push(Shape::Text(text)),
                }
            }
            _ => {}
        }
    }
    Ok(shapes)
}

/// Whether a group says of itself that it is a table: in the properties of its first shape.
fn is_table(group: Record<'_>) -> bool {
    let Some(own) = group.child(kind::SHAPE) else { return false };
    own.children().filter(|record| record.kind == kind::TABLE_PROPERTIES).any(|record| {
        record.data.as_chunks::<6>().0.iter().any(|property| {
            u16_at(property, 0).map(|id| id & 0x3fff) == Some(0x039f)
                && u32_at(property, 2).is_some_and(|flags| flags & 1 != 0)
        })
    })
}

fn anchor(shape: Record<'_>) -> Option<(i32, i32)> {
    let place = shape.child(kind::CHILD_ANCHOR)?.data;
    Some((i32_at(place, 4)?, i32_at(place, 0)?))
}

/// The text of a shape; `None` for the number of the slide, its date and its footer, and the picture of the slide on
/// its notes.
fn text_of<'o>(shape: Record<'_>, outline: &'o [Text], budget: &Budget) -> Result<Option<Cow<'o, Text>>> {
    let client = shape.child(kind::CLIENT_DATA);
    let placeholder = client.and_then(|data| data.child(kind::PLACEHOLDER)).and_then(|atom| atom.data.get(4));
    if matches!(placeholder, Some(5 | 7..=11)) {
        return Ok(None);
    }
    let mut found: Option<TextRecords<'_>> = None;
    for record in shape.child(kind::TEXT_BOX).into_iter().flat_map(Record::children) {
        budget.tick()?;
        match record.kind {
            kind::OUTLINE_REFERENCE => {
                let text = usize_at(record.data, 0).and_then(|index| outline.get(index));
                return Ok(text.map(Cow::Borrowed));
            }
            kind::TEXT_HEADER => found = Some(TextRecords::begin(record)),
            _ => found.get_or_insert_default().add(record),
        }
    }
    found.map(|records| records.finish(budget).map(Cow::Owned)).transpose()
}

/// Writes shapes: the title first, wherever it stands.
pub(super) fn write(shapes: &[Shape<'_>], announcement: Option<&str>, draft: &mut Draft<'_>) -> Result<()> {
    let mut announcement = announcement;
    let title = shapes.iter().position(|shape| announcement.is_none() && shape.is_title());
    if let Some(Shape::Text(text)) = title.and_then(|title| shapes.get(title))
        && let Text { role: Role::Title(level), paragraphs } = &**text
    {
        let lines: Vec<&str> = paragraphs.iter().map(|paragraph| paragraph.text.as_str()).collect();
        draft.heading(*level, &lines.join(" "))?;
    }
    for (i, shape) in shapes.iter().enumerate() {
        match shape {
            Shape::Text(_) if Some(i) == title => {}
            Shape::Text(text) => {
                if text.paragraphs.iter().any(|paragraph| !paragraph.text.trim().is_empty())
                    && let Some(announcement) = announcement.take()
                {
                    draft.paragraph(announcement)?;
                }
                write_text(text, draft)?;
            }
            Shape::Table(cells) => write_table(cells, draft)?,
        }
    }
    Ok(())
}

impl Shape<'_> {
    fn is_title(&self) -> bool {
        let Self::Text(text) = self else { return false };
        let has_text = || text.paragraphs.iter().any(|paragraph| !paragraph.text.trim().is_empty());
        matches!(text.role, Role::Title(_)) && has_text()
    }
}

pub(super) fn write_text(text: &Text, draft: &mut Draft<'_>) -> Result<()> {
    for paragraph in &text.paragraphs {
        let line = paragraph.text.trim();
        if line.is_empty() {
            continue;
        }
        let by_role = text.role == Role::Body || paragraph.level > 0;
        if paragraph.bullet.unwrap_or(by_role) {
            draft.begin_list_item(paragraph.level, "-")?;
        } else {
            draft.end_line()?;
        }
        draft.push(line)?;
        draft.end_line()?;
    }
    draft.end_block()
}

/// Cells with the same top are a row.
fn write_table(cells: &[Cell], draft: &mut Draft<'_>) -> Result<()> {
    let budget = draft.budget();
    let columns: BTreeSet<i32> = cells.iter().map(|cell| cell.left).collect();
    let columns: Vec<i32> = columns.into_iter().collect();
    let mut order: Vec<&Cell> = cells.iter().collect();
    order.sort_by_key(|cell| (cell.top, cell.left));
    let mut table = Table::new();
    for row in order.chunk_by(|a, b| a.top == b.top) {
        budget.cells(columns.len())?;
        let mut line = vec![String::new(); columns.len()];
        for cell in row {
            let column = columns.binary_search(&cell.left).ok();
            if let Some(place) = column.and_then(|column| line.get_mut(column)) {
                place.push_str(&cell.text);
            }
        }
        table.charged_row(line);
    }
    draft.table(&table)
}
