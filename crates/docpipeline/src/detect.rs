//! What a document is, from its content.
//!
//! Magic numbers decide first, then the members of a ZIP package, then the look of the text. The name is asked only
//! where the content leaves the kind open: plain text, Markdown and delimited values all are text.

mod markup;

use std::io::{Cursor, Read};

use crate::draft::Source;
use crate::error::{Error, Result};
use crate::extract::mbox;
use crate::extract::ole::{self, CompoundFile};
use crate::format::Format;

/// How much of a text is looked at.
const SAMPLE_BYTES: usize = 8 << 10;

/// Where `%PDF-` may stand at the latest (ISO 32000-1, annex H.3.4.1).
const PDF_HEADER_WITHIN: usize = 1024;

/// Finds out the format of a document.
///
/// # Errors
///
/// [`Error::Empty`], or [`Error::Unsupported`] with what the content seems to be.
pub fn detect(source: &Source<'_>) -> Result<Format> {
    let bytes: &[u8] = &source.bytes;
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    if let Some(format) = by_magic(bytes) {
        return Ok(format);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return Ok(by_members(bytes));
    }
    if bytes.starts_with(ole::MAGIC) {
        return by_streams(bytes, &source.extension());
    }
    if let Some(found) = foreign(bytes) {
        return Err(Error::Unsupported { found: found.to_owned() });
    }
    let sample = Sample::of(bytes);
    if sample.is_binary() {
        return Err(Error::Unsupported { found: "binary data of no known kind".to_owned() });
    }
    let extension = source.extension();
    Ok(if is_mailbox(bytes, &extension) { Format::Mbox } else { by_look(&sample, &extension) })
}

fn by_magic(bytes: &[u8]) -> Option<Format> {
    let head = bytes.get(..PDF_HEADER_WITHIN.min(bytes.len())).unwrap_or_default();
    if memchr::memmem::find(head, b"%PDF-").is_some() && !looks_like_mail(head) {
        return Some(Format::Pdf);
    }
    if bytes.starts_with(b"{\\rtf") {
        return Some(Format::Rtf);
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Some(Format::Gzip);
    }
    // POSIX ustar and the older GNU form; pre-POSIX archives have no magic and are told by their checksum.
    if bytes.get(257..262) == Some(b"ustar") || has_tar_checksum(bytes) {
        return Some(Format::Tar);
    }
    None
}

/// A TAR header carries the sum of its own bytes in octal, counted with the field itself as spaces.
fn has_tar_checksum(bytes: &[u8]) -> bool {
    let (Some(header), Some(field)) = (bytes.get(..512), bytes.get(148..156)) else {
        return false;
    };
    let digits = field.iter().map(|b| char::from(*b)).collect::<String>();
    let Ok(claimed) = u32::from_str_radix(digits.trim_matches([' ', '\0']), 8) else {
        return false;
    };
    let spaces = 8 * u32::from(b' ');
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum::<u32>()
        - field.iter().map(|b| u32::from(*b)).sum::<u32>()
        + spaces;
    claimed == sum && header.first().is_some_and(|b| *b != 0)
}

/// The stream of an OLE file that holds an encrypted Office package ([MS-OFFCRYPTO] 1.3.3), its name in UTF-16.
const ENCRYPTED_PACKAGE: [u8; 32] = *b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0";

/// The class of the root of an installer, as its bytes stand in the file.
const INSTALLER: &[u8] = b"\x84\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0\x46";

/// Streams that tell what else a compound file is.
const FOREIGN_STREAMS: [(&str, &str); 6] = [
    ("__properties_version1.0", "an Outlook message (MSG)"),
    ("VisioDocument", "a Visio drawing"),
    ("Quill", "a Publisher document"),
    ("HwpSummaryInformation", "a Hangul document (HWP)"),
    ("Catalog", "a store of thumbnails"),
    ("PP40", "a PowerPoint presentation from before 1997"),
];

