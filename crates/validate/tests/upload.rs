//! Uploads by their content: kinds, claims, bombs, and archives that lie.
#![cfg(feature = "upload")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a failing expectation fails the test"
)]

use std::io::{Cursor, Write};

use buttress_core::ByteSize;
use buttress_validate::upload::{Kind, Note, Upload, UploadPolicy};
use buttress_validate::{Code, Invalid, SafeFileName};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn open() -> UploadPolicy {
    let mut policy = UploadPolicy::default();
    (policy.kinds, policy.match_name, policy.match_type) = (Kind::ALL.to_vec(), false, false);
    policy
}

fn judge(
    policy: &UploadPolicy,
    name: &str,
    mime: Option<&str>,
    content: &[u8],
    piece: usize,
) -> Result<Upload, Invalid> {
    let mut check = policy.begin(SafeFileName::sanitize(name), mime)?;
    for piece in content.chunks(piece.max(1)) {
        check.push(piece)?;
    }
    check.finish()
}

fn kind(content: &[u8]) -> Kind {
    judge(&open(), "a", None, content, 7).unwrap().kind
}

fn refused(policy: &UploadPolicy, content: &[u8]) -> Code {
    judge(policy, "a", None, content, 1000).unwrap_err().code()
}

/// An archive of these entries, some stored and some deflated.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (i, (name, content)) in entries.iter().enumerate() {
        let method = if i % 3 == 0 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_kind_is_told_by_content() {
    let tar = [&[b'a'; 257][..], b"ustar\0", &[0; 250]].concat();
    for (content, expected) in [
        (&b"\x89PNG\r\n\x1a\n...."[..], Kind::Png),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", Kind::Jpeg),
        (b"GIF89a", Kind::Gif),
        (b"RIFF\x24\0\0\0WEBPVP8 ", Kind::Webp),
        (b"RIFF\x24\0\0\0WAVEfmt ", Kind::Wav),
        (b"BM\x46\0\0\0\0\0\0\0\x36", Kind::Bmp),
        (b"BMW is a car", Kind::Text),
        (b"II*\0", Kind::Tiff),
        (b"\0\0\0\x1cftypavif", Kind::Avif),
        (b"\0\0\0\x18ftypheic", Kind::Heic),
        (b"\0\0\0\x18ftypmp42", Kind::Mp4),
        (b"%PDF-1.7\n", Kind::Pdf),
        (b"{\\rtf1", Kind::Rtf),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind::Ole),
        (b"7z\xbc\xaf\x27\x1c", Kind::OtherArchive),
        (&tar, Kind::OtherArchive),
        (b"MZ\x90\0", Kind::Program),
        (b"\x7fELF", Kind::Program),
        (b"#!/bin/sh\n", Kind::Program),
        (b"<?php system($_GET['c']);", Kind::Program),
        (b"<html>", Kind::Html),
        (b"\xef\xbb\xbf \n<!DOCTYPE html><p>", Kind::Html),
        (b"<script>alert(1)</script>", Kind::Html),
        (b"<!-- x --><p>", Kind::Html),
        (b"<svg onload=alert(1)>", Kind::Svg),
        (b"<?xml version=\"1.0\"?><!-- x --><svg xmlns=\"http://www.w3.org/2000/svg\"/>", Kind::Svg),
        (b"<!-- x --><svg>", Kind::Svg),
        (b"<?xml version=\"1.0\"?><a/>", Kind::Xml),
        (b"\xff\xfe<\0s\0c\0r\0i\0p\0t\0>\0", Kind::Html),
        (b"a,b\n1,2\n", Kind::Text),
        (b"{\"a\": 1}", Kind::Text),
        ("Grüße".as_bytes(), Kind::Text),
        (b"caf\xe9", Kind::Text),
        (b"\x01\x02\x03", Kind::Unknown),
    ] {
        assert_eq!(kind(content), expected, "{:?}", String::from_utf8_lossy(content));
    }
    assert_eq!(kind(&gzip(b"hello")), Kind::Gzip);
    assert_eq!(kind(&archive(&[])), Kind::Zip);
    assert_eq!(kind(&archive(&[("a.txt", b"hello")])), Kind::Zip);
    assert_eq!(kind(&archive(&[("[Content_Types].xml", b"x"), ("word/document.xml", b"x")])), Kind::Docx);
    assert_eq!(kind(&archive(&[("[Content_Types].xml", b"x"), ("xl/workbook.xml", b"x")])), Kind::Xlsx);
    assert_eq!(
        kind(&archive(&[("mimetype", b"application/vnd.oasis.opendocument.text"), ("content.xml", b"x")])),
        Kind::Odt
    );
    assert_eq!(kind(&archive(&[("META-INF/MANIFEST.MF", b"x")])), Kind::Jar);
}

