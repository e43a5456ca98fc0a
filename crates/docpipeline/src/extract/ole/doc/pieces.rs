//! The text of a document: pieces that lie anywhere in the main stream, in 8 bits or 16 bits a character.

use std::borrow::Cow;
use std::ops::Range;

use encoding_rs::Encoding;

use super::super::numbers_at::{u16_at, u32_at, usize_at, utf16};
use super::header::{Header, Table};
use crate::budget::Budget;
use crate::error::Result;

/// A run of characters of the text, by their positions, and where they stand.
#[derive(Debug, Clone)]
struct Piece {
    positions: Range<u32>,
    at: usize,
    wide: bool,
}

/// The text of a document.
pub(super) struct Pieces<'s> {
    stream: &'s [u8],
    runs: Vec<Piece>,
    is_unicode: bool,
    encoding: &'static Encoding,
}

impl<'s> Pieces<'s> {
    /// Finds the pieces; a document that has no table of them is one piece.
    pub(super) fn read(header: &Header<'_>, stream: &'s [u8], tables: &[u8]) -> Self {
        let mut pieces = piece_table(header.table(Table::Pieces, tables))
            .map(|table| pieces_of(table, header))
            .unwrap_or_default();
        if pieces.is_empty() {
            let (at, length) = header.simple_text();
            let length = if header.is_wide { length / 2 } else { length };
            pieces.push(Piece { positions: 0..length, at, wide: header.is_wide });
        }
        Self { stream, runs: pieces, is_unicode: header.is_unicode, encoding: header.encoding }
    }

    /// The characters at these positions, one token after another. Field instructions and what stands at `omitted`
    /// places of the stream are left out.
    pub(super) fn tokens<'p>(
        &'p self,
        positions: Range<u32>,
        omitted: &'p [Range<usize>],
        budget: &'p Budget,
    ) -> Tokens<'p> {
        let first = self.runs.partition_point(|piece| piece.positions.end <= positions.start);
        let waiting = self.runs.get(first..).unwrap_or_default().iter();
        Tokens { text: self, waiting, positions, omitted, budget, span: None, fields: Vec::new() }
    }
}

impl Pieces<'_> {
    fn decode<'t>(&self, raw: &'t [u8], wide: bool) -> Cow<'t, str> {
        match (wide, self.is_unicode) {
            (false, _) => self.encoding.decode_without_bom_handling(raw).0,
            (true, true) => Cow::Owned(utf16(raw)),
            (true, false) => {
                // One byte or two of the encoding, in the order of the machine.
                let units = raw.as_chunks::<2>().0.iter();
                let bytes = units.flat_map(|[low, high]| [*high, *low]).filter(|byte| *byte != 0);
                let bytes: Vec<u8> = bytes.collect();
                Cow::Owned(self.encoding.decode_without_bom_handling(&bytes).0.into_owned())
            }
        }
    }
}

/// The table of pieces behind the property changes that stand before it.
fn piece_table(mut table: &[u8]) -> Option<&[u8]> {
    while let (Some(1), Some(length)) = (table.first(), u16_at(table, 1)) {
        table = table.get(3 + usize::from(length)..)?;
    }
    let (2, body) = (table.first()?, table.get(5..)?) else { return None };
    Some(usize_at(table, 1).and_then(|length| body.get(..length)).unwrap_or(body))
}

fn pieces_of(table: &[u8], header: &Header<'_>) -> Vec<Piece> {
    let count = table.len().saturating_sub(4) / 12;
    let mut pieces: Vec<Piece> = Vec::new();
    for i in 0..count {
        let place = u32_at(table, 4 * (count + 1) + 8 * i + 2);
        let (Some(start), Some(end), Some(place)) = (u32_at(table, 4 * i), u32_at(table, 4 * i + 4), place)
        else {
            break;
        };
        let before = pieces.last().map_or(0, |piece| piece.positions.end);
        if start >= end || start < before {
            continue;
        }
        let is_compressed = place & 0x4000_0000 != 0;
        let at = usize::try_from(place & 0x3fff_ffff).unwrap_or(usize::MAX);
        pieces.push(match (header.is_unicode, is_compressed) {
            (true, false) => Piece { positions: start..end, at, wide: true },
            (true, true) => Piece { positions: start..end, at: at / 2, wide: false },
            (false, _) => Piece { positions: start..end, at, wide: header.is_wide },
        });
    }
    pieces
}

/// A part of the text.
#[derive(Debug)]
pub(super) enum Token<'s> {
    /// Characters that stand for themselves.
    Text(Cow<'s, str>),
    /// One that marks something: its code, its position, and its place in the stream.
    Mark { code: u8, position: u32, at: usize },
}

