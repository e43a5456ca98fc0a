//! Keys that verify tokens.

use std::fmt;

use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use ring::{digest, hmac};
use serde_json::{Map, Value, json};

use super::algorithm::{Algorithm, Family};
use super::text;
use crate::Error;

/// A key that verifies tokens: of one algorithm, and no other.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: Option<Box<str>>,
    algorithm: Algorithm,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Hmac(hmac::Key),
    Rsa {
        n: Box<[u8]>,
        e: Box<[u8]>,
    },
    /// A point: uncompressed on P-256 and P-384, as it is on Ed25519.
    Point(Box<[u8]>),
}

/// Lengths of RSA keys, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;
/// The longest name of a key, in bytes.
const LONGEST_KID: usize = 128;

impl VerifyingKey {
    /// A secret that is shared with whoever signs.
    ///
    /// # Errors
    ///
    /// [`Error::Material`] when the algorithm is not one of HMAC, or the secret is shorter than its hash (RFC 7518, section 3.2), or
    /// is the text of a public key.
    pub fn hmac(algorithm: Algorithm, secret: &[u8]) -> Result<Self, Error> {
        Self::of(algorithm, Material::Hmac(hmac_key(algorithm, secret)?), Family::Hmac)
    }

    /// A public key of RSA: modulus and exponent, big-endian.
    ///
    /// # Errors
    ///
    /// [`Error::Material`] when the algorithm is not one of RSA, the modulus has less than 2048 or more than 8192 bits, or the
    /// exponent is even or less than 3.
    pub fn rsa(algorithm: Algorithm, n: &[u8], e: &[u8]) -> Result<Self, Error> {
        let [n, e] = [n, e].map(without_zeros);
        let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(unusable(algorithm, "its modulus must have 2048 to 8192 bits"));
        }
        let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        if !odd(n) || !odd(e) || e.len() > 4 || e == [1] {
            return Err(unusable(algorithm, "its numbers must be odd, and the exponent 3 to 2^32"));
        }
        Self::of(algorithm, Material::Rsa { n: n.into(), e: e.into() }, Family::Rsa)
    }

    /// A public key on P-256 (ES256) or P-384 (ES384): the coordinates of the point, big-endian. Whether it is on the curve is looked
    /// at with each signature.
    ///
    /// # Errors
    ///
    /// [`Error::Material`] when the algorithm is not one of ECDSA, or the coordinates have not the length of its field.
    pub fn ec(algorithm: Algorithm, x: &[u8], y: &[u8]) -> Result<Self, Error> {
        let length = if algorithm == Algorithm::Es384 { 48 } else { 32 };
        if x.len() != length || y.len() != length {
            return Err(unusable(algorithm, "its coordinates must have 32 bytes (ES256) or 48 (ES384)"));
        }
        Self::of(algorithm, Material::Point([&[4], x, y].concat().into()), Family::Ec)
    }

    /// A public key of Ed25519.
    ///
    /// # Errors
    ///
    /// [`Error::Material`] when it is not of 32 bytes, or a point of small order, for which anybody can sign.
    pub fn ed25519(key: &[u8]) -> Result<Self, Error> {
        if key.len() != 32 {
            return Err(unusable(Algorithm::EdDsa, "it must have 32 bytes"));
        }
        if is_of_small_order(key) {
            return Err(unusable(Algorithm::EdDsa, "its point is of small order"));
        }
        Self::of(Algorithm::EdDsa, Material::Point(key.into()), Family::Ed25519)
    }

    fn of(algorithm: Algorithm, material: Material, family: Family) -> Result<Self, Error> {
        if algorithm.family() != family {
            return Err(unusable(algorithm, "it is of another kind than its algorithm"));
        }
        Ok(Self { kid: None, algorithm, material })
    }

    /// Gives it a name, by which tokens say that it is meant: 1 to 128 letters, digits and `-_.~:+/=@`.
    ///
    /// # Errors
    ///
    /// [`Error::Material`] when the name cannot be.
    pub fn named(mut self, kid: &str) -> Result<Self, Error> {
        if !is_kid(kid) {
            return Err(unusable(
                self.algorithm,
                "its name must be 1 to 128 letters, digits and `-_.~:+/=@`",
            ));
        }
        self.kid = Some(kid.into());
        Ok(self)
    }

    /// Its name.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The one algorithm that it is used with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether the signature is that of this key over the message. Those of HMAC are compared in constant time.
    pub(super) fn verifies(&self, message: &[u8], given: &[u8]) -> bool {
        match &self.material {
            Material::Hmac(key) => hmac::verify(key, message, given).is_ok(),
            Material::Rsa { n, e } => {
                let Some(parameters) = rsa_parameters(self.algorithm) else { return false };
                RsaPublicKeyComponents { n, e }.verify(parameters, message, given).is_ok()
            }
            Material::Point(point) => {
                let algorithm: &'static dyn signature::VerificationAlgorithm = match self.algorithm {
                    Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
                    Algorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
                    Algorithm::EdDsa => &signature::ED25519,
                    _ => return false,
                };
                UnparsedPublicKey::new(algorithm, point).verify(message, given).is_ok()
            }
        }
    }

    /// As a JWK (RFC 7517); a secret is none.
    pub(super) fn to_jwk(&self) -> Option<Value> {
        let text = |bytes: &[u8]| Value::from(text::encode(bytes));
        let mut members = match &self.material {
            Material::Hmac(_) => return None,
            Material::Rsa { n, e } => json!({ "kty": "RSA", "n": text(n), "e": text(e) }),
            Material::Point(point) if self.algorithm == Algorithm::EdDsa => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": text(point) })
            }
            Material::Point(point) => {
                let (x, y) = point.get(1..)?.split_at_checked(point.len() / 2)?;
                let curve = if self.algorithm == Algorithm::Es384 { "P-384" } else { "P-256" };
                json!({ "kty": "EC", "crv": curve, "x": text(x), "y": text(y) })
            }
        };
        let object: &mut Map<_, _> = members.as_object_mut()?;
        object.insert("use".to_owned(), "sig".into());
        object.insert("alg".to_owned(), self.algorithm.as_str().into());
        if let Some(kid) = self.kid() {
            object.insert("kid".to_owned(), kid.into());
        }
        Some(members)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({}, {:?})", self.algorithm, self.kid)
    }
}

