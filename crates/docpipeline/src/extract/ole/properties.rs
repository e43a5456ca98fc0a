//! What a document says about itself: property sets ([MS-OLEPS]).

use encoding_rs::Encoding;

use super::compound::CompoundFile;
use super::numbers_at::{i32_at, u16_at, u32_at, u64_at, usize_at, utf16};
use crate::dates::civil;
use crate::document::Metadata;
use crate::draft::Draft;
use crate::error::Result;
use crate::extract::code_pages::of_code_page;
use crate::format::Format;

/// More properties than any writer knows.
const MOST_PROPERTIES: usize = 256;

/// Reads title, author, dates and the like into the metadata.
pub(super) fn read_properties(file: &CompoundFile<'_>, format: Format, draft: &mut Draft<'_>) -> Result<()> {
    for (name, is_summary) in [("\u{5}SummaryInformation", true), ("\u{5}DocumentSummaryInformation", false)]
    {
        let Some(stream) = file.stream(name) else { continue };
        let bytes = file.read(stream, draft.budget())?;
        // The first set of the stream; a second one holds what users define.
        let Some(section) = usize_at(&bytes, 44).and_then(|at| bytes.get(at..)) else { continue };
        let found = properties(section);
        let encoding = found.iter().find(|(id, _)| *id == 1).and_then(|(_, raw)| u16_at(raw, 4));
        let encoding = of_code_page(encoding.map_or(1252, i32::from));
        let metadata = draft.metadata();
        for (id, raw) in found {
            match Value::of(raw, encoding) {
                Some(value) if is_summary => summary(id, &value, format, metadata),
                Some(Value::Text(text)) => document_summary(id, &text, metadata),
                _ => {}
            }
        }
    }
    Ok(())
}

/// The properties of a set: their ids, and the bytes from their type on.
fn properties(section: &[u8]) -> Vec<(u32, &[u8])> {
    let count = usize_at(section, 4).unwrap_or(0).min(MOST_PROPERTIES);
    let property = |i: usize| {
        let id = u32_at(section, 8 + 8 * i)?;
        Some((id, section.get(usize_at(section, 12 + 8 * i)?..)?))
    };
    (0..count).filter_map(property).collect()
}

enum Value {
    Text(String),
    /// A moment as ISO 8601.
    Moment(String),
    Number(i32),
}

impl Value {
    fn of(raw: &[u8], encoding: &'static Encoding) -> Option<Self> {
        match u16_at(raw, 0)? {
            3 => i32_at(raw, 4).map(Self::Number),
            30 => {
                let text = raw.get(8..)?;
                let text = text.get(..usize_at(raw, 4)?).unwrap_or(text);
                let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
                let (text, _) = encoding.decode_without_bom_handling(text.get(..end)?);
                Some(Self::Text(text.into_owned()))
            }
            31 => {
                let text = raw.get(8..)?;
                let text = text.get(..usize_at(raw, 4)?.saturating_mul(2)).unwrap_or(text);
                let end = text.chunks(2).position(|unit| unit == [0, 0]).unwrap_or(text.len() / 2);
                Some(Self::Text(utf16(text.get(..2 * end)?)))
            }
            64 => moment(u64_at(raw, 4)?).map(Self::Moment),
            _ => None,
        }
    }
}

/// A count of 100 nanoseconds since 1601. One in its first years is a time that somebody worked, not a date.
fn moment(ticks: u64) -> Option<String> {
    let seconds = i64::try_from(ticks / 10_000_000).ok()? - 11_644_473_600;
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    (1900..10_000)
        .contains(&year)
        .then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

/// [MS-OLEPS] 3.1.2.
fn summary(id: u32, value: &Value, format: Format, metadata: &mut Metadata) {
    match (id, value) {
        (2, Value::Text(text)) => metadata.set_title(text),
        (3, Value::Text(text)) => metadata.set_property("subject", text),
        (4, Value::Text(text)) => metadata.set_author(text),
        (5, Value::Text(text)) => metadata.set_property("keywords", text),
        (6, Value::Text(text)) => metadata.set_property("description", text),
        (8, Value::Text(text)) => metadata.set_property("lastModifiedBy", text),
        (12, Value::Moment(moment)) => metadata.set_created(moment),
        (13, Value::Moment(moment)) => metadata.set_modified(moment),
        (14, Value::Number(pages)) if *pages > 0 && format == Format::Doc => {
            metadata.pages = u32::try_from(*pages).ok();
        }
        (18, Value::Text(text)) => metadata.set_property("producer", text),
        _ => {}
    }
}

/// [MS-OSHARED] 2.3.3.2.1.
fn document_summary(id: u32, text: &str, metadata: &mut Metadata) {
    match id {
        2 => metadata.set_property("category", text),
        15 => metadata.set_property("company", text),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn moments_are_counted_from_1601() {
        assert_eq!(moment(133_485_408_000_000_000).as_deref(), Some("2024-01-01T00:00:00Z"));
        assert_eq!(moment(36_000_000_000), None);
        assert_eq!(moment(u64::MAX), None);
    }
}
