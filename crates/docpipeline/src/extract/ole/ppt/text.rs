//! The text of a shape: its paragraphs with their levels.

use super::super::numbers_at::{u16_at, u32_at, usize_at, utf16};
use super::records::{Record, kind};
use crate::budget::Budget;
use crate::error::Result;

/// What a text is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Role {
    /// The title of the slide, with its level as heading.
    Title(u8),
    /// The main text, with bullets unless it says otherwise.
    Body,
    #[default]
    Text,
}

/// A text out of the list of slides, or out of a shape.
#[derive(Debug, Clone, Default)]
pub(super) struct Text {
    pub(super) role: Role,
    pub(super) paragraphs: Vec<Paragraph>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Paragraph {
    pub(super) text: String,
    pub(super) level: usize,
    /// What the paragraph itself says about its bullet.
    pub(super) bullet: Option<bool>,
}

/// A text in the making: its characters and what describes them stand in records one after another.
#[derive(Default)]
pub(super) struct TextRecords<'s> {
    role: Role,
    characters: Vec<u16>,
    /// Where a character stands for a number or a date that is put in when the slide is shown.
    fields: Vec<usize>,
    style: &'s [u8],
}

impl<'s> TextRecords<'s> {
    /// The text that begins with this record.
    pub(super) fn begin(header: Record<'s>) -> Self {
        let role = match u32_at(header.data, 0) {
            Some(0) => Role::Title(2),
            Some(6) => Role::Title(1),
            Some(1 | 7 | 8) => Role::Body,
            _ => Role::Text,
        };
        Self { role, ..Self::default() }
    }

    pub(super) fn add(&mut self, record: Record<'s>) {
        let units = || record.data.as_chunks::<2>().0.iter().map(|raw| u16::from_le_bytes(*raw));
        match record.kind {
            kind::TEXT_CHARS => self.characters.extend(units()),
            kind::TEXT_BYTES => self.characters.extend(record.data.iter().map(|byte| u16::from(*byte))),
            kind::TEXT_STYLE => self.style = record.data,
            kind::SLIDE_NUMBER | kind::DATE_TIME..=kind::FOOTER | kind::RTF_DATE_TIME => {
                self.fields.extend(usize_at(record.data, 0));
            }
            _ => {}
        }
    }

    /// The paragraphs; no more of them than could be written.
    pub(super) fn finish(mut self, budget: &Budget) -> Result<Text> {
        self.fields.sort_unstable();
        let mut runs = StyleRuns { rest: self.style, left: 0, level: 0, bullet: None };
        let mut paragraphs = Vec::new();
        let (mut at, mut held) = (0, 0);
        for line in self.characters.split(|unit| *unit == 0x0d) {
            let (level, bullet) = runs.take(line.len() + 1);
            let units =
                line.iter().enumerate().filter(|(i, _)| self.fields.binary_search(&(at + i)).is_err());
            let units = units.map(|(_, unit)| if *unit == 0x0b { u16::from(b'\n') } else { *unit });
            let text = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
            let paragraph = Paragraph { text: text.collect(), level, bullet };
            held += paragraph.text.len() + size_of::<Paragraph>();
            budget.tick()?;
            budget.room(held)?;
            paragraphs.push(paragraph);
            at += line.len() + 1;
        }
        Ok(Text { role: self.role, paragraphs })
    }
}

/// The properties of paragraphs, each for a number of characters ([MS-PPT] 2.9.44).
struct StyleRuns<'s> {
    rest: &'s [u8],
    /// How many characters the present properties still hold for.
    left: usize,
    level: usize,
    bullet: Option<bool>,
}

impl StyleRuns<'_> {
    /// The level and the bullet of the next paragraph, which has so many characters.
    fn take(&mut self, characters: usize) -> (usize, Option<bool>) {
        if self.left == 0 && self.next().is_none() {
            // Where they cannot be read any more, the last ones hold for the rest.
            self.rest = &[];
            self.left = usize::MAX;
        }
        self.left = self.left.saturating_sub(characters);
        (self.level, self.bullet)
    }

    fn next(&mut self) -> Option<()> {
        self.left = usize_at(self.rest, 0).filter(|count| *count > 0)?;
        self.level = usize::from(u16_at(self.rest, 4)?).min(8);
        let present = u32_at(self.rest, 6)?;
        let rest = self.rest.get(10..)?;
        self.bullet = if present & 1 == 0 { None } else { Some(u16_at(rest, 0)? & 1 != 0) };
        // What follows stands there only if its bit says so: its mask and its size.
        let before_tabs: [(u32, usize); 11] = [
            (0x0f, 2),
            (0x80, 2),
            (0x10, 2),
            (0x40, 2),
            (0x20, 4),
            (0x0800, 2),
            (0x1000, 2),
            (0x2000, 2),
            (0x4000, 2),
            (0x0100, 2),
            (0x0400, 2),
        ];
        let size = |fields: &[(u32, usize)]| -> usize {
            fields.iter().filter(|(mask, _)| present & mask != 0).map(|(_, size)| size).sum()
        };
        let mut at = size(&before_tabs) + size(&[(0x8000, 2)]);
        if present & 0x10_0000 != 0 {
            at += 2 + 4 * usize::from(u16_at(rest, at)?);
        }
        at += size(&[(0x1_0000, 2), (0xe_0000, 2), (0x20_0000, 2)]);
        self.rest = rest.get(at..)?;
        Some(())
    }
}

/// A string outside of shapes.
pub(super) fn string(record: Record<'_>) -> String {
    utf16(record.data)
}
