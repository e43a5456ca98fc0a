//! Making what security needs, once.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use buttress_access::Names;
use buttress_access::keys::{IssuedKey, NewKey};
use buttress_audit::{Error as AuditError, FssSeed, Log};
use buttress_core::{Ctx, Key, Validate};
use buttress_secrets::vault::{KeySource, PassphraseCost, VaultStore};
use buttress_secrets::{Expect, Name, RandomValue, Secrets};

use super::{On, PEPPER, Security, SecurityConfig, cannot};
use crate::error::{BoxError, Error};

/// What was made, and is shown this once.
#[derive(Debug)]
#[non_exhaustive]
pub struct SetUp {
    /// By which the audit log can be verified although somebody has its present key. It belongs on another machine, or on paper. None
    /// where the log was there already.
    pub seed: Option<FssSeed>,
    /// An API key.
    pub key: IssuedKey,
}

impl SetUp {
    /// What `program` shows of it on a terminal, with the secrets, and what to do next.
    #[must_use]
    pub fn told(&self, program: &str, config: &SecurityConfig) -> String {
        let (folder, record) = (config.folder.display(), self.key.record());
        let seed = self.seed.as_ref().map_or_else(
            || "The audit log is there already, and its seed was shown when it was made.".to_owned(),
            |seed| {
                format!(
                    "Seed of the audit log. It is shown only now; keep it on paper or on another machine. With it\n\
                     `audit verify --seed-file` finds what somebody changed who had everything on this one:\n\n    {}",
                    *seed.reveal()
                )
            },
        );
        let vault = if config.secrets.is_none() {
            format!(
                "Keep a copy of {folder}/secrets.key apart from the rest: it opens the vault beside it.\n\n"
            )
        } else {
            String::new()
        };
        let next = if config.enabled {
            format!("Start the service: {program} serve")
        } else {
            format!(
                "Switch it on: {program} serve --set security.enabled=true\n\
                 or in {program}.toml:\n\n    [security]\n    enabled = true"
            )
        };
        format!(
            "Security of {program} is set up in {folder}.\n\n\
             API key of {}, role {}. It is shown only now:\n\n    {}\n\n{seed}\n\n{vault}{next}",
            record.owner,
            record.roles.joined(),
            self.key.expose(),
        )
    }
}

impl Security {
    /// Makes what is missing of vault, pepper and audit log, and issues an API key with a role. What is there is left as it is.
    ///
    /// Stores of secrets other than a vault in the folder must have the secret `api-keys/pepper` already, or take it.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] while the service runs; [`Error::Security`] names what cannot be made.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn set_up(config: &SecurityConfig, owner: Key, role: &str, ctx: &Ctx) -> Result<SetUp, Error> {
        config.validate().map_err(|wrong| cannot("use", "the configuration", wrong))?;
        let roles = Names::new([role]).map_err(|error| cannot("issue", "an API key", error))?;
        if !config.policy.roles.contains_key(role) {
            let known: Vec<_> = config.policy.roles.keys().map(String::as_str).collect();
            let problem = format!("the policy has no role `{role}`; it has {}", known.join(", "));
            return Err(cannot("issue", "an API key", problem));
        }
        make_folder(&config.folder).map_err(|error| cannot("make", "the folder of `security`", error))?;
        if config.secrets.is_none() {
            make_vault(config, ctx).await.map_err(|error| cannot("make", "the vault", error))?;
        }
        make_pepper(config, ctx)
            .await
            .map_err(|error| cannot("make", "the secret `api-keys/pepper`", error))?;
        let (log, seed) = match Log::create(&config.log(), ctx).await {
            Ok((log, seed)) => (Ok(log), Some(seed)),
            Err(AuditError::Exists { .. }) => (Log::open(&config.log(), ctx).await, None),
            Err(error) => (Err(error), None),
        };
        let log = log.map_err(|error| match error {
            AuditError::Locked { .. } => Error::InUse { folder: config.folder.clone() },
            error => cannot("make", "the audit log", error),
        })?;
        let on = On::open("set-up", config, log, ctx.clone()).await?;
        let key = on.keys.issue(NewKey::of(owner).roles(roles)).await;
        let closed = on.log.close().await;
        let key = key.map_err(|error| cannot("issue", "an API key", error))?;
        closed.map_err(|error| cannot("close", "the audit log", error))?;
        Ok(SetUp { seed, key })
    }
}

/// For its owner only.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

async fn make_vault(config: &SecurityConfig, ctx: &Ctx) -> Result<(), BoxError> {
    let (vault, key) = (config.vault(), config.vault_key());
    if vault.exists() {
        return Ok(());
    }
    make_key(&key)?;
    VaultStore::create(&vault, KeySource::KeyFile(key), PassphraseCost::default(), ctx).await?;
    Ok(())
}

/// A file of chance. One that is there from a run that was cut short will do.
fn make_key(path: &PathBuf) -> Result<(), BoxError> {
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match opened {
        Ok(mut file) => {
            file.write_all(RandomValue::default().value()?.expose())?;
            Ok(file.sync_all()?)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn make_pepper(config: &SecurityConfig, ctx: &Ctx) -> Result<(), BoxError> {
    let secrets = Secrets::from_config(&config.stores(), ctx).await?;
    let name = Name::new(PEPPER)?;
    if secrets.store().lifecycle(&name).await?.is_none() {
        secrets.store().put(&name, &RandomValue::default().value()?, Expect::Nothing).await?;
    }
    Ok(())
}
