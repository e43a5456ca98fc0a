//! From bytes in any encoding to text.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::budget::Budget;
use crate::error::Result;

/// How much of a text without a mark is looked at to guess its encoding.
const SAMPLE_BYTES: usize = 16 << 10;

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

fn unmarked(bytes: &[u8], declared: Option<&str>) -> &'static Encoding {
    if simdutf8::basic::from_utf8(bytes).is_ok() && unmarked_utf16(bytes).is_none() {
        return UTF_8;
    }
    if let Some(encoding) = declared.and_then(|label| Encoding::for_label(label.trim().as_bytes())) {
        // A document that can be read as far as its declaration is not in UTF-16, whatever it says.
        return if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding };
    }
    if let Some(encoding) = unmarked_utf16(bytes) {
        return encoding;
    }
    let sample = bytes.get(..SAMPLE_BYTES.min(bytes.len())).unwrap_or_default();
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Allow);
    detector.feed(sample, sample.len() == bytes.len());
    detector.guess(None, chardetng::Utf8Detection::Allow)
}

/// UTF-16 without a mark: text mostly of one script has the same high byte at every other place, and for Latin text
/// that byte is zero.
pub(crate) fn unmarked_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = bytes.get(..(SAMPLE_BYTES.min(bytes.len())) & !1).unwrap_or_default();
    if sample.len() < 4 {
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
