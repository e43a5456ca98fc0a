//! Making and opening a repository, and its passwords.

use std::sync::Arc;

use buttress_core::Ctx;
use jiff::Timestamp;
use secrecy::SecretString;

use super::lock::Lock;
use super::objects::Objects;
use super::{Repository, blocking, people};
use crate::format::config::{RepositoryConfig, VERSION, is_irreducible};
use crate::format::crypto::{SealKey, fill_random};
use crate::format::key_file::KeyFile;
use crate::format::{Malformed, unpacked};
use crate::store::{DynStore, Existing, Store};
use crate::{Error, Id, Object, ObjectKind};

/// A password of a repository.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct KeyInfo {
    /// Its key object.
    pub id: Id,
    /// Who made it.
    pub username: String,
    /// On which host.
    pub hostname: String,
    /// When.
    pub created: Timestamp,
    /// Whether the repository was opened with it.
    pub current: bool,
}

/// The most keys of a repository that are tried: each takes a fifth of a second.
const MOST_TRIED: usize = 20;

pub(super) async fn init(store: DynStore, password: SecretString, ctx: &Ctx) -> Result<Repository, Error> {
    let key = Arc::new(SealKey::random()?);
    let mut objects = Objects::new(store.clone(), Arc::clone(&key), ctx.clone());
    let made = objects.clone();
    let (id, opened_with) = blocking(move || {
        // A key without a config is a repository that was not finished, and is left to whoever looks.
        if !made.list(ObjectKind::Config)?.is_empty() {
            return Err(Error::RepositoryExists { place: made.place() });
        }
        let key_id = add(&made, &password)?;
        let config = RepositoryConfig {
            version: VERSION,
            id: data_encoding::HEXLOWER.encode(&random::<32>()?),
            chunker_polynomial: format!("{:x}", random_polynomial()?),
        };
        let sealed = unpacked::seal_plain(&made.key, &config)?;
        // Of two who make one at the same time, the second is told, and takes its key back.
        let put = made.store().put(Object::CONFIG, sealed.into(), Existing::Kept);
        if !made.runtime.block_on(put)? {
            made.delete(Object::new(ObjectKind::Key, key_id))?;
            return Err(Error::RepositoryExists { place: made.place() });
        }
        Ok((config.id, key_id))
    })
    .await?;
    objects.key = key;
    Ok(Repository { store, key: objects.key, opened_with, id: id.into(), ctx: ctx.clone() })
}

pub(super) async fn open(store: DynStore, password: SecretString, ctx: &Ctx) -> Result<Repository, Error> {
    // No key is known yet; that one is never used.
    let objects = Objects::new(store.clone(), Arc::new(SealKey::from_bytes(&[0; 64])), ctx.clone());
    let (key, opened_with, config) = blocking(move || {
        let place = objects.place();
        if objects.list(ObjectKind::Config)?.is_empty() {
            return Err(Error::NoRepository { place });
        }
        let (key, opened_with) = find(&objects, &password)?;
        let mut sealed = objects.get_whole(Object::CONFIG)?;
        let config: RepositoryConfig = unpacked::open(&key, &mut sealed)
            .map_err(|malformed| objects.malformed(Object::CONFIG, &malformed))?;
        config.check().map_err(|Malformed(problem)| Error::Unsupported {
            what: format!("the repository in {place}"),
            problem,
        })?;
        Ok((key, opened_with, config))
    })
    .await?;
    Ok(Repository { store, key: Arc::new(key), opened_with, id: config.id.into(), ctx: ctx.clone() })
}

