//! What a browser holds, and what is kept of it.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{Credential, Error, Refusal, random};

const BYTES: usize = 32;
/// 256 bits in base64url.
const CHARACTERS: usize = 43;

/// The secret of a session: 256 random bits as 43 characters of base64url. Erased when it is dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SessionId(String);

impl SessionId {
    /// A new one, of the operating system's randomness.
    pub(crate) fn generate() -> Result<Self, Error> {
        let mut bytes = [0; BYTES];
        random::fill(&mut bytes)?;
        let id = Self(BASE64URL_NOPAD.encode(&bytes));
        bytes.zeroize();
        Ok(id)
    }

    /// The text for the cookie. Nobody else may see it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> SessionHash {
        SessionHash::digest(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// The SHA-256 of a [`SessionId`]: what is stored, and under which it is found. The id has 256 bits, so a plain hash gives nothing away.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionHash([u8; BYTES]);

impl SessionHash {
    /// Of what a browser sent, if that has the form of an id.
    pub fn of(text: &str) -> Result<Self, Error> {
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if text.len() != CHARACTERS || !text.bytes().all(sign) {
            return Err(Error::refused(Credential::Session, Refusal::Malformed));
        }
        Ok(Self::digest(text))
    }

    fn digest(text: &str) -> Self {
        let mut bytes = [0; BYTES];
        bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Self(bytes)
    }

    /// As a store has it.
    #[must_use]
    pub fn from_bytes(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    /// For a store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// A few characters for logs and events.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = data_encoding::HEXLOWER.encode(&self.0);
        text.truncate(12);
        text
    }
}

impl fmt::Debug for SessionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionHash({}..)", self.short())
    }
}
