//! An opened vault: names and places in the clear, values encrypted until one is asked for. No file, no clock.

use std::time::SystemTime;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::crypto::{self, KEY, Key, TAG};
use super::format::{self, DIGEST_AT, Header, Lock, Sealed, Secrets, WRAPPED_AT};
use super::key::{Derivation, PassphraseCost};
use crate::lifecycle::{Standing, Versioned, Versions};
use crate::slots::{Slot, Slots};
use crate::{Error, Name, Secret};

/// An opened vault.
#[derive(Clone)]
pub(crate) struct Vault {
    lock: Lock,
    root: Key,
    /// Counts the writes.
    pub(crate) generation: u64,
    pub(crate) secrets: Secrets,
}

/// What a vault's key is made of.
pub(crate) struct NewKey<'a> {
    pub(crate) secret: &'a Secret,
    /// `None` for a key file.
    pub(crate) cost: Option<PassphraseCost>,
}

impl Vault {
    /// A vault with nothing in it.
    pub(crate) fn new(key: &NewKey<'_>) -> Result<Self, Error> {
        let (lock, root) = new_lock(key, crypto::random()?)?;
        Ok(Self { lock, root, generation: 0, secrets: Secrets::new() })
    }

    /// Opens a vault that reads from `place`, which errors name.
    pub(crate) fn open(
        file: &[u8],
        place: &str,
        key: impl FnOnce() -> Result<Secret, Error>,
    ) -> Result<Self, Error> {
        let damaged = |problem| Error::Damaged { place: place.to_owned(), problem };
        let (header, body) = format::read_file(file).map_err(damaged)?;
        let derived = header.lock.derivation.derive(&key()?, &header.lock.salt)?;
        if !bool::from(derived.commitment.ct_eq(&header.lock.commitment)) {
            return Err(Error::WrongKey { place: place.to_owned() });
        }
        let bound = file.get(..WRAPPED_AT).unwrap_or_default();
        let plain = crypto::open(&derived.key, bound, &header.lock.wrapped)
            .ok_or_else(|| damaged("its root key does not decrypt"))?;
        let root = Zeroizing::new(plain.as_slice().try_into().map_err(|_| damaged("its root key is short"))?);
        Self::read(file, header, body, root, place)
    }

    /// Opens a vault with its root key. A key that does not open it is taken as that of another vault: damage looks the same.
    pub(crate) fn open_with_root(file: &[u8], place: &str, root: Key) -> Result<Self, Error> {
        let problem = |problem| Error::Damaged { place: place.to_owned(), problem };
        let (header, body) = format::read_file(file).map_err(problem)?;
        Self::read(file, header, body, root, place).map_err(|_| Error::WrongKey { place: place.to_owned() })
    }

    /// What opens everything in the vault.
    pub(crate) fn root(&self) -> &[u8] {
        &*self.root
    }

    /// Opens a later state of this vault, without its key; `None` if the vault has a new key since.
    pub(crate) fn reopen(&self, file: &[u8], place: &str) -> Result<Option<Self>, Error> {
        let damaged = |problem| Error::Damaged { place: place.to_owned(), problem };
        let (header, body) = format::read_file(file).map_err(damaged)?;
        if header.lock != self.lock {
            return Ok(None);
        }
        Self::read(file, header, body, self.root.clone(), place).map(Some)
    }

    fn read(file: &[u8], header: Header, body: &[u8], root: Key, place: &str) -> Result<Self, Error> {
        let damaged = |problem| Error::Damaged { place: place.to_owned(), problem };
        let key = file_key(&root, &header.salt)?;
        let bound = file.get(..DIGEST_AT).unwrap_or_default();
        let body = crypto::open(&key, bound, body).ok_or_else(|| damaged("its content does not decrypt"))?;
        let secrets = format::read_body(&body).map_err(damaged)?;
        Ok(Self { lock: header.lock, root, generation: header.generation, secrets })
    }

    /// The next state of the vault as bytes, under a key of its own. Counts a generation on.
    pub(crate) fn write(&mut self, now: SystemTime) -> Result<Vec<u8>, Error> {
        let mut body = format::write_body(&self.secrets);
        let length = body.len() + TAG;
        if length + DIGEST_AT + KEY > format::MAX_FILE {
            return Err(Error::TooLarge {
                what: "the vault",
                limit: format!("{} MiB", format::MAX_FILE >> 20),
            });
        }
        self.generation = self.generation.saturating_add(1);
        let salt = crypto::random()?;
        let header = Header { lock: self.lock.clone(), generation: self.generation, written: now, salt };
        let header = format::write_header(&header, length);
        crypto::seal_once(&file_key(&self.root, &salt)?, &header, &mut body)?;
        Ok(format::write_file(header, &body))
    }

