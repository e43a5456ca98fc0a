//! The Merkle tree of RFC 6962 (and RFC 9162): its hashes, its proofs, and how they are checked without the log.
//!
//! ```
//! use buttress_audit::merkle::{CompactRange, leaf_hash, verify_inclusion};
//!
//! let (first, second) = (leaf_hash(b"first"), leaf_hash(b"second"));
//! let mut tree = CompactRange::default();
//! tree.push(first);
//! tree.push(second);
//! // That `first` is entry 0 of 2 is proved by the hash beside it.
//! verify_inclusion(&first, 0, 2, &[second], &tree.root())?;
//! assert!(verify_inclusion(&second, 0, 2, &[second], &tree.root()).is_err());
//! # Ok::<(), buttress_audit::Error>(())
//! ```

mod prove;
mod range;
mod verify;

pub(crate) use prove::{Nodes, consistency, inclusion, nodes_below, position, root_at};
pub use range::CompactRange;
pub use verify::{verify_consistency, verify_inclusion};

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use ring::digest::{Context, SHA256, digest};

use crate::Error;

/// A SHA-256. Shown in hexadecimal; notes hold it in Base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
#[serde(into = "String")]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The length in bytes.
    pub const LENGTH: usize = 32;

    /// Of some bytes.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(part);
        }
        Self::taken(context.finish().as_ref())
    }

    fn taken(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Self(hash)
    }

    /// Its first bytes.
    pub(crate) fn start<const N: usize>(&self) -> [u8; N] {
        let mut start = [0; N];
        start.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        start
    }

    /// In Base64, padded.
    #[must_use]
    pub fn to_base64(&self) -> String {
        BASE64.encode(&self.0)
    }

    /// From Base64, padded.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for anything but 32 bytes in canonical Base64.
    pub fn from_base64(text: &str) -> Result<Self, Error> {
        let bytes = crate::wire::from_base64(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| Error::malformed("a hash is not 32 bytes in Base64"))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

impl FromStr for Hash {
    type Err = Error;

    /// From hexadecimal.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| Error::malformed("a hash is not 64 hexadecimal digits"))
    }
}

/// The hash of an entry: SHA-256 of the byte 0 and its canonical bytes (RFC 9162, section 2.1.1).
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    Hash::of(&[&[0], bytes])
}

/// The hash of two hashes beside each other: SHA-256 of the byte 1 and both.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes.iter_mut().skip(1).zip(left.0.iter().chain(&right.0)).for_each(|(to, from)| *to = *from);
    Hash::taken(digest(&SHA256, &bytes).as_ref())
}
