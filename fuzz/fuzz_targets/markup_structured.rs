//! Any bytes inside of sound reStructuredText, LaTeX or Org, by the first byte: in a table, a list, a macro, a block.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let (name, before, after) = match kind % 6 {
        0 => (
            "a.rst",
            "Title\n=====\n\n.. |a| replace:: b\n.. list-table::\n\n   * - c\n     - ",
            "\n\n- d |a|\n",
        ),
        1 => ("a.rst", "+-----+-----+\n| a   | b   |\n+=====+=====+\n", "\n+-----+-----+\n"),
        2 => ("a.tex", "\\newcommand{\\a}[2][x]{#1 #2}\\begin{document}\\a{", "}\\a[b]{c}\\end{document}"),
        3 => ("a.tex", "\\begin{itemize}\\item\\begin{tabular}{ll}", "\\\\\\end{tabular}\\end{itemize}"),
        4 => ("a.org", "#+TITLE: a\n* TODO b\n:P:\n", "\n:END:\n| c | d |\n"),
        _ => ("a.org", "- a\n  - *b ", "*\n#+BEGIN_QUOTE\nc\n#+END_QUOTE\n"),
    };
    documents::process(name, [before.as_bytes(), bytes, after.as_bytes()].concat());
});
