//! Stores as a configuration names them.

use std::sync::Arc;

use buttress_core::Ctx;

use super::{ChainStore, EnvironmentStore, FileStore, OpenBaoConfig, SecretStore};
use crate::Error;
use crate::config::{KeyConfig, StoreConfig};

/// Opens the stores, as a chain if they are several.
pub(crate) async fn open(stores: &[StoreConfig], ctx: &Ctx) -> Result<Arc<dyn SecretStore>, Error> {
    let mut opened = Vec::with_capacity(stores.len());
    for store in stores {
        opened.push(one(store, ctx).await?);
    }
    let mut opened = opened.into_iter();
    match (opened.next(), opened.collect::<Vec<_>>()) {
        (Some(only), others) if others.is_empty() => Ok(only),
        (Some(first), others) => Ok(Arc::new(ChainStore::new(first, others, ctx))),
        (None, _) => Ok(Arc::new(EnvironmentStore::of("", []))),
    }
}

async fn one(store: &StoreConfig, ctx: &Ctx) -> Result<Arc<dyn SecretStore>, Error> {
    match store {
        StoreConfig::Environment { prefix } => Ok(Arc::new(EnvironmentStore::new(prefix))),
        StoreConfig::Files { folder } => Ok(Arc::new(FileStore::new(folder))),
        StoreConfig::Credentials {} => Ok(Arc::new(FileStore::credentials()?)),
        StoreConfig::Vault { path, key } => vault(path, key, ctx).await,
        StoreConfig::OpenBao(config) => openbao(config, ctx),
    }
}

#[cfg(feature = "vault")]
async fn vault(path: &std::path::Path, key: &KeyConfig, ctx: &Ctx) -> Result<Arc<dyn SecretStore>, Error> {
    use crate::vault::{KeySource, VaultStore};
    let key = match key.clone() {
        KeyConfig::PassphraseFile(path) => KeySource::PassphraseFile(path),
        KeyConfig::PassphraseVariable(name) => KeySource::PassphraseVariable(name),
        KeyConfig::KeyFile(path) => KeySource::KeyFile(path),
    };
    Ok(Arc::new(VaultStore::open(path, key, ctx).await?))
}

#[cfg(not(feature = "vault"))]
#[expect(clippy::unused_async, reason = "as with the feature")]
async fn vault(_: &std::path::Path, _: &KeyConfig, _: &Ctx) -> Result<Arc<dyn SecretStore>, Error> {
    Err(Error::NotCompiled { store: "vault", feature: "vault" })
}

#[cfg(feature = "openbao")]
fn openbao(config: &OpenBaoConfig, ctx: &Ctx) -> Result<Arc<dyn SecretStore>, Error> {
    Ok(Arc::new(super::OpenBaoStore::open(config, ctx)?))
}

#[cfg(not(feature = "openbao"))]
fn openbao(_: &OpenBaoConfig, _: &Ctx) -> Result<Arc<dyn SecretStore>, Error> {
    Err(Error::NotCompiled { store: "openbao", feature: "openbao" })
}
