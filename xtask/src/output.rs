//! Tables for people, JSON for programs, from the same rows.

use anyhow::Result;
use serde::Serialize;

/// One line of a subcommand's result.
pub(crate) trait Row: Serialize {
    /// The columns' names. A name that starts with `#` is a number's: its column is aligned to the right.
    const COLUMNS: &'static [&'static str];

    /// The cells, one a column.
    fn cells(&self) -> Vec<String>;
}

/// Prints the rows to standard output.
pub(crate) fn print<R: Row>(rows: &[R], json: bool) -> Result<()> {
    print!("{}", if json { json_text(rows)? } else { table(rows) });
    Ok(())
}

/// A JSON array with one row a line, so that both parsers and people can take it apart.
fn json_text<R: Row>(rows: &[R]) -> Result<String> {
    let lines = rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    Ok(if lines.is_empty() { "[]\n".to_owned() } else { format!("[\n  {}\n]\n", lines.join(",\n  ")) })
}

/// The rows below their columns' names.
pub(crate) fn table<R: Row>(rows: &[R]) -> String {
    let head: Vec<String> = R::COLUMNS.iter().map(|name| name.trim_start_matches('#').to_owned()).collect();
    let body: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = std::iter::once(&head).chain(&body).filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        })
        .collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).zip(R::COLUMNS).map(|((cell, width), name)| {
            if name.starts_with('#') { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    std::iter::once(&head).chain([&rule]).chain(&body).map(|cells| line(cells)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Part {
        name: &'static str,
        amount: u32,
    }

    impl Row for Part {
        const COLUMNS: &'static [&'static str] = &["part", "#amount"];

        fn cells(&self) -> Vec<String> {
            vec![self.name.to_owned(), self.amount.to_string()]
        }
    }

    const PARTS: [Part; 2] = [Part { name: "bolt", amount: 12 }, Part { name: "washer", amount: 7 }];

    #[test]
    fn numbers_stand_right_and_text_left() {
        assert_eq!(table(&PARTS), "part    amount\n------  ------\nbolt        12\nwasher       7\n");
    }

    #[test]
    fn json_has_a_row_a_line() {
        let text = json_text(&PARTS).unwrap_or_default();
        let expected = "[\n  {\"name\":\"bolt\",\"amount\":12},\n  {\"name\":\"washer\",\"amount\":7}\n]\n";
        assert_eq!(text, expected);
    }
}
