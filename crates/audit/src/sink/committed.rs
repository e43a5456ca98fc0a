//! An entry as the log has it.

use crate::merkle::leaf_hash;
use crate::{Error, Hash, Record};

/// A committed entry with its bytes and their hash, by which a copy can be checked against the log.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Committed {
    /// What was logged.
    pub record: Record,
    /// The canonical bytes.
    pub bytes: Vec<u8>,
    /// The hash of the leaf that these bytes are in the log's tree.
    pub leaf: Hash,
}

impl Committed {
    /// The entry of canonical bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`].
    pub fn decode(bytes: Vec<u8>) -> Result<Self, Error> {
        Ok(Self { record: Record::decode(&bytes)?, leaf: leaf_hash(&bytes), bytes })
    }

    /// The entry of a record.
    ///
    /// # Errors
    ///
    /// [`Error::Entry`], [`Error::TooLong`].
    pub fn encode(record: Record) -> Result<Self, Error> {
        let bytes = record.encode()?;
        Ok(Self { leaf: leaf_hash(&bytes), record, bytes })
    }

    /// Its number.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.record.sequence
    }
}
