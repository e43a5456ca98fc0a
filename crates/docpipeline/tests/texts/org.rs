use buttress_docpipeline::Format;

use crate::{headings, read};

fn text(source: &str) -> String {
    read("a.org", source).text
}

#[test]
fn headlines_stand_as_people_see_them_without_what_emacs_keeps() {
    let document = read(
        "a.org",
        "#+TITLE: Tides\n#+AUTHOR: Ada\n#+DATE: <1998-01-01 Thu>\n#+STARTUP: overview\n# a comment\n* TODO [#A] High :sea:\n  SCHEDULED: <1998-01-02>\n\
         :PROPERTIES:\n:ID: x\n:END:\nText.\n** Deep\n:NOT: a drawer\nMore.\n",
    );
    assert_eq!(document.text, "# TODO [#A] High :sea:\n\nText.\n\n## Deep\n\n:NOT: a drawer More.");
    assert_eq!(headings(&document), [(1, "TODO [#A] High :sea:"), (2, "Deep")]);
    assert_eq!(document.metadata.title.as_deref(), Some("Tides"));
    assert_eq!(document.metadata.author.as_deref(), Some("Ada"));
    assert_eq!(document.metadata.created.as_deref(), Some("1998-01-01 Thu"));
}

#[test]
fn marks_inside_a_line_go() {
    assert_eq!(
        text(
            "*High /water/* at =12 * 3=, ~a_b~ and +not+ _under_; see [[http://x][the moon]], [[http://y]], [[file:z.png]] [fn:1]\n\
              a/b, 2*3*4, snake_case_x \\alpha{} /usr/bin *open.\n\n[fn:1] The foot.\n"
        ),
        "High water at 12 * 3, a_b and not under; see the moon, http://y, [1] a/b, 2*3*4, snake_case_x α /usr/bin *open.\n\n[1] The foot."
    );
}

#[test]
fn lists_tables_and_blocks() {
    let document = read(
        "a.org",
        "- one\n  more\n  - in\n- [X] two\n- term :: what\n\n1. first\n2) second\n\nText.\n\n| Day | *High* |\n|-----+------|\n| Mon | noon |\n#+TBLFM: x\n\n\
         #+CAPTION: Hours.\n#+BEGIN_SRC c :exports both\n  int x;\n    ,* y\n#+END_SRC\n#+begin_quote\nIt /was/.\n#+end_quote\n\
         #+BEGIN_EXPORT html\n<b>no</b>\n#+END_EXPORT\n: fixed *as is*\n-----\nEnd.\n",
    );
    assert_eq!(
        document.text,
        "- one more\n  - in\n- [X] two\n- term :: what\n1. first\n2) second\n\nText.\n\n| Day | High |\n| --- | --- |\n| Mon | noon |\n\n\
         Hours.\n\nint x;\n  ,* y\n\nIt was.\n\nfixed *as is*\n\nEnd."
    );
    assert_eq!(document.tables.len(), 1);
}

#[test]
fn it_is_told_without_its_name() {
    assert_eq!(read("", "#+TITLE: Tides\n\n* High\nText.\n").format, Format::Org);
}
