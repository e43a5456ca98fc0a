//! Large keys by their content.

use std::fmt;

/// The BLAKE3 hash of what a key stands for: 32 bytes, however large that is. Two contents with one hash cannot be found.
///
/// ```
/// use buttress_cache::HashedKey;
///
/// let key = HashedKey::of(b"a whole document");
/// assert_eq!(key, HashedKey::of_parts([b"a whole document".as_slice()]));
/// // Parts are kept apart.
/// assert_ne!(HashedKey::of_parts(["ab", "c"]), HashedKey::of_parts(["a", "bc"]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct HashedKey([u8; 32]);

impl HashedKey {
    /// The key of some content.
    #[must_use]
    pub fn of(content: impl AsRef<[u8]>) -> Self {
        Self::of_parts([content])
    }

    /// The key of several contents together, as of a document and the configuration it is read with.
    #[must_use]
    pub fn of_parts(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            let part = part.as_ref();
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for HashedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for HashedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashedKey({self})")
    }
}
