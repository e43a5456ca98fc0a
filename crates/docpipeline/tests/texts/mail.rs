use buttress_docpipeline::Format;

use crate::{headings, read, warned};

const HEAD: &str = "From: ada@example.org\r\nTo: bob@example.org\r\nSubject: Tides\r\nMIME-Version: 1.0\r\n";

fn body(of: &[u8]) -> String {
    let document = read("a.eml", of);
    assert_eq!(document.format, Format::Eml);
    document.text.split_once("Subject: Tides\n\n").unwrap().1.to_owned()
}

fn mail(content: &str) -> Vec<u8> {
    format!("{HEAD}{content}").into_bytes()
}

fn multipart(parts: &[&str]) -> Vec<u8> {
    let parts: String = parts.iter().map(|part| format!("--b\r\n{part}\r\n")).collect();
    mail(&format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n"))
}

#[test]
fn flowed_lines_are_one_paragraph() {
    let flowed = "Content-Type: text/plain; charset=utf-8; format=flowed\r\n\r\n\
        The tide \r\ncomes in and \r\ngoes out.\r\n\r\n> > It was \r\n> > said.\r\n> Yes.\r\n From stuffed.\r\n-- \r\nAda\r\n";
    assert_eq!(
        body(&mail(flowed)),
        "The tide comes in and goes out.\n\n>> It was said.\n> Yes.\nFrom stuffed.\n--\nAda"
    );
    let joined = "Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\r\n\r\n\u{6f6e}\u{306e} \r\n\u{6e80}\u{3061}\r\n";
    assert_eq!(body(&mail(joined)), "潮の満ち");
    let fixed = "Content-Type: text/plain; charset=utf-8\r\n\r\nNot \r\nflowed.\r\n";
    assert_eq!(body(&mail(fixed)), "Not\nflowed.");
}

#[test]
fn faults_in_quoted_printable_lose_nothing() {
    let faulty = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        100 % =XY sure, 2=3, gr=C3=BCn=\r\ner, end=";
    let text = body(&mail(faulty));
    assert!(text.contains("sure, 2=3, grüner, end"), "{text}");
}

#[test]
fn headers_in_east_asian_encodings_are_read() {
    for (subject, expected) in [
        ("=?ISO-2022-JP?B?GyRCRCwkTkt+JEEbKEI=?=", "潮の満ち"),
        ("=?GB2312?B?s7HLrg==?=", "潮水"),
        ("=?big5?B?vOk=?=", "潮"),
        ("=?EUC-KR?B?wbbGvA==?=", "조티"),
        ("=?utf-8?B?5r0=?= =?utf-8?B?rg==?=", "潮"),
    ] {
        let document = read("a.eml", format!("From: a@b.c\r\nTo: d@e.f\r\nSubject: {subject}\r\n\r\nx\r\n"));
        assert_eq!(document.metadata.title.as_deref(), Some(expected), "{subject}");
    }
}

#[test]
fn a_message_inside_a_message_is_a_part_under_its_subject() {
    let inner =
        "Content-Type: message/rfc822\r\n\r\nFrom: eve@example.org\r\nSubject: Inner\r\n\r\nDeep water.";
    let document = read("a.eml", multipart(&["Content-Type: text/plain\r\n\r\nSee below.", inner]));
    assert_eq!(headings(&document), [(1, "Inner")]);
    assert_eq!(document.parts[0].format, Format::Eml);
    assert_eq!(document.parts[0].metadata.author.as_deref(), Some("eve@example.org"));
    assert!(document.text.ends_with("Subject: Inner\n\nDeep water."), "{}", document.text);
}

#[test]
fn the_mail_of_outlook_is_left_out_by_name() {
    let attachment = "Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\neJ8+IgEAAAAAAAEAAQ==";
    let document = read("a.eml", multipart(&["Content-Type: text/plain\r\n\r\nSee below.", attachment]));
    assert!(warned(&document, "winmail.dat: a TNEF file"), "{:?}", document.warnings);
    assert!(document.parts.is_empty());
}

#[test]
fn mail_that_is_html_alone_is_read_as_html() {
    let html = "Content-Type: text/html; charset=utf-8\r\n\r\n<h2>Tides</h2><p>High &amp; low.</p>";
    assert_eq!(body(&mail(html)), "## Tides\n\nHigh & low.");
}

#[test]
fn attachments_are_parts() {
    let attachment = "Content-Type: text/csv\r\nContent-Disposition: attachment; filename*=utf-8''h%C3%B6he.csv\r\n\r\na,b\r\n1,2";
    let document = read("a.eml", multipart(&["Content-Type: text/plain\r\n\r\nSee below.", attachment]));
    assert_eq!(document.parts[0].name, "höhe.csv");
    assert_eq!(document.parts[0].format, Format::Csv);
    assert_eq!(document.slice(document.tables[0]), "| a | b |\n| --- | --- |\n| 1 | 2 |");
}
