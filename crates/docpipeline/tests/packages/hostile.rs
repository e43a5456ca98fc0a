//! What is made to hurt.

use buttress_docpipeline::{Error, Format, Limit};

use crate::{process, read, relations, zipped};

fn paragraph(text: &str) -> String {
    format!("<w:document><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>")
}

fn limit(outcome: Result<buttress_docpipeline::Document, Error>) -> Limit {
    match outcome {
        Err(Error::OverLimit { limit, .. }) => limit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bomb_is_refused_by_what_it_really_holds() {
    let zeros = " ".repeat(40 << 20);
    let mut bytes = zipped(&[("word/document.xml", &paragraph(&zeros))]);
    assert_eq!(limit(process("a.docx", bytes.clone())), Limit::ExpansionRatio);
    // The same with a directory that claims ten bytes.
    let at = memchr::memmem::rfind(&bytes, b"PK\x01\x02").unwrap();
    bytes[at + 24..at + 28].copy_from_slice(&10_u32.to_le_bytes());
    assert_eq!(limit(process("a.docx", bytes)), Limit::ExpansionRatio);
}

#[test]
fn deep_and_crowded_elements_are_refused() {
    let deep = format!("{}x", "<w:p>".repeat(100_000));
    assert_eq!(limit(process("a.docx", zipped(&[("word/document.xml", &deep)]))), Limit::Nesting);
    let crowded = (0..10_000).map(|i| format!("a{i}='x'")).collect::<Vec<_>>().join(" ");
    let crowded = format!("<?xml version='1.0'?><a {crowded}>x</a>");
    assert_eq!(limit(process("a.xml", crowded.into())), Limit::Attributes);
}

#[test]
fn entities_neither_multiply_nor_fetch() {
    let laughs = "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY l0 'lol'>\
        <!ENTITY l1 '&l0;&l0;&l0;&l0;'><!ENTITY l2 '&l1;&l1;&l1;&l1;'>\
        <!ENTITY file SYSTEM 'file:///etc/passwd'>]><a>&l2; &file;</a>";
    assert_eq!(read("a.xml", laughs.into()).text, "&l2; &file;");
}

#[test]
fn repeated_cells_do_not_multiply() {
    let cell = "<table:table-cell table:number-columns-repeated='999'><text:p>x</text:p></table:table-cell>";
    let row =
        format!("<table:table-row table:number-rows-repeated='999'>{}</table:table-row>", cell.repeat(16));
    let flat = format!(
        "<?xml version='1.0'?><office:document office:mimetype='application/vnd.oasis.opendocument.spreadsheet'>\
         <office:body><table:table>{row}</table:table></office:body></office:document>"
    );
    assert_eq!(limit(process("a.fods", flat.into())), Limit::Cells);
}

#[test]
fn encrypted_documents_say_so() {
    let mut ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    ole.extend([0; 600]);
    assert!(matches!(process("a.bin", ole.clone()), Err(Error::Unsupported { .. })));
    assert!(matches!(process("a.doc", ole.clone()), Err(Error::Malformed { format: Format::Doc, .. })));
    ole.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(process("a.docx", ole.clone()), Err(Error::Encrypted { format: Format::Docx }));
    assert_eq!(process("a.xlsx", ole), Err(Error::Encrypted { format: Format::Xlsx }));

    let manifest = "<manifest:manifest><manifest:file-entry manifest:media-type=\
        'application/vnd.oasis.opendocument.text'><manifest:encryption-data/></manifest:file-entry></manifest:manifest>";
    let odt = zipped(&[("content.xml", "\u{1}\u{2}"), ("META-INF/manifest.xml", manifest)]);
    assert_eq!(process("a.odt", odt), Err(Error::Encrypted { format: Format::Odt }));

    // A member with the flag of traditional encryption in both headers.
    let mut zip = zipped(&[("word/document.xml", &paragraph("x"))]);
    for (signature, flags) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let at = memchr::memmem::find(&zip, signature).unwrap();
        zip[at + flags] |= 1;
    }
    assert_eq!(process("a.docx", zip), Err(Error::Encrypted { format: Format::Docx }));
}

#[test]
fn a_package_that_broke_off_gives_what_is_left() {
    let long = (0..20_000).map(|i| format!("word{i}")).collect::<Vec<_>>().join(" ");
    let bytes = zipped(&[
        ("[Content_Types].xml", "<Types/>"),
        ("word/document.xml", &paragraph(&long)),
        ("word/theme.xml", "<a/>"),
    ]);
    let document = read("a.docx", bytes[..bytes.len() / 2].to_vec());
    assert!(document.text.starts_with("word0 word1"), "{}", document.text);
    assert!(document.text.len() > 1000);
    assert!(!document.warnings.is_empty());
}

#[test]
fn a_wrong_checksum_does_not_hide_the_text() {
    let mut bytes = zipped(&[("word/document.xml", &paragraph("still here"))]);
    let at = memchr::memmem::rfind(&bytes, b"PK\x01\x02").unwrap();
    bytes[at + 16] ^= 0xff;
    assert_eq!(read("a.docx", bytes).text, "still here");
}

#[test]
fn a_package_without_its_main_part_is_malformed() {
    let refusal = process("a.docx", zipped(&[("[Content_Types].xml", "<Types/>"), ("word/x.xml", "<x/>")]));
    let Err(Error::Malformed { format: Format::Docx, problem }) = refusal else { panic!("{refusal:?}") };
    assert!(problem.contains("word/document.xml"), "{problem}");
}

#[test]
fn text_that_cells_share_counts_as_often_as_they_show_it() {
    let shared = "x".repeat(1 << 20);
    let cells = r#"<c t="s"><v>0</v></c>"#.repeat(1000);
    let bytes = zipped(&[
        ("xl/workbook.xml", r#"<workbook><sheets><sheet name="S" r:id="1"/></sheets></workbook>"#),
        (
            "xl/_rels/workbook.xml.rels",
            &relations(&[("1", "worksheet", "s.xml"), ("2", "sharedStrings", "t.xml")]),
        ),
        ("xl/s.xml", &format!("<worksheet><row>{cells}</row></worksheet>")),
        ("xl/t.xml", &format!("<sst><si><t>{shared}</t></si></sst>")),
    ]);
    assert_eq!(limit(process("a.xlsx", bytes)), Limit::OutputBytes);

    let cell = format!(
        "<table:table-cell table:number-columns-repeated='900'><text:p>{shared}</text:p></table:table-cell>"
    );
    let flat = format!(
        "<?xml version='1.0'?><office:document office:mimetype='application/vnd.oasis.opendocument.text'><office:body>\
         <table:table><table:table-row>{cell}</table:table-row></table:table></office:body></office:document>"
    );
    assert_eq!(limit(process("a.fodt", flat.into())), Limit::OutputBytes);
}

#[test]
fn a_cell_beyond_all_columns_is_no_matter() {
    let cells = "<table:table-cell table:number-columns-repeated='18446744073709551615'/>\
        <table:table-cell table:number-columns-repeated='3'><text:p>x</text:p></table:table-cell>";
    let flat = format!(
        "<?xml version='1.0'?><office:document office:mimetype='application/vnd.oasis.opendocument.spreadsheet'>\
         <office:body><table:table table:name='S'><table:table-row>{cells}</table:table-row></table:table>\
         </office:body></office:document>"
    );
    assert!(read("a.fods", flat.into()).text.contains('x'));
}
