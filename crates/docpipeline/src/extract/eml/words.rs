//! Header fields whose encoded words (RFC 2047) were cut apart within a character, or that are in no encoding at all.

use crate::budget::Budget;
use crate::charset::decode;
use crate::error::Result;

/// The text of a field. Words next to each other in the same encoding are decoded as one, because many programs cut
/// them without regard to characters; what stands outside of words is decoded by its looks.
pub(super) fn decode_field(raw: &[u8], budget: &Budget) -> Result<String> {
    let mut text = String::new();
    let mut pending: Option<(String, Vec<u8>)> = None;
    let mut rest = raw.trim_ascii();
    while !rest.is_empty() {
        budget.tick()?;
        if let Some((charset, bytes, length)) = word(rest) {
            match &mut pending {
                Some((open, gathered)) if open.eq_ignore_ascii_case(charset) => gathered.extend(bytes),
                _ => {
                    flush(&mut pending, &mut text, budget)?;
                    pending = Some((charset.to_owned(), bytes));
                }
            }
            rest = rest.get(length..).unwrap_or_default();
            let after = rest.trim_ascii_start();
            // White space between words only separates them.
            if word(after).is_some() {
                rest = after;
            }
            continue;
        }
        flush(&mut pending, &mut text, budget)?;
        let end =
            memchr::memmem::find(rest.get(1..).unwrap_or_default(), b"=?").map_or(rest.len(), |at| at + 1);
        let (plain, tail) = rest.split_at(end);
        text.push_str(&decode(plain, None, budget)?.0);
        rest = tail;
    }
    flush(&mut pending, &mut text, budget)?;
    Ok(text.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
}

fn flush(pending: &mut Option<(String, Vec<u8>)>, text: &mut String, budget: &Budget) -> Result<()> {
    if let Some((charset, bytes)) = pending.take() {
        text.push_str(&decode(&bytes, Some(&charset), budget)?.0);
    }
    Ok(())
}

/// The encoded word that `raw` begins with: its encoding, its bytes, and its length.
fn word(raw: &[u8]) -> Option<(&str, Vec<u8>, usize)> {
    let inside = raw.strip_prefix(b"=?")?;
    // Longer words are forbidden, and none is met that is much longer.
    let inside = inside.get(..inside.len().min(1000))?;
    let mut parts = inside.splitn(3, |b| *b == b'?');
    let charset = std::str::from_utf8(parts.next()?).ok()?;
    let (encoding, content) = (parts.next()?, parts.next()?);
    let end = memchr::memmem::find(content, b"?=")?;
    let encoded = content.get(..end)?;
    let length = 2 + charset.len() + 1 + encoding.len() + 1 + end + 2;
    let bytes = match encoding {
        b"b" | b"B" => mail_parser::decoders::base64::base64_decode(encoded)?,
        b"q" | b"Q" => {
            let spaced: Vec<u8> = encoded.iter().map(|b| if *b == b'_' { b' ' } else { *b }).collect();
            mail_parser::decoders::quoted_printable::quoted_printable_decode(&spaced)?
        }
        _ => return None,
    };
    // A language may follow the encoding's name (RFC 2231, section 5).
    Some((charset.split('*').next().unwrap_or(charset), bytes, length))
}