/// What kind of document a compound file is.
fn by_streams(bytes: &[u8], extension: &str) -> Result<Format> {
    let file = CompoundFile::open(bytes);
    let has = |name: &str| file.as_ref().is_some_and(|file| file.has(name));
    let documents = [
        ("WordDocument", Format::Doc),
        ("Workbook", Format::Xls),
        ("Book", Format::Xls),
        ("PowerPoint Document", Format::Ppt),
    ];
    if let Some((_, format)) = documents.iter().find(|(stream, _)| has(stream)) {
        return Ok(*format);
    }
    // Told by its name anywhere, since a file may be damaged.
    if memchr::memmem::find(bytes, &ENCRYPTED_PACKAGE).is_some() {
        // Which of the three it is stands in the part that only the password opens.
        return Err(Error::Encrypted { format: format_by_extension(extension) });
    }
    if file.is_none() {
        match extension {
            "doc" | "dot" => return Ok(Format::Doc),
            "xls" | "xlt" => return Ok(Format::Xls),
            "ppt" | "pps" | "pot" => return Ok(Format::Ppt),
            _ => {}
        }
    }
    let is_installer =
        file.as_ref().and_then(CompoundFile::root).is_some_and(|root| root.class() == INSTALLER);
    let known = FOREIGN_STREAMS.iter().find(|(stream, _)| has(stream)).map(|(_, found)| *found);
    let found = known.unwrap_or(if is_installer {
        "a Windows installer (MSI)"
    } else {
        "an OLE file of no known kind"
    });
    Err(Error::Unsupported { found: found.to_owned() })
}

fn format_by_extension(extension: &str) -> Format {
    match extension {
        "xlsx" | "xlsm" | "xltx" | "xlsb" => Format::Xlsx,
        "pptx" | "pptm" | "potx" | "ppsx" => Format::Pptx,
        _ => Format::Docx,
    }
}

