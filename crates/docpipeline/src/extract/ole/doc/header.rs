//! The header of the main stream (FIB): what the document is, and where its tables stand.

use std::ops::Range;

use encoding_rs::{BIG5, EUC_KR, Encoding, MACINTOSH, SHIFT_JIS, WINDOWS_1252};

use super::super::numbers_at::{u16_at, u32_at, usize_at};
use crate::error::{Error, Result};
use crate::extract::code_pages::of_code_page;
use crate::format::Format;

/// Tables by their place in the header ([MS-DOC] 2.5.6): the same in all versions.
#[derive(Debug, Clone, Copy)]
pub(super) enum Table {
    Styles = 1,
    FootnoteReferences = 2,
    Footnotes = 3,
    CommentReferences = 4,
    Comments = 5,
    Headers = 11,
    CharacterRuns = 12,
    ParagraphRuns = 13,
    Pieces = 33,
    CommentAuthors = 36,
    EndnoteReferences = 46,
    Endnotes = 47,
    ListDefinitions = 73,
    Lists = 74,
}

/// The parts that the text of a document has, in the order in which they follow one another.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Body = 0,
    Footnotes = 1,
    Headers = 2,
    Comments = 4,
    Endnotes = 5,
    TextBoxes = 6,
    HeaderTextBoxes = 7,
}

/// The header of a document.
pub(super) struct Header<'s> {
    bytes: &'s [u8],
    /// Word 97 and later; Word 6 and 95 otherwise.
    pub(super) is_unicode: bool,
    /// Whether characters before Word 97 have two bytes each, as in East Asian editions.
    pub(super) is_wide: bool,
    /// The encoding of text that is not in UTF-16.
    pub(super) encoding: &'static Encoding,
}

impl<'s> Header<'s> {
    pub(super) fn read(bytes: &'s [u8]) -> Result<Self> {
        let version = u16_at(bytes, 2).unwrap_or(0);
        // A document without any text has them all the same.
        if version < 101 || bytes.len() < 0x160 {
            return Err(Error::malformed(
                Format::Doc,
                "the document does not begin as one of Word 6 to 2003",
            ));
        }
        let is_unicode = version >= 190;
        let mut header = Self { bytes, is_unicode, is_wide: false, encoding: WINDOWS_1252 };
        header.is_wide = !is_unicode && header.flags() & 0x1000 != 0;
        if header.flags() & 0x0100 != 0 {
            return Err(Error::Encrypted { format: Format::Doc });
        }
        let is_macintosh = u16_at(bytes, 0x14) == Some(256);
        let language = u16_at(bytes, 6).unwrap_or(0);
        if !is_unicode {
            header.encoding = match u16_at(bytes, 0) {
                // Japanese, Korean and Chinese editions, whatever the language of the text.
                Some(0xa697) => SHIFT_JIS,
                Some(0xa698) => EUC_KR,
                Some(0xa699) => BIG5,
                _ if is_macintosh => MACINTOSH,
                _ => encoding_of_language(language),
            };
        }
        Ok(header)
    }

    fn flags(&self) -> u16 {
        u16_at(self.bytes, 0x0a).unwrap_or(0)
    }

    /// The stream that the tables stand in; before Word 97 they stand in this one.
    pub(super) fn table_stream(&self) -> Option<&'static str> {
        let name = if self.flags() & 0x0200 == 0 { "0Table" } else { "1Table" };
        self.is_unicode.then_some(name)
    }

    /// The bytes of a table; empty where there is none.
    pub(super) fn table<'t>(&self, table: Table, stream: &'t [u8]) -> &'t [u8] {
        let rest = self.tail(table, stream);
        let length = usize_at(self.bytes, self.place(table) + 4).unwrap_or(0);
        rest.get(..length).unwrap_or(rest)
    }

    /// What stands from the beginning of a table on.
    pub(super) fn tail<'t>(&self, table: Table, stream: &'t [u8]) -> &'t [u8] {
        // Word 6 and 95 keep those of the end of the list elsewhere.
        if !self.is_unicode && table as usize > Table::Pieces as usize {
            return &[];
        }
        // Word 6 and 95 keep those of the end of the list elsewhere.
        if !self.is_unicode && table as usize > Table::Pieces as usize {
            return &[];
        }
        let is_there = usize_at(self.bytes, self.place(table) + 4).is_some_and(|length| length > 0);
        let start = usize_at(self.bytes, self.place(table)).filter(|_| is_there);
        start.and_then(|start| stream.get(start..)).unwrap_or_default()
    }

    /// Where the header says where a table stands, and behind that how long it is.
    fn place(&self, table: Table) -> usize {
        (if self.is_unicode { 0x9a } else { 0x58 }) + 8 * table as usize
    }

    /// The positions of the characters of a part of the text.
    pub(super) fn part(&self, part: Part) -> Range<u32> {
        let lengths = if self.is_unicode { 0x4c } else { 0x34 };
        let length = |i: usize| u32_at(self.bytes, lengths + 4 * i).unwrap_or(0);
        let start = (0..part as usize).map(length).fold(0, u32::saturating_add);
        start..start.saturating_add(length(part as usize))
    }

    /// Where the text stands in a document without a table of pieces.
    pub(super) fn simple_text(&self) -> (usize, u32) {
        let (start, end) = (u32_at(self.bytes, 0x18).unwrap_or(0), u32_at(self.bytes, 0x1c).unwrap_or(0));
        (usize::try_from(start).unwrap_or(usize::MAX), end.saturating_sub(start))
    }
}

/// The code page of Windows in a language, by the primary part of its number ([MS-LCID]).
fn encoding_of_language(language: u16) -> &'static Encoding {
    let page = match language & 0x3ff {
        0x01 | 0x20 | 0x29 => 1256,
        0x02 | 0x19 | 0x22 | 0x23 | 0x2f => 1251,
        0x04 if matches!(language, 0x0804 | 0x1004) => 936,
        0x04 => 950,
        0x05 | 0x0e | 0x15 | 0x18 | 0x1a | 0x1b | 0x1c | 0x24 => 1250,
        0x08 => 1253,
        0x0d => 1255,
        0x11 => 932,
        0x12 => 949,
        0x1e => 874,
        0x1f => 1254,
        0x25..=0x27 => 1257,
        0x2a => 1258,
        _ => 1252,
    };
    of_code_page(page)
}
