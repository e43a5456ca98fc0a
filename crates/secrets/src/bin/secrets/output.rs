//! Tables that line up.

use std::time::SystemTime;

use buttress_secrets::{Lifecycle, Name, Standing};

/// Names and versions, without any value.
pub(crate) fn versions(rows: &[(Name, Lifecycle)]) -> String {
    let head = ["NAME", "CURRENT", "SINCE", "PREVIOUS", "SINCE", "NEXT", "SINCE"].map(str::to_owned);
    let rows = rows.iter().map(|(name, life)| {
        let [current, previous, next] = [Some(life.current), life.previous, life.next].map(version);
        [name.to_string(), current.0, current.1, previous.0, previous.1, next.0, next.1]
    });
    table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

fn version(standing: Option<Standing>) -> (String, String) {
    let none = || "-".to_owned();
    standing.map_or_else(
        || (none(), none()),
        |standing| (standing.version.to_string(), standing.since.map_or_else(none, time)),
    )
}

/// `2026-01-31T09:30:00Z`.
pub(crate) fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Columns as wide as their widest cell.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_line_up() {
        let rows = [["NAME", "NEXT"], ["a", "1"], ["longer", "-"]].map(|row| row.map(str::to_owned));
        assert_eq!(super::table(&rows), "NAME    NEXT\na       1\nlonger  -\n");
    }
}
