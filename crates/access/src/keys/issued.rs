//! A key that was just made.

use std::fmt;

use zeroize::Zeroizing;

use super::record::KeyRecord;
use super::text::KeyId;

/// A key that was just made: its text, which nobody can show again. Wiped from memory when it is dropped.
pub struct IssuedKey {
    text: Zeroizing<String>,
    record: KeyRecord,
}

impl IssuedKey {
    pub(super) fn new(text: Zeroizing<String>, record: KeyRecord) -> Self {
        Self { text, record }
    }

    /// The key itself, to be shown to its owner once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Its public name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.record.id
    }

    /// What is stored of it.
    #[must_use]
    pub fn record(&self) -> &KeyRecord {
        &self.record
    }
}

impl fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuedKey({})", self.record.id)
    }
}
