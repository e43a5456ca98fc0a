//! The handle that a program uses.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buttress_core::{
    Classify, Ctx, ErrorClass, Event, Outcome, Probe, Validate, Vitality, chain, timeout, units,
};

use crate::anomaly::Detector;
use crate::config::SecretsConfig;
use crate::entry::{Entry, Failed, Found};
use crate::generate::Generate;
use crate::metrics::{Metrics, Read};
use crate::rotation::in_grace;
use crate::rotator::Rotator;
use crate::{Error, Lifecycle, Name, Secret, SecretStore, Stage, Versioned, Versions};

/// The event of a secret that was given out.
pub const READ: &str = "secret.read";
/// The event of a candidate that was checked; [`Outcome::Denied`] when it fits no version.
pub const CHECKED: &str = "secret.check";
/// The event of a store that began to fail, so that last known good secrets are used.
pub const STALE: &str = "secret.stale";
/// The event of an unusual access.
pub const ANOMALY: &str = "secret.anomaly";

/// Secrets, as a program uses them: kept for a while, last known good when the store fails, each access told. Clones share everything.
#[derive(Clone)]
pub struct Secrets {
    inner: Arc<Inner>,
    reader: Arc<str>,
}

struct Inner {
    store: Arc<dyn SecretStore>,
    config: SecretsConfig,
    ctx: Ctx,
    entries: Mutex<HashMap<Name, Arc<Entry>>>,
    detector: Mutex<Detector>,
    metrics: Metrics,
}

impl Secrets {
    /// Opens the stores of a configuration. Nothing is read but what a vault takes to open.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], [`Error::NotCompiled`], and those of opening a vault.
    pub async fn from_config(config: &SecretsConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        Self::new(crate::store::open(&config.stores, ctx).await?, config, ctx)
    }

