//! Keys that sign tokens.

use std::fmt;
use std::sync::Arc;

use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use ring::{hmac, rand::SystemRandom};
use serde_json::json;
use zeroize::Zeroizing;

use super::algorithm::{Algorithm, Family};
use super::claims::Claims;
use super::key::{VerifyingKey, hmac_key, unusable};
use super::text;
use crate::Error;

/// A key that signs tokens. Cheap to clone. `Debug` shows its name and algorithm.
#[derive(Clone)]
pub struct SigningKey {
    material: Arc<Material>,
    /// The same key for those who verify.
    verifying: VerifyingKey,
    /// What every token of this key begins with.
    header: Arc<str>,
}

enum Material {
    Hmac(hmac::Key),
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A private key in PKCS #8, for a store of secrets. Wiped from memory when it is dropped.
pub struct Pkcs8(Zeroizing<Vec<u8>>);

impl Pkcs8 {
    /// A new key for ES256, ES384 or `EdDSA`. Keys of RSA are made elsewhere: `openssl genpkey -algorithm RSA`.
    ///
    /// # Errors
    ///
    /// [`Error::Random`]; [`Error::Material`] for other algorithms.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        let random = SystemRandom::new();
        let document = match algorithm {
            Algorithm::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random),
            Algorithm::Es384 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random),
            Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random),
            _ => return Err(unusable(algorithm, "only those of ES256, ES384 and EdDSA are made here")),
        };
        document.map(|document| Self(Zeroizing::new(document.as_ref().to_vec()))).map_err(|_| Error::Random)
    }

    /// The DER.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Pkcs8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pkcs8(***)")
    }
}

impl SigningKey {
    /// A secret that is shared with whoever verifies; see [`VerifyingKey::hmac`].
    ///
    /// # Errors
    ///
    /// [`Error::Material`].
    pub fn hmac(algorithm: Algorithm, kid: &str, secret: &[u8]) -> Result<Self, Error> {
        let material = Material::Hmac(hmac_key(algorithm, secret)?);
        Ok(Self::of(material, VerifyingKey::hmac(algorithm, secret)?.named(kid)?))
    }

    /// A private key in PKCS #8 (DER).
    ///
    /// # Errors
    ///
    /// [`Error::Material`] when it is none, is of another kind than the algorithm, or too short.
    pub fn from_pkcs8(algorithm: Algorithm, kid: &str, der: &[u8]) -> Result<Self, Error> {
        let no_key = |_| unusable(algorithm, "it is no private key of this kind in PKCS #8");
        let (material, verifying) = match algorithm.family() {
            Family::Hmac => return Err(unusable(algorithm, "a secret is no PKCS #8")),
            Family::Rsa => {
                let pair = RsaKeyPair::from_pkcs8(der).map_err(no_key)?;
                let public = pair.public();
                let number = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(public);
                let verifying = VerifyingKey::rsa(algorithm, &number.n, &number.e)?;
                (Material::Rsa(pair), verifying)
            }
            Family::Ec => {
                let pair =
                    EcdsaKeyPair::from_pkcs8(curve(algorithm), der, &SystemRandom::new()).map_err(no_key)?;
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at_checked(point.len() / 2).unwrap_or_default();
                let verifying = VerifyingKey::ec(algorithm, x, y)?;
                (Material::Ec(pair), verifying)
            }
            Family::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(no_key)?;
                let verifying = VerifyingKey::ed25519(pair.public_key().as_ref())?;
                (Material::Ed25519(pair), verifying)
            }
        };
        Ok(Self::of(material, verifying.named(kid)?))
    }

    fn of(material: Material, verifying: VerifyingKey) -> Self {
        let mut key = Self { material: Arc::new(material), verifying, header: "".into() };
        key.header = key.header_of("JWT").into();
        key
    }

    /// Tokens say that they are of this type (`typ`), not `JWT`: `at+jwt` for access tokens (RFC 9068).
    #[must_use]
    pub fn token_type(mut self, token_type: &str) -> Self {
        self.header = self.header_of(token_type).into();
        self
    }

    fn header_of(&self, token_type: &str) -> String {
        let algorithm = self.verifying.algorithm().as_str();
        let header = json!({ "alg": algorithm, "kid": self.verifying.kid(), "typ": token_type });
        text::encode(header.to_string().as_bytes())
    }

    /// The key for those who verify. Of HMAC it is the same secret.
    #[must_use]
    pub fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// A token that says so.
    ///
    /// # Errors
    ///
    /// [`Error::Random`] when the system gives no random numbers, which ECDSA and PSS need.
    pub fn sign(&self, claims: &Claims) -> Result<String, Error> {
        let payload = claims.to_json();
        let mut token = String::with_capacity(self.header.len() + payload.len() * 4 / 3 + 700);
        token.push_str(&self.header);
        token.push('.');
        data_encoding::BASE64URL_NOPAD.encode_append(payload.as_bytes(), &mut token);
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        data_encoding::BASE64URL_NOPAD.encode_append(&signature, &mut token);
        Ok(token)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(match &*self.material {
            Material::Hmac(key) => hmac::sign(key, message).as_ref().to_vec(),
            Material::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Material::Ec(pair) => {
                let signed = pair.sign(&SystemRandom::new(), message);
                signed.map_err(|_| Error::Random)?.as_ref().to_vec()
            }
            Material::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let padding = padding(self.verifying.algorithm());
                pair.sign(padding, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| Error::Random)?;
                signature
            }
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, {:?})", self.verifying.algorithm(), self.verifying.kid())
    }
}

fn curve(algorithm: Algorithm) -> &'static EcdsaSigningAlgorithm {
    match algorithm {
        Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        _ => &ECDSA_P256_SHA256_FIXED_SIGNING,
    }
}

fn padding(algorithm: Algorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        Algorithm::Rs384 => &RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &RSA_PSS_SHA256,
        Algorithm::Ps384 => &RSA_PSS_SHA384,
        Algorithm::Ps512 => &RSA_PSS_SHA512,
        _ => &RSA_PKCS1_SHA256,
    }
}
