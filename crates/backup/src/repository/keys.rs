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

/// The most keys of a repository: as many are tried, by restic too, and each takes a fifth of a second.
const MOST_KEYS: usize = 20;

pub(super) async fn init(store: DynStore, password: SecretString, ctx: &Ctx) -> Result<Repository, Error> {
    let objects = without_key(&store, ctx);
    let (key, id, opened_with) = blocking(move || {
        let exists = || Error::RepositoryExists { place: objects.place() };
        if !objects.list(ObjectKind::Config)?.is_empty() || holds_backups(&objects)? {
            return Err(exists());
        }
        // A key without a config was left by one who was cut short. If it opens with the same password it is gone on with, as whoever opens the
        // repository may come upon it first.
        let master = match unlock(&objects, &password, |master, _| Ok(Some(master))) {
            Err(Error::Damaged { .. }) => None,
            unlocked => unlocked?,
        };
        let key = Arc::new(master.map_or_else(SealKey::random, Ok)?);
        let key_id = add(&objects.with_key(Arc::clone(&key)), &password)?;
        let config = RepositoryConfig {
            version: VERSION,
            id: data_encoding::HEXLOWER.encode(&random::<32>()?),
            chunker_polynomial: format!("{:x}", random_polynomial()?),
        };
        let sealed = unpacked::seal_plain(&key, &config)?;
        // Of two who make one at the same time, the second is told, and takes its key back.
        let put = objects.store().put(Object::CONFIG, sealed.into(), Existing::Kept);
        if !objects.runtime.block_on(put)? {
            objects.delete(Object::new(ObjectKind::Key, key_id))?;
            return Err(exists());
        }
        Ok((key, config.id, key_id))
    })
    .await?;
    Ok(Repository::new(store, key, opened_with, id, ctx))
}

pub(super) async fn open(store: DynStore, password: SecretString, ctx: &Ctx) -> Result<Repository, Error> {
    let objects = without_key(&store, ctx);
    let (key, opened_with, config) = blocking(move || {
        let place = objects.place();
        if objects.list(ObjectKind::Config)?.is_empty() {
            return Err(if holds_backups(&objects)? {
                objects.damaged(Object::CONFIG, "it is gone; bring it back from a copy of the repository")
            } else {
                Error::NoRepository { place }
            });
        }
        let sealed = objects.get_whole(Object::CONFIG)?;
        let mut foreign = None;
        let opened = unlock(&objects, &password, |master, key_id| {
            match unpacked::open::<RepositoryConfig>(&master, &sealed) {
                Ok(config) => Ok(Some((master, key_id, config))),
                // Of one who was cut short while making a repository, or of another repository; or the config is damaged, if no other opens it.
                Err(Malformed(problem)) => {
                    let key = Object::new(ObjectKind::Key, key_id);
                    foreign = Some(objects.damaged(
                        Object::CONFIG,
                        format!(
                            "the password opens {key}, which does not open the config: the two are of different repositories, or the \
                             config is damaged ({problem}); bring back the key and the config that belong together from a copy"
                        ),
                    ));
                    Ok(None)
                }
            }
        })?;
        let keys = || Ok::<_, Error>(objects.list(ObjectKind::Key)?.len());
        let Some((key, opened_with, config)) = opened else {
            return Err(foreign.map_or_else(|| Ok(Error::WrongPassword { place, keys: keys()? }), Ok)?);
        };
        config.check().map_err(|Malformed(problem)| Error::Unsupported {
            what: format!("the repository in {place}"),
            problem,
        })?;
        Ok((key, opened_with, config))
    })
    .await?;
    Ok(Repository::new(store, Arc::new(key), opened_with, config.id, ctx))
}

/// The objects of a repository whose key is not known yet; that one is never used.
fn without_key(store: &DynStore, ctx: &Ctx) -> Objects {
    Objects::new(store.clone(), Arc::new(SealKey::from_bytes(&[0; 64])), ctx.clone())
}

/// Whether there is something that only a repository has which was whole once.
fn holds_backups(objects: &Objects) -> Result<bool, Error> {
    let is_there = |kind| Ok::<_, Error>(!objects.list(kind)?.is_empty());
    Ok(is_there(ObjectKind::Snapshot)? || is_there(ObjectKind::Index)? || is_there(ObjectKind::Pack)?)
}

/// What `take` takes of the master keys that open with the password. None if it takes none; a damaged key object is told only then.
fn unlock<T>(
    objects: &Objects,
    password: &SecretString,
    mut take: impl FnMut(SealKey, Id) -> Result<Option<T>, Error>,
) -> Result<Option<T>, Error> {
    let mut damaged = None;
    let mut keys = objects.list(ObjectKind::Key)?;
    // Nobody who only adds keys keeps the older ones from being tried.
    keys.sort_by_key(|listed| (listed.modified.is_none(), listed.modified));
    for listed in keys.iter().take(MOST_KEYS) {
        let opened = objects.get_whole(listed.object).and_then(|bytes| {
            KeyFile::parse(&bytes)
                .and_then(|file| file.open(password))
                .map_err(|malformed| objects.malformed(listed.object, &malformed))
        });
        match opened {
            Ok(Some(master)) => {
                if let Some(taken) = take(master, listed.object.id())? {
                    return Ok(Some(taken));
                }
            }
            Ok(None) | Err(Error::Missing { .. }) => {}
            // Another may be whole.
            Err(error @ Error::Damaged { .. }) => damaged = Some(error),
            Err(error) => return Err(error),
        }
    }
    damaged.map_or(Ok(None), Err)
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
    /// What a store answers; [`Error::Locked`]; [`Error::Source`] if there are 20 already.
    pub async fn add_key(&self, password: &SecretString) -> Result<Id, Error> {
        let password = password.clone();
        self.run(move |objects| {
            let lock = Lock::take(objects, false)?;
            if objects.list(ObjectKind::Key)?.len() >= MOST_KEYS {
                return Err(Error::Source {
                    of: "the new key".to_owned(),
                    problem: format!("there are {MOST_KEYS} keys, and no more are tried; remove one first"),
                    source: None,
                });
            }
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
            let lock = Lock::take(objects, true)?;
            let object = Object::new(ObjectKind::Key, id);
            let keys = objects.list(ObjectKind::Key)?;
            // The last but one may have been removed by somebody who has opened the repository with this one.
            for needed in [object, Object::new(ObjectKind::Key, opened_with)] {
                if !keys.iter().any(|listed| listed.object == needed) {
                    return Err(Error::Missing { object: needed, place: objects.place() });
                }
            }
            lock.confirm()?;
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
