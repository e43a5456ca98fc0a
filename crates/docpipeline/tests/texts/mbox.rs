use buttress_docpipeline::{Error, Format, Limit};

use crate::{headings, process, read};

fn message(subject: &str, body: &str) -> String {
    format!("From: ada@example.org\nTo: bob@example.org\nSubject: {subject}\n\n{body}\n\n")
}

const SEPARATOR: &str = "From ada@example.org Thu Jan  1 00:00:00 1998\n";

#[test]
fn each_message_is_a_part_under_its_subject() {
    let mailbox =
        [SEPARATOR, &message("Tides", "High at noon."), SEPARATOR, &message("Re: Tides", "Low at six.")]
            .concat();
    let document = read("a.mbox", mailbox);
    assert_eq!(document.format, Format::Mbox);
    assert_eq!(headings(&document), [(1, "Tides"), (1, "Re: Tides")]);
    assert_eq!(document.parts[1].name, "message 2");
    assert_eq!(document.parts[1].format, Format::Eml);
    assert_eq!(document.parts[1].metadata.author.as_deref(), Some("ada@example.org"));
    assert!(document.slice(document.parts[1].span).ends_with("Low at six."));
}

#[test]
fn lines_that_only_begin_like_separators_are_text() {
    let body =
        "First.\n\nFrom here on it rains.\n\n>From ada's mail 12:30\n>>From older mail\nFrom a b 10:00 1999";
    let document = read("a.mbox", SEPARATOR.to_owned() + &message("Rain", body));
    assert_eq!(document.parts.len(), 1);
    let text = document.slice(document.parts[0].span);
    assert!(
        text.ends_with(
            "From here on it rains.\n\nFrom ada's mail 12:30\n>From older mail\nFrom a b 10:00 1999"
        ),
        "{text}"
    );
}

#[test]
fn a_length_is_believed_where_the_next_message_follows() {
    let body = "One.\n\nFrom ada@example.org Thu Jan  1 00:00:00 1998\nTwo.\n";
    let sound = format!("{SEPARATOR}Subject: A\nContent-Length: {}\n\n{body}\n", body.len());
    let wrong = format!("{SEPARATOR}Subject: B\nContent-Length: 3\n\nThree.\n\n");
    let last = format!("{SEPARATOR}Subject: C\nContent-Length: 99999999999999999999\n\nFour.\n");
    let document = read("a.mbox", sound + &wrong + &last);
    assert_eq!(headings(&document), [(1, "A"), (1, "B"), (1, "C")]);
    assert!(document.slice(document.parts[0].span).ends_with("Two."));
    assert!(document.slice(document.parts[1].span).ends_with("Three."));
}

#[test]
fn one_message_with_its_separator_is_a_message_unless_the_name_says_mailbox() {
    let one = SEPARATOR.to_owned() + &message("Tides", "High at noon.");
    let document = read("a.eml", one.clone());
    assert_eq!(document.format, Format::Eml);
    assert_eq!(document.text, "From: ada@example.org\nTo: bob@example.org\nSubject: Tides\n\nHigh at noon.");
    assert_eq!(read("a.mbox", one.clone()).format, Format::Mbox);
    assert_eq!(read("", one.clone() + &one).format, Format::Mbox);
}

#[test]
fn windows_line_ends_separate_messages_too() {
    let mailbox =
        [SEPARATOR, &message("A", "one"), SEPARATOR, &message("B", "two")].concat().replace('\n', "\r\n");
    assert_eq!(read("a.mbox", mailbox).parts.len(), 2);
}

#[test]
fn messages_are_counted() {
    let mailbox = (SEPARATOR.to_owned() + "Subject: x\n\ny\n\n").repeat(20_000);
    let refusal = process("a.mbox", mailbox);
    assert!(matches!(refusal, Err(Error::OverLimit { limit: Limit::Entries, .. })), "{refusal:?}");
}
