//! A key set of others, kept and fetched again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use buttress_core::{Ctx, Validate, Violations, chain, timeout, units};
use metrics::{Counter, counter, describe_counter};
use serde::{Deserialize, Serialize};

use super::set::KeySet;
use super::source::JwksSource;
use crate::Error;
use crate::metrics::JWKS_FETCHES;

/// How long key sets are kept.
///
/// | setting | default | |
/// |---|---|---|
/// | `fresh_for` | `"5m"` | how old a set may be before it is fetched again |
/// | `floor` | `"10s"` | the shortest time between two fetches, however many tokens name unknown keys |
/// | `last_good_for` | `"24h"` | how old the last set that was good may be while none can be fetched |
/// | `within` | `"5s"` | how long a fetch may take |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct JwksConfig {
    /// How old a set may be before it is fetched again.
    #[serde(with = "units::duration")]
    pub fresh_for: Duration,
    /// The shortest time between two fetches.
    #[serde(with = "units::duration")]
    pub floor: Duration,
    /// How old a set may be while none can be fetched.
    #[serde(with = "units::duration")]
    pub last_good_for: Duration,
    /// How long a fetch may take.
    #[serde(with = "units::duration")]
    pub within: Duration,
}

impl Default for JwksConfig {
    fn default() -> Self {
        Self {
            fresh_for: Duration::from_mins(5),
            floor: Duration::from_secs(10),
            last_good_for: Duration::from_hours(24),
            within: Duration::from_secs(5),
        }
    }
}

impl Validate for JwksConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let mut within = |field, value: Duration, from: Duration, to: Duration, remedy: &str| {
            wrong.require((from..=to).contains(&value), field, units::format_duration(value), remedy);
        };
        let (second, day) = (Duration::from_secs(1), Duration::from_hours(24));
        within("floor", self.floor, second, Duration::from_hours(1), "must be 1s to 1h; 10s is usual");
        within("fresh_for", self.fresh_for, self.floor, day, "must be `floor` to 24h; 5m is usual");
        let remedy = "must be `fresh_for` to 30d; 24h is usual";
        within("last_good_for", self.last_good_for, self.fresh_for, day * 30, remedy);
        let (least, most) = (Duration::from_millis(10), Duration::from_mins(1));
        within("within", self.within, least, most, "must be 10ms to 1m; 5s is usual");
        wrong.into_result()
    }
}

/// A key set of others: fetched when it is first needed, kept while it is fresh, fetched again by one caller for all, and kept longer
/// while it cannot be fetched. Cheap to clone.
#[derive(Clone)]
pub struct Jwks(Arc<Shared>);

struct Shared {
    source: Box<dyn JwksSource>,
    config: JwksConfig,
    ctx: Ctx,
    known: Mutex<Known>,
    /// Held by the one that fetches.
    turn: tokio::sync::Mutex<()>,
    fetched: Counter,
    failed: Counter,
}

#[derive(Default)]
struct Known {
    set: Option<(Arc<KeySet>, Instant)>,
    /// When a fetch last began.
    tried: Option<Instant>,
}

impl Jwks {
    /// The set of this source. Nothing is fetched yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new(source: impl JwksSource, config: &JwksConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        describe_counter!(JWKS_FETCHES, "Fetches of key sets, by outcome");
        Ok(Self(Arc::new(Shared {
            source: Box::new(source),
            config: config.clone(),
            ctx: ctx.clone(),
            known: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            fetched: counter!(JWKS_FETCHES, "outcome" => "fetched"),
            failed: counter!(JWKS_FETCHES, "outcome" => "failed"),
        })))
    }

    /// The set. Whoever comes when it is no longer fresh fetches it, and waits for that; others have the former one meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when there is none that is good enough.
    pub async fn get(&self) -> Result<Arc<KeySet>, Error> {
        let shared = &*self.0;
        match shared.usable() {
            Some((set, age)) if age < shared.config.fresh_for => return Ok(set),
            Some((set, _)) => {
                // Somebody else fetches already.
                let Ok(_turn) = shared.turn.try_lock() else { return Ok(set) };
                shared.fetch().await;
            }
            None => shared.in_turn(None).await,
        }
        shared.usable().map(|(set, _)| set).ok_or_else(|| Error::Unavailable {
            what: "the key set",
            problem: "none could be fetched; see the log".to_owned(),
        })
    }

    /// A newer set than this one, in which a key was not found; `None` when there is none. All who ask wait for one fetch, and within
    /// `floor` of the last fetch there is no other.
    pub async fn newer(&self, than: &Arc<KeySet>) -> Option<Arc<KeySet>> {
        self.0.in_turn(Some(than)).await;
        self.0.usable().map(|(set, _)| set).filter(|set| !Arc::ptr_eq(set, than))
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The set and its age, unless it is too old.
    fn usable(&self) -> Option<(Arc<KeySet>, Duration)> {
        let (set, since) = self.known().set.clone()?;
        let age = self.ctx.clock.now().saturating_duration_since(since);
        (age < self.config.last_good_for).then_some((set, age))
    }

    /// Waits for its turn, and fetches unless another did meanwhile.
    async fn in_turn(&self, than: Option<&Arc<KeySet>>) {
        let patience = self.config.within;
        let turn = async {
            let _turn = self.turn.lock().await;
            let has_come = match (than, self.usable()) {
                (Some(than), Some((set, _))) => !Arc::ptr_eq(than, &set),
                (None, Some(_)) => true,
                (_, None) => false,
            };
            if !has_come {
                self.fetch().await;
            }
        };
        // Twice: for the one before, and for its own.
        let _ = timeout(&*self.ctx.clock, patience * 2, turn).await;
    }

    /// Fetches once, unless that was tried a short time ago. To be called by the one whose turn it is.
    async fn fetch(&self) {
        let now = self.ctx.clock.now();
        {
            let mut known = self.known();
            let waits = |tried: Instant| now.saturating_duration_since(tried) < self.config.floor;
            if known.tried.is_some_and(waits) {
                return;
            }
            known.tried = Some(now);
        }
        let fetched = timeout(&*self.ctx.clock, self.config.within, self.source.fetch()).await;
        let late = |late: buttress_core::Elapsed| Error::Unavailable {
            what: "the key set",
            problem: late.to_string(),
        };
        match fetched.map_err(late).and_then(|answer| answer).and_then(|bytes| KeySet::parse(&bytes)) {
            Ok(set) => {
                self.fetched.increment(1);
                self.known().set = Some((Arc::new(set), now));
            }
            Err(error) => {
                self.failed.increment(1);
                tracing::warn!(error = chain(&error), "a key set cannot be fetched; the last good one stays");
            }
        }
    }
}

impl std::fmt::Debug for Jwks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Jwks({:?})", self.0.known().set.as_ref().map(|(set, _)| set))
    }
}
