//! One token: its parts, and whether it holds. Pure: a function of the text, the keys, the configuration and the time.

use std::time::SystemTime;

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::config::TokenConfig;
use super::key::is_kid;
use super::set::{Found, KeySet};
use super::text;
use crate::Refusal;

/// The longest header, in bytes of base64url.
const LONGEST_HEADER: usize = 2_048;
/// The longest signature, in bytes of base64url: RSA of 8192 bits.
const LONGEST_SIGNATURE: usize = 1_366;

/// Reads and checks a token (RFC 7519 in the compact form of RFC 7515), by keys that are known already.
///
/// The token chooses nothing but one of these keys, by name. What its header says of other places of keys (`jku`, `x5u`, `jwk`, `x5c`)
/// is not looked at. The signature is checked before anything of the payload is read, and every length before anything is decoded.
///
/// # Errors
///
/// Why it is refused; [`Refusal::Unknown`] when there is no key of its name.
pub fn verify(token: &str, keys: &KeySet, config: &TokenConfig, now: SystemTime) -> Result<Claims, Refusal> {
    if token.len() > config.longest.as_usize() {
        return Err(Refusal::TooLarge);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(Refusal::Malformed)?;
    let header = text::object(&text::decode(header, LONGEST_HEADER)?)?;
    let algorithm = check_header(&header, config)?;
    let kid = match header.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_str().filter(|kid| is_kid(kid)).ok_or(Refusal::Malformed)?),
    };
    let key = match keys.find(kid, algorithm) {
        Found::Key(key) => key,
        Found::OtherAlgorithm => return Err(Refusal::Algorithm),
        Found::Nothing => return Err(Refusal::Unknown),
    };
    // A payload with a `.` in it is no base64url, so that further parts are refused; as they are by the signature.
    let signature = text::decode(signature, LONGEST_SIGNATURE)?;
    if !key.verifies(signed.as_bytes(), &signature) {
        return Err(Refusal::Signature);
    }
    let claims = Claims::read(text::object(&text::decode(payload, config.longest.as_usize())?)?);
    claims.check(config, now)?;
    Ok(claims)
}

fn check_header(header: &Map<String, Value>, config: &TokenConfig) -> Result<Algorithm, Refusal> {
    if header.contains_key("crit") || header.contains_key("b64") {
        return Err(Refusal::Critical);
    }
    // Encrypted, or compressed: another kind of token.
    if header.contains_key("enc") || header.contains_key("zip") {
        return Err(Refusal::Type);
    }
    for place in ["jku", "jwk", "x5u", "x5c"] {
        if header.contains_key(place) {
            tracing::debug!(place, "a token says where its key is; that is not looked at");
        }
    }
    // A token in a token: whoever reads the outer one only would be told nothing by it.
    if header.contains_key("cty") {
        return Err(Refusal::Type);
    }
    if let Some(expected) = &config.token_type {
        let given = header.get("typ").and_then(Value::as_str).ok_or(Refusal::Type)?;
        if !plain_type(given).eq_ignore_ascii_case(plain_type(expected)) {
            return Err(Refusal::Type);
        }
    }
    let algorithm = header.get("alg").and_then(Value::as_str).ok_or(Refusal::Malformed)?;
    algorithm.parse().map_err(|_| Refusal::Algorithm)
}

/// A media type without `application/`, which may be left out (RFC 7515, section 4.1.9).
fn plain_type(text: &str) -> &str {
    const PREFIX: &str = "application/";
    match text.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => text,
    }
}
