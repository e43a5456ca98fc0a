//! Entries and tables for people.

use std::io::{self, IsTerminal, Write};

use buttress_audit::{Record, json};
use serde_json::Value as Json;

/// A text without what moves a cursor, changes colours or turns the direction of writing: what was logged may be an
/// attacker's.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for sign in text.chars() {
        let bidi = matches!(sign, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if sign.is_control() || bidi {
            clean.extend(sign.escape_default());
        } else {
            clean.push(sign);
        }
    }
    clean
}

/// Rows whose columns line up, the last one as long as it is.
#[derive(Default)]
pub(crate) struct Table {
    widths: Vec<usize>,
}

impl Table {
    /// Makes room for `rows`, and keeps it for later ones.
    pub(crate) fn fit(&mut self, rows: &[Vec<String>]) {
        for row in rows {
            self.widths.resize(self.widths.len().max(row.len()), 0);
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
    }

    pub(crate) fn write(&self, rows: &[Vec<String>], out: &mut impl Write) -> io::Result<()> {
        for row in rows {
            let mut line = String::new();
            for (width, cell) in self.widths.iter().zip(row) {
                line.extend([format!("{cell:width$}  ")]);
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

pub(crate) fn head() -> Vec<String> {
    ["SEQUENCE", "AT", "OUTCOME", "ACTION", "ACTOR", "TARGET", "TENANT", "DETAIL"].map(str::to_owned).to_vec()
}

/// The columns of [`head`], and the data behind the detail.
pub(crate) fn row(record: &Record) -> Vec<String> {
    let fields = json::record(record);
    let text = |name: &str| match fields.get(name) {
        None => "-".to_owned(),
        Some(Json::String(text)) => clean(text),
        Some(other) => clean(&other.to_string()),
    };
    let mut row: Vec<String> =
        ["sequence", "at", "outcome", "action", "actor", "target", "tenant"].map(text).to_vec();
    let detail = match (fields.contains_key("detail"), fields.contains_key("data")) {
        (true, true) => format!("{}  {}", text("detail"), text("data")),
        (false, true) => text("data"),
        _ => text("detail"),
    };
    row.push(detail);
    row
}

/// A count on the terminal's last line, while it grows; nothing where there is no terminal.
pub(crate) struct Progress {
    shown: bool,
    what: &'static str,
    next: u64,
}

impl Progress {
    pub(crate) fn new(what: &'static str) -> Self {
        Self { shown: io::stderr().is_terminal(), what, next: 0 }
    }

    pub(crate) fn at(&mut self, count: u64) {
        if self.shown && count >= self.next {
            eprint!("\r{count} {}", self.what);
            self.next = count + 10_000;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_a_terminal_is_spelled_out() {
        assert_eq!(clean("a\x1b[31m\r\n\u{202e}ä\u{85}"), "a\\u{1b}[31m\\r\\n\\u{202e}ä\\u{85}");
    }

    #[test]
    fn columns_line_up() {
        let rows = [["a", "ää", "x"], ["bbb", "c", ""]].map(|row| row.map(str::to_owned).to_vec());
        let mut table = Table::default();
        table.fit(&rows);
        let mut out = Vec::new();
        table.write(&rows, &mut out).ok();
        assert_eq!(String::from_utf8_lossy(&out), "a    ää  x\nbbb  c\n");
    }
}
