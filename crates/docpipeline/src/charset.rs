//! From bytes in any encoding to text.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::budget::Budget;
use crate::error::Result;

/// How much of a text without a mark is looked at to guess its encoding.
const SAMPLE_BYTES: usize = 16 << 10;

/// How much ASCII before the first other character is looked at with it: the word that it stands in.
const CONTEXT_BYTES: usize = 32;

/// Decodes a text: by its byte order mark, as UTF-8 where it is valid, by `declared` (the label of an HTML, XML or
/// MIME declaration) where that is known, and by statistics otherwise. Bytes that do not decode become U+FFFD.
///
/// Gives the text without its mark, and the encoding's name. UTF-8 is not copied.
///
/// # Errors
///
/// The decoded text is charged as [`Limit::ExpandedBytes`](crate::Limit) where it is a copy.
pub(crate) fn decode<'a>(
    bytes: &'a [u8],
    declared: Option<&str>,
    budget: &Budget,
) -> Result<(Cow<'a, str>, &'static str)> {
    if let Some((text, name)) = utf32(bytes) {
        budget.expanded(text.len())?;
        return Ok((Cow::Owned(text), name));
    }
    let (encoding, mark) = match Encoding::for_bom(bytes) {
        Some((encoding, length)) => (encoding, length),
        None => (unmarked(bytes, declared), 0),
    };
    let body = bytes.get(mark..).unwrap_or_default();
    let (text, _) = encoding.decode_without_bom_handling(body);
    if let Cow::Owned(text) = &text {
        budget.expanded(text.len())?;
    }
    Ok((text, encoding.name()))
}

/// The beginning of a text, for a look at what it is; the last character may be cut.
pub(crate) fn decode_head(head: &[u8]) -> String {
    if let Some((text, _)) = utf32(head) {
        return text;
    }
    let encoding = Encoding::for_bom(head).map(|(encoding, _)| encoding).or_else(|| unmarked_utf16(head));
    match encoding {
        Some(encoding) => encoding.decode(head).0.into_owned(),
        None => String::from_utf8_lossy(head).into_owned(),
    }
}

/// UTF-32 with its mark, without it. The encodings of the Web know none, so it is decoded here.
fn utf32(bytes: &[u8]) -> Option<(String, &'static str)> {
    let (mark, body) = bytes.split_first_chunk::<4>()?;
    let (unit, name): (fn([u8; 4]) -> u32, _) = match mark {
        // As UTF-16 this would be a text that begins with NUL.
        b"\xff\xfe\0\0" => (u32::from_le_bytes, "UTF-32LE"),
        b"\0\0\xfe\xff" => (u32::from_be_bytes, "UTF-32BE"),
        _ => return None,
    };
    let (units, _cut) = body.as_chunks::<4>();
    let characters = units.iter().map(|raw| char::from_u32(unit(*raw)));
    Some((characters.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect(), name))
}

fn unmarked(bytes: &[u8], declared: Option<&str>) -> &'static Encoding {
    // ISO-2022-JP is ASCII to look at, but for the escapes to its other sets.
    let escape = memchr::memmem::find(bytes, b"\x1b$");
    let is_utf8 = simdutf8::basic::from_utf8(bytes).is_ok();
    if is_utf8 && escape.is_none() && unmarked_utf16(bytes).is_none() {
        return UTF_8;
    }
    if let Some(encoding) = declared.and_then(|label| Encoding::for_label(label.trim().as_bytes())) {
        // A document that can be read as far as its declaration is not in UTF-16, whatever it says.
        return if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding };
    }
    if let Some(encoding) = unmarked_utf16(bytes) {
        return encoding;
    }
    // Only what is not ASCII tells encodings apart, and it may come late.
    let telling = Encoding::ascii_valid_up_to(bytes).min(escape.unwrap_or(bytes.len()));
    let rest = bytes.get(telling.saturating_sub(CONTEXT_BYTES)..).unwrap_or_default();
    let sample = rest.get(..SAMPLE_BYTES.min(rest.len())).unwrap_or_default();
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Allow);
    detector.feed(sample, sample.len() == rest.len());
    detector.guess(None, chardetng::Utf8Detection::Allow)
}

/// UTF-16 without a mark: text mostly of one script has the same high byte at every other place, and for Latin text
/// that byte is zero.
fn unmarked_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = bytes.get(..(SAMPLE_BYTES.min(bytes.len())) & !1).unwrap_or_default();
    if sample.len() < 4 || memchr::memchr(0, sample).is_none() {
        return None;
    }
    let zeros = |offset: usize| sample.iter().skip(offset).step_by(2).filter(|b| **b == 0).count();
    let (even, odd, units) = (zeros(0), zeros(1), sample.len() / 2);
    if odd * 10 > units * 4 && even * 20 < units {
        Some(UTF_16LE)
    } else if even * 10 > units * 4 && odd * 20 < units {
        Some(UTF_16BE)
    } else {
        None
    }
}
