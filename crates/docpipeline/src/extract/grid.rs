//! Sheets: few cells anywhere on a vast grid.

use std::collections::HashMap;

use crate::budget::Budget;
use crate::draft::Table;
use crate::error::Result;

/// The widest gap between two used columns that is kept as empty columns; a wider one is closed to this.
const WIDEST_GAP: usize = 4;

/// A sheet wider than this, of which less than one cell in [`SCATTERED_SHARE`] is used, is no table.
const SCATTERED_WIDTH: usize = 32;
const SCATTERED_SHARE: usize = 20;

/// The used cells of a sheet, row by row. Only what is there is kept: a far cell costs no more than a near one.
#[derive(Debug, Default)]
pub(in crate::extract) struct Grid {
    rows: Vec<Vec<(usize, String)>>,
    /// How much text is held. Cells share strings in the file and repeat one another, so a small file may hold much.
    bytes: usize,
}

impl Grid {
    /// Begins a row. Rows that stay empty are left out.
    pub(in crate::extract) fn begin_row(&mut self) {
        if self.rows.last().is_none_or(|row| !row.is_empty()) {
            self.rows.push(Vec::new());
        }
    }

    /// Puts text into `column` of the present row, and charges it.
    pub(in crate::extract) fn put(&mut self, column: usize, text: String, budget: &Budget) -> Result<()> {
        budget.cells(1)?;
        self.bytes = self.bytes.saturating_add(text.len());
        budget.room(self.bytes)?;
        if let Some(row) = self.rows.last_mut() {
            row.push((column, text));
        }
        Ok(())
    }

    /// Repeats the present row so many times more.
    pub(in crate::extract) fn repeat_row(&mut self, times: usize, budget: &Budget) -> Result<()> {
        let Some(row) = self.rows.last().filter(|row| !row.is_empty()).cloned() else { return Ok(()) };
        for _ in 0..times {
            budget.cells(row.len())?;
            self.bytes = self.bytes.saturating_add(row.iter().map(|(_, text)| text.len()).sum());
            budget.room(self.bytes)?;
            self.rows.push(row.clone());
        }
        Ok(())
    }

    /// The rows as a table of the used columns, wide gaps closed. Where nearly all of that would be empty, each row
    /// holds its used cells alone.
    pub(in crate::extract) fn into_table(self, budget: &Budget) -> Result<Table> {
        let mut used: Vec<usize> = self.rows.iter().flatten().map(|(column, _)| *column).collect();
        let cells = used.len();
        used.sort_unstable();
        used.dedup();
        let mut places = HashMap::with_capacity(used.len());
        let (mut place, mut before) = (0, None);
        for column in used {
            place += before.map_or(0, |before| usize::min(column - before, WIDEST_GAP));
            places.insert(column, place);
            before = Some(column);
        }
        let width = place + 1;
        let scattered = width > SCATTERED_WIDTH && width * self.rows.len() > cells * SCATTERED_SHARE;
        let mut table = Table::new();
        for row in self.rows {
            if scattered {
                table.charged_row(row.into_iter().map(|(_, text)| text).collect());
                continue;
            }
            let (used, mut line) = (row.len(), Vec::with_capacity(row.len()));
            for (column, text) in row {
                let place = places.get(&column).copied().unwrap_or(0);
                if line.len() <= place {
                    line.resize(place + 1, String::new());
                }
                if let Some(cell) = line.get_mut(place) {
                    *cell = text;
                }
            }
            budget.cells(line.len().saturating_sub(used))?;
            table.charged_row(line);
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A failed step is a failed test.

    use buttress_core::{ByteSize, SystemClock};

    use super::Grid;
    use crate::budget::{Budget, CancelToken};
    use crate::config::Limits;

    #[test]
    fn a_grid_never_holds_more_text_than_may_be_written() {
        let limits = Limits { output_bytes: ByteSize::b(1000), ..Limits::default() };
        let budget = Budget::open(&limits, 1, SystemClock::shared(), CancelToken::default()).unwrap();
        let mut grid = Grid::default();
        grid.begin_row();
        let taken = (0..100).take_while(|column| grid.put(*column, "x".repeat(300), &budget).is_ok()).count();
        assert_eq!(taken, 3);
        let mut grid = Grid::default();
        grid.begin_row();
        grid.put(0, "x".repeat(300), &budget).unwrap();
        assert!(grid.repeat_row(2, &budget).is_ok());
        assert!(grid.repeat_row(1, &budget).is_err());
    }
}
