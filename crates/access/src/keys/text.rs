//! The text of an API key: `prefix_id_secret_checksum`.

use std::fmt;

use zeroize::Zeroizing;

use crate::random::{BASE62, base62};
use crate::{Error, Refusal};

const ID: usize = 16;
const SECRET: usize = 43;
const CHECKSUM: usize = 6;
/// The longest prefix.
pub(crate) const LONGEST_PREFIX: usize = 16;

/// The public name of an API key: 16 letters and digits (95 bits), which logs and events may show.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; ID]);

impl KeyId {
    /// Reads what [`Display`](fmt::Display) has written.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; ID] = text.as_bytes().try_into().ok()?;
        is_base62(&bytes).then_some(Self(bytes))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Letters and digits, or it would not have been made.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(crate) fn draw() -> Result<Self, Error> {
        Ok(Self(*base62::<ID>()?))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A well-formed API key, whose checksum holds. Nobody has looked yet whether it is known.
///
/// A checksum costs nothing to make, so it keeps no attacker away: it keeps typing errors away from the store, and lets a scanner
/// tell a leaked key from random text.
pub struct KeyText<'a> {
    prefix: &'a str,
    id: KeyId,
    secret: &'a [u8; SECRET],
}

impl<'a> KeyText<'a> {
    /// The longest text that can be a key, in bytes.
    pub const LONGEST: usize = LONGEST_PREFIX + ID + SECRET + CHECKSUM + 3;

    /// Reads a key. Allocates nothing, and looks at no more than [`LONGEST`](Self::LONGEST) bytes.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooLarge`], [`Refusal::Malformed`] or [`Refusal::Checksum`].
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > Self::LONGEST {
            return Err(Refusal::TooLarge);
        }
        let (rest, sum) = text.rsplit_once('_').ok_or(Refusal::Malformed)?;
        let (head, secret) = rest.rsplit_once('_').ok_or(Refusal::Malformed)?;
        let (prefix, id) = head.rsplit_once('_').ok_or(Refusal::Malformed)?;
        let secret: &[u8; SECRET] = secret.as_bytes().try_into().map_err(|_| Refusal::Malformed)?;
        let id = KeyId::parse(id).ok_or(Refusal::Malformed)?;
        if !is_prefix(prefix) || !is_base62(secret) || sum.len() != CHECKSUM {
            return Err(Refusal::Malformed);
        }
        // The checksum is no secret: it follows from the text.
        if checksum(rest.as_bytes()) != *sum.as_bytes() {
            return Err(Refusal::Checksum);
        }
        Ok(Self { prefix, id, secret })
    }

    /// Which application it is for, and what for: `docs_live`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.prefix
    }

    /// Its public name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    pub(crate) fn secret(&self) -> &[u8] {
        self.secret
    }
}

impl fmt::Debug for KeyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyText({}_{}_***)", self.prefix, self.id)
    }
}

/// A new key of this name.
pub(crate) fn draw(prefix: &str, id: KeyId) -> Result<Zeroizing<String>, Error> {
    let secret = base62::<SECRET>()?;
    // All of it at once: a text that grows leaves its beginning in memory.
    let mut text = Zeroizing::new(String::with_capacity(KeyText::LONGEST));
    for part in [prefix, "_", id.as_str(), "_"] {
        text.push_str(part);
    }
    text.extend(secret.iter().map(|sign| char::from(*sign)));
    let sum = checksum(text.as_bytes());
    text.push('_');
    text.extend(sum.map(char::from));
    Ok(text)
}

/// Small letters, digits and single `_` between them, 1 to 16, a letter first.
pub(crate) fn is_prefix(text: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=LONGEST_PREFIX).contains(&text.len())
        && text.bytes().all(sign)
        && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && !text.ends_with('_')
        && !text.contains("__")
}

fn is_base62(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_alphanumeric)
}

/// The CRC-32 as a number of six digits in base 62, the highest first.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut left = crc32(bytes);
    let mut text = [b'0'; CHECKSUM];
    for place in text.iter_mut().rev() {
        if let Some(sign) = BASE62.get(left as usize % 62) {
            *place = *sign;
        }
        left /= 62;
    }
    text
}

/// CRC-32 of ISO-HDLC, as zlib and Ethernet have it.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    let step = |sum: u32, byte: &u8| {
        let [low, ..] = sum.to_le_bytes();
        // Every byte has its place in a table of 256.
        TABLE.get(usize::from(low ^ byte)).map_or(sum, |entry| entry ^ (sum >> 8))
    };
    !bytes.iter().fold(!0, step)
}

#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "computed while compiling")]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut entry = index as u32;
        let mut bit = 0;
        while bit < 8 {
            entry = if entry & 1 == 1 { (entry >> 1) ^ 0xedb8_8320 } else { entry >> 1 };
            bit += 1;
        }
        table[index] = entry;
        index += 1;
    }
    table
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_32() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926); // the check value of the catalogue of CRCs
        assert_eq!(crc32(b""), 0);
        assert_eq!(&checksum(b""), b"000000");
    }
}
