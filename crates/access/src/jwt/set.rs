//! Sets of keys, and their text (JWKS, RFC 7517).

use serde_json::{Map, Value, json};

use super::algorithm::Algorithm;
use super::key::VerifyingKey;
use super::text;
use crate::Error;

/// The keys that are known. A token chooses among them by name; what is not here is not looked for.
#[derive(Debug, Clone, Default)]
pub struct KeySet(Vec<VerifyingKey>);

impl KeySet {
    /// The most keys in a set.
    pub const MOST: usize = 64;
    /// The longest text of a set, in bytes.
    pub const LONGEST: usize = 256 * 1024;

    /// These keys.
    ///
    /// # Errors
    ///
    /// [`Error::Material`] when there are more than [`MOST`](Self::MOST).
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Result<Self, Error> {
        let keys: Vec<_> = keys.into_iter().take(Self::MOST + 1).collect();
        if keys.len() > Self::MOST { Err(unusable("it has more than 64 keys")) } else { Ok(Self(keys)) }
    }

    /// Reads a JWKS. Keys that are not for signatures, of a kind or curve that is not known, too short, or whose algorithm cannot be
    /// told, are passed over: others in the set may do. Secrets (`oct`) are passed over too: a set that others publish can hold none.
    ///
    /// # Errors
    ///
    /// [`Error::Material`] when it is no key set, is over a limit, or nothing is left.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > Self::LONGEST {
            return Err(unusable("it is longer than 256 KiB"));
        }
        let set = text::object(bytes)
            .map_err(|_| unusable("it is no JSON object, or a member stands in it twice"))?;
        let Some(keys) = set.get("keys").and_then(Value::as_array) else {
            return Err(unusable("it has no array `keys`"));
        };
        if keys.len() > Self::MOST {
            return Err(unusable("it has more than 64 keys"));
        }
        let usable: Vec<_> = keys.iter().filter_map(|key| jwk(key.as_object()?)).collect();
        if usable.is_empty() {
            return Err(unusable("it has no key that can be used"));
        }
        Ok(Self(usable))
    }

    /// As a JWKS for others: public keys only.
    #[must_use]
    pub fn to_jwks(&self) -> String {
        let keys: Vec<_> = self.0.iter().filter_map(VerifyingKey::to_jwk).collect();
        json!({ "keys": keys }).to_string()
    }

    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.0.iter()
    }

    /// The key that a token means. Without a name it must be the only one of its algorithm.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Found<'_> {
        let Some(kid) = kid else {
            let mut fitting = self.0.iter().filter(|key| key.algorithm() == algorithm);
            return match (fitting.next(), fitting.next()) {
                (Some(key), None) => Found::Key(key),
                (None, _) => Found::OtherAlgorithm,
                _ => Found::Nothing,
            };
        };
        let named = || self.0.iter().filter(|key| key.kid() == Some(kid));
        match named().find(|key| key.algorithm() == algorithm) {
            Some(key) => Found::Key(key),
            None if named().next().is_some() => Found::OtherAlgorithm,
            None => Found::Nothing,
        }
    }
}

/// What a look-up finds.
pub(super) enum Found<'a> {
    Key(&'a VerifyingKey),
    /// A key, but for another algorithm.
    OtherAlgorithm,
    Nothing,
}

fn unusable(problem: &'static str) -> Error {
    Error::Material { what: "the key set".to_owned(), problem }
}

/// One key, if it can be used. Where it names no algorithm, the kind and the curve say which: RS256 for RSA.
fn jwk(key: &Map<String, Value>) -> Option<VerifyingKey> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let bytes = |name: &str| text::decode(text(name)?, 2_048).ok();
    if key.contains_key("use") && text("use") != Some("sig") {
        return None;
    }
    if let Some(operations) = key.get("key_ops") {
        let operations = operations.as_array()?;
        if !operations.iter().any(|operation| operation.as_str() == Some("verify")) {
            return None;
        }
    }
    let named = match key.get("alg") {
        Some(algorithm) => Some(algorithm.as_str()?.parse::<Algorithm>().ok()?),
        None => None,
    };
    let read = match (text("kty")?, text("crv")) {
        ("RSA", _) => VerifyingKey::rsa(named.unwrap_or(Algorithm::Rs256), &bytes("n")?, &bytes("e")?),
        ("EC", Some(curve)) => {
            let algorithm = match curve {
                "P-256" => Algorithm::Es256,
                "P-384" => Algorithm::Es384,
                _ => return None,
            };
            if named.is_some_and(|named| named != algorithm) {
                return None;
            }
            VerifyingKey::ec(algorithm, &bytes("x")?, &bytes("y")?)
        }
        ("OKP", Some("Ed25519")) if named.is_none_or(|named| named == Algorithm::EdDsa) => {
            VerifyingKey::ed25519(&bytes("x")?)
        }
        _ => return None,
    };
    let key_without_name = read.ok()?;
    match key.get("kid") {
        Some(kid) => key_without_name.named(kid.as_str()?).ok(),
        None => Some(key_without_name),
    }
}
