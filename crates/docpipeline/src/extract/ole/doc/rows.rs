//! The rows of a table. Each row has edges of its own between its cells; one grid of columns holds them all.

use crate::budget::Budget;
use crate::draft::Table;
use crate::error::Result;

/// Edges no farther apart than this, in twentieths of a point, are one: a column of less than two millimetres is a row
/// that was drawn by hand.
const NEAR: i16 = 100;

/// The most columns that one cell covers.
const WIDEST_SPAN: usize = 64;

/// Rows with the edges of their cells: one more than there are cells, where they are known.
#[derive(Default)]
pub(super) struct Rows<'e>(Vec<(Vec<String>, &'e [i16])>);

impl<'e> Rows<'e> {
    pub(super) fn push(&mut self, cells: Vec<String>, edges: &'e [i16]) {
        self.0.push((cells, edges));
    }

    /// The rows with an empty cell for each further column that a cell covers. The cells have been charged; these are
    /// charged here.
    pub(super) fn into_table(self, budget: &Budget) -> Result<Table> {
        let columns = self.columns();
        let column = |edge: &i16| columns.partition_point(|start| start <= edge);
        let mut table = Table::new();
        for (cells, edges) in self.0 {
            if edges.len() != cells.len() + 1 {
                table.charged_row(cells);
                continue;
            }
            let mut row = Vec::with_capacity(cells.len());
            for (cell, edges) in cells.into_iter().zip(edges.windows(2)) {
                let covered = match edges {
                    [left, right] => column(right).saturating_sub(column(left)).min(WIDEST_SPAN),
                    _ => 1,
                };
                row.push(cell);
                row.extend(std::iter::repeat_n(String::new(), covered.saturating_sub(1)));
                budget.cells(covered.saturating_sub(1))?;
            }
            table.charged_row(row);
        }
        Ok(table)
    }

    /// Where the columns begin: all edges, those that are near one another as one.
    fn columns(&self) -> Vec<i16> {
        let mut edges: Vec<i16> = self.0.iter().flat_map(|(_, edges)| *edges).copied().collect();
        edges.sort_unstable();
        edges.dedup_by(|edge, start| edge.saturating_sub(*start) <= NEAR);
        edges
    }
}

#[cfg(test)]
mod tests {
    use super::Rows;

    #[test]
    fn edges_that_are_near_make_one_column() {
        let mut rows = Rows::default();
        rows.push(Vec::new(), &[0, 1000, 2000]);
        rows.push(Vec::new(), &[-30, 1060, 1900]);
        rows.push(Vec::new(), &[0, 500]);
        assert_eq!(rows.columns(), [-30, 500, 1000, 1900]);
    }
}