    /// Takes secrets from `store`, and not from those that the configuration names.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new(store: Arc<dyn SecretStore>, config: &SecretsConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let inner = Inner {
            store,
            config: config.clone(),
            ctx: ctx.clone(),
            entries: Mutex::default(),
            detector: Mutex::new(Detector::new(config.anomaly.clone())),
            metrics: Metrics::new(),
        };
        Ok(Self { inner: Arc::new(inner), reader: config.reader.as_str().into() })
    }

    /// The same secrets for a part of the program, which events then name as the reader.
    #[must_use]
    pub fn reader(&self, reader: &str) -> Self {
        Self { inner: Arc::clone(&self.inner), reader: reader.into() }
    }

    /// Where the secrets come from.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn SecretStore> {
        &self.inner.store
    }

    /// The value to use now.
    ///
    /// At most `ttl` old; older, by `last_good` at most, only when the store fails. Costs a look into a table when it is known.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those of the store when there is no last known good value.
    pub async fn current(&self, name: &str) -> Result<Secret, Error> {
        let name = Name::new(name)?;
        let (found, how) = self.find(&name).await;
        let detail = match &found {
            Ok(versions) => format!("version {}, {}", versions.current.standing.version, how.as_str()),
            Err(error) => error.to_string(),
        };
        self.told(READ, &name, if found.is_ok() { Outcome::Success } else { Outcome::Failure }, detail);
        Ok(found?.current.secret.clone())
    }

    /// Which version `fits` takes: the current one is tried, then the previous one within its grace, then the next one.
    ///
    /// If none is, and the store was not asked for `recheck`, it is asked whether there are others by now.
    ///
    /// ```
    /// # use buttress_core::Ctx;
    /// # use buttress_secrets::{Secrets, SecretsConfig};
    /// # async fn signed(secrets: &Secrets, verify: fn(&[u8]) -> bool) -> Result<bool, buttress_secrets::Error> {
    /// let version = secrets.accepts("webhook/key", |key| verify(key.expose())).await?;
    /// # Ok(version.is_some())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As of [`current`](Self::current).
    pub async fn accepts(
        &self,
        name: &str,
        mut fits: impl FnMut(&Secret) -> bool + Send,
    ) -> Result<Option<Stage>, Error> {
        let name = Name::new(name)?;
        let (found, how) = self.find(&name).await;
        let versions = match found {
            Ok(versions) => versions,
            Err(error) => {
                self.told(CHECKED, &name, Outcome::Failure, error.to_string());
                return Err(error);
            }
        };
        let mut fitting = self.first(&versions, &mut fits);
        if fitting.is_none() && how == Read::Cached {
            let known = versions.lifecycle();
            if let Some(newer) = self.recheck(&name).await.filter(|newer| newer.lifecycle() != known) {
                fitting = self.first(&newer, &mut fits);
            }
        }
        self.inner.metrics.checked(fitting.map(|(stage, _)| stage));
        let (outcome, detail) = match fitting {
            Some((stage, version)) => (Outcome::Success, format!("version {version}, {stage}")),
            None => (Outcome::Denied, "no version fits".to_owned()),
        };
        self.told(CHECKED, &name, outcome, detail);
        Ok(fitting.map(|(stage, _)| stage))
    }

    /// Whether `candidate` is the secret, in any version that is accepted; compared in constant time.
    ///
    /// # Errors
    ///
    /// As of [`current`](Self::current).
    pub async fn matches(&self, name: &str, candidate: &[u8]) -> Result<bool, Error> {
        Ok(self.accepts(name, |secret| secret.matches(candidate)).await?.is_some())
    }

    /// Which versions there are.
    ///
    /// # Errors
    ///
    /// As of [`current`](Self::current).
    pub async fn lifecycle(&self, name: &str) -> Result<Lifecycle, Error> {
        Ok(self.find(&Name::new(name)?).await.0?.lifecycle())
    }

    /// Forgets what is known, so that the store is asked. Without an answer there is no last known good value any more.
    pub fn forget(&self, name: &str) {
        self.inner.entries().remove(name);
    }

    /// Rotates a secret in the background, by the configuration's policy, until the service stops.
    ///
    /// # Errors
    ///
    /// [`Error::Name`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn rotate_on_schedule(&self, name: &str, generate: impl Generate) -> Result<(), Error> {
        let inner = &self.inner;
        let (store, policy) = (Arc::clone(&inner.store), inner.config.rotation);
        Rotator::new(store, Name::new(name)?, policy, generate, &inner.ctx)?.start();
        Ok(())
    }

    fn first(&self, versions: &Versions, fits: &mut impl FnMut(&Secret) -> bool) -> Option<(Stage, u64)> {
        let now = self.inner.ctx.clock.wall();
        let grace = self.inner.config.rotation.grace;
        [Stage::Current, Stage::Previous, Stage::Next].into_iter().find_map(|stage| {
            let Versioned { standing, secret } = versions.at(stage)?;
            let accepted = stage != Stage::Previous || in_grace(now, *standing, grace);
            (accepted && fits(secret)).then_some((stage, standing.version))
        })
    }

    async fn find(&self, name: &Name) -> (Result<Arc<Versions>, Error>, Read) {
        let (found, how) = self.inner.find(name).await;
        self.inner.metrics.read(how);
        (found, how)
    }

    /// The versions as the store has them, if it may be asked again.
    async fn recheck(&self, name: &Name) -> Option<Arc<Versions>> {
        let inner = &self.inner;
        let entry = inner.entries().get(name).map(Arc::clone)?;
        let asked = |entry: &Entry| entry.state().known.as_ref().map(|known| known.at);
        let due = |entry: &Entry| {
            let now = inner.ctx.clock.now();
            asked(entry).is_none_or(|at| now.saturating_duration_since(at) >= inner.config.recheck)
        };
        if !due(&entry) {
            return None;
        }
        let _asking = entry.asking.lock().await;
        if due(&entry) {
            inner.ask(name, &entry).await.ok()?;
        }
        let state = entry.state();
        state.known.as_ref().map(|known| Arc::clone(&known.versions))
    }

    fn told(&self, action: &'static str, name: &Name, outcome: Outcome, detail: String) {
        let inner = &self.inner;
        let now = inner.ctx.clock.wall();
        let event = |action, outcome| {
            Event::new(now, action, outcome).actor(self.reader.as_ref()).target(name.as_str())
        };
        inner.ctx.events.emit(event(action, outcome).detail(detail));
        let unusual = {
            let mut detector = inner.detector.lock().unwrap_or_else(PoisonError::into_inner);
            detector.observe(now, &self.reader, name.as_str())
        };
        for anomaly in unusual {
            inner.metrics.anomaly(anomaly);
            inner.ctx.events.emit(event(ANOMALY, outcome).detail(anomaly.as_str()));
        }
    }
}

