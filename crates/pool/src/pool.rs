//! The pool as its users see it.

use std::future::Future;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use buttress_core::{Ctx, Probe, Validate, Vitality, chain, timeout};
use tokio::sync::Notify;

use crate::config::PoolConfig;
use crate::desk::{Desk, InLine, Shell};
use crate::error::{Error, refused};
use crate::guard::{Fate, Guard};
use crate::manager::{Condition, Manager};
use crate::metrics::Metrics;
use crate::state::State;
use crate::status::{Closed, ObjectStatus, Status};
use crate::time::Time;
use crate::verdict::{Ask, Effects};
use crate::waiters::Priority;

/// How a caller wants its object.
///
/// ```
/// use buttress_pool::{Checkout, Priority};
/// use std::time::Duration;
///
/// let checkout = Checkout::default().within(Duration::from_millis(200)).priority(Priority::High);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Checkout {
    within: Option<Duration>,
    priority: Priority,
    wait: bool,
}

impl Default for Checkout {
    /// At most as long as the pool's `wait`, at the usual priority.
    fn default() -> Self {
        Self { within: None, priority: Priority::default(), wait: true }
    }
}

impl Checkout {
    /// Waits no longer than this.
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = Some(limit);
        self
    }

    /// Is served before those of a lower priority.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Is refused at once where all objects are in use; one that can be created is waited for.
    pub fn no_wait(mut self) -> Self {
        self.wait = false;
        self
    }
}

/// A pool of objects that a [`Manager`] makes. Cheap to clone: clones are handles of one pool.
///
/// See the [crate documentation](crate) for what it promises.
pub struct Pool<M: Manager>(pub(crate) Arc<Inner<M>>);

/// What handles and guards share.
///
/// The desk comes first: its lock then lies beside the counts of the `Arc`, which change at the same times, and cores
/// that use the pool in turns have one cache line less to pass on.
#[repr(C)]
pub(crate) struct Inner<M: Manager> {
    pub(crate) desk: Desk<M::Object>,
    /// When the pool was made.
    pub(crate) start: Instant,
    pub(crate) ctx: Ctx,
    pub(crate) manager: M,
    pub(crate) metrics: Metrics,
    pub(crate) config: PoolConfig,
    pub(crate) name: Arc<str>,
    /// For tasks, which hold the pool while they work for it.
    pub(crate) me: Weak<Self>,
    /// Rung when maintenance is needed sooner than it was to come.
    pub(crate) bell: Arc<Notify>,
    /// Whether a task does the maintenance.
    pub(crate) attended: AtomicBool,
    /// Told to all who wait for objects to come or to go.
    pub(crate) news: Notify,
}

impl<M: Manager> Pool<M> {
    /// A pool without objects: they are created when they are needed, or by [`warm_up`](Pool::warm_up).
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new(manager: M, config: PoolConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let seed = buttress_core::unique_number();
        Ok(Self(Arc::new_cyclic(|me| Inner {
            start: ctx.clock.now(),
            me: me.clone(),
            manager,
            name: config.name.as_str().into(),
            ctx: ctx.clone(),
            desk: Desk::new(State::new(config.rules(), seed)),
            metrics: Metrics::new(&config.name),
            bell: Arc::default(),
            attended: AtomicBool::new(false),
            news: Notify::new(),
            config,
        })))
    }

