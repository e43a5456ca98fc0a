//! Keys of bounded size for everything that keeps state by key.

use std::fmt;
use std::sync::Arc;

use crate::error::{Classify, ErrorClass};

/// A key of a cache, a limiter, a lease: 1 to [`Key::MAX_BYTES`] bytes of UTF-8 without control characters.
///
/// The bound is what lets a store of a million keys promise how much memory it takes, and the missing control
/// characters are what lets a key stand in a log line. Cloning shares the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// The longest key, in bytes.
    pub const MAX_BYTES: usize = 256;

    /// Checks `text` and takes it as a key.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when the text is empty, longer than [`Key::MAX_BYTES`], or holds a control character.
    pub fn new(text: impl AsRef<str>) -> Result<Self, KeyError> {
        let text = text.as_ref();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(KeyError::TooLong { bytes: text.len() });
        }
        if let Some(at) = text.find(char::is_control) {
            return Err(KeyError::Control { at });
        }
        Ok(Self(text.into()))
    }

    /// The key's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", &*self.0)
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Key {
    type Error = KeyError;

    fn try_from(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

/// Why a text cannot be a [`Key`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no text.
    #[error("a key cannot be empty")]
    Empty,
    /// The text is over the limit; hash it to make a key of it.
    #[error("a key of {bytes} bytes is over the limit of {} bytes; use a hash of it", Key::MAX_BYTES)]
    TooLong {
        /// The length of the refused text.
        bytes: usize,
    },
    /// The text holds a control character.
    #[error("a key cannot hold a control character (at byte {at})")]
    Control {
        /// Where the first one stands, in bytes.
        at: usize,
    },
}

impl Classify for KeyError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}
