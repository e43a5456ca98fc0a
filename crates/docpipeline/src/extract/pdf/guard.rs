//! Bombs in the streams that hayro decodes by itself, object streams and cross-reference streams: it has no bound of
//! its own, so they are undone here first, into nothing. All other streams are decoded under the budget.

use super::filters::Coding;
use super::tokens::unescaped;
use crate::budget::Budget;
use crate::error::{Error, Limit, Result};

/// How far before its data a stream's dictionary is looked for.
const DICTIONARY_BYTES: usize = 4 << 10;

/// Refuses a document with such a stream that would exceed what the budget lets it expand to.
///
/// Costs the decoding of these streams, a few hundredths of a document.
pub(super) fn refuse_bombs(pdf: &[u8], budget: &Budget) -> Result<()> {
    let (mut last_end, mut produced) = (0, 0);
    for at in memchr::memmem::find_iter(pdf, b"stream") {
        budget.tick()?;
        let after = pdf.get(at + 6..).unwrap_or_default();
        // "endstream" has neither; a lone carriage return is not allowed but read.
        let data = after
            .strip_prefix(b"\r\n")
            .or_else(|| after.strip_prefix(b"\n"))
            .or_else(|| after.strip_prefix(b"\r"));
        let Some(data) = data else { continue };
        let before = pdf.get(last_end.max(at.saturating_sub(DICTIONARY_BYTES))..at).unwrap_or_default();
        last_end = at;
        let dictionary =
            memchr::memmem::rfind(before, b" obj").map_or(before, |at| before.get(at..).unwrap_or(before));
        if is_decoded_unseen(dictionary) {
            produced = undone(data, dictionary, produced, budget)?;
        }
    }
    Ok(())
}

/// Whether a dictionary may be of a stream that hayro decodes: it has the entries of one, or escapes that could hide
/// them.
fn is_decoded_unseen(dictionary: &[u8]) -> bool {
    let has = |key: &[u8]| memchr::memmem::find(dictionary, key).is_some();
    has(b"/First") || has(b"/ObjStm") || has(b"/XRef") || has(b"#")
}

/// Undoes a stream, and adds what comes out to `produced`.
fn undone(data: &[u8], dictionary: &[u8], mut produced: u64, budget: &Budget) -> Result<u64> {
    let (most, max) = (budget.expandable(), budget.limits().expansion_ratio);
    let mut charge = |bytes: usize| {
        budget.tick()?;
        produced = produced.saturating_add(bytes as u64);
        if produced > most { Err(Error::OverLimit { limit: Limit::ExpansionRatio, max }) } else { Ok(()) }
    };
    let mut decoded = None;
    for coding in codings(dictionary) {
        decoded = Some(coding.decode(decoded.as_deref().unwrap_or(data), &mut charge)?);
    }
    Ok(produced)
}

/// The filters that a dictionary names, in order.
fn codings(dictionary: &[u8]) -> impl Iterator<Item = Coding> {
    const NAMES: [(&[u8], Coding); 10] = [
        (b"FlateDecode", Coding::Flate),
        (b"Fl", Coding::Flate),
        (b"LZWDecode", Coding::Lzw),
        (b"LZW", Coding::Lzw),
        (b"RunLengthDecode", Coding::RunLength),
        (b"RL", Coding::RunLength),
        (b"ASCII85Decode", Coding::Ascii85),
        (b"A85", Coding::Ascii85),
        (b"ASCIIHexDecode", Coding::AsciiHex),
        (b"AHx", Coding::AsciiHex),
    ];
    let names = dictionary.split(|byte| *byte == b'/').skip(1);
    names.filter_map(|name| {
        let name = unescaped(name);
        let end = name.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(name.len());
        let name = name.get(..end)?;
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, coding)| *coding)
    })
}