    /// An object, after at most the pool's `wait`.
    ///
    /// Callers are served in the order in which they came. Dropping the future at any point gives up the place.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] when too many wait or the pool is closed, [`Error::TimedOut`], [`Error::Create`].
    #[track_caller]
    pub fn get(&self) -> impl Future<Output = Result<Guard<M>, Error>> + Send + '_ {
        self.get_with(Checkout::default())
    }

    /// An object, as the caller wants it.
    ///
    /// # Errors
    ///
    /// As [`get`](Pool::get).
    #[track_caller]
    pub fn get_with(&self, checkout: Checkout) -> impl Future<Output = Result<Guard<M>, Error>> + Send + '_ {
        self.take(checkout, Location::caller())
    }

    pub(crate) async fn take(
        &self,
        checkout: Checkout,
        by: &'static Location<'static>,
    ) -> Result<Guard<M>, Error> {
        let inner = &self.0;
        let started = inner.now();
        let within = checkout.within.unwrap_or(inner.config.wait);
        let deadline = started.after(within);
        let Checkout { priority, wait, .. } = checkout;
        let mut ask = Ask { now: started, since: started, deadline, priority, wait, first: false, by };
        loop {
            let lent = match InLine::new(&**inner, ask).await {
                Ok(lent) => lent,
                Err(refusal) => {
                    let error = refused(&inner.name, refusal).unwrap_or_else(|| inner.timed_out(within));
                    inner.metrics.refused(&error);
                    return Err(error);
                }
            };
            let check = lent.check;
            let mut guard = Guard::lent(Arc::clone(inner), lent);
            match inner.condition(&guard).closes() {
                Some(reason) => guard.set_fate(Fate::Close(reason)),
                None if !check => return Ok(guard),
                None if inner.passes(&mut guard).await => return Ok(guard),
                None => {}
            }
            drop(guard);
            ask.now = inner.now();
            if ask.now >= deadline {
                let error = inner.timed_out(within);
                inner.metrics.refused(&error);
                return Err(error);
            }
            // It had its turn, and got nothing from it.
            ask.first = true;
        }
    }

    /// Creates `min_idle` objects, and returns when they are there: for a service that had rather fail at its start.
    ///
    /// # Errors
    ///
    /// [`Error::Create`] when the circuit opens before, [`Error::TimedOut`] past the pool's `wait`.
    pub async fn warm_up(&self) -> Result<(), Error> {
        let inner = &self.0;
        let within = inner.config.wait;
        let ready = async {
            loop {
                let news = inner.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                let mut effects = Effects::default();
                let (there, refusal) = {
                    let now = inner.now();
                    let mut state = inner.desk.lock();
                    state.start(now, &mut effects);
                    let status = state.status(now);
                    let there = status.idle + status.in_use >= state.min_idle();
                    (there, status.circuit_open_for.zip(state.cause()))
                };
                inner.act(effects);
                if there {
                    return Ok(());
                }
                if let Some((retry_after, cause)) = refusal {
                    return Err(Error::circuit_open(&inner.name, retry_after, cause));
                }
                news.await;
            }
        };
        timeout(&*inner.ctx.clock, within, ready).await.unwrap_or_else(|_| Err(inner.timed_out(within)))
    }

    /// The pool at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.desk.lock().status(self.0.now())
    }

    /// Every object of the pool at this moment: its age, its uses, who has it.
    #[must_use]
    pub fn objects(&self) -> Vec<ObjectStatus> {
        self.0.desk.lock().objects(self.0.now())
    }

    /// Hands out nothing until [`resume`](Pool::resume); callers wait. For a fail-over, say.
    pub fn pause(&self) {
        self.0.desk.lock().pause();
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.0.change(State::resume);
    }

    /// Changes how many objects there may be, at least 1. Those in excess are closed as they come back.
    pub fn resize(&self, max: usize) {
        self.0.change(|state, now, effects| state.resize(max.max(1), now, effects));
    }

    /// Closes what is idle, refuses all who wait or come, and closes what comes back.
    pub fn close(&self) {
        self.0.change(|state, _, effects| state.close(effects));
    }

    /// Closes the pool, and returns when the last object has come back and was put away.
    pub async fn drain(&self) {
        self.close();
        loop {
            let news = self.0.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            let status = self.status();
            if status.size + status.closing == 0 {
                return;
            }
            news.await;
        }
    }
}

impl<M: Manager> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Manager> std::fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("name", &self.0.name).field("status", &self.status()).finish()
    }
}

impl<M: Manager> Shell<M::Object> for Inner<M> {
    fn desk(&self) -> &Desk<M::Object> {
        &self.desk
    }

    fn now(&self) -> Time {
        Time::of(self.ctx.clock.now(), self.start)
    }

    fn is_attended(&self) -> bool {
        self.attended.load(Ordering::Acquire)
    }

