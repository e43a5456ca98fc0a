//! Secrets in an encrypted file, which this process and others read, and one at a time writes.
//!
//! The whole file is encrypted and authenticated, names included; each value is encrypted once more by itself and stays so in memory
//! until it is asked for. `docs/formats/vault.md` has every byte, and why no nonce is used twice.
//!
//! A write is answered when the new file is on the disk and has been read back. Whenever the process is killed, the file is the one
//! before or the one after.

#[cfg(feature = "test-util")]
mod any;
mod crypto;
mod file;
mod format;
mod key;
mod recovery;
#[cfg(test)]
mod tests;
#[expect(clippy::module_inception, reason = "the opened vault, beside its file and its store")]
mod vault;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use buttress_core::{BoxFuture, Ctx, ErrorClass, Event, Outcome, Validate};

use crate::lifecycle::{Lifecycle, Versions};
use crate::store::{Change, Expect, SecretStore, Step, at_most, put, rotate, within_limits};
use crate::{Error, Name, Secret};
use file::{VaultFile, Writing};
use format::MAX_SECRETS;
use vault::{NewKey, Vault};

pub use key::{KeySource, PassphraseCost};

#[cfg(feature = "test-util")]
pub use any::read_any;

/// How often a writer looks whether another is done, and how long.
const LOCK_EVERY: Duration = Duration::from_millis(10);
const LOCK_WITHIN: Duration = Duration::from_secs(10);

/// The event of a vault whose file was gone or damaged, so that the former one was read.
pub const FORMER_READ: &str = "secret.vault_former_read";

/// A vault file as a store. Clones share it.
#[derive(Clone)]
pub struct VaultStore {
    inner: Arc<Inner>,
}

struct Inner {
    file: VaultFile,
    ctx: Ctx,
    /// One write of this process at a time, in the order in which they came.
    turn: tokio::sync::Mutex<()>,
}

/// What a check of a vault found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// How many secrets there are.
    pub secrets: usize,
    /// Counts the writes; whoever keeps it elsewhere sees whether an old file was put back.
    pub generation: u64,
    /// How the key comes from what opens the vault.
    pub derivation: String,
}

impl VaultStore {
    /// Makes a vault with nothing in it. `cost` is that of trying one passphrase.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] with [`ErrorClass::Conflict`] when the file is there already.
    pub async fn create(path: &Path, key: KeySource, cost: PassphraseCost, ctx: &Ctx) -> Result<Self, Error> {
        cost.validate().map_err(Error::Config)?;
        let store = Self::at(path, key, ctx);
        let lock = store.lock().await?;
        let now = store.now();
        store
            .blocking(move |inner| {
                let file = &inner.file;
                if file.exists() {
                    return Err(Error::Store {
                        store: "vault",
                        doing: format!("make {}", file.place()),
                        class: ErrorClass::Conflict,
                        source: "the file is there already".into(),
                    });
                }
                let key = file.key();
                let secret = key.fetch(file.place())?;
                let mut vault =
                    Vault::new(&NewKey { secret: &secret, cost: key.is_passphrase().then_some(cost) })?;
                file.write(&lock, &mut vault, false, now)
            })
            .await?;
        Ok(store)
    }

    /// Opens a vault, which takes about a tenth of a second if it has a passphrase.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when there is no file or it cannot be read, [`Error::NoKey`], [`Error::WrongKey`] and [`Error::Damaged`].
    pub async fn open(path: &Path, key: KeySource, ctx: &Ctx) -> Result<Self, Error> {
        let store = Self::at(path, key, ctx);
        store.read(|_, _| Ok(())).await?;
        Ok(store)
    }

    fn at(path: &Path, key: KeySource, ctx: &Ctx) -> Self {
        let file = VaultFile::new(path, key);
        Self { inner: Arc::new(Inner { file, ctx: ctx.clone(), turn: tokio::sync::Mutex::default() }) }
    }

    /// Decrypts everything there is, as a check.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when something does not decrypt.
    pub async fn verify(&self) -> Result<Verified, Error> {
        self.read(|vault, place| {
            vault.verify(place)?;
            Ok(Verified {
                secrets: vault.secrets.len(),
                generation: vault.generation,
                derivation: vault.derivation(),
            })
        })
        .await
    }

    /// Encrypts everything again under the key of another source, or of the same one whose content has changed.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), and of a write.
    pub async fn rekey(&self, key: KeySource, cost: PassphraseCost) -> Result<(), Error> {
        cost.validate().map_err(Error::Config)?;
        let source = key.clone();
        self.update(move |vault, place, _| {
            let secret = source.fetch(place)?;
            let cost = source.is_passphrase().then_some(cost);
            *vault = vault.rekey(&NewKey { secret: &secret, cost }, place)?;
            Ok(())
        })
        .await?;
        self.inner.file.set_key(key);
        Ok(())
    }

