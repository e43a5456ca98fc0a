//! The cells of a sheet, the text of its drawings, and its comments.

use std::collections::HashMap;

use super::super::numbers_at::{f64_at, u16_at, u32_at};
use super::Workbook;
use super::records::{BOF, EOF, Edition, Record, Records};
use crate::budget::Budget;
use crate::draft::Draft;
use crate::error::{Error, Limit, Result};
use crate::extract::grid::Grid;

/// The kind of an object that holds the text of a comment.
const COMMENT: u16 = 0x19;

#[derive(Default)]
pub(super) struct Sheet {
    cells: Vec<Cell>,
    /// The text of drawings.
    drawings: Vec<String>,
    comments: Vec<Comment>,
    /// The text of those drawings that are comments, by their number.
    drawn_comments: HashMap<u16, String>,
}

struct Cell {
    row: u16,
    column: u16,
    value: Value,
}

enum Value {
    /// One of the strings of the workbook.
    Shared(u32),
    Text(String),
    Number {
        number: f64,
        style: u16,
    },
}

struct Comment {
    row: u16,
    column: u16,
    text: CommentText,
}

/// The text of a comment is that of a drawing, or before Excel 97 stands in the comment.
enum CommentText {
    OfDrawing(u16),
    Here(String),
}

impl Sheet {
    /// Reads a sheet from its first record to its last.
    pub(super) fn read(body: &[u8], workbook: &Workbook, name: &str, draft: &mut Draft<'_>) -> Result<Self> {
        let budget = draft.budget();
        let edition = workbook.edition;
        let mut sheet = Self::default();
        let mut records = Records::new(body);
        // Charts stand in sheets as sheets of their own, which are not read.
        let mut depth = 0_u32;
        // The formula whose text follows, and the drawing.
        let (mut formula, mut drawing) = (None, (0, 0));
        while let Some(record) = records.next() {
            budget.tick()?;
            let data = record.data;
            match record.kind {
                BOF => depth = depth.saturating_add(1),
                EOF if depth == 1 => return Ok(sheet),
                EOF => depth = depth.saturating_sub(1),
                _ if depth != 1 => {}
                // OBJ: what it is and its number stand first.
                0x5d => drawing = (u16_at(data, 4).unwrap_or(0), u16_at(data, 6).unwrap_or(0)),
                // TXO
                0x01b6 => {
                    let length = u16_at(data, 10).map_or(0, usize::from);
                    let mut text = records.continued(record);
                    // The characters stand in records of their own.
                    text.end_part();
                    let text = text.characters(length, false);
                    if drawing.0 == COMMENT {
                        sheet.drawn_comments.insert(drawing.1, text);
                    } else {
                        sheet.drawings.push(text);
                    }
                }
                // NOTE
                0x1c => sheet.comment(data, edition),
                // STRING: the result of the formula before it.
                0x0207 => {
                    if let Some((row, column)) = formula.take()
                        && let Some(text) = records.continued(record).text(false, edition)
                    {
                        sheet.cells.push(Cell { row, column, value: Value::Text(text) });
                    }
                }
                _ => {
                    if let (Some(row), Some(column)) = (u16_at(data, 0), u16_at(data, 2)) {
                        if record.kind == 0x06 {
                            formula = Some((row, column));
                        }
                        sheet.cell(record, row, column, &mut records, edition);
                    }
                }
            }
            sheet.within_limit(budget)?;
        }
        let missing = if depth == 0 { "beginning" } else { "end" };
        draft.warn(format!("sheet {name} has no {missing}"));
        Ok(sheet)
    }

    fn within_limit(&self, budget: &Budget) -> Result<()> {
        let max = budget.limits().cells;
        if self.cells.len() as u64 > max {
            return Err(Error::OverLimit { limit: Limit::Cells, max });
        }
        Ok(())
    }

