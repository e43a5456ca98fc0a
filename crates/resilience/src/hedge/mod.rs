//! Hedging: when an answer takes longer than most do, the same is asked a second time, and the first answer counts.
//!
//! Cuts the long tail of a callee whose slowness is by chance (Dean and Barroso, "The Tail at Scale", 2013). It doubles the
//! load of whatever is slow for a reason; so a hedge is paid for out of the [`RetryBudget`], and only calls that may be
//! done twice can be hedged.

mod quantile;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use buttress_core::{Ctx, SharedClock, Validate, Violations, units};
use serde::{Deserialize, Serialize};

use self::quantile::Quantile;
use crate::error::Error;
use crate::metrics::HedgeMetrics;
use crate::retry::RetryBudget;
use crate::sync::lock;
use crate::time::nanos;

/// When a call is asked a second time.
///
/// | field | default | |
/// |---|---|---|
/// | `delay` | `"100ms"` | after so long, until enough calls are known |
/// | `quantile` | 0.95 | then after as long as this share of the calls takes; 0: always after `delay` |
/// | `least` | `"1ms"` | and no sooner than this |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HedgeConfig {
    /// After so long, until enough calls are known.
    #[serde(with = "units::duration")]
    pub delay: Duration,
    /// Then after as long as this share of the calls takes.
    pub quantile: f64,
    /// And no sooner than this.
    #[serde(with = "units::duration")]
    pub least: Duration,
}

impl Default for HedgeConfig {
    fn default() -> Self {
        Self { delay: Duration::from_millis(100), quantile: 0.95, least: Duration::from_millis(1) }
    }
}

impl Validate for HedgeConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        crate::config::time(&mut wrong, "delay", self.delay, Self::default().delay);
        crate::config::time(&mut wrong, "least", self.least, Self::default().least);
        let share = (0.0..1.0).contains(&self.quantile);
        wrong.require(share, "quantile", self.quantile, "must be 0 or more and less than 1; 0.95 is usual");
        wrong.into_result()
    }
}

/// Calls before their quantile is believed.
const ENOUGH: u32 = 100;
/// Calls between two looks at the quantile.
const EVERY: u32 = 32;

/// Asks a second time. Cheap to clone: clones share what is known about calls, and the budget.
#[derive(Clone)]
pub struct Hedge {
    inner: Arc<Inner>,
    budget: RetryBudget,
}

struct Inner {
    config: HedgeConfig,
    clock: SharedClock,
    /// In nanoseconds.
    delay: AtomicU64,
    times: Mutex<Quantile>,
    metrics: HedgeMetrics,
}

impl Hedge {
    /// Hedges for the callee `name`, paid for out of `budget`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new(name: &str, config: &HedgeConfig, budget: RetryBudget, ctx: &Ctx) -> Result<Self, Error> {
        let mut wrong = Violations::new();
        crate::config::name(&mut wrong, name);
        wrong.nest("hedge", config);
        wrong.into_result().map_err(Error::Config)?;
        let inner = Inner {
            delay: AtomicU64::new(nanos(config.delay)),
            times: Mutex::new(Quantile::new()),
            config: config.clone(),
            clock: ctx.clock.clone(),
            metrics: HedgeMetrics::new(name),
        };
        Ok(Self { inner: Arc::new(inner), budget })
    }

    pub(crate) fn budget(&self) -> &RetryBudget {
        &self.budget
    }

    /// How long a call has before it is asked a second time.
    #[must_use]
    pub fn delay(&self) -> Duration {
        Duration::from_nanos(self.inner.delay.load(Ordering::Relaxed))
    }

    /// Does what `call` does, which the caller thereby says may be done twice, at the same time; it is told which of the two
    /// it is, 1 or 2. The first success counts and the other call is dropped, which cancels it. A failure counts when
    /// there is no other call to wait for.
    ///
    /// # Errors
    ///
    /// The last failure.
    pub async fn run<T, E, F: Future<Output = Result<T, E>>>(&self, call: impl Fn(u32) -> F) -> Result<T, E> {
        self.budget.deposit();
        self.race(call).await
    }

    /// The same, where somebody else counts calls into the budget.
    pub(crate) async fn race<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        call: impl Fn(u32) -> F,
    ) -> Result<T, E> {
        let inner = &*self.inner;
        let started = inner.clock.now();
        let mut alarm = None;
        let mut first = pin!(Some(call(1)));
        let mut second = pin!(None);
        let mut asked = false;
        let (answer, by_second) = std::future::poll_fn(|cx| {
            if let Some(Poll::Ready(result)) = first.as_mut().as_pin_mut().map(|call| call.poll(cx)) {
                first.set(None);
                if result.is_ok() || second.is_none() {
                    return Poll::Ready((result, false));
                }
            }
            if !asked {
                let at = started + self.delay();
                let alarm = alarm.get_or_insert_with(|| inner.clock.sleep_until(at));
                if alarm.as_mut().poll(cx).is_ready() {
                    asked = true;
                    if self.budget.withdraw() {
                        inner.metrics.hedged();
                        second.set(Some(call(2)));
                    }
                }
            }
            if let Some(Poll::Ready(result)) = second.as_mut().as_pin_mut().map(|call| call.poll(cx)) {
                second.set(None);
                if result.is_ok() || first.is_none() {
                    return Poll::Ready((result, true));
                }
            }
            Poll::Pending
        })
        .await;
        if answer.is_ok() {
            // A call that a hedge overtook took at least this long.
            inner.learn(inner.clock.now().saturating_duration_since(started));
            if by_second {
                inner.metrics.won();
            }
        }
        answer
    }
}

impl Inner {
    fn learn(&self, time: Duration) {
        if self.config.quantile <= 0.0 {
            return;
        }
        let mut times = lock(&self.times);
        times.note(nanos(time));
        let noted = times.noted();
        if noted >= ENOUGH && noted.is_multiple_of(EVERY) {
            let delay = times.at(self.config.quantile).max(nanos(self.config.least));
            self.delay.store(delay, Ordering::Relaxed);
        }
    }
}

impl std::fmt::Debug for Hedge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hedge")
            .field("delay", &self.delay())
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
