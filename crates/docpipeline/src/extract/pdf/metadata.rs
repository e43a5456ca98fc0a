//! The document information dictionary (ISO 32000-1, 14.3.3).

use hayro_syntax::metadata::Metadata as Info;
use hayro_syntax::object::DateTime;

use crate::document::Metadata;

pub(super) fn read(info: &Info, metadata: &mut Metadata) {
    let text = |value: &Option<Box<[u8]>>| value.as_deref().map(text_string).unwrap_or_default();
    metadata.set_title(&text(&info.title));
    metadata.set_author(&text(&info.author));
    metadata.set_property("subject", &text(&info.subject));
    metadata.set_property("keywords", &text(&info.keywords));
    metadata.set_property("creator", &text(&info.creator));
    metadata.set_property("producer", &text(&info.producer));
    metadata.set_created(&info.creation_date.as_ref().map(date).unwrap_or_default());
    metadata.set_modified(&info.modification_date.as_ref().map(date).unwrap_or_default());
}

/// A text string (7.9.2.2): UTF-16 or UTF-8 with a mark, otherwise `PDFDocEncoding`, which is Latin-1 but for a few
/// characters that titles do not have.
pub(super) fn text_string(bytes: &[u8]) -> String {
    match encoding_rs::Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding.decode(bytes).0.into_owned(),
        None => encoding_rs::mem::decode_latin1(bytes).into_owned(),
    }
}

fn date(date: &DateTime) -> String {
    let DateTime { year, month, day, hour, minute, second, utc_offset_hour, utc_offset_minute } = *date;
    let day_and_time = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if (utc_offset_hour, utc_offset_minute) == (0, 0) {
        return format!("{day_and_time}Z");
    }
    let sign = if utc_offset_hour < 0 { '-' } else { '+' };
    format!("{day_and_time}{sign}{:02}:{:02}", utc_offset_hour.unsigned_abs(), utc_offset_minute)
}
