//! Any text as the parts of sound packages: of Word, Excel, `PowerPoint`, `OpenDocument`, EPUB by the first byte.
//!
//! Parts are separated by a line of `===`.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use std::io::{Cursor, Write};

use libfuzzer_sys::fuzz_target;
use zip::CompressionMethod::Stored;
use zip::write::SimpleFileOptions;

const DOCX: [&str; 6] = [
    "word/document.xml",
    "word/styles.xml",
    "word/numbering.xml",
    "word/footnotes.xml",
    "word/header1.xml",
    "docProps/core.xml",
];
const XLSX: [&str; 5] = [
    "xl/workbook.xml",
    "xl/worksheets/sheet1.xml",
    "xl/sharedStrings.xml",
    "xl/styles.xml",
    "xl/comments1.xml",
];
const PPTX: [&str; 4] = [
    "ppt/presentation.xml",
    "ppt/slides/slide1.xml",
    "ppt/notesSlides/notesSlide1.xml",
    "ppt/charts/chart1.xml",
];
const OPEN_DOCUMENT: [&str; 4] = ["content.xml", "styles.xml", "meta.xml", "Object 1/content.xml"];
const EPUB: [&str; 3] = ["book.opf", "a.xhtml", "META-INF/encryption.xml"];

const RELATIONS: [(&str, &str); 4] = [
    (
        "word/_rels/document.xml.rels",
        "<r><x Id='1' Type='/styles' Target='styles.xml'/><x Id='2' Type='/numbering' Target='numbering.xml'/>\
         <x Id='3' Type='/footnotes' Target='footnotes.xml'/><x Id='4' Type='/header' Target='header1.xml'/></r>",
    ),
    (
        "xl/_rels/workbook.xml.rels",
        "<r><x Id='1' Type='/worksheet' Target='worksheets/sheet1.xml'/>\
         <x Id='2' Type='/sharedStrings' Target='sharedStrings.xml'/><x Id='3' Type='/styles' Target='styles.xml'/></r>",
    ),
    ("ppt/_rels/presentation.xml.rels", "<r><x Id='1' Type='/slide' Target='slides/slide1.xml'/></r>"),
    (
        "ppt/slides/_rels/slide1.xml.rels",
        "<r><x Id='1' Type='/notesSlide' Target='../notesSlides/notesSlide1.xml'/>\
         <x Id='2' Type='/chart' Target='../charts/chart1.xml'/></r>",
    ),
];

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let (mimetype, names) = match kind % 7 {
        0 => ("", &DOCX[..]),
        1 => ("", &XLSX[..]),
        2 => ("", &PPTX[..]),
        3 => ("application/vnd.oasis.opendocument.text", &OPEN_DOCUMENT[..]),
        4 => ("application/vnd.oasis.opendocument.spreadsheet", &OPEN_DOCUMENT[..]),
        5 => ("application/vnd.oasis.opendocument.presentation", &OPEN_DOCUMENT[..]),
        _ => ("application/epub+zip", &EPUB[..]),
    };
    let text = String::from_utf8_lossy(bytes);
    let mut members: Vec<(&str, &str)> = vec![("mimetype", mimetype)];
    members.extend(names.iter().copied().zip(text.split("\n===\n")));
    if mimetype.is_empty() {
        members.extend(RELATIONS);
    }
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        let options = SimpleFileOptions::default().compression_method(Stored);
        writer.start_file(name, options).and_then(|()| Ok(writer.write_all(content.as_bytes())?)).unwrap();
    }
    documents::process("fuzz", writer.finish().unwrap().into_inner());
});
