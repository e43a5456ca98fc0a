use buttress_docpipeline::Format;

use crate::{headings, read, warned};

const NOTEBOOK: &str = r##"{"cells": [
  {"cell_type": "markdown", "metadata": {}, "source": ["# Tides\n", "\n", "High *water* at [noon](http://x)."]},
  {"cell_type": "code", "metadata": {}, "execution_count": 1, "source": ["for h in hours:\n", "    print(h)"],
   "outputs": [
    {"output_type": "stream", "name": "stdout", "text": ["6\n", "12\n"]},
    {"output_type": "execute_result", "metadata": {}, "data": {"text/html": "<b>bold</b>", "text/plain": ["  a\n", "0 1"]}},
    {"output_type": "display_data", "metadata": {}, "data": {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure size 1>"}},
    {"output_type": "display_data", "metadata": {}, "data": {"text/html": ["<p>only</p>", "<p>markup</p>"]}},
    {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\u001b[0;31mE\u001b[0m: v", "at 1"]}]},
  {"cell_type": "raw", "metadata": {}, "source": "as it is"}],
 "metadata": {"kernelspec": {"language": "python"}, "title": "About tides"}, "nbformat": 4, "nbformat_minor": 5}"##;

#[test]
fn cells_and_what_they_printed_come_in_order() {
    let document = read("a.ipynb", NOTEBOOK);
    assert_eq!(document.format, Format::Ipynb);
    assert_eq!(
        document.text,
        "# Tides\n\nHigh water at noon.\n\nfor h in hours:\n    print(h)\n\n6\n12\n\n  a\n0 1\n\nonly\n\nmarkup\n\n\
         E: v\nat 1\n\nas it is"
    );
    assert_eq!(headings(&document), [(1, "Tides")]);
    assert_eq!(document.metadata.title.as_deref(), Some("About tides"));
    assert_eq!(document.metadata.properties["programming_language"], "python");
}

#[test]
fn a_notebook_is_told_without_its_name() {
    assert_eq!(read("", NOTEBOOK).format, Format::Ipynb);
    assert_eq!(read("cells.json", r#"{"cells": ["a", "b"]}"#).format, Format::Json);
}

#[test]
fn the_third_version_is_read_too() {
    let notebook = r#"{"metadata": {"name": "Old"}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": [
        {"cell_type": "heading", "level": 2, "source": ["Section"]},
        {"cell_type": "code", "language": "python", "input": ["1 + 1"], "outputs": [
            {"output_type": "pyout", "prompt_number": 1, "text": ["2"]}]}], "worksheets": [{"cells": [{}]}]}]}"#;
    let document = read("a.ipynb", notebook);
    assert_eq!(document.text, "## Section\n\n1 + 1\n\n2");
    assert_eq!(document.metadata.title.as_deref(), Some("Old"));
}

#[test]
fn a_notebook_that_breaks_off_gives_the_cells_before() {
    let document = read("a.ipynb", &NOTEBOOK[..250]);
    assert_eq!(document.text, "# Tides\n\nHigh water at noon.");
    assert!(warned(&document, "breaks off after cell 1"), "{:?}", document.warnings);
}

#[test]
fn what_is_no_notebook_is_read_as_json() {
    assert_eq!(
        read("a.ipynb", r#"{"cells": 5, "title": "No notebook"}"#).text,
        "cells: 5\ntitle: No notebook"
    );
}
