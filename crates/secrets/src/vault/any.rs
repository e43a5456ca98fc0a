//! A vault of any bytes, for fuzzers.

use ring::digest::{SHA256, digest};

use super::format::{self, DIGEST_AT, HEADER};
use super::key::Derivation;
use super::vault::Vault;
use crate::Secret;

/// Reads any bytes as a vault, as a vault whose digest fits, and as the content of one. For fuzzers.
///
/// # Panics
///
/// When a content is read that would be written otherwise.
#[allow(clippy::panic, reason = "a fuzzer looks for it")]
pub fn read_any(bytes: &[u8]) {
    open(bytes);
    let mut fitting = bytes.to_vec();
    let sum = fitting.get(..DIGEST_AT).map(|head| digest(&SHA256, head));
    if let (Some(sum), Some(place)) = (sum, fitting.get_mut(DIGEST_AT..HEADER)) {
        place.copy_from_slice(sum.as_ref());
        open(&fitting);
    }
    if let Ok(secrets) = format::read_body(bytes) {
        assert!(format::write_body(&secrets) == bytes, "there is one way to write each vault");
    }
}

fn open(bytes: &[u8]) {
    // A passphrase would cost memory and time that say nothing about the reader.
    if format::read_file(bytes).is_ok_and(|(header, _)| header.lock.derivation == Derivation::KeyFile) {
        let _ = Vault::open(bytes, "any bytes", || Ok(Secret::new((0..32).collect())));
    }
}
