//! A circuit breaker: a callee that keeps failing is left alone for a while, and its callers are told at once.
//!
//! ```
//! use buttress_core::{Ctx, Elapsed};
//! use buttress_resilience::{Breaker, BreakerConfig, Failure};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let breaker = Breaker::new("payments", &BreakerConfig::default(), &Ctx::default())?;
//! let answer: Result<u32, Failure<Elapsed>> = breaker.run(async { Ok(7) }).await;
//! assert_eq!(answer?, 7);
//! # Ok(())
//! # }
//! ```
//!
//! What counts as failed: classes that speak of the callee's health, which are unavailable, timeout, overloaded and
//! internal. An answer that refuses this request (invalid, not found, throttled, …) is a sign of life. What was cancelled
//! says nothing. So a limit on time belongs inside the breaker: from outside it only cancels.
//!
//! A call through a closed circuit takes no lock. A circuit opens at a call that failed or was slow, never at one that
//! went well.

mod circuit;
mod config;
#[cfg(feature = "redis")]
mod shared;
mod window;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{
    Classify, Ctx, ErrorClass, Event, Outcome, Probe, Rejection, RejectionReason, Violations, Vitality, units,
};

pub use self::circuit::State as BreakerState;
use self::circuit::{Change, Circuit, Ended, Pass, State};
pub use self::config::{BreakerConfig, WindowConfig};
#[cfg(feature = "redis")]
pub use self::shared::SharingConfig;
use self::window::Mark;
use crate::error::{Error, Failure, Verdict};
use crate::metrics::BreakerMetrics;
use crate::time::{Time, nanos};
use buttress_core::Random;

/// A circuit breaker. Cheap to clone: clones are handles of one circuit.
#[derive(Clone)]
pub struct Breaker(Arc<Inner>);

struct Inner {
    circuit: Circuit,
    /// A call that takes so many nanoseconds is slow.
    slow_after: Option<u64>,
    /// By the coarse clock.
    start: u64,
    ctx: Ctx,
    name: Box<str>,
    metrics: BreakerMetrics,
    /// Waits for which it has opened by itself, for those who tell others.
    #[cfg(feature = "redis")]
    opened: tokio::sync::watch::Sender<Option<Time>>,
}

impl Inner {
    /// A few milliseconds do not matter here.
    fn now(&self) -> Time {
        Time(self.ctx.clock.coarse_nanos().saturating_sub(self.start))
    }

    /// A change that its own calls brought about.
    #[cold]
    fn found(&self, change: Change) {
        #[cfg(feature = "redis")]
        if change.to == State::Open {
            self.opened.send_replace(Some(self.now().after(change.wait)));
        }
        self.tell(change);
    }

    fn tell(&self, change: Change) {
        self.metrics.changed(change.to);
        let Change { from, to, totals, wait } = change;
        let why = match totals.calls {
            0 => String::new(),
            calls => format!("; of {calls} calls {} failed, {} slow", totals.failed, totals.slow),
        };
        let then = match to {
            State::Open => format!("; tries again in {}", units::format_duration(wait)),
            _ => String::new(),
        };
        let detail = format!("{} -> {}{why}{then}", from.as_str(), to.as_str());
        tracing::warn!(target: "buttress::resilience", policy = &*self.name, "breaker {detail}");
        let outcome = match to {
            State::Open => Outcome::Failure,
            State::ForcedOpen => Outcome::Denied,
            State::Closed | State::HalfOpen | State::ForcedClosed => Outcome::Success,
        };
        let event = Event::new(self.ctx.clock.wall(), "breaker.change", outcome);
        self.ctx.events.emit(event.target(&*self.name).detail(detail));
    }
}