#[test]
fn what_a_sender_says_has_to_be_so() {
    let policy = UploadPolicy::default();
    let png = b"\x89PNG\r\n\x1a\n....";
    let code = |name: &str, mime: Option<&str>, content: &[u8]| {
        judge(&policy, name, mime, content, 5).err().map(|error| error.code())
    };
    assert_eq!(code("a.png", Some("image/png"), png), None);
    assert_eq!(code("a.PNG", Some("image/png; x=y"), png), None);
    assert_eq!(code("a", None, png), None);
    assert_eq!(code("a.png", Some("application/octet-stream"), png), None);
    assert_eq!(code("a.jpg", None, png), Some(Code::Mismatch));
    assert_eq!(code("a.png", Some("image/jpeg"), png), Some(Code::Kind), "no kind is both");
    assert_eq!(code("a.php", None, png), Some(Code::Kind));
    assert_eq!(code("a.png", None, b"<html>"), Some(Code::Kind));
    assert_eq!(code("a.svg", Some("image/svg+xml"), b"<svg/>"), Some(Code::Kind));
    assert_eq!(code("a.txt", None, b"hello \0 there"), Some(Code::Kind));
    assert_eq!(code("a.txt", None, &[&[b'a'; 5000][..], b"\0"].concat()), Some(Code::Mismatch));
    assert_eq!(code("a.csv", Some("text/csv; charset=utf-8"), b"a;b"), None);
    assert_eq!(code("a.txt", None, b""), Some(Code::Empty));
    assert_eq!(
        code("a.docx", None, &archive(&[("a.txt", b"x")])),
        Some(Code::Kind),
        "plain archives are not taken"
    );
    let docx = archive(&[("[Content_Types].xml", b"x"), ("word/document.xml", b"x")]);
    assert_eq!(code("a.docx", None, &docx), None);
    assert_eq!(code("a.xlsx", None, &docx), Some(Code::Mismatch));
    let macros =
        archive(&[("[Content_Types].xml", b"x"), ("word/document.xml", b"x"), ("word/vbaProject.bin", b"x")]);
    assert_eq!(judge(&policy, "a.docx", None, &macros, 100).unwrap().notes, [Note::Macros]);
}

#[test]
fn a_second_kind_in_a_file_is_noted() {
    let mut policy = open();
    policy.refuse.clear();
    let notes = |content: &[u8]| {
        let whole = judge(&policy, "a", None, content, 1 << 20).unwrap().notes;
        for piece in [1, 3, 7] {
            assert_eq!(
                judge(&policy, "a", None, content, piece).unwrap().notes,
                whole,
                "in pieces of {piece}"
            );
        }
        whole
    };
    let png = |tail: &[u8]| [b"\x89PNG\r\n\x1a\n", &[7; 4090][..], tail].concat();
    assert_eq!(notes(&png(b"nothing")), []);
    assert_eq!(notes(&png(b"<ScRipt>alert(1)</script>")), [Note::Html]);
    assert_eq!(notes(&png(b"<?php x")), [Note::Php]);
    assert_eq!(notes(&png(b"PK\x03\x04")), [Note::Archive]);
    assert_eq!(notes(b"GIF89a%PDF-1.4"), [Note::Pdf]);
    assert_eq!(notes(b"GIF89a/*<svg*/<?PHP"), [Note::Html, Note::Php]);
    assert_eq!(notes(b"%PDF-1.7 << /S /JavaScript /JS (app.alert(1)) >>"), [Note::Script]);
    assert_eq!(notes(b"<svg><script>x</script></svg>"), [Note::Script]);
    assert_eq!(refused(&open(), &png(b"<script>")), Code::Polyglot);
    assert_eq!(refused(&open(), &[archive(&[("a", b"x")]), b"<script>".to_vec()].concat()), Code::Polyglot);
    assert_eq!(refused(&open(), &[gzip(b"a"), b"x".to_vec()].concat()), Code::Polyglot);
}

