//! Where blobs are, as an object says it.

use serde::{Deserialize, Serialize};

use super::BlobKind;
use super::crypto::OVERHEAD;
use crate::Id;

/// An index object: some packs, and what is in them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexFile {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) supersedes: Vec<Id>,
    pub(crate) packs: Vec<IndexedPack>,
}

/// A pack and its blobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexedPack {
    pub(crate) id: Id,
    pub(crate) blobs: Vec<IndexedBlob>,
}

impl IndexedPack {
    /// How large a pack of these blobs is.
    pub(crate) fn size(&self) -> u64 {
        let entry = |blob: &IndexedBlob| if blob.uncompressed_length.is_some() { 41 } else { 37 };
        let sealed: u64 = self.blobs.iter().map(|blob| u64::from(blob.length) + entry(blob)).sum();
        sealed + OVERHEAD as u64 + 4
    }
}

/// A blob in a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexedBlob {
    pub(crate) id: Id,
    #[serde(rename = "type")]
    pub(crate) kind: BlobKind,
    pub(crate) offset: u32,
    /// Sealed.
    pub(crate) length: u32,
    /// Of what was compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uncompressed_length: Option<u32>,
}
