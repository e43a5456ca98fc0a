use std::io::{Cursor, Write};

use buttress_docpipeline::{Error, Format};
use flate2::Compression;
use flate2::write::GzEncoder;
use zip::write::SimpleFileOptions;

use crate::{process, read, warned};

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Text that does not compress to nothing.
fn long_text() -> String {
    (0..5000).map(|i| format!("Line {i} holds {}.\n", i * 7919 % 1009)).collect()
}

#[test]
fn gzip_that_breaks_off_gives_what_came_before() {
    let whole = gzip(long_text().as_bytes());
    let document = read("a.txt.gz", &whole[..whole.len() / 2]);
    assert!(document.text.starts_with("Line 0 holds 0.\nLine 1 "));
    assert!(document.text.len() > long_text().len() / 4, "{}", document.text.len());
    assert!(warned(&document, "the gzip stream"), "{:?}", document.warnings);
}

#[test]
fn bytes_behind_a_gzip_stream_do_not_matter() {
    let document = read("a.txt.gz", [gzip(b"The tide turns."), b"\x01garbage".to_vec()].concat());
    assert_eq!(document.text, "The tide turns.");
    assert!(warned(&document, "the gzip stream"), "{:?}", document.warnings);
}

#[test]
fn gzip_streams_one_after_another_are_one() {
    let document = read("a.txt.gz", [gzip(b"The tide "), gzip(b"turns.")].concat());
    assert_eq!(document.text, "The tide turns.");
    assert!(document.warnings.is_empty(), "{:?}", document.warnings);
}

#[test]
fn gzip_with_nothing_that_can_be_read_is_damaged() {
    let refusal = process("a.txt.gz", &gzip(b"The tide turns.")[..10]);
    assert!(matches!(refusal, Err(Error::Malformed { format: Format::Gzip, .. })), "{refusal:?}");
}

#[test]
fn links_in_zip_archives_are_left_out() {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("tides.txt", SimpleFileOptions::default()).unwrap();
    writer.write_all(b"The sea comes.").unwrap();
    writer.add_symlink("passwords.txt", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let document = read("a.zip", writer.finish().unwrap().into_inner());
    assert_eq!(document.parts.len(), 1);
    assert!(!document.text.contains("passwd"), "{}", document.text);
    assert!(
        warned(&document, "passwords.txt: left out, it is no file but a link"),
        "{:?}",
        document.warnings
    );
}

#[test]
fn a_tar_archive_that_breaks_off_gives_the_beginning_of_its_last_file() {
    let mut archive = tar::Builder::new(Vec::new());
    let content = long_text();
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "lines.txt", content.as_bytes()).unwrap();
    let bytes = archive.into_inner().unwrap();
    let document = read("a.tar", &bytes[..4096]);
    assert!(document.text.contains("Line 100 "), "{}", document.text);
    assert!(warned(&document, "the archive ends in the middle of it"), "{:?}", document.warnings);
}
