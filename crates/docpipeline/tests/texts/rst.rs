use buttress_docpipeline::{Error, Format, Limit};

use crate::{headings, process, read};

fn text(source: &str) -> String {
    read("a.rst", source).text
}

#[test]
fn levels_of_headings_follow_their_first_appearance() {
    let document =
        read("a.rst", "=====\nTides\n=====\n\nHigh\n----\n\nx\n\nDeep\n~~~~\n\nLow\n---\n\n-----\n\ny\n");
    assert_eq!(headings(&document), [(1, "Tides"), (2, "High"), (3, "Deep"), (2, "Low")]);
    assert_eq!(document.metadata.title.as_deref(), Some("Tides"));
    assert!(document.text.ends_with("## Low\n\ny"), "{}", document.text);
}

#[test]
fn marks_inside_a_line_go_and_names_stay() {
    assert_eq!(
        text(
            "*High* **water** at ``12 * 3``, see `the moon <http://x>`_, `tide tables`__, moon_, :ref:`here <there>`, \
              :func:`~os.path.join`, `E=mc`:math:, |why| [#f]_ and __init__, snake_case_, 2*3*4, H\\ :sub:`2`\\ O.\n\n\
              .. |why| replace:: *because*\n.. _moon: http://y\n"
        ),
        "High water at 12 * 3, see the moon, tide tables, moon, here, join, E=mc, because [#f] and __init__, snake_case, \
         2*3*4, H2O."
    );
}

#[test]
fn lists_keep_their_markers_and_depth() {
    assert_eq!(
        text(
            "- one\n  more\n\n  - inner\n\n- two\n\n1. first\n2. second\n\n#. counted\n\na) letter\nb) more\n"
        ),
        "- one more\n  - inner\n- two\n1. first\n2. second\n- counted\na) letter\nb) more"
    );
}

#[test]
fn literal_text_stays_as_it_is() {
    assert_eq!(
        text(
            "Code::\n\n    if *x*:\n        y\n\nQuoted ::\n\n> as is\n\n.. code-block:: python\n   :linenos:\n\n   def f():\n       pass\n\n>>> 1 + 1\n2\n"
        ),
        "Code:\n\nif *x*:\n    y\n\nQuoted\n\n> as is\n\ndef f():\n    pass\n\n>>> 1 + 1\n2"
    );
}

#[test]
fn directives_give_what_people_see() {
    assert_eq!(
        text(
            ".. note:: Mind\n   the gap.\n\n.. versionadded:: 3.2\n   A thing.\n\n.. function:: tide(when)\n   :noindex:\n\n   Tells.\n\n\
              .. figure:: x.png\n   :alt: seen\n\n   A caption.\n\n.. image:: y.png\n   :alt: The sea\n\n.. toctree::\n   :maxdepth: 2\n\n   a\n   b\n\n\
              .. include:: other.rst\n\n.. raw:: html\n\n   <b>no</b>\n\n.. a comment\n   of two lines\n\n..\n   another\n\n.. _target:\n\nEnd.\n"
        ),
        "Note\n\nMind the gap.\n\nNew in version 3.2\n\nA thing.\n\ntide(when)\n\nTells.\n\nA caption.\n\nThe sea\n\nEnd."
    );
}

#[test]
fn fields_definitions_lines_and_notes() {
    let document = read(
        "a.rst",
        "Tides\n=====\n\n:Author: Ada *L.*\n:Date: 1998-01-01\n\nterm : kind\n   What it is.\n\n| one\n|   two\n\nNote [1]_.\n\n.. [1] The foot.\n.. [#a] Other\n   foot.\n",
    );
    assert_eq!(
        document.text,
        "# Tides\n\nAuthor: Ada L.\nDate: 1998-01-01\n\nterm : kind\n\nWhat it is.\n\none\ntwo\n\nNote [1].\n\n[1] The foot.\n\n[a] Other foot."
    );
    assert_eq!(document.metadata.author.as_deref(), Some("Ada L."));
    assert_eq!(document.metadata.created.as_deref(), Some("1998-01-01"));
}

#[test]
fn tables_of_every_kind_are_tables() {
    let expected = "| Day | High |\n| --- | --- |\n| Monday | noon and midnight |\n| Tuesday | |";
    for source in [
        "+---------+----------+\n| Day     | *High*   |\n+=========+==========+\n| Monday  | noon and |\n|         | midnight |\n+---------+----------+\n| Tuesday |          |\n+---------+----------+\n",
        "=======  ========\nDay      High\n=======  ========\nMonday   noon and\n         midnight\nTuesday\n=======  ========\n",
        ".. csv-table::\n   :header: Day, High\n\n   \"Monday\", \"noon and midnight\"\n   Tuesday,\n",
        ".. list-table::\n   :header-rows: 1\n\n   * - Day\n     - High\n   * - Monday\n     - noon and\n       midnight\n   * - Tuesday\n     -\n",
    ] {
        let document = read("a.rst", format!("Before.\n\n{source}\nAfter.\n"));
        assert_eq!(document.tables.len(), 1, "{source}");
        assert_eq!(document.slice(document.tables[0]), expected, "{source}");
        assert!(document.text.ends_with("After."), "{source}");
    }
}

#[test]
fn a_grid_may_be_finer_in_one_row() {
    let table = "+----+----+\n| a  | b  |\n|    +--+-+\n|    |c |d|\n+----+--+-+\n";
    assert_eq!(text(table), "| a | b | |\n| --- | --- | --- |\n| | c | d |");
}

#[test]
fn it_is_told_without_its_name() {
    let source = "Tides\n=====\n\nSee :ref:`the moon <moon>`.\n\n.. note:: Mind the gap.\n\n.. code-block:: c\n\n   x;\n";
    assert_eq!(read("", source).format, Format::Rst);
    assert_eq!(read("a.txt", "Tides\n=====\n\nOnly text.\n").format, Format::Text);
}

#[test]
fn nesting_and_substitutions_are_bounded() {
    let deep: String = (0..2000).map(|i| format!("{}- x\n\n", "  ".repeat(i))).collect();
    assert!(matches!(process("a.rst", deep), Err(Error::OverLimit { limit: Limit::Nesting, .. })));
    let long = "x".repeat(1 << 20);
    let bomb = format!(".. |a| replace:: {long}\n\n{}\n", "|a| ".repeat(1000));
    assert!(matches!(process("a.rst", bomb), Err(Error::OverLimit { limit: Limit::OutputBytes, .. })));
    let doubling: String = (0..64).map(|i| format!(".. |a{}| replace:: |a{i}||a{i}|\n", i + 1)).collect();
    assert!(process("a.rst", doubling + "\nx\n").is_ok());
}
