//! The kind of a content by its beginning.
//!
//! Signatures as the WHATWG's MIME sniffing standard and the formats themselves have them.

use super::kind::Kind;

/// How much of a content is looked at. Longer than all signatures; and a page may begin with a comment.
pub(super) const HEAD: usize = 4096;

/// Whole signatures at the beginning.
const MAGIC: &[(&[u8], Kind)] = &[
    (b"\x89PNG\r\n\x1a\n", Kind::Png),
    (b"\xff\xd8\xff", Kind::Jpeg),
    (b"GIF87a", Kind::Gif),
    (b"GIF89a", Kind::Gif),
    (b"II*\0", Kind::Tiff),
    (b"MM\0*", Kind::Tiff),
    (b"\0\0\x01\0", Kind::Ico),
    (b"%PDF-", Kind::Pdf),
    (b"{\\rtf", Kind::Rtf),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind::Ole),
    (b"PK\x03\x04", Kind::Zip),
    (b"PK\x05\x06", Kind::Zip),
    (b"\x1f\x8b\x08", Kind::Gzip),
    (b"7z\xbc\xaf\x27\x1c", Kind::OtherArchive),
    (b"Rar!\x1a\x07", Kind::OtherArchive),
    (b"BZh", Kind::OtherArchive),
    (b"\xfd7zXZ\0", Kind::OtherArchive),
    (b"\x28\xb5\x2f\xfd", Kind::OtherArchive),
    (b"ID3", Kind::Mp3),
    (b"fLaC", Kind::Flac),
    (b"OggS\0", Kind::Ogg),
    (b"\x1a\x45\xdf\xa3", Kind::Webm),
    (b"\x7fELF", Kind::Program),
    (b"MZ", Kind::Program),
    (b"\xca\xfe\xba\xbe", Kind::Program),
    (b"\xfe\xed\xfa\xce", Kind::Program),
    (b"\xfe\xed\xfa\xcf", Kind::Program),
    (b"\xce\xfa\xed\xfe", Kind::Program),
    (b"\xcf\xfa\xed\xfe", Kind::Program),
    (b"\0asm", Kind::Program),
    (b"#!", Kind::Program),
];

/// Beginnings that browsers take for a page, in lower case.
const PAGE: &[&str] = &[
    "<!doctype html",
    "<html",
    "<head",
    "<script",
    "<iframe",
    "<h1",
    "<div",
    "<font",
    "<table",
    "<a",
    "<style",
    "<title",
    "<b",
    "<body",
    "<br",
    "<p",
    "<!--",
    "<img",
    "<form",
    "<meta",
    "<link",
    "<object",
    "<embed",
];

/// The kind of a content that begins with `head`.
pub(super) fn sniff(head: &[u8]) -> Kind {
    if let Some((_, kind)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return *kind;
    }
    let at = |start: usize, bytes: &[u8]| head.get(start..).is_some_and(|rest| rest.starts_with(bytes));
    if head.starts_with(b"RIFF") {
        return match head.get(8..12) {
            Some(b"WEBP") => Kind::Webp,
            Some(b"WAVE") => Kind::Wav,
            _ => Kind::Unknown,
        };
    }
    if at(4, b"ftyp") {
        return match head.get(8..12) {
            Some(b"avif" | b"avis") => Kind::Avif,
            Some(b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" | b"mif1" | b"msf1") => Kind::Heic,
            _ => Kind::Mp4,
        };
    }
    // "BM", and then fields that text does not have.
    if head.starts_with(b"BM") && at(6, b"\0\0\0\0") {
        return Kind::Bmp;
    }
    if at(257, b"ustar") {
        return Kind::OtherArchive;
    }
    if matches!(head, [0xff, second, third, ..] if second & 0xe6 == 0xe2 && third & 0xf0 != 0xf0 && third & 0x0c != 0x0c)
    {
        return Kind::Mp3;
    }
    text_kind(head)
}

/// Text, by what a browser or a reader of XML would take it for.
fn text_kind(head: &[u8]) -> Kind {
    // UTF-16 by its mark: what reads ASCII sees no page in it, and what reads UTF-16 sees this.
    let plain: Vec<u8> = match head {
        [0xfe, 0xff, rest @ ..] => {
            rest.as_chunks::<2>().0.iter().map(|[high, low]| if *high == 0 { *low } else { b'?' }).collect()
        }
        [0xff, 0xfe, rest @ ..] => {
            rest.as_chunks::<2>().0.iter().map(|[low, high]| if *high == 0 { *low } else { b'?' }).collect()
        }
        [0xef, 0xbb, 0xbf, rest @ ..] => rest.to_vec(),
        _ => head.to_vec(),
    };
    if plain.is_empty() || plain.iter().any(|byte| is_binary(*byte)) {
        return Kind::Unknown;
    }
    let lower = plain.to_ascii_lowercase();
    let start = lower.trim_ascii_start();
    let page = PAGE.iter().any(|tag| {
        let rest = start.strip_prefix(tag.as_bytes());
        let ended = |rest: &[u8]| !rest.first().is_some_and(u8::is_ascii_alphanumeric);
        rest.is_some_and(|rest| *tag == "<!--" || ended(rest))
    });
    let has = |needle: &[u8]| start.windows(needle.len()).any(|window| window == needle);
    if start.starts_with(b"<svg") || start.starts_with(b"<") && has(b"<svg") && !page {
        return Kind::Svg;
    }
    if page {
        // A comment or a doctype may stand before a drawing as well.
        return if start.starts_with(b"<!--") && has(b"<svg") { Kind::Svg } else { Kind::Html };
    }
    if start.starts_with(b"<?xml") || start.starts_with(b"<!doctype") {
        return if has(b"<html") { Kind::Html } else { Kind::Xml };
    }
    if start.starts_with(b"<?php") { Kind::Program } else { Kind::Text }
}

/// Bytes that no text has (MIME sniffing, "binary data byte").
pub(super) fn is_binary(byte: u8) -> bool {
    matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)
}
