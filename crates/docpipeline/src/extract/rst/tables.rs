//! Grid tables and simple tables, told by where their columns stand.

use std::collections::BTreeSet;
use std::ops::Range;

use super::Reader;
use crate::draft::Table;
use crate::error::Result;

/// Tables have fewer columns; a line of more is no table.
const MOST_COLUMNS: usize = 1024;

impl Reader<'_, '_, '_> {
    /// Reads the table that begins at `at`, if one does; gives where it ends.
    pub(super) fn table(&mut self, at: usize, end: usize, base: usize) -> Result<Option<usize>> {
        let text = self.line(at).text;
        if text.starts_with("+-") && text.ends_with('+') && text.bytes().all(|b| matches!(b, b'+' | b'-')) {
            let stop = self.paragraph_end(at, end, base);
            return Ok(self.grid(at..stop)?.then_some(stop));
        }
        if is_border(text) {
            return self.simple(at, end, base);
        }
        Ok(None)
    }

    /// A row ends wherever a line is drawn under one of its columns.
    fn grid(&mut self, range: Range<usize>) -> Result<bool> {
        let budget = self.draft.budget();
        let mut columns = BTreeSet::new();
        for line in self.lines.get(range.clone()).unwrap_or_default() {
            budget.tick()?;
            columns.extend(corners(line.text));
        }
        if columns.len() > MOST_COLUMNS {
            return Ok(false);
        }
        let columns: Vec<usize> = columns.into_iter().collect();
        let mut table = Table::new();
        let mut row = vec![String::new(); columns.len().saturating_sub(1)];
        for at in range.skip(1) {
            budget.tick()?;
            let text = self.line(at).text;
            let drawn = text.starts_with('+') || text.contains("+-") || text.contains("+=");
            for (index, piece) in cells(text, &columns).into_iter().enumerate() {
                let piece = piece.trim_matches(['|', '+', ' ']);
                let is_line = !piece.is_empty() && piece.bytes().all(|b| matches!(b, b'-' | b'=' | b'+'));
                if let Some(cell) = row.get_mut(index).filter(|_| !(piece.is_empty() || drawn && is_line)) {
                    cell.push_str(if cell.is_empty() { "" } else { " " });
                    cell.push_str(piece);
                }
            }
            if drawn {
                self.row(&mut row, &mut table)?;
            }
        }
        self.row(&mut row, &mut table)?;
        self.fresh_item = false;
        self.draft.table(&table)?;
        Ok(true)
    }

    /// Moves the row into the table, its marks read.
    fn row(&mut self, row: &mut [String], table: &mut Table) -> Result<()> {
        if row.iter().all(String::is_empty) {
            return Ok(());
        }
        let cells = row.iter_mut().map(|cell| self.inline.text(&std::mem::take(cell)));
        table.row(cells.collect::<Result<_>>()?, self.draft.budget())
    }

    /// Between two or three lines of `=`; a row begins where its first column is not empty.
    fn simple(&mut self, at: usize, end: usize, base: usize) -> Result<Option<usize>> {
        let border = self.line(at).text;
        let columns: Vec<usize> = border
            .match_indices('=')
            .map(|(at, _)| at)
            .filter(|at| *at == 0 || border.as_bytes().get(at - 1) == Some(&b' '))
            .collect();
        if columns.len() > MOST_COLUMNS || self.no_border_before == end {
            return Ok(None);
        }
        let is_end = |i: usize| {
            let after = self.line(i + 1);
            is_border(self.line(i).text) && (i + 1 >= end || after.is_blank() || after.indent < base)
        };
        let Some(last) = (at + 1..end)
            .take_while(|i| self.line(*i).is_blank() || self.line(*i).indent >= base)
            .find(|i| is_end(*i))
        else {
            self.no_border_before = end;
            return Ok(None);
        };
        let mut table = Table::new();
        let mut row = vec![String::new(); columns.len()];
        for i in at + 1..last {
            self.draft.budget().tick()?;
            let line = self.line(i);
            let is_rule = !line.is_blank() && line.text.bytes().all(|b| matches!(b, b'-' | b'=' | b' '));
            if line.is_blank() || is_rule {
                self.row(&mut row, &mut table)?;
                continue;
            }
            // A first column that is empty is cut off with the indentation.
            let cut = line.indent.saturating_sub(base);
            if cut == 0 {
                self.row(&mut row, &mut table)?;
            }
            let shifted: Vec<usize> = columns.iter().map(|column| column.saturating_sub(cut)).collect();
            for (cell, piece) in row.iter_mut().zip(cells(line.text, &shifted)) {
                let piece = piece.trim();
                cell.push_str(if cell.is_empty() || piece.is_empty() { "" } else { " " });
                cell.push_str(piece);
            }
        }
        self.row(&mut row, &mut table)?;
        self.fresh_item = false;
        self.draft.table(&table)?;
        Ok(Some(last + 1))
    }
}

/// Where columns of a grid meet a line that is drawn.
fn corners(text: &str) -> Vec<usize> {
    let is_drawn = |bytes: Option<&[u8]>| matches!(bytes, Some(b"--" | b"=="));
    let bytes = text.as_bytes();
    let (mut corners, mut column) = (Vec::new(), 0);
    for (at, c) in text.char_indices() {
        let behind = || is_drawn(bytes.get(at + 1..at + 3));
        let before = || at.checked_sub(2).is_some_and(|from| is_drawn(bytes.get(from..at)));
        if c == '+' && (behind() || before()) {
            corners.push(column);
        }
        column += width(c);
    }
    corners
}

/// Two or more runs of `=`.
fn is_border(text: &str) -> bool {
    text.starts_with('=') && text.contains(' ') && text.bytes().all(|b| matches!(b, b'=' | b' '))
}

/// A line cut at the columns, which are counted in characters as wide as a Latin letter. One pass over the line.
fn cells<'t>(text: &'t str, columns: &[usize]) -> Vec<&'t str> {
    let mut starts = Vec::with_capacity(columns.len() + 1);
    let (mut column, mut next) = (0, columns.iter().peekable());
    for (at, c) in text.char_indices() {
        while next.next_if(|start| **start <= column).is_some() {
            starts.push(at);
        }
        column += width(c);
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(start, end)| text.get(*start..end).unwrap_or_default()).collect()
}

/// East Asian characters take two columns, marks over letters none.
fn width(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x2_0000..=0x3_fffd => 2,
        _ => 1,
    }
}
