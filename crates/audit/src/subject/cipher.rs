//! What is done with keys: wrapping a subject's key under the master's, and sealing values under the subject's.
//!
//! All of it is AES-256-GCM with random 96-bit nonces, good for 2^32 messages a key (NIST SP 800-38D, 8.3): the master
//! wraps one key a subject, and a subject has fewer entries than that. ring does not overwrite its own expanded keys
//! when they are dropped; the raw bytes here are.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use super::slot::Slot;

/// How a sealed value begins. Between it and the sealed bytes stands the key's id.
pub(super) const PREFIX: &str = "~sealed:1:";
const TAG: usize = 16;
const NONCE: usize = 12;

/// 32 secret bytes; overwritten when dropped.
pub(super) type Secret = Zeroizing<[u8; 32]>;

/// The system gave no random bytes, or a cipher refused its input. Neither happens to a sound program.
#[derive(Debug)]
pub(super) struct Refused;

pub(super) fn random<const N: usize>() -> Result<[u8; N], Refused> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Refused)?;
    Ok(bytes)
}

/// A key for one use, from the master key.
pub(super) fn derive(master: &[u8; 32], purpose: &'static [u8]) -> Result<Secret, Refused> {
    struct Bytes32;
    impl hkdf::KeyType for Bytes32 {
        fn len(&self) -> usize {
            32
        }
    }
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"buttress-audit subject keys v1");
    let mut key = Secret::default();
    let secret = salt.extract(master);
    let purposes = [purpose];
    let expanded = secret.expand(&purposes, Bytes32).map_err(|_| Refused)?;
    expanded.fill(&mut key[..]).map_err(|_| Refused)?;
    Ok(key)
}

/// What a subject's name is kept as: nobody can try names without the master key.
pub(super) fn tag(key: &Secret, subject: &str) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key[..]), subject.as_bytes());
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().zip(tag.as_ref()) {
        *place = *byte;
    }
    bytes
}

/// Wraps a subject's key. It is bound to its id and its subject, so that slots cannot be swapped.
pub(super) fn wrap(wrapping: &Secret, slot: &mut Slot, key: &Secret) -> Result<(), Refused> {
    slot.nonce = random()?;
    let mut sealed = key.to_vec();
    let nonce = Nonce::assume_unique_for_key(slot.nonce);
    cipher(wrapping)?
        .seal_in_place_append_tag(nonce, Aad::from(bound(slot)), &mut sealed)
        .map_err(|_| Refused)?;
    slot.wrapped = sealed.try_into().map_err(|_| Refused)?;
    Ok(())
}

pub(super) fn unwrap(wrapping: &Secret, slot: &Slot) -> Result<Secret, Refused> {
    let mut bytes = Zeroizing::new(slot.wrapped);
    let nonce = Nonce::assume_unique_for_key(slot.nonce);
    let key = cipher(wrapping)?.open_in_place(nonce, Aad::from(bound(slot)), &mut bytes[..]);
    Ok(Zeroizing::new((&*key.map_err(|_| Refused)?).try_into().map_err(|_| Refused)?))
}

fn bound(slot: &Slot) -> Vec<u8> {
    [&b"subject key v1"[..], &slot.id, &slot.tag].concat()
}

/// `text` under a subject's key, as a token that names the key. It is bound to the field that it stands in.
pub(super) fn seal(key: &Secret, id: &[u8; 16], field: &str, text: &str) -> Result<String, Refused> {
    let nonce: [u8; NONCE] = random()?;
    let mut sealed = Vec::with_capacity(NONCE + text.len() + TAG);
    sealed.extend_from_slice(text.as_bytes());
    let aad = Aad::from(field_bound(id, field));
    cipher(key)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
        .map_err(|_| Refused)?;
    sealed.splice(0..0, nonce);
    Ok(format!("{PREFIX}{}:{}", HEXLOWER.encode(id), BASE64URL_NOPAD.encode(&sealed)))
}

/// The id of the key that a token names, and its sealed bytes; `None` for what is no token.
pub(super) fn parse(token: &str) -> Option<([u8; 16], &str)> {
    let (id, sealed) = token.strip_prefix(PREFIX)?.split_once(':')?;
    Some((parse_id(id)?, sealed))
}

pub(super) fn parse_id(text: &str) -> Option<[u8; 16]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// The text of a token; `None` when it was not sealed under this key for this field.
pub(super) fn open(key: &Secret, id: &[u8; 16], field: &str, sealed: &str) -> Option<String> {
    let mut bytes = BASE64URL_NOPAD.decode(sealed.as_bytes()).ok()?;
    if bytes.len() < NONCE + TAG {
        return None;
    }
    let (nonce, sealed) = bytes.split_at_mut(NONCE);
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let text = cipher(key).ok()?.open_in_place(nonce, Aad::from(field_bound(id, field)), sealed).ok()?;
    String::from_utf8(text.to_vec()).ok()
}

fn field_bound(id: &[u8; 16], field: &str) -> Vec<u8> {
    [&b"subject value v1"[..], id, field.as_bytes()].concat()
}

fn cipher(key: &Secret) -> Result<LessSafeKey, Refused> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key[..]).map_err(|_| Refused)?))
}
