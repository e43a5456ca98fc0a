//! Any text as a token, and as a set of keys: nothing that is not signed is accepted.

#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use buttress_access::jwt::{Algorithm, KeySet, TokenConfig, VerifyingKey, verify};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let secret = VerifyingKey::hmac(Algorithm::Hs256, &[7; 32]).unwrap().named("shared").unwrap();
    let public = VerifyingKey::ed25519(&[9; 32]).unwrap().named("ed").unwrap();
    KeySet::new([secret, public]).unwrap()
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(set) = KeySet::parse(bytes) {
        let again = KeySet::parse(set.to_jwks().as_bytes()).unwrap();
        assert_eq!(set.to_jwks(), again.to_jwks());
    }
    let Ok(token) = std::str::from_utf8(bytes) else { return };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000);
    assert!(verify(token, &KEYS, &TokenConfig::of("issuer", "us"), now).is_err());
});