impl Inner {
    fn entries(&self) -> MutexGuard<'_, HashMap<Name, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, name: &Name) -> Result<Arc<Entry>, Error> {
        let mut entries = self.entries();
        if let Some(entry) = entries.get(name) {
            return Ok(Arc::clone(entry));
        }
        if entries.len() >= self.config.names {
            // What was never there makes room.
            entries.retain(|_, entry| entry.state().known.is_some() || Arc::strong_count(entry) > 1);
        }
        if entries.len() >= self.config.names {
            let limit = format!("{} (`names`)", self.config.names);
            return Err(Error::TooLarge { what: "the number of secrets in use", limit });
        }
        Ok(Arc::clone(entries.entry(name.clone()).or_default()))
    }

    async fn find(&self, name: &Name) -> (Result<Arc<Versions>, Error>, Read) {
        let entry = match self.entry(name) {
            Ok(entry) => entry,
            Err(error) => return (Err(error), Read::Failed),
        };
        let look = || entry.find(self.ctx.clock.now(), self.config.ttl, self.config.last_good);
        let good = match look() {
            Found::Ask(good) => good,
            found => return self.answer(name, found),
        };
        let _asking = match (entry.asking.try_lock(), good) {
            (Ok(asking), _) => asking,
            // Another asks already. What is known is behind by the limit of that at most.
            (Err(_), Some(good)) => return (Ok(good), Read::Cached),
            (Err(_), None) => entry.asking.lock().await,
        };
        match look() {
            Found::Ask(good) => match (self.ask(name, &entry).await, good) {
                (Ok(versions), _) => (Ok(versions), Read::Loaded),
                // That it is gone is an answer.
                (Err(error @ Error::NotFound { .. }), _) | (Err(error), None) => (Err(error), Read::Failed),
                (Err(_), Some(good)) => (Ok(good), Read::Stale),
            },
            found => self.answer(name, found),
        }
    }

    fn answer(&self, name: &Name, found: Found) -> (Result<Arc<Versions>, Error>, Read) {
        match found {
            Found::Fresh(versions) => (Ok(versions), Read::Cached),
            Found::LastGood(versions) => (Ok(versions), Read::Stale),
            Found::Failed(failed) => (Err(self.failed_before(name, failed)), Read::Failed),
            Found::Ask(versions) => (versions.ok_or_else(|| Error::not_found(name)), Read::Cached),
        }
    }

    fn failed_before(&self, name: &Name, failed: Failed) -> Error {
        let doing = format!("give `{name}`, as of a moment ago");
        Error::Store { store: self.store.kind(), doing, class: failed.class, source: failed.told.into() }
    }

    /// Asks the store, and keeps what it says. The caller holds the entry's `asking`.
    async fn ask(&self, name: &Name, entry: &Arc<Entry>) -> Result<Arc<Versions>, Error> {
        let clock = &*self.ctx.clock;
        // What is known is as old as the question.
        let began = clock.now();
        let answer = timeout(clock, self.config.load_within, self.store.load(name)).await;
        self.metrics.loaded(clock.now() - began);
        let store = self.store.kind();
        match answer.unwrap_or_else(|source| Err(Error::TimedOut { store, source })) {
            Ok(Some(versions)) => {
                let versions = Arc::new(versions);
                if entry.succeeded(&versions, began) {
                    tracing::info!(secret = name.as_str(), store, "the store of a secret answers again");
                }
                Ok(versions)
            }
            Ok(None) => {
                let mut entries = self.entries();
                if entries.get(name).is_some_and(|known| Arc::ptr_eq(known, entry)) {
                    entries.remove(name);
                }
                Err(Error::not_found(name))
            }
            Err(error) => {
                self.note(name, entry, &error);
                Err(error)
            }
        }
    }

    fn note(&self, name: &Name, entry: &Entry, error: &Error) {
        let (class, told) = (error.class(), chain(error));
        let failed = Failed { until: self.ctx.clock.now() + self.config.retry, class, told: told.clone() };
        if entry.failed(failed) {
            let store = self.store.kind();
            tracing::warn!(secret = name.as_str(), store, error = told, "the store of a secret fails");
            let event = Event::new(self.ctx.clock.wall(), STALE, Outcome::Failure).actor(store);
            self.ctx.events.emit(event.target(name.as_str()).detail(told));
        }
    }
}

impl Probe for Secrets {
    fn name(&self) -> &'static str {
        "secrets"
    }

    /// Passes while every store that was asked has answered; looks at what is known and asks nothing.
    async fn check(&self) -> Vitality {
        let now = self.inner.ctx.clock.now();
        let good = self.inner.config.ttl.saturating_add(self.inner.config.last_good);
        let (mut stale, mut without, mut class) = (0_usize, 0_usize, ErrorClass::Unavailable);
        for entry in self.inner.entries().values() {
            let state = entry.state();
            let Some(failed) = &state.failed else { continue };
            class = failed.class;
            let age = state.known.as_ref().map(|known| now.saturating_duration_since(known.at));
            if age.is_some_and(|age| age < good) { stale += 1 } else { without += 1 }
        }
        self.inner.metrics.stale(stale);
        let last_good = units::format_duration(self.inner.config.last_good);
        match (without, stale) {
            (0, 0) => Vitality::Pass,
            (0, _) => Vitality::Warn(format!(
                "{stale} secrets are used as last known good, for {last_good} at most: the store is {class}"
            )),
            _ => Vitality::Fail(format!("{without} secrets cannot be had: the store is {class}")),
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} of {})", self.inner.entries().len(), self.inner.store.kind())
    }
}
