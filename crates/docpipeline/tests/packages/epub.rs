use buttress_docpipeline::{Error, Format};

use crate::{process, read, zipped};

const CONTAINER: &str =
    r#"<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>"#;

const BOOK: &str = r#"<package><metadata><dc:title>The Book</dc:title><dc:creator>One</dc:creator><dc:creator>Two</dc:creator>
    <dc:language>en</dc:language><dc:date>2001</dc:date></metadata>
    <manifest><item id="b" href="text/b%20b.xhtml" media-type="application/xhtml+xml"/>
    <item id="a" href="text/a.xhtml" media-type="application/xhtml+xml"/>
    <item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
    <item id="gone" href="gone.xhtml" media-type="application/xhtml+xml"/></manifest>
    <spine><itemref idref="nav"/><itemref idref="b"/><itemref idref="gone"/><itemref idref="a"/></spine></package>"#;

fn chapter(text: &str) -> String {
    format!(
        "<html xmlns=\"http://www.w3.org/1999/xhtml\"><head><title/></head><body><h1>{text}</h1></body></html>"
    )
}

fn book(container: Option<&str>, further: &[(&str, &str)]) -> Vec<u8> {
    let (a, b) = (chapter("Chapter A"), chapter("Chapter B"));
    let mut members = vec![
        ("OEBPS/book.opf", BOOK),
        ("OEBPS/text/a.xhtml", a.as_str()),
        ("OEBPS/text/b b.xhtml", &b),
        ("OEBPS/nav.xhtml", "<html><body>Contents</body></html>"),
    ];
    members.extend(container.map(|container| ("META-INF/container.xml", container)));
    members.extend(further);
    zipped(&members)
}

#[test]
fn chapters_come_in_reading_order_without_the_contents() {
    let document = read("a.epub", book(Some(CONTAINER), &[]));
    assert_eq!(document.format, Format::Epub);
    assert_eq!(document.text, "# Chapter B\n\n# Chapter A");
    assert_eq!(document.metadata.title.as_deref(), Some("The Book"));
    assert_eq!(document.metadata.author.as_deref(), Some("One; Two"));
    assert_eq!(document.metadata.created.as_deref(), Some("2001"));
    assert!(
        document.warnings.iter().any(|warning| warning.contains("gone.xhtml")),
        "{:?}",
        document.warnings
    );
}

#[test]
fn a_book_without_its_container_is_read_all_the_same() {
    assert_eq!(read("a.epub", book(None, &[])).text, "# Chapter B\n\n# Chapter A");
}

#[test]
fn locked_chapters_are_refused_and_scrambled_fonts_are_not() {
    let locking = |path: &str| format!(r#"<encryption><CipherReference URI="{path}"/></encryption>"#);
    let font = locking("OEBPS/font.ttf");
    let page = locking("OEBPS/text/a.xhtml");
    assert!(process("a.epub", book(Some(CONTAINER), &[("META-INF/encryption.xml", &font)])).is_ok());
    let refusal = process("a.epub", book(Some(CONTAINER), &[("META-INF/encryption.xml", &page)]));
    assert_eq!(refusal.unwrap_err(), Error::Encrypted { format: Format::Epub });
}