impl Breaker {
    /// A closed breaker for the callee `name`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new(name: &str, config: &BreakerConfig, ctx: &Ctx) -> Result<Self, Error> {
        let mut wrong = Violations::new();
        crate::config::name(&mut wrong, name);
        wrong.nest("breaker", config);
        wrong.into_result().map_err(Error::Config)?;
        let metrics = BreakerMetrics::new(name);
        metrics.state(State::Closed);
        Ok(Self(Arc::new(Inner {
            circuit: Circuit::new(config.rules(), config.window(), Random::seeded()),
            slow_after: config.slow_after.map(nanos),
            start: ctx.clock.coarse_nanos(),
            ctx: ctx.clone(),
            name: name.into(),
            metrics,
            #[cfg(feature = "redis")]
            opened: tokio::sync::watch::Sender::new(None),
        })))
    }

    /// Asks to be let through. The permit says how it went; one that is dropped says nothing, and a probe's place
    /// is free again then.
    ///
    /// # Errors
    ///
    /// [`RejectionReason::CircuitOpen`], with when the next probe may go, unless the circuit was forced open.
    #[inline]
    pub fn admit(&self) -> Result<Permit<'_>, Rejection> {
        let inner = &*self.0;
        let pass = match inner.circuit.pass() {
            Some(pass) => pass,
            None => inner.admit()?,
        };
        Ok(Permit { inner, pass, started: inner.slow_after.map(|_| inner.now()), open: true })
    }

    /// Awaits `call` if the circuit lets it through. Dropping the future counts nothing.
    ///
    /// # Errors
    ///
    /// [`Failure::Rejected`], [`Failure::Call`].
    pub fn run<T, E: Classify>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, Failure<E>>> {
        self.run_judged(Verdict::of, call)
    }

    /// The same for errors that do not know their class.
    ///
    /// # Errors
    ///
    /// As [`run`](Breaker::run).
    pub async fn run_judged<T, E>(
        &self,
        judge: impl FnOnce(&E) -> Verdict,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure<E>> {
        let permit = self.admit()?;
        match call.await {
            Ok(value) => {
                permit.succeeded();
                Ok(value)
            }
            Err(error) => {
                permit.failed(judge(&error));
                Err(Failure::Call(error))
            }
        }
    }

    /// Whether calls are let through at this moment.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.0.circuit.state()
    }

    /// What the window holds: calls, those that failed, those that were slow.
    #[must_use]
    pub fn counts(&self) -> (u64, u64, u64) {
        let totals = self.0.circuit.totals(self.0.now());
        (totals.calls, totals.failed, totals.slow)
    }

    /// Lets no call through until [`reset`](Breaker::reset).
    pub fn force_open(&self) {
        self.set(State::ForcedOpen);
    }

    /// Lets all calls through until [`reset`](Breaker::reset), and counts none.
    pub fn force_closed(&self) {
        self.set(State::ForcedClosed);
    }

    /// Closes the circuit and begins to count anew.
    pub fn reset(&self) {
        self.set(State::Closed);
    }

    /// Opens for `wait`, at most `open_most`, because somebody else found the callee broken. A circuit that is open or
    /// forced stays as it is. Returns whether it opened.
    pub fn open_for(&self, wait: Duration) -> bool {
        let change = self.0.circuit.follow(wait, self.0.now());
        change.inspect(|change| self.0.tell(*change)).is_some()
    }

    fn set(&self, state: State) {
        if let Some(change) = self.0.circuit.set(state, self.0.now()) {
            self.0.tell(change);
        }
    }
}

/// A warning while calls are refused, and no more: an open circuit is the callee's trouble, and to take this process out of
/// service would not help it.
impl Probe for Breaker {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn check(&self) -> Vitality {
        match self.state() {
            State::Closed | State::ForcedClosed => Vitality::Pass,
            state => Vitality::Warn(format!("the circuit is {}", state.as_str())),
        }
    }
}

impl std::fmt::Debug for Breaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Breaker").field("name", &self.0.name).field("state", &self.state()).finish()
    }
}

/// Leave for one call. Say how it went with [`succeeded`](Permit::succeeded) or [`failed`](Permit::failed); to drop it
/// is to say nothing.
#[must_use = "a permit that is dropped counts nothing"]
pub struct Permit<'b> {
    inner: &'b Inner,
    pass: Pass,
    started: Option<Time>,
    open: bool,
}

impl Permit<'_> {
    /// The callee answered.
    #[inline]
    pub fn succeeded(mut self) {
        self.end(false, None);
    }

    /// The call failed in this way.
    pub fn failed(mut self, verdict: Verdict) {
        match verdict.class {
            ErrorClass::Cancelled => {}
            ErrorClass::Unavailable | ErrorClass::Timeout | ErrorClass::Overloaded | ErrorClass::Internal => {
                self.end(true, verdict.retry_after);
            }
            _ => self.end(false, None),
        }
    }

    /// The call begins only now: what was before was waiting of our own.
    #[inline]
    pub(crate) fn begin(&mut self) {
        if self.started.is_some() {
            self.started = Some(self.inner.now());
        }
    }

    /// Whether the call is one of the few that decide whether the circuit closes.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.pass.is_probe()
    }

    #[inline]
    fn end(&mut self, failed: bool, retry_after: Option<Duration>) {
        self.open = false;
        let inner = self.inner;
        let slow = match (self.started, inner.slow_after) {
            (Some(started), Some(limit)) => inner.now().since(started) >= Duration::from_nanos(limit),
            _ => false,
        };
        inner.metrics.ended(failed, slow);
        let mark = Mark::new(failed, slow);
        if !(mark.is_well() && inner.circuit.went_well(self.pass, || inner.now())) {
            inner.ended(self.pass, Ended::Marked(mark, retry_after));
        }
    }
}

impl std::fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = f.debug_struct("Permit");
        text.field("of", &self.inner.name).field("probe", &self.is_probe()).finish_non_exhaustive()
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.open && self.pass.is_probe() {
            self.inner.ended(self.pass, Ended::Unknown);
        }
    }
}

impl Inner {
    #[cold]
    fn admit(&self) -> Result<Pass, Rejection> {
        let (admitted, change) = self.circuit.admit(self.now());
        if let Some(change) = change {
            self.found(change);
        }
        admitted.map_err(|wait| {
            self.metrics.refused();
            let rejection = Rejection::new(RejectionReason::CircuitOpen);
            match wait {
                Some(wait) => rejection.after(wait),
                None => rejection,
            }
        })
    }

    #[cold]
    fn ended(&self, pass: Pass, how: Ended) {
        if let Some(change) = self.circuit.ended(pass, how, self.now()) {
            self.found(change);
        }
    }
}
