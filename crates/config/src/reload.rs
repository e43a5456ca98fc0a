//! Takes a changed configuration into use, when all of it is right.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use buttress_core::{Ctx, Event, Outcome, Validate, Violations, timeout, units};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Problem};
use crate::live::Live;
use crate::loaded::Loaded;
use crate::loader::{Input, Loader};
use crate::metrics::Metrics;
use crate::path::KeyPath;
use crate::problem;

/// How changed files are noticed.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `interval` | `"2s"` | time between two looks at the files |
/// | `settle` | `"200ms"` | how long a change must stand still before it counts |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ReloadConfig {
    /// Time between two looks at the files.
    #[serde(with = "units::duration")]
    pub interval: Duration,
    /// How long a change must stand still before it counts, so that a file is not read while it is being written.
    #[serde(with = "units::duration")]
    pub settle: Duration,
}

impl Default for ReloadConfig {
    fn default() -> Self {
        Self { interval: Duration::from_secs(2), settle: Duration::from_millis(200) }
    }
}

impl Validate for ReloadConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let shown = units::format_duration(self.interval);
        let long_enough = self.interval >= Duration::from_millis(10);
        wrong.require(long_enough, "interval", shown, "must be at least \"10ms\"; \"2s\" is usual");
        let shown = units::format_duration(self.settle);
        wrong.require(self.settle <= self.interval, "settle", shown, "must not be longer than `interval`");
        wrong.into_result()
    }
}

/// Keeps a [`Live`] configuration in step with its files.
///
/// The files' content is compared, not their times, so that a rename over the old file, a swapped symbolic link (as
/// Kubernetes mounts do it) and a plain write are all seen. A new configuration is loaded and validated as a whole
/// before it replaces the old one; when anything is wrong with it, the old one stays, and the error is told by an
/// [`Event`] `config.reload`, a log line and a metric, once for each content. Variables and flags stay as they were
/// at the start.
///
/// A file that was there and has gone is an error, not a return to the defaults.
///
/// ```
/// use std::sync::Arc;
/// use buttress_config::{Loader, ReloadConfig, Reloader};
/// # use buttress_core::{Ctx, Validate, Violations};
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # #[serde(default, deny_unknown_fields)]
/// # struct Config { workers: u32, listen: String }
/// # impl Validate for Config { fn validate(&self) -> Result<(), Violations> { Ok(()) } }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), buttress_config::Error> {
/// # let ctx = Ctx::default();
/// let loader = Loader::new("docproc").optional_file("docproc.toml");
/// let reloader = Reloader::<Config>::new(loader, ctx)?.restart_required(["listen"]);
/// let config = reloader.live();             // hand clones of it to whoever needs the configuration
///
/// let reloader = Arc::new(reloader);
/// reloader.watch(&ReloadConfig::default()); // until shutdown
/// let outcome = reloader.reload()?;         // or at once, when an operator asks
/// assert!(outcome.changed.is_empty());
/// # assert_eq!(config.get().workers, 0);
/// # Ok(())
/// # }
/// ```
pub struct Reloader<T> {
    loader: Loader,
    live: Live<T>,
    fixed: Vec<KeyPath>,
    ctx: Ctx,
    metrics: Metrics,
    state: Mutex<State>,
}

struct State {
    /// All about the configuration in use but itself.
    about: Loaded<()>,
    /// What was tried last, taken into use or not.
    tried: u64,
}

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// The version in use now.
    pub version: u64,
    /// The keys whose values changed; empty when nothing did, and then the version stays.
    pub changed: Vec<String>,
}

