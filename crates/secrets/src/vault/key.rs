//! What opens a vault: a passphrase or a key file, from where it is kept.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use buttress_core::{Validate, Violations};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::crypto::{self, Key};
use crate::{Error, Secret};

/// Where the key of a vault is. It is looked up when the vault is opened, and again when the vault has a new key.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum KeySource {
    /// This passphrase.
    Passphrase(Secret),
    /// The passphrase in this file, without the newline at its end.
    PassphraseFile(PathBuf),
    /// The passphrase in this environment variable.
    PassphraseVariable(String),
    /// The content of this file, [`KeySource::MIN_KEY_BYTES`] or more of chance.
    KeyFile(PathBuf),
}

impl KeySource {
    /// The shortest passphrase, in bytes: what NIST SP 800-63B asks of a password that stands alone.
    pub const MIN_PASSPHRASE_BYTES: usize = 15;
    /// The shortest key file, in bytes.
    pub const MIN_KEY_BYTES: usize = 32;
    /// The longest of either, in bytes.
    pub const MAX_BYTES: usize = 4096;

    pub(super) fn is_passphrase(&self) -> bool {
        !matches!(self, Self::KeyFile(_))
    }

    /// The passphrase or key, for the vault at `place`.
    pub(super) fn fetch(&self, place: &str) -> Result<Secret, Error> {
        let missing = |problem: String| Error::NoKey { place: place.to_owned(), problem };
        let read = |path: &Path| {
            bounded(path).map_err(|error| missing(format!("{}: {error}", path.display()))).map(Secret::new)
        };
        let (secret, least) = match self {
            Self::Passphrase(passphrase) => (passphrase.clone(), Self::MIN_PASSPHRASE_BYTES),
            Self::PassphraseFile(path) => {
                let read = read(path)?;
                (crate::store::without_newline(&read), Self::MIN_PASSPHRASE_BYTES)
            }
            Self::PassphraseVariable(name) => {
                let found = std::env::var(name)
                    .map_err(|_| missing(format!("the environment variable {name} is not set")))?;
                (Secret::from(found), Self::MIN_PASSPHRASE_BYTES)
            }
            Self::KeyFile(path) => (read(path)?, Self::MIN_KEY_BYTES),
        };
        let what = if self.is_passphrase() { "passphrase" } else { "key file" };
        match secret.expose().len() {
            length if length < least => Err(missing(format!("the {what} is shorter than {least} bytes"))),
            length if length > Self::MAX_BYTES => {
                Err(missing(format!("the {what} is longer than {} bytes", Self::MAX_BYTES)))
            }
            _ => Ok(secret),
        }
    }
}

fn bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    // Room for one byte over the limit, by which a file that is too long is known, so that nothing is moved and left behind.
    let mut bytes = Vec::with_capacity(KeySource::MAX_BYTES + 32);
    std::fs::File::open(path)?.take(KeySource::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What trying one passphrase costs, by Argon2id (RFC 9106).
///
/// | field | default | |
/// |---|---|---|
/// | `memory_kib` | 65536 | KiB; OWASP asks for 19456 at least |
/// | `passes` | 3 | times over the memory; OWASP asks for 2 at least |
/// | `lanes` | 4 | parts of the memory |
///
/// The default is the second that RFC 9106 recommends (section 4): about a tenth of a second, once, when a vault is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PassphraseCost {
    /// KiB of memory.
    pub memory_kib: u32,
    /// Times over the memory.
    pub passes: u32,
    /// Parts of the memory.
    pub lanes: u32,
}

impl Default for PassphraseCost {
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3, lanes: 4 }
    }
}

impl Validate for PassphraseCost {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let memory = (19 << 10..=1 << 20).contains(&self.memory_kib);
        wrong.require(
            memory,
            "memory_kib",
            self.memory_kib,
            "must be 19456 (19 MiB) to 1048576 (1 GiB); 65536 is usual",
        );
        wrong.require((2..=64).contains(&self.passes), "passes", self.passes, "must be 2 to 64; 3 is usual");
        wrong.require((1..=16).contains(&self.lanes), "lanes", self.lanes, "must be 1 to 16; 4 is usual");
        wrong.into_result()
    }
}

/// How a vault's key comes from what opens it, as the vault's header says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Derivation {
    /// Argon2id, then HKDF.
    Passphrase(PassphraseCost),
    /// HKDF.
    KeyFile,
}

impl fmt::Debug for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passphrase(cost) => {
                write!(f, "Argon2id, {} KiB, {} passes, {} lanes", cost.memory_kib, cost.passes, cost.lanes)
            }
            Self::KeyFile => f.write_str("key file"),
        }
    }
}

/// The key that encrypts a vault's root key, and what tells whether it is the right one.
pub(super) struct KeyEncryptionKey {
    pub(super) key: Key,
    pub(super) commitment: Key,
}

impl Derivation {
    pub(super) fn derive(self, secret: &Secret, salt: &[u8]) -> Result<KeyEncryptionKey, Error> {
        let stretched;
        let material = match self {
            Self::KeyFile => secret.expose(),
            Self::Passphrase(cost) => {
                stretched = stretch(secret.expose(), salt, cost)?;
                stretched.as_slice()
            }
        };
        Ok(KeyEncryptionKey {
            key: crypto::derive(material, salt, b"buttress vault 1: key encryption key")?,
            commitment: crypto::derive(material, salt, b"buttress vault 1: commitment")?,
        })
    }
}

fn stretch(passphrase: &[u8], salt: &[u8], cost: PassphraseCost) -> Result<Key, Error> {
    let memory = || Error::TooLarge {
        what: "the memory that the passphrase's derivation asks for",
        limit: "what there is".to_owned(),
    };
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(crypto::KEY));
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(|_| memory())?);
    let mut key = Zeroizing::new([0; crypto::KEY]);
    argon.hash_password_into(passphrase, salt, &mut *key).map_err(|_| memory())?;
    Ok(key)
}