/// The master key, by the first key object that opens with the password.
fn find(objects: &Objects, password: &SecretString) -> Result<(SealKey, Id), Error> {
    let keys = objects.list(ObjectKind::Key)?;
    let mut damaged = None;
    for listed in keys.iter().take(MOST_TRIED) {
        let opened = objects.get_whole(listed.object).and_then(|bytes| {
            KeyFile::parse(&bytes)
                .and_then(|file| file.open(password))
                .map_err(|malformed| objects.malformed(listed.object, &malformed))
        });
        match opened {
            Ok(Some(key)) => return Ok((key, listed.object.id())),
            Ok(None) | Err(Error::Missing { .. }) => {}
            // Another may be whole.
            Err(error @ Error::Damaged { .. }) => damaged = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(damaged.unwrap_or(Error::WrongPassword { place: objects.place(), keys: keys.len() }))
}

fn add(objects: &Objects, password: &SecretString) -> Result<Id, Error> {
    let (username, hostname) = (people::username(), people::hostname());
    let file = KeyFile::seal(&objects.key, password, objects.now(), username, hostname)?;
    let json = serde_json::to_vec(&file)
        .map_err(|error| Error::Internal { problem: format!("a key cannot be written: {error}") })?;
    let id = Id::of(&json);
    objects.put(Object::new(ObjectKind::Key, id), json)?;
    Ok(id)
}

impl Repository {
    /// Its passwords, without themselves.
    ///
    /// # Errors
    ///
    /// What a store answers; [`Error::Damaged`].
    pub async fn keys(&self) -> Result<Vec<KeyInfo>, Error> {
        let opened_with = self.opened_with;
        self.run(move |objects| {
            let mut keys = Vec::new();
            for listed in objects.list(ObjectKind::Key)? {
                let bytes = objects.get_whole(listed.object)?;
                let KeyFile { created, username, hostname, .. } = KeyFile::parse(&bytes)
                    .map_err(|malformed| objects.malformed(listed.object, &malformed))?;
                let id = listed.object.id();
                keys.push(KeyInfo { id, username, hostname, created, current: id == opened_with });
            }
            keys.sort_by_key(|key| key.created);
            Ok(keys)
        })
        .await
    }

    /// Adds a password. The old ones still open it. The new key object.
    ///
    /// # Errors
    ///
    /// What a store answers; [`Error::Locked`].
    pub async fn add_key(&self, password: &SecretString) -> Result<Id, Error> {
        let password = password.clone();
        self.run(move |objects| {
            let lock = Lock::take(objects, false)?;
            let id = add(objects, &password)?;
            lock.confirm()?;
            Ok(id)
        })
        .await
    }

    /// Takes a password away. Whoever has opened the repository with it, and kept the master key, can still read it: a stolen password means
    /// a new repository.
    ///
    /// # Errors
    ///
    /// [`Error::Source`] for the key that this handle was opened with; [`Error::Missing`]; what a store answers.
    pub async fn remove_key(&self, id: Id) -> Result<(), Error> {
        let opened_with = self.opened_with;
        self.run(move |objects| {
            if id == opened_with {
                return Err(Error::Source {
                    of: format!("key {}", id.short()),
                    problem: "the repository is open with it; open it with another password to remove it"
                        .to_owned(),
                    source: None,
                });
            }
            let _lock = Lock::take(objects, true)?;
            let object = Object::new(ObjectKind::Key, id);
            if !objects.list(ObjectKind::Key)?.iter().any(|listed| listed.object == object) {
                return Err(Error::Missing { object, place: objects.place() });
            }
            objects.delete(object)
        })
        .await
    }

    /// Replaces the password that it was opened with. The new one opens it before the old one no longer does.
    ///
    /// # Errors
    ///
    /// What a store answers; [`Error::Locked`].
    pub async fn change_password(&mut self, password: &SecretString) -> Result<(), Error> {
        let (old, password) = (self.opened_with, password.clone());
        let new = self
            .run(move |objects| {
                let lock = Lock::take(objects, true)?;
                let new = add(objects, &password)?;
                lock.confirm()?;
                objects.delete(Object::new(ObjectKind::Key, old))?;
                Ok(new)
            })
            .await?;
        self.opened_with = new;
        Ok(())
    }

    /// Removes the locks of processes that are gone, or with `all` those of the living too. How many.
    ///
    /// # Errors
    ///
    /// What a store answers.
    pub async fn unlock(&self, all: bool) -> Result<usize, Error> {
        self.run(move |objects| super::lock::remove_locks(objects, all)).await
    }
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], Error> {
    let mut bytes = [0; LENGTH];
    fill_random(&mut bytes)?;
    Ok(bytes)
}

/// A polynomial for restic's chunker, of degree 53 and without divisors. One of 53 is such.
fn random_polynomial() -> Result<u64, Error> {
    loop {
        let number = u64::from_le_bytes(random()?);
        let candidate = number & ((1 << 53) - 1) | 1 << 53 | 1;
        if is_irreducible(candidate) {
            return Ok(candidate);
        }
    }
}
