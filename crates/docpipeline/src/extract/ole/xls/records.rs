//! The records of a workbook (BIFF), and texts that go on from one record into the next.

use encoding_rs::Encoding;

use super::super::numbers_at::{u16_at, usize_at};

/// The record that holds more of the one before it.
const CONTINUE: u16 = 0x3c;

/// The record that begins a part of the workbook.
pub(super) const BOF: u16 = 0x0809;
/// The record that ends one.
pub(super) const EOF: u16 = 0x0a;

/// How texts are kept: in UTF-16 of which the upper half may be left out, or before Excel 97 in a code page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edition {
    pub(super) unicode: bool,
    pub(super) encoding: &'static Encoding,
}

/// A record; shorter than it says where the stream ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'s> {
    pub(super) kind: u16,
    pub(super) data: &'s [u8],
}

/// The records from one place of the stream on.
pub(super) struct Records<'s> {
    rest: &'s [u8],
}

impl<'s> Records<'s> {
    pub(super) fn new(stream: &'s [u8]) -> Self {
        Self { rest: stream }
    }

    /// The text that begins in `record`, and the records that it goes on in.
    pub(super) fn continued(&mut self, record: Record<'s>) -> Continued<'s> {
        let mut parts = vec![record.data];
        // Where the stream ends within the head of a record, there is none.
        while u16_at(self.rest, 0) == Some(CONTINUE)
            && let Some(record) = self.next()
        {
            parts.push(record.data);
        }
        Continued { parts: parts.into_iter(), part: &[], units: Vec::new() }.begun()
    }
}

impl<'s> Iterator for Records<'s> {
    type Item = Record<'s>;

    fn next(&mut self) -> Option<Record<'s>> {
        let kind = u16_at(self.rest, 0)?;
        let length = usize::from(u16_at(self.rest, 2)?);
        let body = self.rest.get(4..)?;
        let (data, rest) = body.split_at(length.min(body.len()));
        self.rest = rest;
        Some(Record { kind, data })
    }
}

/// Reads on from record to record.
pub(super) struct Continued<'s> {
    parts: std::vec::IntoIter<&'s [u8]>,
    part: &'s [u8],
    /// Characters of the text being read.
    units: Vec<u16>,
}

impl<'s> Continued<'s> {
    fn begun(mut self) -> Self {
        self.next_part();
        self
    }

    /// Passes over what is left of this record.
    pub(super) fn end_part(&mut self) {
        self.part = &[];
    }

    /// Goes to the next record; false at the end.
    fn next_part(&mut self) -> bool {
        self.part = self.parts.next().unwrap_or_default();
        !self.part.is_empty()
    }

    /// Takes `count` bytes of this record, or of the next where this one is used up.
    pub(super) fn take(&mut self, count: usize) -> Option<&'s [u8]> {
        if self.part.is_empty() {
            self.next_part();
        }
        let (taken, rest) = self.part.split_at_checked(count)?;
        self.part = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        u16_at(self.take(2)?, 0)
    }

    /// Passes over bytes, whatever records they stand in.
    fn skip(&mut self, mut count: usize) {
        while count > 0 {
            if self.part.is_empty() && !self.next_part() {
                return;
            }
            let (skipped, rest) = self.part.split_at(count.min(self.part.len()));
            count -= skipped.len();
            self.part = rest;
        }
    }

    /// A text with its length before it, in one byte or two.
    pub(super) fn text(&mut self, short: bool, edition: Edition) -> Option<String> {
        let length = if short { u16::from(self.u8()?) } else { self.u16()? };
        if !edition.unicode {
            return Some(self.bytes(usize::from(length), edition.encoding));
        }
        let flags = self.u8()?;
        let runs = if flags & 0x08 == 0 { 0 } else { self.u16()? };
        let phonetic = if flags & 0x04 == 0 { 0 } else { usize_at(self.take(4)?, 0)? };
        let text = self.characters(usize::from(length), flags & 1 != 0);
        self.skip(4 * usize::from(runs));
        self.skip(phonetic);
        Some(text)
    }

    /// `count` characters. Where a text goes on in the next record, that one begins by saying anew whether it keeps
    /// their upper half.
    pub(super) fn characters(&mut self, count: usize, mut wide: bool) -> String {
        self.units.clear();
        while self.units.len() < count {
            if self.part.is_empty() {
                if !self.next_part() {
                    break;
                }
                wide = self.u8().is_some_and(|flags| flags & 1 != 0);
            }
            let left = count - self.units.len();
            if wide {
                let (units, odd) = self.part.as_chunks::<2>();
                let taken = units.get(..left).unwrap_or(units);
                self.units.extend(taken.iter().map(|raw| u16::from_le_bytes(*raw)));
                let lost = if taken.len() == units.len() { odd.len() } else { 0 };
                self.part = self.part.get(2 * taken.len() + lost..).unwrap_or_default();
            } else {
                let (taken, rest) = self.part.split_at(left.min(self.part.len()));
                self.units.extend(taken.iter().map(|byte| u16::from(*byte)));
                self.part = rest;
            }
        }
        String::from_utf16_lossy(&self.units)
    }

    fn bytes(&mut self, count: usize, encoding: &'static Encoding) -> String {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            if self.part.is_empty() && !self.next_part() {
                break;
            }
            let (taken, rest) = self.part.split_at((count - bytes.len()).min(self.part.len()));
            bytes.extend_from_slice(taken);
            self.part = rest;
        }
        encoding.decode_without_bom_handling(&bytes).0.into_owned()
    }
}
