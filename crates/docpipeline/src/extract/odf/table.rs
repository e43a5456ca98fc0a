//! Tables and sheets in the making.

use crate::budget::Budget;
use crate::draft::{Draft, Table};
use crate::error::Result;
use crate::extract::grid::Grid;
use crate::extract::xml::Element;

/// More repetitions than this are no content but filling up to the edge of the sheet.
const FILLING: usize = 1000;

/// A table in the making. In spreadsheets it is a sheet, whose cells are few and far between.
#[derive(Default)]
pub(super) struct OpenTable {
    table: Table,
    grid: Grid,
    row: Vec<String>,
    column: usize,
    cell: Option<Cell>,
    repeat_row: usize,
    /// How much text the rows hold, repetitions counted.
    bytes: usize,
    pub(super) is_sheet: bool,
}

#[derive(Default)]
struct Cell {
    text: String,
    repeat: usize,
    /// The value as the file keeps it, for cells without text.
    value: Option<String>,
    /// Whether a merged cell lies over it.
    covered: bool,
}

impl OpenTable {
    pub(super) fn new(is_sheet: bool) -> Self {
        Self { is_sheet, ..Self::default() }
    }

    pub(super) fn begin_row(&mut self, element: &Element<'_>) {
        self.repeat_row = element.number("number-rows-repeated").unwrap_or(1);
        self.column = 0;
        self.grid.begin_row();
    }

    pub(super) fn begin_cell(&mut self, element: &Element<'_>) {
        self.cell = Some(Cell::of(element));
    }

    /// The text of the cell that is open.
    pub(super) fn cell(&mut self) -> Option<&mut String> {
        self.cell.as_mut().map(|cell| &mut cell.text)
    }

    /// The table, once all its rows have ended.
    pub(super) fn finish(self, budget: &Budget) -> Result<Table> {
        if self.is_sheet { self.grid.into_table(budget) } else { Ok(self.table) }
    }

    pub(super) fn end_cell(&mut self, draft: &mut Draft<'_>) -> Result<()> {
        let Some(cell) = self.cell.take() else { return Ok(()) };
        let budget = draft.budget();
        let text = match cell.value {
            _ if cell.covered => String::new(),
            Some(value) if self.is_sheet && cell.text.trim().is_empty() => value,
            _ => cell.text,
        };
        let times = if cell.repeat > FILLING { 1 } else { cell.repeat };
        if !self.is_sheet {
            budget.cells(times.saturating_sub(1))?;
            self.bytes = self.bytes.saturating_add(times.saturating_mul(text.len()));
            budget.room(self.bytes)?;
            self.row.extend(std::iter::repeat_n(text, times));
        } else if !text.is_empty() {
            for i in 0..times {
                self.grid.put(self.column.saturating_add(i), text.clone(), budget)?;
            }
        }
        self.column = self.column.saturating_add(cell.repeat);
        Ok(())
    }

    pub(super) fn end_row(&mut self, draft: &mut Draft<'_>) -> Result<()> {
        let times = if self.repeat_row > FILLING { 1 } else { self.repeat_row };
        if self.is_sheet {
            return self.grid.repeat_row(times.saturating_sub(1), draft.budget());
        }
        let row = std::mem::take(&mut self.row);
        let row_bytes: usize = row.iter().map(String::len).sum();
        for _ in 1..times {
            self.bytes = self.bytes.saturating_add(row_bytes);
            draft.budget().room(self.bytes)?;
            self.table.row(row.clone(), draft.budget())?;
        }
        self.table.row(row, draft.budget())
    }
}

impl Cell {
    fn of(element: &Element<'_>) -> Self {
        let covered = element.name() == "covered-table-cell";
        let mut cell = Self { repeat: 1, covered, ..Self::default() };
        for (name, value) in element.attributes() {
            match name.rsplit(':').next().unwrap_or_default() {
                "number-columns-repeated" => cell.repeat = value.trim().parse().unwrap_or(1).max(1),
                "string-value" | "date-value" | "time-value" | "boolean-value" | "value" => {
                    cell.value.get_or_insert_with(|| value.into_owned());
                }
                _ => {}
            }
        }
        cell
    }
}
