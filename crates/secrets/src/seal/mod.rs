//! Data at rest: sealed with a key that has a number, in segments, bound to what it is for.
//!
//! What is sealed opens only unchanged, whole, in its order, with the key it was sealed with, and for the purpose it was sealed
//! for: the caller names that purpose as associated data, for example a table and the key of a row. Buffers, readers and writers,
//! and chunks of any size (for async callers) are three ways to the same bytes, whose format is `docs/formats/sealed.md`.
//!
//! ```
//! use buttress_secrets::seal::{Key, KeyId, Keyring, Resealed};
//!
//! let keys = Keyring::new(KeyId(1), Key::generate()?);
//! let sealed = keys.seal(b"4111 1111 1111 1111", b"cards/42")?;
//! assert_eq!(keys.open(&sealed, b"cards/42")?, b"4111 1111 1111 1111");
//! assert!(keys.open(&sealed, b"cards/43").is_err()); // moved to another row
//!
//! let keys = keys.rotated(KeyId(2), Key::generate()?)?; // seals with 2, opens both
//! let Resealed::Renewed(sealed) = keys.reseal(&sealed, b"cards/42")? else { unreachable!("it was sealed with 1") };
//! assert!(matches!(keys.reseal(&sealed, b"cards/42")?, Resealed::Current));
//! # Ok::<(), buttress_secrets::seal::SealError>(())
//! ```
//!
//! Each stream has a key of its own, derived by HKDF-SHA-256 from the numbered key and a random salt of 32 bytes, so one key may seal
//! any number of streams. Segments are AES-256-GCM in the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár, "Online
//! Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015): the nonce counts, and marks the last one. AES-GCM
//! alone lets somebody make a text that opens under two keys; the header commits to key and purpose, so this one does not.
//!
//! A reader hands out a segment when that segment is verified. That the stream ends where it should is known at its end: act on
//! what was read only after the reader said that it is done. [`Keyring::open`] gives all or nothing.
//!
//! The numbered keys, and buffers that held a plain text, are wiped when they are dropped. What the cipher expands from a key is in
//! ring's memory, which ring does not wipe.

mod chunks;
mod error;
mod header;
mod io;
mod keyring;
mod segments;

pub use chunks::{Opener, Sealer};
pub use error::SealError;
pub use io::{OpenReader, SealWriter};
pub use keyring::{Key, KeyId, Keyring, MAX_KEYS};
pub use segments::SegmentSize;

/// What came of sealing with the current key what was sealed before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resealed<T = Vec<u8>> {
    /// It is sealed with the current key already; nothing was made.
    Current,
    /// It was sealed with an older key; this is the same, sealed with the current one.
    Renewed(T),
}

/// The number of the key that `sealed` claims to be sealed with, from its header; nothing is verified.
///
/// # Errors
///
/// [`SealError::NotSealed`], [`SealError::Version`] or [`SealError::SegmentSize`] when the beginning is no header.
pub fn key_of(sealed: &[u8]) -> Result<KeyId, SealError> {
    let bytes = sealed.first_chunk().ok_or(SealError::NotSealed)?;
    Ok(header::Header::parse(bytes)?.key)
}