/// What kind of package a ZIP file is.
fn by_members(bytes: &[u8]) -> Format {
    // The first member of an EPUB or OpenDocument file is its type, stored as it is: no directory is needed, so a
    // damaged package is still told for what it is.
    let head = bytes.get(..256.min(bytes.len())).unwrap_or_default();
    for (mark, format) in [
        (&b"mimetypeapplication/epub+zip"[..], Format::Epub),
        (b"mimetypeapplication/vnd.oasis.opendocument.text", Format::Odt),
        (b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet", Format::Ods),
        (b"mimetypeapplication/vnd.oasis.opendocument.presentation", Format::Odp),
    ] {
        if memchr::memmem::find(head, mark).is_some() {
            return format;
        }
    }
    let Ok(archive) = zip::ZipArchive::new(Cursor::new(bytes)) else {
        return by_raw_names(bytes);
    };
    let by_name = |of: fn(&str) -> Option<Format>| archive.file_names().find_map(|name| of(&name.ok()?));
    if let Some(format) = by_name(format_of_member) {
        return format;
    }
    // Office parts may stand elsewhere than they usually do.
    if archive.index_for_name_raw(b"[Content_Types].xml").is_some() {
        return by_name(format_of_folder).unwrap_or(Format::Zip);
    }
    if archive.index_for_name_raw(b"content.xml").is_some() {
        return by_manifest(archive).unwrap_or(Format::Zip);
    }
    Format::Zip
}

fn format_of_folder(name: &str) -> Option<Format> {
    match name.split('/').next()? {
        "word" => Some(Format::Docx),
        "xl" => Some(Format::Xlsx),
        "ppt" => Some(Format::Pptx),
        _ => None,
    }
}

/// For an `OpenDocument` whose first member is not its type.
fn by_manifest(mut archive: zip::ZipArchive<Cursor<&[u8]>>) -> Option<Format> {
    let mut head = String::new();
    let manifest = archive.by_name("META-INF/manifest.xml").ok()?;
    // The entry of the package itself stands first; a longer manifest need not be read.
    manifest.take(SAMPLE_BYTES as u64).read_to_string(&mut head).ok()?;
    open_document_type(&head).map(|(_, format)| format)
}

fn format_of_member(name: &str) -> Option<Format> {
    match name {
        "word/document.xml" => Some(Format::Docx),
        "xl/workbook.xml" | "xl/workbook.bin" => Some(Format::Xlsx),
        "ppt/presentation.xml" => Some(Format::Pptx),
        "META-INF/container.xml" => Some(Format::Epub),
        _ => name.to_ascii_lowercase().ends_with(".opf").then_some(Format::Epub),
    }
}

/// For a package whose directory is lost: the names still stand before the members.
fn by_raw_names(bytes: &[u8]) -> Format {
    [
        (&b"word/document.xml"[..], Format::Docx),
        (b"xl/workbook.xml", Format::Xlsx),
        (b"ppt/presentation.xml", Format::Pptx),
    ]
    .into_iter()
    .find_map(|(name, format)| memchr::memmem::find(bytes, name).map(|_| format))
    .unwrap_or(Format::Zip)
}

/// First bytes of well-known kinds that are no documents.
const FOREIGN: [(&[u8], &str); 22] = [
    (b"\x89PNG\r\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"BM", "a bitmap image"),
    (b"\x7fELF", "an ELF program"),
    (b"MZ", "a Windows program"),
    (b"\xca\xfe\xba\xbe", "a Java class or Mach-O program"),
    (b"\x78\x9f\x3e\x22", "a TNEF file (winmail.dat, Outlook's own form of mail)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an XZ file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"OggS", "an Ogg file"),
    (b"ID3", "an MP3 file"),
    (b"fLaC", "a FLAC file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"%!PS", "a PostScript file"),
    (b"wOFF", "a web font"),
    (b"\0\x01\0\0\0", "a TrueType font"),
];

/// Well-known kinds that are no documents, named so that the refusal makes sense.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    let by_magic = FOREIGN.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, name)| *name);
    let container = || match (bytes.get(..4), bytes.get(4..8), bytes.get(8..12)) {
        (Some(b"RIFF"), _, Some(b"WEBP")) => Some("a WebP image"),
        (Some(b"RIFF"), _, Some(b"WAVE")) => Some("a WAVE file"),
        (_, Some(b"ftyp"), _) => Some("an MP4 or HEIF file"),
        _ => None,
    };
    // Two letters are no proof: a text may begin with "BM" or "MZ".
    by_magic.filter(|_| Sample::of(bytes).is_binary() || bytes.starts_with(b"%!PS")).or_else(container)
}

/// The beginning of a text, decoded far enough to look at.
struct Sample {
    text: String,
    control: usize,
}

impl Sample {
    fn of(bytes: &[u8]) -> Self {
        let head = bytes.get(..SAMPLE_BYTES.min(bytes.len())).unwrap_or_default();
        let text = crate::charset::decode_head(head);
        let control = text
            .chars()
            .filter(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}' | '\u{1b}'))
            .count();
        Self { text, control }
    }

    /// NUL and other control characters stand in no text; a stray one is forgiven.
    fn is_binary(&self) -> bool {
        self.control * 50 > self.text.chars().count().max(1)
    }
}

fn by_look(sample: &Sample, extension: &str) -> Format {
    let text = sample.text.trim_start_matches('\u{feff}').trim_start();
    if let Some(format) = markup(text) {
        return format;
    }
    if looks_like_json(text, extension) {
        return if markup::is_notebook(text, extension) { Format::Ipynb } else { Format::Json };
    }
    if looks_like_mail(text.as_bytes()) {
        return Format::Eml;
    }
    match extension {
        "csv" => Format::Csv,
        "tsv" | "tab" => Format::Tsv,
        "md" | "markdown" | "mdown" | "mkd" => Format::Markdown,
        "rst" | "rest" => Format::Rst,
        "tex" | "latex" | "ltx" => Format::Latex,
        "org" => Format::Org,
        "htm" | "html" | "xhtml" if text.contains('<') => Format::Html,
        "eml" if text.lines().next().is_some_and(is_mail_header) => Format::Eml,
        "txt" | "text" | "log" => Format::Text,
        _ if markup::looks_like_latex(text) => Format::Latex,
        _ if markup::looks_like_org(text) => Format::Org,
        _ if markup::looks_like_rst(text) => Format::Rst,
        _ if is_delimited(text, '\t') => Format::Tsv,
        _ if is_delimited(text, ',') || is_delimited(text, ';') => Format::Csv,
        _ if looks_like_markdown(text) => Format::Markdown,
        _ => Format::Text,
    }
}

/// What a fragment of HTML begins with.
const HTML_ELEMENTS: [&str; 19] = [
    "<head", "<body", "<title", "<meta", "<div", "<span", "<p>", "<p ", "<h1", "<h2", "<table", "<ul", "<ol",
    "<a ", "<script", "<style", "<br", "<b>", "<article",
];

/// The kind of `OpenDocument` whose type is named in this piece of XML, and what stands before the name.
fn open_document_type(xml: &str) -> Option<(&str, Format)> {
    let (before, kind) = xml.split_once("application/vnd.oasis.opendocument.")?;
    let format = [("text", Format::Odt), ("spreadsheet", Format::Ods), ("presentation", Format::Odp)]
        .into_iter()
        .find_map(|(name, format)| kind.starts_with(name).then_some(format))?;
    Some((before.trim_end_matches(['"', '\'']), format))
}

/// `OpenDocument` as one XML file names its type at its root; its manifest names it too, and is no document.
fn flat_open_document(lower: &str) -> Option<Format> {
    open_document_type(lower).filter(|(before, _)| before.ends_with("mimetype=")).map(|(_, format)| format)
}

fn markup(text: &str) -> Option<Format> {
    if !text.starts_with('<') {
        return None;
    }
    let lower = text.get(..floor(text, 2048)).unwrap_or(text).to_ascii_lowercase();
    let html = |mark: &str| lower.contains(mark);
    if html("<!doctype html") || html("<html") {
        return Some(Format::Html);
    }
    if lower.starts_with("<?xml") || lower.starts_with("<!doctype") {
        return Some(flat_open_document(&lower).unwrap_or(Format::Xml));
    }
    if HTML_ELEMENTS.iter().any(|element| lower.starts_with(element)) {
        return Some(Format::Html);
    }
    if lower.starts_with("<!--") {
        return Some(if HTML_ELEMENTS.iter().any(|element| html(element)) {
            Format::Html
        } else {
            Format::Xml
        });
    }
    let named = text.get(1..)?.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    let closes = text.contains("</") || text.contains("/>");
    (named && closes).then_some(Format::Xml)
}

fn looks_like_json(text: &str, extension: &str) -> bool {
    let named = matches!(extension, "json" | "jsonl" | "ndjson" | "geojson" | "ipynb");
    let mut rest = text.chars().filter(|c| !c.is_whitespace());
    match (rest.next(), rest.next()) {
        (Some('{'), Some('"' | '}')) => true,
        (Some('['), Some(next)) => {
            named || matches!(next, '{' | '[' | '"' | ']') && text.contains([',', ']'])
        }
        (Some('"' | '{' | '-' | '0'..='9'), _) => named,
        _ => named && !text.is_empty(),
    }
}

/// Whether the first line separates messages, and there is another such line, or the name says that there might be. One
/// message may come with the line that stood before it in its mailbox.
fn is_mailbox(bytes: &[u8], extension: &str) -> bool {
    let bytes = bytes.trim_ascii_start();
    let another = || {
        memchr::memmem::find_iter(bytes, b"\nFrom ")
            .any(|at| mbox::after_separator(bytes.get(at + 1..).unwrap_or_default()).is_some())
    };
    mbox::after_separator(bytes).is_some() && (matches!(extension, "mbox" | "mbx") || another())
}

/// Header fields that hardly anything but a mail message begins with.
const TELLING: [&str; 8] =
    ["from", "to", "subject", "date", "received", "message-id", "mime-version", "return-path"];

fn looks_like_mail(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head.get(..SAMPLE_BYTES.min(head.len())).unwrap_or_default());
    let mut telling = 0;
    for (i, line) in text.lines().enumerate() {
        let continues = line.starts_with([' ', '\t']);
        let mbox = i == 0 && line.starts_with("From ");
        if line.is_empty() {
            break;
        }
        if continues || mbox {
            continue;
        }
        if !is_mail_header(line) {
            // A sample may end in the middle of a header.
            return telling >= 3;
        }
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        telling += usize::from(TELLING.contains(&name.as_str()));
    }
    telling >= 2
}

/// A field name of RFC 5322 and its colon.
fn is_mail_header(line: &str) -> bool {
    line.split_once(':').is_some_and(|(name, _)| {
        !name.is_empty() && name.len() < 80 && name.bytes().all(|b| b.is_ascii_graphic())
    })
}

/// Whether at least three lines hold the same number of fields, and more than one.
fn is_delimited(text: &str, delimiter: char) -> bool {
    let complete = if text.len() >= SAMPLE_BYTES / 2 {
        text.rsplit_once('\n').map_or(text, |(all, _)| all)
    } else {
        text
    };
    let mut lines = complete.lines().filter(|line| !line.trim().is_empty()).take(20);
    let Some(first) = lines.next() else { return false };
    let fields = |line: &str| {
        let mut quoted = false;
        line.chars()
            .filter(|c| {
                quoted ^= *c == '"';
                *c == delimiter && !quoted
            })
            .count()
    };
    let expected = fields(first);
    let prose = first.matches(". ").count() > 1;
    let others = lines.map(fields).collect::<Vec<_>>();
    expected >= 1 && !prose && others.len() >= 2 && others.iter().all(|count| *count == expected)
}

fn looks_like_markdown(text: &str) -> bool {
    let mut marks = 0;
    for line in text.lines().take(200) {
        let heading = line.trim_start_matches('#');
        marks +=
            usize::from(line.len() - heading.len() <= 6 && line.starts_with('#') && heading.starts_with(' '));
        marks += usize::from(line.starts_with("```") || line.starts_with("| ") && line.ends_with('|'));
        marks += usize::from(line.contains("](") && line.contains('['));
    }
    marks >= 2
}

/// The last character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}
