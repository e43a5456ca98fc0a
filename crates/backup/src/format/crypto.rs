//! How bytes are sealed: AES-256 in counter mode, authenticated with Poly1305-AES (Bernstein 2005).

use aes::cipher::{BlockCipherEncrypt, KeyInit, KeyIvInit, StreamCipher};
use aes::{Aes128, Aes256};
use poly1305::Poly1305;
use poly1305::universal_hash::UniversalHash;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::Error;

const NONCE: usize = 16;
const MAC: usize = 16;
/// How many bytes longer it is sealed.
pub(crate) const OVERHEAD: usize = NONCE + MAC;

/// A key: 32 bytes to encrypt, 16 and 16 to authenticate.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct SealKey {
    pub(crate) encrypt: [u8; 32],
    pub(crate) mac_k: [u8; 16],
    pub(crate) mac_r: [u8; 16],
}

impl SealKey {
    /// A new key.
    pub(crate) fn random() -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0; 64]);
        fill_random(bytes.as_mut_slice())?;
        Ok(Self::from_bytes(&bytes))
    }

    pub(crate) fn from_bytes(bytes: &[u8; 64]) -> Self {
        let mut key = Self { encrypt: [0; 32], mac_k: [0; 16], mac_r: [0; 16] };
        let mut from = bytes.iter();
        let parts = key.encrypt.iter_mut().chain(&mut key.mac_k).chain(&mut key.mac_r);
        parts.zip(&mut from).for_each(|(to, from)| *to = *from);
        key
    }

    /// Seals `plain`: nonce, ciphertext, MAC.
    pub(crate) fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD);
        self.seal_onto(plain, &mut sealed)?;
        Ok(sealed)
    }

    /// Seals `plain` onto the end of `to`.
    pub(crate) fn seal_onto(&self, plain: &[u8], to: &mut Vec<u8>) -> Result<(), Error> {
        let mut nonce = [0; NONCE];
        fill_random(&mut nonce)?;
        to.extend_from_slice(&nonce);
        let begin = to.len();
        to.extend_from_slice(plain);
        let body = to.get_mut(begin..).unwrap_or_default();
        self.stream(&nonce, body);
        let mac = self.mac(&nonce, body);
        to.extend_from_slice(&mac);
        Ok(())
    }

    /// Opens what was sealed, in place of what `to` has. Not if it was changed or sealed with another key.
    #[must_use]
    pub(crate) fn open(&self, sealed: &[u8], to: &mut Vec<u8>) -> bool {
        to.clear();
        let Some((nonce, rest)) = sealed.split_first_chunk::<NONCE>() else { return false };
        let Some((body, mac)) = rest.split_last_chunk::<MAC>() else { return false };
        if !bool::from(self.mac(nonce, body).ct_eq(mac)) {
            return false;
        }
        to.extend_from_slice(body);
        self.stream(nonce, to);
        true
    }

    fn stream(&self, nonce: &[u8; NONCE], body: &mut [u8]) {
        ctr::Ctr128BE::<Aes256>::new(&self.encrypt.into(), &(*nonce).into()).apply_keystream(body);
    }

    fn mac(&self, nonce: &[u8; NONCE], body: &[u8]) -> [u8; MAC] {
        let mut pad = (*nonce).into();
        Aes128::new(&self.mac_k.into()).encrypt_block(&mut pad);
        let mut key = Zeroizing::new([0; 32]);
        let parts = self.mac_r.iter().chain(pad.iter());
        key.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
        let mut poly = Poly1305::new(&(*key).into());
        let (blocks, rest) = poly1305::Block::slice_as_chunks(body);
        poly.update(blocks);
        poly.compute_unpadded(rest).into()
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(…)")
    }
}

/// Fills `bytes` from the system's generator.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), Error> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| Error::Internal { problem: "the system's random generator failed".to_owned() })
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_and_any_flipped_bit_is_found() {
        let key = SealKey::random().expect("random");
        for length in [0, 1, 15, 16, 17, 100, 4096] {
            let plain: Vec<u8> = (0..length).map(|at: u32| at.to_le_bytes()[0]).collect();
            let sealed = key.seal(&plain).expect("sealed");
            assert_eq!(sealed.len(), plain.len() + OVERHEAD);
            let mut opened = b"of an earlier one".to_vec();
            assert!(key.open(&sealed, &mut opened));
            assert_eq!(opened, plain);
            for at in (0..sealed.len()).step_by(7) {
                let mut broken = sealed.clone();
                broken[at] ^= 1 << (at % 8);
                assert!(!key.open(&broken, &mut opened), "byte {at} of {length}");
            }
            assert!(!key.open(&sealed[1..], &mut opened));
            assert!(!SealKey::random().expect("random").open(&sealed, &mut opened));
            assert!(opened.is_empty());
        }
        assert!(!key.open(&[], &mut Vec::new()));
    }
}
