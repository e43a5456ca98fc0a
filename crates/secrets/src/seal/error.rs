//! Why something cannot be sealed or opened.

use buttress_core::{Classify, ErrorClass};

use super::{KeyId, MAX_KEYS};

/// Why something cannot be sealed or opened. Nothing of a key or a plain text is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// It does not begin like sealed data.
    #[error("this is no sealed data: it does not begin with its header")]
    NotSealed,
    /// It was written by a newer program.
    #[error("it is sealed in version {0} of the format, and this program knows version 1: update it")]
    Version(u8),
    /// The size of a segment cannot be.
    #[error("a segment cannot have this size: it must be a power of two from 1KiB to 1MiB")]
    SegmentSize,
    /// The key is not in the ring.
    #[error(
        "it is sealed with key {0}, which the ring does not hold: add that key, or restore it from a backup"
    )]
    UnknownKey(KeyId),
    /// The header does not fit the key and the purpose.
    #[error(
        "its header was changed, or it was sealed with another key of this number or for another purpose"
    )]
    Header,
    /// A segment was changed, or is not where it belongs.
    #[error("it was changed after it was sealed: segment {0} is not authentic")]
    Segment(u64),
    /// It ends before its last segment does.
    #[error("it ends early: segment {0} is not whole, or is not the last")]
    Truncated(u64),
    /// There is no room in the stream for more.
    #[error("it is too long for one stream: at most 2^32 segments fit, choose larger ones")]
    TooLong,
    /// A key has the wrong length.
    #[error("a key has 32 bytes, and this one has {0}")]
    KeyLength(usize),
    /// The ring holds another key of that number.
    #[error("the ring holds a key {0} already: give the new key a number of its own")]
    DuplicateKey(KeyId),
    /// The ring is full.
    #[error("a ring holds at most {MAX_KEYS} keys: reseal what the oldest sealed, and leave them out")]
    TooManyKeys,
    /// The system has no random numbers to give.
    #[error("the system gives no random numbers")]
    NoRandom,
}

impl Classify for SealError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NotSealed | Self::SegmentSize | Self::KeyLength(_) => ErrorClass::Invalid,
            Self::Version(_) => ErrorClass::Unsupported,
            Self::UnknownKey(_) => ErrorClass::NotFound,
            Self::Header | Self::Segment(_) | Self::Truncated(_) => ErrorClass::Corrupt,
            Self::TooLong | Self::TooManyKeys => ErrorClass::TooLarge,
            Self::DuplicateKey(_) => ErrorClass::Conflict,
            Self::NoRandom => ErrorClass::Unavailable,
        }
    }
}

impl From<SealError> for std::io::Error {
    fn from(error: SealError) -> Self {
        let kind = match error.class() {
            ErrorClass::Invalid | ErrorClass::Unsupported | ErrorClass::Corrupt => {
                std::io::ErrorKind::InvalidData
            }
            _ => std::io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
