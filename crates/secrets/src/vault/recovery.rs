//! When the passphrase is forgotten or the key file is lost: the vault's root key in shares, kept by people.

use std::path::Path;

use buttress_core::{Ctx, Validate};
use zeroize::Zeroizing;

use super::VaultStore;
use super::key::{KeySource, PassphraseCost};
use super::vault::{NewKey, Vault};
use crate::Error;
use crate::shamir::{self, Share, ShareError};

impl VaultStore {
    /// The vault's root key in `shares`, of which `threshold` open the vault and any fewer tell nothing.
    ///
    /// They open the file as it is and as it will be, until it gets a new key: then make new shares.
    ///
    /// # Errors
    ///
    /// [`Error::Shares`] when so many shares cannot be; those of reading.
    pub async fn shares(&self, threshold: u8, shares: u8) -> Result<Vec<Share>, Error> {
        self.read(move |vault, _| shamir::split(vault.root(), threshold, shares).map_err(unusable)).await
    }

    /// Opens the vault with shares of its root key, and gives it a new key, as [`rekey`](Self::rekey) does.
    ///
    /// # Errors
    ///
    /// [`Error::Shares`] when the shares restore nothing; [`Error::WrongKey`] when they are of another vault, or from before it got the key
    /// it has.
    pub async fn recover(
        path: &Path,
        shares: &[Share],
        key: KeySource,
        cost: PassphraseCost,
        ctx: &Ctx,
    ) -> Result<Self, Error> {
        cost.validate().map_err(Error::Config)?;
        let restored = shamir::combine(shares).map_err(unusable)?;
        let store = Self::at(path, key, ctx);
        let lock = store.lock().await?;
        let now = store.now();
        store
            .blocking(move |inner| {
                let file = &inner.file;
                let other = || Error::WrongKey { place: file.place().to_owned() };
                let root = restored.expose().try_into().map(Zeroizing::new).map_err(|_| other())?;
                let found = Vault::open_with_root(&file.bytes()?, file.place(), root)?;
                let key = file.key();
                let secret = key.fetch(file.place())?;
                let cost = key.is_passphrase().then_some(cost);
                let mut vault = found.rekey(&NewKey { secret: &secret, cost }, file.place())?;
                file.write(&lock, &mut vault, false, now)
            })
            .await?;
        Ok(store)
    }
}

fn unusable(source: ShareError) -> Error {
    Error::Shares { source }
}
