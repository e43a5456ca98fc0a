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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::config::RepositoryConfig;
    use crate::format::index::IndexFile;
    use crate::format::lock::LockFile;
    use crate::format::snapshot::Snapshot;

    #[test]
    #[allow(clippy::expect_used, reason = "a test")]
    fn what_a_newer_program_says_beside_is_passed_over() {
        fn reads<T: DeserializeOwned>(json: &str) {
            let newer = json.replacen('{', r#"{"of a newer program":[1,{"a":2}],"#, 1);
            decode::<T>(newer.as_bytes()).expect("it is read");
        }
        let id = "0".repeat(64);
        let time = "2031-01-02T03:04:05Z";
        reads::<IndexFile>(r#"{"packs":[]}"#);
        reads::<LockFile>(&format!(r#"{{"time":"{time}"}}"#));
        reads::<Snapshot>(&format!(r#"{{"time":"{time}","tree":"{id}","paths":["/files"]}}"#));
        reads::<RepositoryConfig>(&format!(
            r#"{{"version":2,"id":"{id}","chunker_polynomial":"3da3358b4dc173"}}"#
        ));
    }
}
