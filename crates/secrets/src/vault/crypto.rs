//! Keys that are used once. Every message has a key of its own, so its nonce may be zero: see `docs/formats/vault.md`.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::Error;

pub(super) const KEY: usize = 32;
pub(super) const SALT: usize = 32;
pub(super) const TAG: usize = 16;

/// 32 bytes of key, overwritten when dropped.
pub(super) type Key = Zeroizing<[u8; KEY]>;

/// Bytes that nobody foresees.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes)
}

struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        KEY
    }
}

/// HKDF-SHA-256 (RFC 5869).
pub(super) fn derive(material: &[u8], salt: &[u8], purpose: &[u8]) -> Result<Key, Error> {
    let mut key = Key::default();
    let extracted = Salt::new(HKDF_SHA256, salt).extract(material);
    let filled = extracted.expand(&[purpose], KeyLength).and_then(|derived| derived.fill(&mut *key));
    filled.map(|()| key).map_err(|_| Error::Crypto)
}

fn cipher(key: &Key) -> Result<LessSafeKey, Error> {
    let key = UnboundKey::new(&AES_256_GCM, &**key).map_err(|_| Error::Crypto)?;
    Ok(LessSafeKey::new(key))
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// Encrypts `bytes` in place and adds the tag. The key must never have encrypted anything else.
pub(super) fn seal_once(key: &Key, bound: &[u8], bytes: &mut Vec<u8>) -> Result<(), Error> {
    cipher(key)?.seal_in_place_append_tag(nonce(), Aad::from(bound), bytes).map_err(|_| Error::Crypto)
}

/// Decrypts; `None` if a bit of `sealed`, of `bound` or of the key is another.
pub(super) fn open(key: &Key, bound: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(sealed.to_vec());
    let length = cipher(key).ok()?.open_in_place(nonce(), Aad::from(bound), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}
