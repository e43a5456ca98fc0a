//! Where secrets come from.

mod chain;
mod environment;
mod files;
mod kv2;
mod memory;
mod open;

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use buttress_core::{BoxFuture, ErrorClass, SharedClock};

use crate::lifecycle::{Lifecycle, Stage, Standing, Versioned, Versions};
use crate::{Error, Name, Secret};

pub use chain::{ChainStore, FALLBACK};
pub use environment::EnvironmentStore;
pub use files::FileStore;
#[cfg(feature = "openbao")]
pub use kv2::OpenBaoStore;
pub use kv2::{OpenBaoConfig, OpenBaoLogin};
pub use memory::MemoryStore;
pub(crate) use memory::at_most;
#[cfg(feature = "vault")]
pub(crate) use memory::{Change, put, rotate};
pub(crate) use open::open;

/// Which version is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one in this place.
    At(Stage),
    /// The one of this number.
    Number(u64),
}

/// What a writer expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Whatever there is.
    Anything,
    /// No secret of that name.
    Nothing,
    /// That its current version has this number.
    Version(u64),
}

/// One step of a rotation.
#[derive(Debug, Clone)]
pub enum Step {
    /// Add this value as the version to come.
    Create(Secret),
    /// The version to come becomes the current one, and the current one the previous.
    Switch,
    /// The previous version goes, for good.
    Retire,
}

impl Step {
    /// The step for people and as a label: `"create"`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Switch => "switch",
            Self::Retire => "retire",
        }
    }
}

/// Where secrets come from. `buttress_secrets::contract`, of the feature `test-util`, tests what is promised here.
///
/// A change that was answered with `Ok` is durable: it outlives the process and, where the store is on this machine, a loss of power.
/// Every future may be dropped; a change under way is then made whole or not at all.
pub trait SecretStore: Send + Sync + 'static {
    /// What it is, in errors, events and metrics: `"vault"`.
    fn kind(&self) -> &'static str;

    /// All versions of a secret with their values, as of one moment; `None` if there is no such secret.
    fn load<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Option<Versions>, Error>>;

    /// Which versions there are of a secret, without their values. A store may answer it more cheaply than [`load`](Self::load).
    fn lifecycle<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Option<Lifecycle>, Error>> {
        Box::pin(async { Ok(self.load(name).await?.map(|versions| versions.lifecycle())) })
    }

    /// The names of all secrets, in order. [`Error::TooLarge`] when there are more than `most`.
    fn list(&self, most: usize) -> BoxFuture<'_, Result<Vec<Name>, Error>>;

    /// Puts a value in the place of the current version, which becomes the previous one; a version to come is dropped.
    ///
    /// For a first value, and for one that was changed by hand; a [rotation](Self::rotate) goes without a moment in which a verifier
    /// does not know what is used. [`Error::Changed`] when what is there is not what was expected.
    fn put<'a>(
        &'a self,
        name: &'a Name,
        secret: &'a Secret,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Lifecycle, Error>>;

    /// Makes one step of a rotation, if the secret's versions are those that the caller has `seen`.
    ///
    /// [`Error::Changed`] when they are not, or when the step does not follow: there is a version to come for [`Step::Create`]; there
    /// is none for [`Step::Switch`], or the previous one is not retired yet; there is no previous one for [`Step::Retire`].
    fn rotate<'a>(
        &'a self,
        name: &'a Name,
        seen: &'a Lifecycle,
        step: Step,
    ) -> BoxFuture<'a, Result<Lifecycle, Error>>;

    /// Removes a secret in all its versions. Whether there was one.
    fn remove<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<bool, Error>>;

    /// One version; `None` if there is no such secret or version.
    fn get<'a>(&'a self, name: &'a Name, which: Which) -> BoxFuture<'a, Result<Option<Versioned>, Error>> {
        Box::pin(async move {
            let versions = self.load(name).await?;
            Ok(versions.and_then(|all| match which {
                Which::At(stage) => all.at(stage).cloned(),
                Which::Number(version) => all.number(version).cloned(),
            }))
        })
    }

    /// Completes with the secret's versions once they are not those that the caller has `seen`; looks each `every`.
    fn watch<'a>(
        &'a self,
        name: &'a Name,
        seen: Option<Lifecycle>,
        clock: SharedClock,
        every: Duration,
    ) -> BoxFuture<'a, Result<Option<Lifecycle>, Error>> {
        Box::pin(async move {
            loop {
                let found = self.lifecycle(name).await?;
                if found != seen {
                    return Ok(found);
                }
                clock.sleep(every).await;
            }
        })
    }
}

/// Refuses a value that is too large, before anything is done with it.
pub(crate) fn within_limits(secret: &Secret) -> Result<(), Error> {
    if secret.expose().len() > Secret::MAX_BYTES {
        return Err(Error::TooLarge { what: "the value", limit: format!("{} bytes", Secret::MAX_BYTES) });
    }
    Ok(())
}

/// A value without the newline at its end, which editors put there.
pub(crate) fn without_newline(secret: &Secret) -> Secret {
    let Some(line) = secret.expose().strip_suffix(b"\n") else { return secret.clone() };
    Secret::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}

/// The versions of a store that is kept by somebody else: each under a name of its own, which `find` looks up.
pub(crate) fn versions_of(
    name: &str,
    find: impl Fn(&str) -> Result<Option<(Secret, Option<SystemTime>)>, Error>,
) -> Result<Option<Versions>, Error> {
    // Whoever puts a version there decides how long it stays.
    let version = |secret: Secret, since| Versioned {
        standing: Standing { version: number_of(&secret), since },
        secret,
    };
    let beside = |ending: &str| -> Result<Option<Versioned>, Error> {
        Ok(find(&format!("{name}{ending}"))?.map(|(secret, _)| version(secret, None)))
    };
    let Some((current, since)) = find(name)? else { return Ok(None) };
    let (previous, next) = (beside(".previous")?, beside(".next")?);
    Ok(Some(Versions { current: version(current, since), previous, next }))
}

/// A number by which values differ, under a key that this process made up and nobody sees: it says nothing about the value.
fn number_of(secret: &Secret) -> u64 {
    static KEYS: OnceLock<RandomState> = OnceLock::new();
    KEYS.get_or_init(RandomState::new).hash_one(secret.expose())
}

pub(crate) fn read_only<'a, T: Send + 'a>(store: &'static str) -> BoxFuture<'a, Result<T, Error>> {
    Box::pin(async move { Err(Error::ReadOnly { store }) })
}

/// Runs what blocks where it may.
pub(crate) async fn blocking<T: Send + 'static>(
    store: &'static str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|gone| {
        let doing = "finish its work".to_owned();
        Err(Error::Store { store, doing, class: ErrorClass::Cancelled, source: gone.into() })
    })
}