    /// The time as the file keeps it.
    fn now(&self) -> SystemTime {
        format::rounded(self.inner.ctx.clock.wall())
    }

    async fn lock(&self) -> Result<Writing, Error> {
        let looking = async {
            loop {
                if let Some(lock) = self.blocking(|inner| inner.file.try_lock()).await? {
                    return Ok(lock);
                }
                self.inner.ctx.clock.sleep(LOCK_EVERY).await;
            }
        };
        let clock = &*self.inner.ctx.clock;
        let held = buttress_core::timeout(clock, LOCK_WITHIN, looking).await;
        held.unwrap_or_else(|source| Err(Error::TimedOut { store: "vault", source }))
    }

    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Vault, &str) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.blocking(move |inner| look(&inner.found()?.vault, inner.file.place())).await
    }

    /// Changes the newest state, and answers when the change is on the disk.
    async fn update<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Vault, &str, SystemTime) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let _turn = self.inner.turn.lock().await;
        let lock = self.lock().await?;
        let now = self.now();
        // Once begun it is made whole, also when nobody waits for it any more.
        self.blocking(move |inner| {
            let found = inner.found()?;
            let mut vault = Vault::clone(&found.vault);
            let changed = change(&mut vault, inner.file.place(), now)?;
            inner.file.write(&lock, &mut vault, found.former, now)?;
            Ok(changed)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.inner);
        crate::store::blocking("vault", move || work(&inner)).await
    }
}

impl Inner {
    fn found(&self) -> Result<file::Found, Error> {
        let found = self.file.read()?;
        if found.former {
            let told = "the vault file is gone or damaged; the former one was read";
            tracing::warn!(vault = self.file.place(), "{told}");
            let event = Event::new(self.ctx.clock.wall(), FORMER_READ, Outcome::Failure);
            self.ctx.events.emit(event.target(self.file.place()).detail(told));
        }
        Ok(found)
    }
}

impl fmt::Debug for VaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultStore({})", self.inner.file.place())
    }
}

impl SecretStore for VaultStore {
    fn kind(&self) -> &'static str {
        "vault"
    }

    fn load<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Option<Versions>, Error>> {
        let name = name.clone();
        Box::pin(self.read(move |vault, place| vault.versions(&name, place)))
    }

    fn lifecycle<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Option<Lifecycle>, Error>> {
        let name = name.clone();
        Box::pin(self.read(move |vault, _| Ok(vault.secrets.get(&name).map(crate::slots::Slots::lifecycle))))
    }

    fn list(&self, most: usize) -> BoxFuture<'_, Result<Vec<Name>, Error>> {
        Box::pin(self.read(move |vault, _| at_most(vault.secrets.keys().cloned().collect(), most)))
    }

    fn put<'a>(
        &'a self,
        name: &'a Name,
        secret: &'a Secret,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Lifecycle, Error>> {
        let (name, secret) = (name.clone(), secret.clone());
        Box::pin(async move {
            within_limits(&secret)?;
            self.update(move |vault, _, now| {
                let version = vault.secrets.get(&name).map_or(1, crate::slots::Slots::upcoming);
                let sealed = vault.seal(&name, version, &secret)?;
                put(&mut vault.secrets, &name, sealed, expect, now, MAX_SECRETS)
            })
            .await
        })
    }

    fn rotate<'a>(
        &'a self,
        name: &'a Name,
        seen: &'a Lifecycle,
        step: Step,
    ) -> BoxFuture<'a, Result<Lifecycle, Error>> {
        let (name, seen) = (name.clone(), *seen);
        Box::pin(async move {
            if let Step::Create(secret) = &step {
                within_limits(secret)?;
            }
            self.update(move |vault, _, now| {
                let version = vault.secrets.get(&name).map_or(1, crate::slots::Slots::upcoming);
                let change = match step {
                    Step::Create(secret) => Change::Create(vault.seal(&name, version, &secret)?),
                    Step::Switch => Change::Switch,
                    Step::Retire => Change::Retire,
                };
                rotate(&mut vault.secrets, &name, &seen, change, now)
            })
            .await
        })
    }

    fn remove<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<bool, Error>> {
        let name = name.clone();
        Box::pin(async move {
            // Without the secret nothing has to be written.
            let wanted = name.clone();
            if !self.read(move |vault, _| Ok(vault.secrets.contains_key(&wanted))).await? {
                return Ok(false);
            }
            self.update(move |vault, _, _| Ok(vault.secrets.remove(&name).is_some())).await
        })
    }
}
