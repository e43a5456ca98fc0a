//! The records of a ZIP archive (APPNOTE.TXT 6.3.10, section 4).

use super::gzip::wrong;
use crate::error::{Code, Invalid};

pub(super) const LOCAL: [u8; 4] = *b"PK\x03\x04";
pub(super) const CENTRAL: [u8; 4] = *b"PK\x01\x02";
pub(super) const END: [u8; 4] = *b"PK\x05\x06";
pub(super) const END64: [u8; 4] = *b"PK\x06\x06";
pub(super) const LOCATOR64: [u8; 4] = *b"PK\x06\x07";
pub(super) const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";

/// What is known of an entry, from its own header or from the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) offset: u64,
    pub(super) method: u16,
    pub(super) compressed: u64,
    pub(super) inflated: u64,
    /// The name's hash.
    pub(super) name: u64,
}

/// The part of a header that has a fixed length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fixed {
    flags: u16,
    pub(super) method: u16,
    compressed: u32,
    inflated: u32,
    pub(super) name: usize,
    extra: usize,
    comment: usize,
    offset: u32,
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |two| u16::from_le_bytes(*two))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |four| u32::from_le_bytes(*four))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |eight| u64::from_le_bytes(*eight))
}

impl Fixed {
    /// Bytes of the fixed part with its signature, of an entry's own header.
    pub(super) const LOCAL: usize = 30;
    /// The same in the directory.
    pub(super) const CENTRAL: usize = 46;

    pub(super) fn local(bytes: &[u8]) -> Self {
        Self {
            flags: u16_at(bytes, 6),
            method: u16_at(bytes, 8),
            compressed: u32_at(bytes, 18),
            inflated: u32_at(bytes, 22),
            name: u16_at(bytes, 26).into(),
            extra: u16_at(bytes, 28).into(),
            comment: 0,
            offset: 0,
        }
    }

    pub(super) fn central(bytes: &[u8]) -> Self {
        Self {
            flags: u16_at(bytes, 8),
            method: u16_at(bytes, 10),
            compressed: u32_at(bytes, 20),
            inflated: u32_at(bytes, 24),
            name: u16_at(bytes, 28).into(),
            extra: u16_at(bytes, 30).into(),
            comment: u16_at(bytes, 32).into(),
            offset: u32_at(bytes, 42),
        }
    }

    /// Bytes that follow the fixed part.
    pub(super) fn following(&self) -> usize {
        self.name + self.extra + self.comment
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Whether the sizes come after the content.
    pub(super) fn has_descriptor(&self) -> bool {
        self.flags & 8 != 0
    }

    /// The name and the extra fields, of what follows.
    pub(super) fn split<'a>(&self, following: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let (name, rest) = following.split_at_checked(self.name).unwrap_or((following, &[]));
        (name, rest.get(..self.extra).unwrap_or(rest))
    }

    /// Sizes and offset, from the extra field of ZIP64 where they do not fit.
    pub(super) fn sizes(&self, extra: &[u8]) -> Result<(u64, u64, u64), Invalid> {
        let mut wide = field64(extra).unwrap_or_default();
        let mut value = |short: u32| {
            if short != u32::MAX {
                return Ok(u64::from(short));
            }
            let (value, rest) = wide.split_first_chunk().ok_or(wrong(
                Code::Syntax,
                "is an archive without sizes",
                "write it anew",
            ))?;
            wide = rest;
            Ok(u64::from_le_bytes(*value))
        };
        let inflated = value(self.inflated)?;
        let compressed = value(self.compressed)?;
        Ok((compressed, inflated, value(self.offset)?))
    }
}

/// The extra field of ZIP64, if there is one.
pub(super) fn field64(mut extra: &[u8]) -> Option<&[u8]> {
    while let [a, b, c, d, rest @ ..] = extra {
        let (field, rest) = rest.split_at_checked(u16::from_le_bytes([*c, *d]).into())?;
        if u16::from_le_bytes([*a, *b]) == 1 {
            return Some(field);
        }
        extra = rest;
    }
    None
}

/// Whether unpacking this name would write somewhere else.
pub(super) fn leads_out(name: &[u8]) -> bool {
    let separated = |byte: &u8| matches!(byte, b'/' | b'\\');
    name.split(separated).any(|part| part == b"..")
        || name.first().is_some_and(separated)
        || matches!(name, [letter, b':', ..] if letter.is_ascii_alphabetic())
        || name.contains(&0)
}