    fn cell<'s>(
        &mut self,
        record: Record<'s>,
        row: u16,
        column: u16,
        records: &mut Records<'s>,
        edition: Edition,
    ) {
        let data = record.data;
        let style = u16_at(data, 4).unwrap_or(0);
        let number = |number| Value::Number { number, style };
        let value = match record.kind {
            // LABELSST
            0xfd => u32_at(data, 6).map(Value::Shared),
            // NUMBER
            0x0203 => f64_at(data, 6).map(number),
            // RK
            0x027e => u32_at(data, 6).map(|raw| number(unpacked(raw))),
            // FORMULA
            0x06 => data.get(6..14).and_then(|raw| result(raw).or_else(|| f64_at(raw, 0).map(number))),
            // BOOLERR
            0x0205 => data.get(6..8).and_then(|raw| match raw {
                [value, 0] => Some(Value::Text(boolean(*value))),
                [code, _] => Some(Value::Text(error(*code))),
                _ => None,
            }),
            // LABEL and RSTRING
            0x0204 | 0xd6 => {
                let mut text = records.continued(record);
                text.take(6).and_then(|_| text.text(false, edition)).map(Value::Text)
            }
            // MULRK: numbers side by side.
            0xbd => {
                let pairs = data.get(4..).unwrap_or_default().as_chunks::<6>().0;
                for (column, pair) in (column..=u16::MAX).zip(pairs) {
                    if let (Some(style), Some(raw)) = (u16_at(pair, 0), u32_at(pair, 2)) {
                        let value = Value::Number { number: unpacked(raw), style };
                        self.cells.push(Cell { row, column, value });
                    }
                }
                None
            }
            _ => None,
        };
        self.cells.extend(value.map(|value| Cell { row, column, value }));
    }

    fn comment(&mut self, data: &[u8], edition: Edition) {
        let (Some(row), Some(column), Some(number)) = (u16_at(data, 0), u16_at(data, 2), u16_at(data, 6))
        else {
            return;
        };
        if edition.unicode {
            self.comments.push(Comment { row, column, text: CommentText::OfDrawing(number) });
            return;
        }
        let text = edition.encoding.decode_without_bom_handling(data.get(6..).unwrap_or_default()).0;
        match self.comments.last_mut() {
            // A long one goes on in a record that belongs to no cell.
            Some(Comment { text: CommentText::Here(before), .. }) if row == u16::MAX => {
                before.push_str(&text);
            }
            _ => self.comments.push(Comment { row, column, text: CommentText::Here(text.into_owned()) }),
        }
    }

    /// Writes the cells as a table, then the drawings, then the comments.
    pub(super) fn write(mut self, workbook: &Workbook, draft: &mut Draft<'_>) -> Result<()> {
        let budget = draft.budget();
        // Mostly they are in order already.
        self.cells.sort_by_key(|cell| cell.row);
        let mut grid = Grid::default();
        let mut present = None;
        for Cell { row, column, value } in self.cells {
            if present.replace(row) != Some(row) {
                grid.begin_row();
            }
            let text = match value {
                Value::Shared(index) => workbook.strings.get(index).unwrap_or_default().to_owned(),
                Value::Text(text) => text,
                Value::Number { number, style } => workbook.numbers.print_number(number, usize::from(style)),
            };
            if !text.is_empty() {
                grid.put(usize::from(column), text, budget)?;
            }
        }
        draft.table(&grid.into_table(budget)?)?;
        for text in self.drawings.iter().filter(|text| !text.trim().is_empty()) {
            draft.paragraph(text)?;
        }
        for Comment { row, column, text } in &self.comments {
            let text = match text {
                CommentText::Here(text) => Some(text),
                CommentText::OfDrawing(number) => self.drawn_comments.get(number),
            };
            if let Some(text) = text {
                draft.paragraph(&format!("Comment ({}): {text}", reference(*row, *column)))?;
            }
        }
        Ok(())
    }
}

/// A number in thirty bits: the upper half of a floating point number, or an integer, perhaps times a hundred.
fn unpacked(raw: u32) -> f64 {
    let number = if raw & 2 == 0 {
        f64::from_bits(u64::from(raw & !3) << 32)
    } else {
        // The sign comes along.
        f64::from(raw.cast_signed() >> 2)
    };
    if raw & 1 == 0 { number } else { number / 100.0 }
}

/// The result of a formula that is no number; a text stands in a record of its own.
fn result(raw: &[u8]) -> Option<Value> {
    let [kind, _, value, _, _, _, 0xff, 0xff] = raw else { return None };
    Some(Value::Text(match kind {
        1 => boolean(*value),
        2 => error(*value),
        _ => String::new(),
    }))
}

fn boolean(value: u8) -> String {
    if value == 0 { "FALSE" } else { "TRUE" }.to_owned()
}

/// [MS-XLS] 2.5.10.
fn error(code: u8) -> String {
    match code {
        0x00 => "#NULL!",
        0x07 => "#DIV/0!",
        0x0f => "#VALUE!",
        0x17 => "#REF!",
        0x1d => "#NAME?",
        0x24 => "#NUM!",
        _ => "#N/A",
    }
    .to_owned()
}

/// The name of a cell: `BC12`.
fn reference(row: u16, column: u16) -> String {
    let mut letters = String::new();
    let mut rest = u32::from(column) + 1;
    while let Some(index) = rest.checked_sub(1) {
        letters.insert(0, char::from(b'A' + u8::try_from(index % 26).unwrap_or(0)));
        rest = index / 26;
    }
    format!("{letters}{}", u32::from(row) + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp)] // The numbers are exact.

    use super::{reference, unpacked};

    #[test]
    fn numbers_are_unpacked() {
        assert_eq!(unpacked(0x3ff0_0000), 1.0);
        assert_eq!(unpacked(0x3ff0_0001), 0.01);
        assert_eq!(unpacked(12 << 2 | 2), 12.0);
        assert_eq!(unpacked((-7_i32 << 2).cast_unsigned() | 3), -0.07);
    }

    #[test]
    fn cells_have_names() {
        assert_eq!(reference(0, 0), "A1");
        assert_eq!(reference(11, 54), "BC12");
        assert_eq!(reference(65_535, 255), "IV65536");
    }
}
