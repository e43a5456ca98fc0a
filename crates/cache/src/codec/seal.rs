//! Encryption at rest: AES-256-GCM, bound to the cache's key, with keys that rotate.

use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use super::Unreadable;
use crate::Error;

/// Keys by number: the first seals, all open.
///
/// To rotate, put the new key first on every node that only reads the old ones yet, by [`and`](Keyring::and); when all know it,
/// let it seal; when nothing sealed with the old one can live any more, leave that out. One key may seal 2^32 bodies: their
/// nonces are drawn.
#[derive(Clone)]
pub struct Keyring(Arc<Vec<(u32, LessSafeKey)>>);

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(|(number, _)| number).collect();
        write!(f, "Keyring({numbers:?})")
    }
}

impl Keyring {
    /// Seals with this key.
    #[must_use]
    pub fn new(number: u32, key: &[u8; 32]) -> Self {
        Self(Arc::new(aead(number, key).into_iter().collect()))
    }

    /// Opens what was sealed with this key, too.
    #[must_use]
    pub fn and(self, number: u32, key: &[u8; 32]) -> Self {
        let known = self.0.iter().cloned();
        Self(Arc::new(known.chain(aead(number, key)).collect()))
    }

    /// Number of the key, nonce, and the body with its tag.
    pub(super) fn seal(&self, bound: &[u8], mut body: Vec<u8>) -> Result<Vec<u8>, Error> {
        let failed = |told: &'static str| Error::encode(told.into());
        let (number, key) = self.0.first().ok_or_else(|| failed("there is no key to seal with"))?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| failed("the system gives no random numbers"))?;
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound), &mut body)
            .map_err(|_| failed("the value is too long to be sealed"))?;
        let mut sealed = Vec::with_capacity(4 + NONCE_LEN + body.len());
        sealed.extend(number.to_le_bytes());
        sealed.extend(nonce);
        sealed.extend(body);
        Ok(sealed)
    }

    pub(super) fn open(&self, bound: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let (number, rest) = sealed.split_first_chunk().ok_or(Unreadable::Foreign)?;
        let (nonce, body) = rest.split_first_chunk().ok_or(Unreadable::Foreign)?;
        let number = u32::from_le_bytes(*number);
        let (_, key) = self.0.iter().find(|(known, _)| *known == number).ok_or(Unreadable::Key)?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = key.open_in_place(nonce, Aad::from(bound), &mut body).map_err(|_| Unreadable::Seal)?;
        let length = opened.len();
        body.truncate(length);
        Ok(body)
    }
}

/// The key for use; a key of 32 bytes always is one.
fn aead(number: u32, key: &[u8; 32]) -> Option<(u32, LessSafeKey)> {
    let key = UnboundKey::new(&AES_256_GCM, key).ok()?;
    Some((number, LessSafeKey::new(key)))
}
