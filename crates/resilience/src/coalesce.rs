//! Coalescing: callers that ask for the same at the same time share one call.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress_core::{Ctx, Elapsed, Validate, Violations, timeout, units};
use metrics::Counter;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::deadline::keep;
use crate::error::{Error, Failure};
use crate::sync::lock;

/// How calls are shared.
///
/// | field | default | |
/// |---|---|---|
/// | `limit` | `"30s"` | a shared call that takes longer is given up |
/// | `keys` | 10000 | shared calls at once; what comes beyond is called for itself |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CoalesceConfig {
    /// A shared call that takes longer is given up.
    #[serde(with = "units::duration")]
    pub limit: Duration,
    /// Shared calls at once.
    pub keys: usize,
}

impl Default for CoalesceConfig {
    fn default() -> Self {
        Self { limit: Duration::from_secs(30), keys: 10_000 }
    }
}

impl Validate for CoalesceConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        crate::config::time(&mut wrong, "limit", self.limit, Self::default().limit);
        let keys = (1..=10_000_000).contains(&self.keys);
        wrong.require(keys, "keys", self.keys, "must be 1 to 10000000; 10000 is usual");
        wrong.into_result()
    }
}

type Answer<T, E> = Option<Result<T, Failure<E>>>;
type Flights<K, T, E> = Mutex<HashMap<K, Arc<watch::Sender<Answer<T, E>>>>>;

/// One call for all who ask for the same key at the same time. Cheap to clone: clones share.
///
/// The call runs in a task of its own. So a caller may go away at any time, the first one too; when the last has gone the
/// call is cancelled. Each caller keeps its own deadline, and the call has only the limit of the configuration.
///
/// ```
/// use buttress_core::{Ctx, Elapsed};
/// use buttress_resilience::{Coalesce, CoalesceConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let users = Coalesce::new("users", &CoalesceConfig::default(), &Ctx::default())?;
/// let name = users.run(42, || async { Ok::<_, Elapsed>("Ada".to_owned()) }).await?;
/// assert_eq!(name, "Ada");
/// # Ok(())
/// # }
/// ```
pub struct Coalesce<K, T, E>(Arc<Inner<K, T, E>>);

struct Inner<K, T, E> {
    flights: Flights<K, T, E>,
    config: CoalesceConfig,
    ctx: Ctx,
    coalesced: Counter,
}

impl<K, T, E> Coalesce<K, T, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Nothing shared yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new(name: &str, config: &CoalesceConfig, ctx: &Ctx) -> Result<Self, Error> {
        let mut wrong = Violations::new();
        crate::config::name(&mut wrong, name);
        wrong.nest("coalesce", config);
        wrong.into_result().map_err(Error::Config)?;
        Ok(Self(Arc::new(Inner {
            flights: Mutex::default(),
            config: config.clone(),
            ctx: ctx.clone(),
            coalesced: crate::metrics::coalesced(name),
        })))
    }

    /// What the call for `key` answers: the one that is under way, or `call`.
    ///
    /// # Errors
    ///
    /// [`Failure::Call`] with the call's error, for all its callers; [`Failure::TimedOut`] when its limit or this caller's
    /// deadline came first; [`Failure::Lost`] when it panicked or was ended by a stop.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn run<F>(&self, key: K, call: impl FnOnce() -> F) -> Result<T, Failure<E>>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let inner = &self.0;
        let clock = &*inner.ctx.clock;
        let mut flight = match self.board(key) {
            Boarding::Joined(flight) => {
                inner.coalesced.increment(1);
                flight
            }
            Boarding::First(flight, leg) => {
                inner.ctx.shutdown.spawn(leg.fly(call()));
                flight
            }
            Boarding::Alone => {
                let limited = keep(clock, timeout(clock, inner.config.limit, call())).await?;
                return limited?.map_err(Failure::Call);
            }
        };
        let landed = keep(clock, flight.wait_for(Option::is_some)).await?;
        landed.ok().and_then(|answer| answer.clone()).unwrap_or(Err(Failure::Lost))
    }

    fn board(&self, key: K) -> Boarding<K, T, E> {
        let mut flights = lock(&self.0.flights);
        if let Some(flight) = flights.get(&key) {
            return Boarding::Joined(flight.subscribe());
        }
        if flights.len() >= self.0.config.keys {
            return Boarding::Alone;
        }
        let (sender, receiver) = watch::channel(None);
        let sender = Arc::new(sender);
        flights.insert(key.clone(), Arc::clone(&sender));
        Boarding::First(receiver, Leg { inner: Arc::clone(&self.0), key, sender })
    }

    /// Calls that are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        lock(&self.0.flights).len()
    }
}

enum Boarding<K: Hash + Eq, T, E> {
    Joined(watch::Receiver<Answer<T, E>>),
    First(watch::Receiver<Answer<T, E>>, Leg<K, T, E>),
    Alone,
}

/// The shared call's entry in the map, which goes when this does.
struct Leg<K: Hash + Eq, T, E> {
    inner: Arc<Inner<K, T, E>>,
    key: K,
    sender: Arc<watch::Sender<Answer<T, E>>>,
}

impl<K: Hash + Eq, T, E> Leg<K, T, E> {
    /// Takes the entry out, unless somebody still waits and `only_if_alone`.
    fn close(&self, only_if_alone: bool) -> bool {
        let mut flights = lock(&self.inner.flights);
        if only_if_alone && self.sender.receiver_count() > 0 {
            return false;
        }
        if flights.get(&self.key).is_some_and(|sender| Arc::ptr_eq(sender, &self.sender)) {
            flights.remove(&self.key);
        }
        true
    }

    /// Completes when no caller is left, and none can come any more.
    async fn deserted(&self) {
        loop {
            self.sender.closed().await;
            if self.close(true) {
                return;
            }
        }
    }

    async fn fly(self, call: impl Future<Output = Result<T, E>>) {
        let ctx = &self.inner.ctx;
        let call = timeout(&*ctx.clock, self.inner.config.limit, call);
        let answer = tokio::select! {
            answer = call => match answer {
                Ok(result) => result.map_err(Failure::Call),
                Err(Elapsed(limit)) => Err(Failure::TimedOut(Elapsed(limit))),
            },
            () = self.deserted() => return,
            () = ctx.shutdown.stopped() => return,
        };
        // Whoever asks from now on asks for something newer.
        self.close(false);
        self.sender.send_replace(Some(answer));
    }
}

impl<K: Hash + Eq, T, E> Drop for Leg<K, T, E> {
    fn drop(&mut self) {
        self.close(false);
    }
}

impl<K, T, E> Clone for Coalesce<K, T, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, T, E> std::fmt::Debug for Coalesce<K, T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coalesce").field("config", &self.0.config).finish_non_exhaustive()
    }
}