    /// Encrypts a value as the version of that number.
    pub(crate) fn seal(&self, name: &Name, version: u64, secret: &Secret) -> Result<Sealed, Error> {
        let salt = crypto::random()?;
        // With the room for its tag, so that the plain value is not moved and left behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(secret.expose().len() + TAG));
        bytes.extend_from_slice(secret.expose());
        crypto::seal_once(&value_key(&self.root, &salt)?, &self.bound(name, version), &mut bytes)?;
        Ok(Sealed { salt, bytes: bytes.as_slice().into() })
    }

    /// All versions of a secret, decrypted.
    pub(crate) fn versions(&self, name: &Name, place: &str) -> Result<Option<Versions>, Error> {
        let Some(slots) = self.secrets.get(name) else { return Ok(None) };
        let open = |slot: &Slot<Sealed>| {
            let secret = self.unseal(name, slot.standing, &slot.value, place)?;
            Ok(Versioned { standing: slot.standing, secret })
        };
        Ok(Some(Versions {
            current: open(&slots.current)?,
            previous: slots.previous.as_ref().map(open).transpose()?,
            next: slots.next.as_ref().map(open).transpose()?,
        }))
    }

    fn unseal(&self, name: &Name, standing: Standing, sealed: &Sealed, place: &str) -> Result<Secret, Error> {
        let key = value_key(&self.root, &sealed.salt)?;
        let mut plain =
            crypto::open(&key, &self.bound(name, standing.version), &sealed.bytes).ok_or_else(|| {
                Error::Damaged { place: place.to_owned(), problem: "a value in it does not decrypt" }
            })?;
        Ok(Secret::new(std::mem::take(&mut *plain)))
    }

    fn bound(&self, name: &Name, version: u64) -> Vec<u8> {
        [&self.lock.id, version.to_be_bytes().as_slice(), name.as_str().as_bytes()].concat()
    }

    /// Decrypts everything, as a check.
    pub(crate) fn verify(&self, place: &str) -> Result<(), Error> {
        self.secrets.keys().try_for_each(|name| self.versions(name, place).map(drop))
    }

    /// The same secrets under a new key: everything is encrypted again, so that whoever had the old key and an old copy reads nothing
    /// that is written from now on.
    pub(crate) fn rekey(&self, key: &NewKey<'_>, place: &str) -> Result<Self, Error> {
        let (lock, root) = new_lock(key, self.lock.id)?;
        let mut rekeyed = Self { lock, root, generation: self.generation, secrets: Secrets::new() };
        for (name, slots) in &self.secrets {
            let again = |slot: &Slot<Sealed>| -> Result<Slot<Sealed>, Error> {
                let plain = self.unseal(name, slot.standing, &slot.value, place)?;
                let value = rekeyed.seal(name, slot.standing.version, &plain)?;
                Ok(Slot { standing: slot.standing, value })
            };
            let slots = Slots {
                current: again(&slots.current)?,
                previous: slots.previous.as_ref().map(again).transpose()?,
                next: slots.next.as_ref().map(again).transpose()?,
                last: slots.last,
            };
            rekeyed.secrets.insert(name.clone(), slots);
        }
        Ok(rekeyed)
    }

    /// How the key comes from what opens the vault, for people.
    pub(crate) fn derivation(&self) -> String {
        format!("{:?}", self.lock.derivation)
    }
}

fn new_lock(key: &NewKey<'_>, id: [u8; 16]) -> Result<(Lock, Key), Error> {
    let derivation = key.cost.map_or(Derivation::KeyFile, Derivation::Passphrase);
    let salt = crypto::random()?;
    let derived = derivation.derive(key.secret, &salt)?;
    let root: Key = Zeroizing::new(crypto::random()?);
    let mut lock = Lock { derivation, salt, id, commitment: *derived.commitment, wrapped: [0; KEY + TAG] };
    let mut wrapped = Zeroizing::new(Vec::with_capacity(KEY + TAG));
    wrapped.extend_from_slice(&*root);
    crypto::seal_once(&derived.key, &format::write_lock(&lock), &mut wrapped)?;
    lock.wrapped = wrapped.as_slice().try_into().map_err(|_| Error::Crypto)?;
    Ok((lock, root))
}

fn file_key(root: &Key, salt: &[u8]) -> Result<Key, Error> {
    crypto::derive(&**root, salt, b"buttress vault 1: file")
}

fn value_key(root: &Key, salt: &[u8]) -> Result<Key, Error> {
    crypto::derive(&**root, salt, b"buttress vault 1: value")
}
