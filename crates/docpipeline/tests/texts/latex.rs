use buttress_docpipeline::{Error, Format, Limit};

use crate::{headings, process, read, warned};

fn text(body: &str) -> String {
    read("a.tex", body).text
}

#[test]
fn the_preamble_gives_metadata_and_the_body_gives_text() {
    let document = read(
        "a.tex",
        "\\documentclass[12pt]{article}\n\\usepackage{x} % not this\n\\title{Tides\\thanks{To all}}\n\\author{Ada \\and Bob}\n\\date{1998}\n\
         Stray.\n\\begin{document}\n\\maketitle\n\\section{High}\\label{sec:high}\nText.\n\\subsection*{Deep}\nMore.\n\\end{document}\nAfter.\n",
    );
    assert_eq!(document.text, "# Tides\n\nAda ; Bob\n\n1998\n\n## High\n\nText.\n\n### Deep\n\nMore.");
    assert_eq!(headings(&document), [(1, "Tides"), (2, "High"), (3, "Deep")]);
    assert_eq!(document.metadata.title.as_deref(), Some("Tides"));
    assert_eq!(document.metadata.author.as_deref(), Some("Ada ; Bob"));
    assert_eq!(document.metadata.created.as_deref(), Some("1998"));
}

#[test]
fn marks_go_and_characters_are_as_they_print() {
    assert_eq!(
        text(
            "\\emph{High} \\textbf{water}~at ``noon'' --- 5\\% \\& so on\\ldots{} caf\\'e na\\\"{\\i}ve \\v{c}\\c{c} \\ss{} \\o re, \
              $\\alpha^2 \\le x$ and \\(y\\) % gone\n  here.\n\n\n\\iffalse no \\ifx a\\fi no\\else yes\\fi{} \\verb|a_b{|\\\\\nend"
        ),
        "High water at “noon” — 5% & so on… café naïve čç ß øre, α^2 ≤ x and y here.\n\nyes a_b{\nend"
    );
}

#[test]
fn lists_tables_captions_and_notes() {
    let document = read(
        "a.tex",
        "\\begin{itemize}\n\\item one\n\\begin{enumerate}\\item in\n\\item[b)] out\\end{enumerate}\n\\item two\\footnote{The \\emph{foot}.}\n\\end{itemize}\n\
         \\begin{table}[ht]\\centering\n\\begin{tabular}{l|r}\n\\hline\nDay & High \\\\ \\hline\n\\multicolumn{2}{c}{both} \\\\[2pt]\nMon & {a & b} \\\\\n\\end{tabular}\n\
         \\caption[Short]{Hours of \\textit{tides}.}\n\\end{table}\nSee~\\ref{t} and \\citep[p.~3]{ada, bob}.\n",
    );
    assert!(document.text.starts_with("- one\n  1. in\n  2. b) out\n- two[1]\n\n"), "{}", document.text);
    assert_eq!(
        document.slice(document.tables[0]),
        "| Day | High | |\n| --- | --- | --- |\n| | both | |\n| Mon | a | b |"
    );
    assert!(
        document.text.ends_with("Hours of tides.\n\nSee [t] and [ada, bob, p.~3].\n\n[1] The foot."),
        "{}",
        document.text
    );
}

#[test]
fn code_and_formulas_stay_as_they_are() {
    assert_eq!(
        text(
            "A\n\\begin{verbatim}\nx % \\y\n  {\n\\end{verbatim}\n\\begin{lstlisting}[language=C]\nint x;\n\\end{lstlisting}\n\
              \\begin{align*}\na &= b \\label{e} \\\\\nc &\\ne d\n\\end{align*}\n\\begin{comment}\nno\n\\end{comment}\nB"
        ),
        "A\n\nx % \\y\n  {\n\nint x;\n\na = b\n\nc ≠ d\n\nB"
    );
}

#[test]
fn macros_of_the_document_are_read_as_what_they_stand_for() {
    assert_eq!(
        text(
            "\\newcommand{\\sea}{the \\emph{North} Sea}\n\\newcommand*{\\at}[2][noon]{#2 at #1}\n\\def\\twice#1{#1 and #1}\n\\let\\see\\sea\n\
              \\renewcommand\\sea{the Baltic}\\NewDocumentCommand{\\x}{m m}{#2#1}\n\\sea{} \\at{high} \\at[six]{low} \\twice{wind} \\see. \\x{b}{a}"
        ),
        "the Baltic high at noon low at six wind and wind the Baltic. ab"
    );
}

#[test]
fn names_in_a_macro_are_those_of_where_it_was_defined() {
    let inner = "\\makeatletter\\def\\meta@font{of }\\def\\meta#1{\\meta@font\\meta@font#1}\\makeatother";
    assert_eq!(
        text(&format!("{inner} The tale \\meta{{tides}}\\meta@moons")),
        "The tale of of tidesof of @moons"
    );
}

#[test]
fn macros_without_end_are_left_out() {
    for bomb in ["\\def\\a{x\\a}Before \\a after", "\\def\\a{\\b}\\def\\b{\\a}Before \\a after"] {
        let document = read("a.tex", bomb);
        assert!(
            document.text.starts_with("Before") && document.text.ends_with("after"),
            "{:.200}",
            document.text
        );
        assert!(warned(&document, "without end"), "{:?}", document.warnings);
    }
    let doubling: String = (b'a'..=b'y')
        .map(|c| format!("\\def\\m{}{{\\m{next}\\m{next}}}", char::from(c), next = char::from(c + 1)))
        .collect();
    for bomb in [doubling + "\\ma", "\\def\\a#1{\\a{#1#1}}\\a{x}".to_owned()] {
        assert!(matches!(process("a.tex", bomb), Err(Error::OverLimit { .. })));
    }
}

#[test]
fn groups_are_bounded() {
    let refusal = process("a.tex", "{".repeat(100_000));
    assert!(matches!(refusal, Err(Error::OverLimit { limit: Limit::Nesting, .. })));
    assert_eq!(text("}}} \\end{x} left"), "left");
}

#[test]
fn it_is_told_without_its_name() {
    assert_eq!(
        read("", "% a comment\n\\documentclass{article}\n\\begin{document}x\\end{document}").format,
        Format::Latex
    );
}

#[test]
fn a_preamble_that_is_shown_is_no_preamble() {
    let manual =
        "\\section{How}\nWrite:\n\\begin{verbatim}\n\\begin{document}\n\\end{verbatim}\nThat is all.\n";
    assert_eq!(text(manual), "## How\n\nWrite:\n\n\\begin{document}\n\nThat is all.");
}
