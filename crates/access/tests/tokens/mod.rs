//! Keys and tokens for tests.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::time::{Duration, SystemTime};

use buttress_access::jwt::{Algorithm, Claims, KeySet, Pkcs8, SigningKey, TokenConfig};
use data_encoding::BASE64URL_NOPAD;

pub(crate) const ISSUER: &str = "https://login.example";
pub(crate) const AUDIENCE: &str = "documents";
/// A key that was made for these tests and is used nowhere else.
pub(crate) const RSA: &[u8] = include_bytes!("../test_keys/rsa_2048.pk8");

pub(crate) fn config() -> TokenConfig {
    TokenConfig::of(ISSUER, AUDIENCE)
}

/// The beginning of 2026, as a test clock has it.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(490_896)
}

pub(crate) fn claims() -> Claims {
    let claims = Claims::new().issuer(ISSUER).audience(AUDIENCE).subject("user-1").issued(now());
    claims.expires(now() + Duration::from_mins(15))
}

/// A key of each algorithm.
pub(crate) fn signing(algorithm: Algorithm, kid: &str) -> SigningKey {
    match algorithm {
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => {
            SigningKey::hmac(algorithm, kid, &[7; 64]).unwrap()
        }
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => {
            SigningKey::from_pkcs8(algorithm, kid, Pkcs8::generate(algorithm).unwrap().expose()).unwrap()
        }
        _ => SigningKey::from_pkcs8(algorithm, kid, RSA).unwrap(),
    }
}

pub(crate) fn set<'a>(keys: impl IntoIterator<Item = &'a SigningKey>) -> KeySet {
    KeySet::new(keys.into_iter().map(|key| key.verifying().clone())).unwrap()
}

pub(crate) fn encode(text: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(text.as_ref())
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()
}

/// Header, payload and signature of a token.
pub(crate) fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}
