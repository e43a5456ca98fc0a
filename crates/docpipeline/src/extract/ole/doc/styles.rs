//! What the styles of paragraphs say about them.

use super::super::numbers_at::u16_at;
use super::header::{Header, Table};
use super::runs::Paragraph;

/// Chains of styles are short; a loop of them is cut here.
const LONGEST_CHAIN: usize = 16;

/// The number of the style that is based on none.
const NO_STYLE: u16 = 0x0fff;

/// The number of the built-in style of titles.
const TITLE: u16 = 62;

/// The styles by their number.
#[derive(Default)]
pub(super) struct Styles(Vec<Style>);

#[derive(Clone, Copy, Default)]
struct Style {
    based_on: Option<u16>,
    level: Option<u8>,
    list: Option<u16>,
    depth: Option<u8>,
}

impl Styles {
    pub(super) fn read(header: &Header<'_>, tables: &[u8]) -> Self {
        Self::of_table(header.table(Table::Styles, tables), header.is_unicode).unwrap_or_default()
    }

    fn of_table(table: &[u8], is_unicode: bool) -> Option<Self> {
        let head_size = usize::from(u16_at(table, 0)?);
        let base_size = usize::from(u16_at(table, 4)?);
        let mut rest = table.get(2 + head_size..)?;
        let mut styles = Vec::new();
        while let Some(length) = u16_at(rest, 0).map(usize::from) {
            let body = rest.get(2..).unwrap_or_default();
            styles.push(style(body.get(..length).unwrap_or(body), base_size, is_unicode).unwrap_or_default());
            rest = body.get(length + length % 2..).unwrap_or_default();
        }
        Some(Self(styles))
    }

    /// The properties of a paragraph, with those that it has from its style.
    pub(super) fn complete(&self, mut paragraph: Paragraph) -> Paragraph {
        let mut next = Some(paragraph.style);
        for _ in 0..LONGEST_CHAIN {
            let Some(style) = next.and_then(|number| self.0.get(usize::from(number))) else { break };
            paragraph.level = paragraph.level.or(style.level);
            paragraph.list = paragraph.list.or(style.list);
            paragraph.depth = paragraph.depth.or(style.depth);
            next = style.based_on;
        }
        paragraph
    }
}

/// [MS-DOC] 2.9.260.
fn style(raw: &[u8], base_size: usize, is_unicode: bool) -> Option<Style> {
    let built_in = u16_at(raw, 0)? & 0x0fff;
    let kind_and_base = u16_at(raw, 2)?;
    let is_of_paragraphs = kind_and_base & 0x0f == 1;
    let base = kind_and_base >> 4;
    let mut own = Paragraph::default();
    if is_of_paragraphs && is_unicode {
        // Behind the name and its NUL, the properties of paragraphs with the style before them.
        let name_size = 2 + 2 * usize::from(u16_at(raw, base_size)?) + 2;
        let properties = raw.get(base_size + name_size..).unwrap_or_default();
        let length = u16_at(properties, 0).map_or(0, usize::from);
        // A style of paragraphs defines no rows.
        let _no_row = own.change(properties.get(4..2 + length).unwrap_or_default(), true, &[]);
    }
    let level = match built_in {
        1..=9 => u8::try_from(built_in).ok(),
        TITLE => Some(1),
        _ => None,
    };
    Some(Style {
        based_on: (base != NO_STYLE).then_some(base),
        level: level.filter(|_| is_of_paragraphs).or(own.level),
        list: own.list,
        depth: own.depth,
    })
}
