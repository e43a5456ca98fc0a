use crate::read;

/// A row of `wide` columns, and `rows` of one.
fn ragged(wide: usize, rows: usize) -> String {
    format!("{}\n{}", vec!["head"; wide].join(","), "cell\n".repeat(rows))
}

#[test]
fn rows_of_a_sparse_table_end_at_their_last_cell() {
    let document = read("a.csv", ragged(256, 60_000));
    assert!(document.text.len() < 1_000_000, "{} bytes of text", document.text.len());
    let mut lines = document.text.lines();
    assert_eq!(lines.next().unwrap().matches("head").count(), 256);
    assert_eq!(lines.next().unwrap().matches("---").count(), 256);
    assert!(lines.all(|line| line == "| cell |"));
}

#[test]
fn rows_of_other_tables_are_as_wide_as_the_widest() {
    let document = read("a.csv", ragged(5, 1000));
    assert!(document.text.lines().all(|line| line.matches('|').count() == 6), "{:.300}", document.text);
}
