//! The lists of a document: what they are counted by ([MS-DOC] 2.9.131 and the tables around it).

use std::collections::HashMap;

use super::super::numbers_at::{u16_at, u32_at};
use super::header::{Header, Table};
use crate::budget::Budget;
use crate::error::Result;
use crate::extract::numbering::{LEVELS, LONGEST_PATTERN, Level, List, Numbering};
use crate::extract::ordinals::Counting;

/// Reads the definitions of lists, and the lists that paragraphs refer to.
pub(super) fn read_lists(header: &Header<'_>, tables: &[u8], budget: &Budget) -> Result<Numbering> {
    let mut numbering = Numbering::default();
    let definitions = header.table(Table::ListDefinitions, tables);
    let heads = definitions.get(2..).unwrap_or_default().as_chunks::<28>().0;
    let heads = heads.get(..u16_at(definitions, 0).map_or(0, usize::from)).unwrap_or(heads);
    // The levels stand behind the table, as if they did not belong to it.
    let mut levels = Reader(header.tail(Table::ListDefinitions, tables).get(2 + 28 * heads.len()..));
    for head in heads {
        let definition = u32_at(head, 0).unwrap_or(0);
        let is_simple = head.get(26).is_some_and(|flags| flags & 1 != 0);
        for depth in 0..if is_simple { 1 } else { LEVELS } {
            budget.tick()?;
            let Some(level) = levels.level() else { break };
            numbering.define(definition, depth, level);
        }
    }
    let lists = header.table(Table::Lists, tables);
    let heads = lists.get(4..).unwrap_or_default().as_chunks::<16>().0;
    let count = u32_at(lists, 0).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let heads = heads.get(..count).unwrap_or(heads);
    let mut overrides = Reader(lists.get(4 + 16 * heads.len()..));
    for (id, head) in (1..).zip(heads) {
        budget.tick()?;
        let definition = u32_at(head, 0).unwrap_or(0);
        let restarts = overrides.restarts(head.get(12).copied().unwrap_or(0)).unwrap_or_default();
        numbering.add(id, List { definition, restarts });
    }
    Ok(numbering)
}

/// Reads what follows the heads of a table; `None` once something was missing.
struct Reader<'s>(Option<&'s [u8]>);

impl<'s> Reader<'s> {
    fn take(&mut self, count: usize) -> Option<&'s [u8]> {
        let (taken, rest) = self.0?.split_at_checked(count).unzip();
        self.0 = rest;
        taken
    }

    /// A level: its head, changes to paragraphs and characters, and what stands before an item.
    fn level(&mut self) -> Option<Level> {
        let head = self.take(28)?;
        let changes = usize::from(*head.get(24)?) + usize::from(*head.get(25)?);
        self.take(changes)?;
        let length = usize::from(u16_at(self.take(2)?, 0)?);
        let text = self.take(2 * length)?.as_chunks::<2>().0.iter().map(|raw| u16::from_le_bytes(*raw));
        let mut pattern = String::new();
        for c in char::decode_utf16(text).flatten().take(LONGEST_PATTERN) {
            // The lowest characters stand for the counts of the levels.
            match u32::from(c) {
                depth @ 0..9 => pattern.extend(['%', char::from_digit(depth + 1, 10)?]),
                _ => pattern.push(c),
            }
        }
        Some(Level { counting: counting(*head.get(4)?), start: u32_at(head, 0)?, pattern })
    }

    /// Where the counting of a list begins anew, by level.
    fn restarts(&mut self, count: u8) -> Option<HashMap<usize, u32>> {
        self.take(4)?;
        let mut restarts = HashMap::new();
        for _ in 0..count {
            let head = self.take(8)?;
            let flags = u16_at(head, 4)?;
            let depth = usize::from(flags & 0x0f);
            let level = if flags & 0x20 == 0 { None } else { self.level() };
            if flags & 0x10 != 0 && depth < LEVELS {
                restarts.insert(depth, level.map_or(u32_at(head, 0)?, |level| level.start));
            }
        }
        Some(restarts)
    }
}

/// [MS-OSHARED] 2.2.1.3; numbers that are not printed here are counted in digits.
fn counting(format: u8) -> Counting {
    match format {
        1 => Counting::UpperRoman,
        2 => Counting::LowerRoman,
        3 => Counting::UpperLetter,
        4 => Counting::LowerLetter,
        23 => Counting::Bullet,
        255 => Counting::None,
        _ => Counting::Decimal,
    }
}