impl<T> Reloader<T>
where
    T: Serialize + DeserializeOwned + Default + Validate + Send + Sync + 'static,
{
    /// Loads the configuration for the first time.
    pub fn new(loader: Loader, ctx: Ctx) -> Result<Self, Error> {
        let inputs = loader.read()?;
        let (value, about) = loader.build::<T>(&inputs)?.split();
        let metrics = Metrics::new();
        metrics.version.set(1.0);
        let state = Mutex::new(State { about, tried: digest(&Ok(inputs)) });
        Ok(Self { loader, live: Live::new(value), fixed: Vec::new(), ctx, metrics, state })
    }

    /// Names the keys that cannot change while the process runs; one that names a table stands for all below it.
    ///
    /// A reload that changes one of them is refused as a whole, with an error that names the key. So what runs is
    /// always one configuration that somebody wrote, never a mixture of two.
    #[must_use]
    pub fn restart_required<S: AsRef<str>>(mut self, keys: impl IntoIterator<Item = S>) -> Self {
        self.fixed.extend(keys.into_iter().map(|key| KeyPath::parse(key.as_ref())));
        self
    }

    /// The configuration in use, as it changes.
    pub fn live(&self) -> Live<T> {
        self.live.clone()
    }

    /// Where the values in use came from: print and explain them, secrets masked.
    pub fn about(&self) -> Loaded<()> {
        self.state().about.clone()
    }

    /// Reads all layers again, and takes the result into use if it is right. Reads the files on the calling thread.
    pub fn reload(&self) -> Result<Reloaded, Error> {
        self.take(self.loader.read(), "request")
    }

    /// Looks at the files again and again until shutdown, on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, as [`tokio::spawn`] does.
    pub fn watch(self: &Arc<Self>, config: &ReloadConfig) {
        let (reloader, config) = (self.clone(), config.clone());
        self.ctx.shutdown.spawn(async move {
            while !reloader.shut_down_within(config.interval).await {
                if let Some(inputs) = reloader.settled_change(config.settle).await {
                    // Reported already; the old configuration stays.
                    let _ = reloader.take(inputs, "file watcher");
                }
            }
        });
    }

    async fn shut_down_within(&self, time: Duration) -> bool {
        timeout(&*self.ctx.clock, time, self.ctx.shutdown.drained()).await.is_ok()
    }

    /// What the files say now, if that was not tried yet, and once it stands still.
    async fn settled_change(&self, settle: Duration) -> Option<Result<Vec<Input>, Error>> {
        let mut before = digest(&self.look().await?);
        while before != self.state().tried {
            if self.shut_down_within(settle).await {
                return None;
            }
            let inputs = self.look().await?;
            let now = digest(&inputs);
            if now == before {
                return Some(inputs);
            }
            before = now;
        }
        None
    }

    /// Reads the files away from the threads that serve; `None` when the runtime ends.
    async fn look(&self) -> Option<Result<Vec<Input>, Error>> {
        let loader = self.loader.clone();
        tokio::task::spawn_blocking(move || loader.read()).await.ok()
    }

    fn take(&self, inputs: Result<Vec<Input>, Error>, actor: &str) -> Result<Reloaded, Error> {
        let result = {
            let mut state = self.state();
            state.tried = digest(&inputs);
            inputs.and_then(|inputs| self.swap(&mut state, &inputs))
        };
        self.report(&result, actor);
        result
    }

    fn swap(&self, state: &mut State, inputs: &[Input]) -> Result<Reloaded, Error> {
        if let Some(path) = state.about.files().find(|path| !inputs.iter().any(|input| &*input.path == *path))
        {
            let reason = "it was there before: put it back, or restart to run without it".to_owned();
            return Err(Error::Missing { path: path.to_owned(), reason });
        }
        let (value, about) = self.loader.build::<T>(inputs)?.split();
        let changed = about.changed_keys(&state.about);
        let is_fixed = |path: &&KeyPath| self.fixed.iter().any(|fixed| path.is_within(fixed));
        let refused: Vec<Problem> = changed
            .iter()
            .filter(is_fixed)
            .map(|path| {
                let ((to, source), (from, _)) = (about.at(path), state.about.at(path));
                problem::of_change(path, from, to, source)
            })
            .collect();
        if !refused.is_empty() {
            return Err(Error::RestartRequired(refused));
        }
        state.about = about;
        let version = if changed.is_empty() { self.live.version() } else { self.live.replace(value) };
        Ok(Reloaded { version, changed: changed.iter().map(ToString::to_string).collect() })
    }

    fn report(&self, result: &Result<Reloaded, Error>, actor: &str) {
        let event = |outcome| Event::new(self.ctx.clock.wall(), "config.reload", outcome).actor(actor);
        let event = match result {
            Ok(Reloaded { version, changed }) => {
                self.metrics.succeeded.increment(1);
                self.metrics.version.set(*version as f64);
                let changed = if changed.is_empty() { "nothing".to_owned() } else { changed.join(", ") };
                tracing::info!(target: "buttress::config", version, changed, actor, "configuration reloaded");
                event(Outcome::Success).detail(format!("version {version}; changed: {changed}"))
            }
            Err(error) => {
                self.metrics.failed.increment(1);
                let problems = error.to_string().replace('\n', "; ");
                tracing::error!(
                    target: "buttress::config", problems, actor,
                    "configuration not reloaded, the old one stays"
                );
                event(Outcome::Failure).detail(problems)
            }
        };
        self.ctx.events.emit(match self.loader.file_path() {
            Some(path) => event.target(path.display().to_string()),
            None => event,
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is replaced field by field with whole values, so it is sound after a panic elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> std::fmt::Debug for Reloader<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloader").field("loader", &self.loader).finish_non_exhaustive()
    }
}

/// The same for the same content, and, but for one chance in 2^64, only then. Compared within one process only.
fn digest(inputs: &Result<Vec<Input>, Error>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match inputs {
        Ok(inputs) => inputs.hash(&mut hasher),
        Err(error) => error.to_string().hash(&mut hasher),
    }
    hasher.finish()
}
