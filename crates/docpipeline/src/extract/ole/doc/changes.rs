//! Lists of property changes (SPRMs): what differs from the style.

use super::super::numbers_at::u16_at;

/// The code of the change that defines the cells of a row.
pub(super) const TABLE: u16 = 0xd608;

/// A change: its code, and what it changes to.
pub(super) struct Change<'s> {
    pub(super) code: u16,
    operand: &'s [u8],
}

impl Change<'_> {
    pub(super) fn is_set(&self) -> bool {
        self.operand.first().is_some_and(|value| *value != 0)
    }

    pub(super) fn u8(&self) -> Option<u8> {
        self.operand.first().copied()
    }

    /// The edges of the cells of a row, from left to right: one more than there are cells.
    pub(super) fn edges(&self) -> Option<Vec<i16>> {
        let (count, places) = self.operand.split_first()?;
        let places = places.as_chunks::<2>().0.get(..=usize::from(*count))?;
        Some(places.iter().map(|raw| i16::from_le_bytes(*raw)).collect())
    }

    pub(super) fn u16(&self) -> Option<u16> {
        u16_at(self.operand, 0)
    }

    pub(super) fn usize(&self) -> Option<usize> {
        super::super::numbers_at::usize_at(self.operand, 0)
    }
}

/// The changes of a list, with the codes of Word 97.
pub(super) struct Changes<'s> {
    rest: &'s [u8],
    is_unicode: bool,
}

impl<'s> Changes<'s> {
    pub(super) fn new(list: &'s [u8], is_unicode: bool) -> Self {
        Self { rest: list, is_unicode }
    }
}

impl<'s> Iterator for Changes<'s> {
    type Item = Change<'s>;

    fn next(&mut self) -> Option<Change<'s>> {
        let (code, before, length) = if self.is_unicode { modern(self.rest)? } else { early(self.rest)? };
        let rest = self.rest.get(before..)?;
        let (operand, rest) = rest.split_at(length.min(rest.len()));
        self.rest = rest;
        Some(Change { code, operand })
    }
}

/// The code, the length of what stands before the operand, and that of the operand ([MS-DOC] 2.2.5).
fn modern(list: &[u8]) -> Option<(u16, usize, usize)> {
    let code = u16_at(list, 0)?;
    let variable = || list.get(2).copied().map(usize::from);
    Some(match code >> 13 {
        0 | 1 => (code, 2, 1),
        2 | 4 | 5 => (code, 2, 2),
        3 => (code, 2, 4),
        7 => (code, 2, 3),
        // The widths of the cells of a row: their length is in two bytes, and one too large.
        _ if code == TABLE => (code, 4, usize::from(u16_at(list, 2)?).saturating_sub(1)),
        // Tab stops: a length of 255 stands for one that their counts tell.
        _ if code == 0xc615 && variable()? == 255 => {
            let deleted = usize::from(*list.get(3)?);
            let added = usize::from(*list.get(4 + 4 * deleted)?);
            (code, 3, 2 + 4 * deleted + 3 * added)
        }
        _ => (code, 3, variable()?),
    })
}

/// The changes of Word 6 and 95 that are asked for, with their codes of Word 97. What follows one that is not known
/// cannot be read.
fn early(list: &[u8]) -> Option<(u16, usize, usize)> {
    let code = *list.first()?;
    let variable = || list.get(1).copied().map(usize::from);
    let modern = match code {
        24 => 0x2416,
        25 => 0x2417,
        65 => 0x0800,
        74 => 0x6a09,
        190 => TABLE,
        _ => 0,
    };
    Some(match code {
        4..=11 | 13 | 14 | 24 | 25 | 29 | 37 | 44 | 50 | 51 | 65..=67 | 71 | 75 | 185 | 186 => (modern, 1, 1),
        2 | 16..=19 | 21 | 22 | 26..=28 | 30..=36 | 38..=43 | 45..=49 | 69 | 72 | 80 | 182..=184 | 189 => {
            (modern, 1, 2)
        }
        73 => (modern, 1, 3),
        20 | 70 | 192 => (modern, 1, 4),
        187 => (modern, 1, 12),
        190 => (modern, 3, usize::from(u16_at(list, 1)?).saturating_sub(1)),
        3 | 12 | 15 | 23 | 52 | 68 | 74 | 188 | 191 => (modern, 2, variable()?),
        _ => return None,
    })
}