    fn act(&self, effects: Effects<M::Object>) {
        self.carry_out(effects);
    }
}

impl<M: Manager> Inner<M> {
    /// Changes the state, and does what that asks for.
    pub(crate) fn change<R>(
        &self,
        change: impl FnOnce(&mut State<M::Object>, Time, &mut Effects<M::Object>) -> R,
    ) -> R {
        let now = self.now();
        let mut effects = Effects::default();
        let result = change(&mut self.desk.lock(), now, &mut effects);
        self.act(effects);
        result
    }

    /// Takes an object back from its user.
    pub(crate) fn returned(&self, slot: usize, object: M::Object, fate: Fate) {
        match fate {
            Fate::Close(reason) => {
                self.lost(slot, reason);
                self.put_away(object);
            }
            Fate::Check => self.refit(slot, object, true),
            Fate::Return => match self.condition(&object) {
                Condition::Good => {
                    self.change(|state, now, effects| state.give_back(slot, object, now, effects));
                }
                Condition::Dirty => self.refit(slot, object, false),
                condition => {
                    self.lost(slot, condition.closes().unwrap_or(Closed::Broken));
                    self.put_away(object);
                }
            },
        }
    }

    /// The object of `slot` does not come back.
    pub(crate) fn lost(&self, slot: usize, reason: Closed) {
        self.change(|state, now, effects| state.lost(slot, reason, now, effects));
    }

    /// What the manager knows of an object. A manager that panics knows nothing good.
    pub(crate) fn condition(&self, object: &M::Object) -> Condition {
        let condition = std::panic::AssertUnwindSafe(|| self.manager.condition(object));
        std::panic::catch_unwind(condition).unwrap_or(Condition::Broken)
    }

    /// Whether an object passes its check; it is closed when this is dropped before its end.
    async fn passes(&self, guard: &mut Guard<M>) -> bool {
        guard.set_fate(Fate::Close(Closed::Cancelled));
        let slot = guard.slot;
        let passes = self.check(guard).await;
        guard.set_fate(if passes { Fate::Return } else { Fate::Close(Closed::Check) });
        if passes {
            let now = self.now();
            self.desk.lock().passed(slot, now);
        }
        passes
    }

    /// Asks an object whether it works.
    pub(crate) async fn check(&self, object: &mut M::Object) -> bool {
        let checked = timeout(&*self.ctx.clock, self.config.check_within, self.manager.check(object)).await;
        match checked {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::debug!(target: "buttress::pool", pool = %self.name, error = chain(&error), "an object does not work");
                false
            }
            Err(elapsed) => {
                tracing::debug!(target: "buttress::pool", pool = %self.name, error = %elapsed, "an object does not answer");
                false
            }
        }
    }

    fn timed_out(&self, within: Duration) -> Error {
        let status = self.desk.lock().status(self.now());
        let Status { in_use, max, waiting, .. } = status;
        Error::TimedOut { pool: Arc::clone(&self.name), within, in_use, max, waiting }
    }
}

impl<M: Manager> Drop for Inner<M> {
    fn drop(&mut self) {
        // Whoever does the maintenance finds nothing to maintain, and ends.
        self.bell.notify_one();
    }
}

impl<M: Manager> Probe for Pool<M> {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn check(&self) -> Vitality {
        let Status { max, size, in_use, waiting, paused, closed, circuit_open_for, last_error, .. } =
            self.status();
        let error = last_error.unwrap_or_default();
        if closed {
            Vitality::Fail("the pool is closed".to_owned())
        } else if circuit_open_for.is_some() && size == 0 {
            Vitality::Fail(format!("no object can be created: {error}"))
        } else if circuit_open_for.is_some() {
            Vitality::Warn(format!("no further object can be created: {error}"))
        } else if paused {
            Vitality::Warn(format!("paused, {waiting} waiting"))
        } else if waiting > 0 && in_use >= max {
            Vitality::Warn(format!("all {in_use} in use, {waiting} waiting"))
        } else {
            Vitality::Pass
        }
    }
}