/// Reads the text token by token.
pub(super) struct Tokens<'p> {
    text: &'p Pieces<'p>,
    waiting: std::slice::Iter<'p, Piece>,
    positions: Range<u32>,
    omitted: &'p [Range<usize>],
    budget: &'p Budget,
    span: Option<Span<'p>>,
    /// Of each field that is open, whether its instructions are being read.
    fields: Vec<bool>,
}

/// What is left of a piece.
struct Span<'p> {
    bytes: &'p [u8],
    position: u32,
    at: usize,
    wide: bool,
}

impl<'p> Tokens<'p> {
    pub(super) fn next(&mut self) -> Result<Option<Token<'p>>> {
        loop {
            self.budget.tick()?;
            let Some(mut span) = self.span.take().or_else(|| self.next_span()) else { return Ok(None) };
            let Some(first) = span.unit(0) else { continue };
            let (position, at) = (span.position, span.at);
            if let Some(code) = mark(first) {
                span.skip(1);
                let is_omitted = self.omission(at).contains(&at) && !matches!(code, 0x07 | 0x0d);
                self.span = Some(span);
                if !is_omitted && self.is_visible(code)? {
                    return Ok(Some(Token::Mark { code, position, at }));
                }
                continue;
            }
            let omission = self.omission(at);
            let is_omitted = omission.contains(&at);
            let end = if is_omitted { omission.end } else { omission.start };
            let taken = span.text((end - at).max(1));
            let wide = span.wide;
            self.span = Some(span);
            if is_omitted || self.fields.contains(&true) {
                continue;
            }
            return Ok(Some(Token::Text(self.text.decode(taken, wide))));
        }
    }

    /// Whether what was read last is the result of a field.
    pub(super) fn is_in_field(&self) -> bool {
        !self.fields.is_empty()
    }

    /// The next piece as far as it is asked for and there.
    fn next_span(&mut self) -> Option<Span<'p>> {
        let piece = self.waiting.next()?;
        let start = piece.positions.start.max(self.positions.start);
        let end = piece.positions.end.min(self.positions.end);
        let length = usize::try_from(end.checked_sub(start)?).ok()?;
        let width = if piece.wide { 2 } else { 1 };
        let before = usize::try_from(start - piece.positions.start).ok()?;
        let at = piece.at.saturating_add(before.saturating_mul(width));
        let rest = self.text.stream.get(at..).unwrap_or_default();
        let bytes = rest.get(..length.saturating_mul(width)).unwrap_or(rest);
        Some(Span { bytes, position: start, at, wide: piece.wide })
    }

    /// The omission that `at` stands in, or the next one behind it.
    fn omission(&self, at: usize) -> Range<usize> {
        let next = self.omitted.partition_point(|range| range.end <= at);
        self.omitted.get(next).cloned().unwrap_or(usize::MAX..usize::MAX)
    }

    /// Keeps account of fields: instructions, and behind a mark their result.
    fn is_visible(&mut self, code: u8) -> Result<bool> {
        match code {
            0x13 => {
                self.budget.nesting(self.fields.len() + 1)?;
                self.fields.push(true);
            }
            0x14 => {
                if let Some(field) = self.fields.last_mut() {
                    *field = false;
                }
            }
            0x15 => {
                self.fields.pop();
            }
            _ => return Ok(!self.fields.contains(&true)),
        }
        Ok(false)
    }
}

/// Whether a character is one of those that mark something.
fn mark(unit: u16) -> Option<u8> {
    u8::try_from(unit).ok().filter(|code| *code < 0x20)
}

impl<'p> Span<'p> {
    fn unit(&self, index: usize) -> Option<u16> {
        if self.wide { u16_at(self.bytes, 2 * index) } else { self.bytes.get(index).copied().map(u16::from) }
    }

    fn skip(&mut self, units: usize) -> &'p [u8] {
        let width = if self.wide { 2 } else { 1 };
        let (skipped, rest) = self.bytes.split_at((units * width).min(self.bytes.len()));
        self.bytes = rest;
        self.at += skipped.len();
        self.position = self.position.saturating_add(u32::try_from(units).unwrap_or(u32::MAX));
        skipped
    }

    /// Takes characters up to the next mark, from at most so many bytes.
    fn text(&mut self, most: usize) -> &'p [u8] {
        let bytes = self.bytes.get(..most).unwrap_or(self.bytes);
        let units = if self.wide {
            let units = bytes.as_chunks::<2>().0;
            units.iter().position(|raw| mark(u16::from_le_bytes(*raw)).is_some()).unwrap_or(units.len())
        } else {
            bytes.iter().position(|byte| *byte < 0x20).unwrap_or(bytes.len())
        };
        self.skip(units.max(1))
    }
}
