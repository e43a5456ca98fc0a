//! Objects that are one sealed JSON document: snapshots, indexes, locks, the config.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::zstandard::{self, Compressor};
use super::{Malformed, crypto::SealKey};
use crate::Error;

/// The first byte of a compressed document.
const COMPRESSED: u8 = 2;
/// The longest document, decompressed. restic's indexes have some 8 MiB.
const LONGEST: usize = 256 << 20;

/// Seals a document, compressed.
pub(crate) fn seal(key: &SealKey, document: &impl Serialize) -> Result<Vec<u8>, Error> {
    let json = to_json(document)?;
    let mut compressor = Compressor::new()?;
    let compressed = compressor.whole(&json)?;
    key.seal(&[&[COMPRESSED], compressed].concat())
}

/// Seals a document as it is, as the config has to be.
pub(crate) fn seal_plain(key: &SealKey, document: &impl Serialize) -> Result<Vec<u8>, Error> {
    key.seal(&to_json(document)?)
}

fn to_json(document: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(document)
        .map_err(|error| Error::Internal { problem: format!("a document cannot be written: {error}") })
}

/// Opens a document, compressed or not.
pub(crate) fn open<T: DeserializeOwned>(key: &SealKey, sealed: &[u8]) -> Result<T, Malformed> {
    let mut bytes = Vec::new();
    if !key.open(sealed, &mut bytes) {
        return Err(Malformed::new("its MAC does not fit: it was changed, or sealed with another key"));
    }
    decode(&bytes)
}

/// Reads the document in opened bytes.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    let parse =
        |json: &[u8]| serde_json::from_slice(json).map_err(|error| Malformed::json("its JSON", &error));
    match bytes.split_first() {
        Some((&COMPRESSED, compressed)) => parse(&zstandard::at_most(compressed, LONGEST)?),
        Some((b'{' | b'[', _)) => parse(bytes),
        Some((first, _)) => {
            Err(Malformed::new(format!("it begins with byte {first}, which is no known encoding")))
        }
        None => Err(Malformed::new("it is empty")),
    }
}
