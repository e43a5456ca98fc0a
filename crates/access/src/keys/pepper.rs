//! The secret of the server under which API keys are hashed.

use std::fmt;

use ring::{digest, hmac};
use subtle::ConstantTimeEq;

use super::text::KeyText;
use crate::Error;

/// The keyed hash of an API key.
pub type KeyHash = [u8; digest::SHA256_OUTPUT_LEN];

/// Separates these hashes from all others that may be made with the same secret.
const DOMAIN: &[u8] = b"buttress api key v1\0";

/// The secrets under which API keys are hashed, each with its version: one for new keys, and others for keys that are hashed with them.
///
/// To replace a pepper without a refusal: first let all processes [`accept`](Self::accept) the new one, then hash with the new one and
/// accept the old one, and leave the old one out when every key was used or has ended.
///
/// Keep it apart from the store: a store that leaks without it tells nobody anything. `HMAC-SHA-256`, since the secret of a key is
/// random (256 bits); what makes guessing of passwords slow would only make each request slow here.
#[derive(Clone)]
pub struct Peppers {
    current: (u32, hmac::Key),
    accepted: Vec<(u32, hmac::Key)>,
}

impl Peppers {
    /// The shortest secret, in bytes.
    pub const SHORTEST: usize = 32;
    /// The most versions at once.
    pub const MOST: usize = 8;

    /// New keys are hashed with `secret`, which the store will know as this version. Zeroise your copy.
    ///
    /// # Errors
    ///
    /// [`Error::Material`] when the secret is shorter than [`SHORTEST`](Self::SHORTEST).
    pub fn new(version: u32, secret: &[u8]) -> Result<Self, Error> {
        Ok(Self { current: (version, prepared(version, secret)?), accepted: Vec::new() })
    }

    /// Keys that were hashed with this version are accepted too, and hashed again with the current one when they are used.
    ///
    /// # Errors
    ///
    /// [`Error::Material`] when the secret is too short, there is one of this version, or there are too many.
    pub fn accept(mut self, version: u32, secret: &[u8]) -> Result<Self, Error> {
        let fail =
            |problem| Err(Error::Material { what: format!("the pepper of version {version}"), problem });
        if self.find(version).is_some() {
            return fail("there is one of this version already; give each its own");
        }
        if self.accepted.len() + 1 == Self::MOST {
            return fail("there are eight; leave one out");
        }
        self.accepted.push((version, prepared(version, secret)?));
        Ok(self)
    }

    /// The version for new keys.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.current.0
    }

    fn find(&self, version: u32) -> Option<&hmac::Key> {
        let all = std::iter::once(&self.current).chain(&self.accepted);
        all.into_iter().find(|(known, _)| *known == version).map(|(_, key)| key)
    }

    /// The hash under the current pepper: what a store keeps of a key.
    #[must_use]
    pub fn hash(&self, text: &KeyText<'_>) -> KeyHash {
        hash(&self.current.1, text)
    }

    /// Whether the key has this hash. The time depends neither on where they differ nor on whether the version is known.
    #[must_use]
    pub fn matches(&self, text: &KeyText<'_>, version: u32, expected: &KeyHash) -> bool {
        let key = self.find(version);
        let computed = hash(key.unwrap_or(&self.current.1), text);
        bool::from(computed.ct_eq(expected)) && key.is_some()
    }
}

impl fmt::Debug for Peppers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accepted = self.accepted.iter().map(|(version, _)| version).collect::<Vec<_>>();
        write!(f, "Peppers({}, accepts {accepted:?})", self.current.0)
    }
}

fn prepared(version: u32, secret: &[u8]) -> Result<hmac::Key, Error> {
    if secret.len() < Peppers::SHORTEST {
        let what = format!("the pepper of version {version}");
        return Err(Error::Material { what, problem: "it must have at least 32 random bytes" });
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, secret))
}

fn hash(key: &hmac::Key, text: &KeyText<'_>) -> KeyHash {
    let mut context = hmac::Context::with_key(key);
    context.update(DOMAIN);
    context.update(text.id().as_str().as_bytes());
    context.update(text.secret());
    let tag = context.sign();
    let mut hash = KeyHash::default();
    // Both are of SHA-256.
    hash.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    hash
}
