//! Properties of paragraphs and characters, by where the text stands: pages of 512 bytes (FKPs) with a list of places
//! at their beginning and lists of changes at their end.

use std::ops::Range;

use super::super::numbers_at::{u16_at, u32_at, usize_at};
use super::changes::{Changes, TABLE};
use super::header::{Header, Table};
use crate::budget::Budget;
use crate::error::Result;

const PAGE: usize = 512;

/// What the properties of a paragraph say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Paragraph {
    pub(super) style: u16,
    pub(super) in_table: bool,
    /// Whether it is the mark of the end of a row.
    pub(super) ends_row: bool,
    /// The outline level, where the paragraph sets its own: 0 for none.
    pub(super) level: Option<u8>,
    pub(super) list: Option<u16>,
    pub(super) depth: Option<u8>,
    /// Which of all lists of edges is that of the cells of the row.
    edges: Option<usize>,
}

impl Paragraph {
    /// Applies a list of changes; `data` is the stream that long lists stand in. Gives the edges of the cells of the
    /// row, if it tells of them.
    pub(super) fn change(&mut self, list: &[u8], is_unicode: bool, data: &[u8]) -> Option<Vec<i16>> {
        let mut edges = None;
        for change in Changes::new(list, is_unicode) {
            match change.code {
                0x2416 => self.in_table = change.is_set(),
                0x2417 => self.ends_row = change.is_set(),
                // 9 means body text.
                0x2640 => self.level = change.u8().map(|level| if level < 9 { level + 1 } else { 0 }),
                0x260a => self.depth = change.u8(),
                0x460b => self.list = change.u16(),
                0x6646 | 0x6645 => {
                    let list = change.usize().and_then(|at| data.get(at..)).unwrap_or_default();
                    let length = u16_at(list, 0).map_or(0, usize::from);
                    // One list that stands elsewhere, not one after another.
                    let list = list.get(2..2 + length).unwrap_or_default();
                    edges = self.change(list, is_unicode, &[]).or(edges);
                }
                TABLE => edges = change.edges(),
                _ => {}
            }
        }
        edges
    }
}

/// The properties of all paragraphs.
#[derive(Default)]
pub(super) struct Paragraphs {
    runs: Vec<(Range<u32>, Paragraph)>,
    edges: Vec<Vec<i16>>,
}

impl Paragraphs {
    pub(super) fn read(
        header: &Header<'_>,
        stream: &[u8],
        tables: &[u8],
        data: &[u8],
        budget: &Budget,
    ) -> Result<Self> {
        let place_size = if header.is_unicode { 13 } else { 7 };
        let Self { mut runs, mut edges } = Self::default();
        for page in pages(header, Table::ParagraphRuns, stream, tables) {
            for (places, offset) in entries(page, place_size) {
                budget.tick()?;
                let mut paragraph = Paragraph::default();
                if let Some(list) = offset.and_then(|at| paragraph_list(page, at)) {
                    paragraph.style = u16_at(list, 0).unwrap_or(0);
                    let list = list.get(2..).unwrap_or_default();
                    if let Some(of_row) = paragraph.change(list, header.is_unicode, data) {
                        paragraph.edges = Some(edges.len());
                        edges.push(of_row);
                    }
                }
                runs.push((places, paragraph));
            }
        }
        runs.sort_by_key(|(places, _)| places.start);
        Ok(Self { runs, edges })
    }

    /// Whether nothing is known of any paragraph.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The edges of the cells of the row that this paragraph ends; empty where they are not known.
    pub(super) fn edges(&self, paragraph: Paragraph) -> &[i16] {
        paragraph.edges.and_then(|index| self.edges.get(index)).map_or(&[], Vec::as_slice)
    }

    /// The properties of the paragraph whose mark stands at this place.
    pub(super) fn at(&self, place: usize) -> Paragraph {
        let Ok(place) = u32::try_from(place) else { return Paragraph::default() };
        let next = self.runs.partition_point(|(places, _)| places.start <= place);
        let found = next.checked_sub(1).and_then(|i| self.runs.get(i));
        found
            .filter(|(places, _)| places.contains(&place))
            .map(|(_, paragraph)| *paragraph)
            .unwrap_or_default()
    }
}

/// The places of characters that are no text: deleted while changes were tracked, or signs of a symbol font.
pub(super) fn omissions(
    header: &Header<'_>,
    stream: &[u8],
    tables: &[u8],
    budget: &Budget,
) -> Result<Vec<Range<usize>>> {
    let mut omitted: Vec<Range<usize>> = Vec::new();
    for page in pages(header, Table::CharacterRuns, stream, tables) {
        for (places, offset) in entries(page, 1) {
            budget.tick()?;
            let Some(at) = offset else { continue };
            let length = page.get(at).copied().map_or(0, usize::from);
            let list = page.get(at + 1..at + 1 + length).unwrap_or_default();
            let is_omitted = Changes::new(list, header.is_unicode)
                .any(|change| change.code == 0x6a09 || change.code == 0x0800 && change.is_set());
            if let (true, Ok(start), Ok(end)) =
                (is_omitted, usize::try_from(places.start), usize::try_from(places.end))
            {
                omitted.push(start..end);
            }
        }
    }
    omitted.sort_by_key(|range| range.start);
    // Nothing is left of one that the one before it covers.
    let mut end = 0;
    omitted.retain_mut(|range| {
        range.start = range.start.max(end);
        end = end.max(range.end);
        range.start < range.end
    });
    Ok(omitted)
}

/// The pages of a kind, in order. No more of them than the stream has, whatever the table says.
fn pages<'s>(header: &Header<'_>, table: Table, stream: &'s [u8], tables: &[u8]) -> Vec<&'s [u8; PAGE]> {
    let table = header.table(table, tables);
    let number_size = if header.is_unicode { 4 } else { 2 };
    let count = table.len().saturating_sub(4) / (4 + number_size);
    let page = |i: usize| {
        let at = 4 * (count + 1) + number_size * i;
        let number = if header.is_unicode {
            // The upper ten bits mean nothing.
            usize_at(table, at)? & 0x3f_ffff
        } else {
            usize::from(u16_at(table, at)?)
        };
        stream.get(number.checked_mul(PAGE)?..)?.first_chunk()
    };
    (0..count).filter_map(page).take(stream.len() / PAGE).collect()
}

/// The runs of a page: their places in the stream, and where on the page their list stands, if they have one.
fn entries(page: &[u8; PAGE], place_size: usize) -> impl Iterator<Item = (Range<u32>, Option<usize>)> {
    let count = page.last().copied().map_or(0, usize::from);
    (0..count).map_while(move |i| {
        let (start, end) = (u32_at(page, 4 * i)?, u32_at(page, 4 * i + 4)?);
        let offset = page.get(4 * (count + 1) + place_size * i).copied()?;
        Some((start..end, (offset > 0).then_some(2 * usize::from(offset))))
    })
}

/// The style of a paragraph and its list of changes.
fn paragraph_list(page: &[u8; PAGE], at: usize) -> Option<&[u8]> {
    let (start, length) = match page.get(at)? {
        0 => (at + 2, 2 * usize::from(*page.get(at + 1)?)),
        words => (at + 1, 2 * usize::from(*words) - 1),
    };
    page.get(start..start + length)
}