#[test]
fn bombs_are_counted_while_they_stream() {
    let zeros = vec![0_u8; 8 << 20];
    for bomb in [gzip(&zeros), archive(&[("a", b""), ("b", &zeros)])] {
        assert_eq!(refused(&open(), &bomb), Code::Ratio);
        let mut wide = open();
        wide.max_ratio = 10_000;
        let taken = judge(&wide, "a", None, &bomb, 333).unwrap();
        assert_eq!((taken.inflated, taken.bytes), (8 << 20, bomb.len() as u64));
        wide.max_inflated = ByteSize::mib(7);
        assert_eq!(refused(&wide, &bomb), Code::TooLong);
    }
    let members = gzip(&vec![0; 1 << 20]).repeat(3);
    assert_eq!(refused(&open(), &members), Code::Ratio, "members are counted together");
    let mut small = open();
    small.max_bytes = ByteSize::b(10);
    assert_eq!(refused(&small, b"12345678901"), Code::TooLong);
    judge(&small, "a", None, b"1234567890", 3).unwrap();
    let mut few = open();
    few.max_entries = 2;
    assert_eq!(refused(&few, &archive(&[("a", b""), ("b", b""), ("c", b"")])), Code::TooMany);
}

#[test]
fn an_archive_that_lies_is_refused() {
    let content: Vec<u8> = (0..2000_u32).flat_map(|n| (n * n).to_le_bytes()).collect();
    let good = archive(&[("a", b"stored"), ("b", &content), ("c", &content)]);
    judge(&open(), "a", None, &good, 100).unwrap();
    let find = |needle: &[u8], nth: usize| {
        good.windows(needle.len()).enumerate().filter(|(_, window)| *window == needle).nth(nth).unwrap().0
    };
    let patched = |at: usize, bytes: &[u8]| {
        let mut archive = good.clone();
        archive[at..at + bytes.len()].copy_from_slice(bytes);
        refused(&open(), &archive)
    };
    let [first, second, third] = [0, 1, 2].map(|n| find(b"PK\x01\x02", n));
    // The directory: two entries at one place (as bombs of entries in one another do), another size, another name.
    let offset = good[second + 42..second + 46].to_vec();
    assert_eq!(patched(third + 42, &offset), Code::Mismatch);
    assert_eq!(patched(second + 24, &7_u32.to_le_bytes()), Code::Mismatch);
    assert_eq!(patched(first + 46, b"z"), Code::Mismatch);
    // An entry's own header: its size, its place for sizes.
    let own = find(b"PK\x03\x04", 1);
    assert_eq!(patched(own + 22, &1_u32.to_le_bytes()), Code::Mismatch);
    assert_eq!(patched(own + 6, &1_u16.to_le_bytes()), Code::Kind, "encrypted");
    assert_eq!(patched(own + 8, &12_u16.to_le_bytes()), Code::Kind, "bzip2");
    // An entry that the directory does not have, by cutting its record out.
    let mut hidden = good.clone();
    hidden.drain(first..second);
    assert_eq!(refused(&open(), &hidden), Code::Mismatch);
    assert_eq!(refused(&open(), &good[..good.len() - 1]), Code::Syntax);
    for name in ["../x", "/x", "a/../../x", "C:\\x", "..\\x"] {
        assert_eq!(refused(&open(), &raw_archive(name)), Code::Traversal, "{name}");
    }
}

/// One stored entry, its header written by hand: a library would put the name right.
fn raw_archive(name: &str) -> Vec<u8> {
    let mut bytes = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(name.as_bytes());
    bytes
}

#[test]
fn archives_that_are_written_to_a_pipe_are_read() {
    // Sizes after the content, as writers do that cannot go back.
    let mut writer = ZipWriter::new_stream(Vec::new());
    for name in ["a.txt", "b/c.txt"] {
        writer
            .start_file(name, SimpleFileOptions::default().compression_method(CompressionMethod::Deflated))
            .unwrap();
        writer.write_all(&[b'x'; 5000]).unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    for piece in [1, 10, 100_000] {
        assert_eq!(judge(&open(), "a", None, &bytes, piece).unwrap().inflated, 10_000);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn pieces_do_not_matter_and_nothing_panics(
        entries in prop::collection::vec(("[a-z/]{1,8}", prop::collection::vec(0..4_u8, 0..600)), 0..5),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        zipped: bool,
        piece in 1..700_usize,
    ) {
        let mut names: Vec<_> = entries.iter().map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        prop_assume!(names.len() == entries.len() && names.iter().all(|name| !name.starts_with('/')));
        let list: Vec<_> = entries.iter().map(|(name, content)| (&**name, &**content)).collect();
        let mut bytes = if zipped { archive(&list) } else { entries.iter().flat_map(|(_, content)| gzip(content)).collect() };
        let total: u64 = entries.iter().map(|(_, content)| content.len() as u64).sum();
        if damage.is_empty() && !bytes.is_empty() {
            prop_assert_eq!(judge(&open(), "a", None, &bytes, piece).unwrap().inflated, total);
        }
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        prop_assert_eq!(judge(&open(), "a", None, &bytes, piece), judge(&open(), "a", None, &bytes, usize::MAX));
    }
}