/// A key of HMAC, of an algorithm of HMAC.
pub(super) fn hmac_key(algorithm: Algorithm, secret: &[u8]) -> Result<hmac::Key, Error> {
    let hash = match algorithm {
        Algorithm::Hs256 => hmac::HMAC_SHA256,
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => return Err(unusable(algorithm, "it is of another kind than its algorithm")),
    };
    let digest: &digest::Algorithm = hash.digest_algorithm();
    if secret.len() < digest.output_len() {
        return Err(unusable(algorithm, "its secret must be as long as its hash: 32, 48 or 64 bytes"));
    }
    // A public key that is taken for a secret lets everybody sign.
    if secret.trim_ascii_start().starts_with(b"-----BEGIN") {
        return Err(unusable(algorithm, "its secret is the text of a public key"));
    }
    Ok(hmac::Key::new(hash, secret))
}

/// Whether the text can name a key: only ever looked for among the keys that are known.
pub(super) fn is_kid(text: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:+/=@".contains(&byte);
    (1..=LONGEST_KID).contains(&text.len()) && text.bytes().all(sign)
}

pub(super) fn unusable(algorithm: Algorithm, problem: &'static str) -> Error {
    Error::Material { what: format!("a key for {algorithm}"), problem }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// A number without the zeros before it, as some write it.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The points whose order divides 8, in all encodings, without their sign (RFC 7748 and Cremers and Jackson, 2019).
fn is_of_small_order(key: &[u8]) -> bool {
    const EIGHTHS: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
            0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
            0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let Some((last, rest)) = key.split_last() else { return true };
    let last = last & 0x7f;
    let Some((first, middle)) = rest.split_first() else { return true };
    // 0 and 1; p - 1, p and p + 1.
    let low = *first <= 1 && last == 0 && middle.iter().all(|byte| *byte == 0);
    let high = (0xec..=0xee).contains(first) && last == 0x7f && middle.iter().all(|byte| *byte == 0xff);
    let eighth = EIGHTHS.iter().any(|point| point.split_last() == Some((&last, rest)));
    low || high || eighth
}
