//! Header and claims behind a signature that holds: whatever they say, what is accepted is for us, from whom we know, and now.

#![no_main]

use std::time::{Duration, SystemTime};

use buttress_access::jwt::{Algorithm, KeySet, TokenConfig, VerifyingKey, verify};
use data_encoding::BASE64URL_NOPAD;
use libfuzzer_sys::fuzz_target;
use ring::hmac;

const SECRET: [u8; 32] = [7; 32];

// The header is what stands before the first line break.
fuzz_target!(|bytes: &[u8]| {
    let Some(at) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let (header, payload) = (&bytes[..at], &bytes[at + 1..]);
    let signed = [header, payload].map(|part| BASE64URL_NOPAD.encode(part)).join(".");
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &SECRET), signed.as_bytes());
    let token = format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()));
    let key = VerifyingKey::hmac(Algorithm::Hs256, &SECRET).unwrap().named("shared").unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000);
    let config = TokenConfig::of("issuer", "us");
    let Ok(claims) = verify(&token, &KeySet::new([key]).unwrap(), &config, now) else { return };
    assert_eq!(claims.text("iss"), Some("issuer"));
    let audience = claims.get::<Vec<String>>("aud").unwrap_or_else(|| vec![claims.get("aud").unwrap()]);
    assert!(audience.iter().any(|one| one == "us"));
    assert!(claims.expiry().is_none_or(|end| end + config.leeway >= now));
    let header: serde_json::Value = serde_json::from_slice(header).unwrap();
    assert!(header["alg"] == "HS256" && header.get("crit").is_none());
});
