//! Trying again: after growing random waits, within a deadline, and out of a budget.
//!
//! ```
//! use buttress_core::{Ctx, Elapsed};
//! use buttress_resilience::{Retry, RetryConfig};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // To search twice does no harm, and only the caller knows.
//! let retry = Retry::new("search", &RetryConfig::default(), &Ctx::default())?.idempotent();
//! let found = retry.run(|attempt| async move {
//!     if attempt.number < 2 { Err(Elapsed(std::time::Duration::from_secs(1))) } else { Ok(7) }
//! });
//! assert_eq!(found.await?, 7);
//! # Ok(())
//! # }
//! ```

mod account;
mod backoff;
mod budget;
mod config;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Classify, Ctx, SharedClock, Violations};

pub(crate) use self::backoff::Why;
use self::backoff::{Next, Rules};
pub use self::budget::RetryBudget;
pub use self::config::{BudgetConfig, RetryConfig};
use crate::deadline::Deadline;
use crate::error::{Error, Verdict};
use crate::metrics::RetryMetrics;
use buttress_core::Random;

/// One of the attempts at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The first is 1.
    pub number: u32,
    /// When its answer is worth nothing any more.
    pub deadline: Option<Deadline>,
    /// Whether it is the second of two that run at the same time.
    pub hedge: bool,
}

impl Attempt {
    pub(crate) fn first(deadline: Option<Deadline>) -> Self {
        Self { number: 1, deadline, hedge: false }
    }
}

/// Tries again. Cheap to clone: clones share the budget.
///
/// A call that is not said to be [`idempotent`](Retry::idempotent) is tried again only after failures that mean it was not
/// begun: throttled and overloaded.
#[derive(Clone)]
pub struct Retry {
    inner: Arc<Inner>,
    budget: RetryBudget,
    idempotent: bool,
}

struct Inner {
    rules: Rules,
    clock: SharedClock,
    random: Random,
    metrics: RetryMetrics,
}

impl Retry {
    /// With a budget of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new(name: &str, config: &RetryConfig, ctx: &Ctx) -> Result<Self, Error> {
        Self::with_random(name, config, ctx, Random::seeded())
    }

    pub(crate) fn with_random(
        name: &str,
        config: &RetryConfig,
        ctx: &Ctx,
        random: Random,
    ) -> Result<Self, Error> {
        let mut wrong = Violations::new();
        crate::config::name(&mut wrong, name);
        wrong.nest("retry", config);
        wrong.into_result().map_err(Error::Config)?;
        let inner = Inner {
            rules: config.rules(),
            clock: ctx.clock.clone(),
            random,
            metrics: RetryMetrics::new(name),
        };
        let budget = RetryBudget::new(&config.budget, ctx)?;
        Ok(Self { inner: Arc::new(inner), budget, idempotent: false })
    }

    /// With a budget that it shares with others.
    #[must_use]
    pub fn with_budget(mut self, budget: RetryBudget) -> Self {
        self.budget = budget;
        self
    }

    /// The caller says that the call may be done twice: every transient failure is tried again.
    #[must_use]
    pub fn idempotent(&self) -> Self {
        Self { idempotent: true, ..self.clone() }
    }

    /// The budget, to be shared.
    #[must_use]
    pub fn budget(&self) -> &RetryBudget {
        &self.budget
    }

    /// Does what `call` does, and does it again while that may help. Never waits past [`Deadline::current`]; it does not
    /// end an attempt either.
    ///
    /// # Errors
    ///
    /// The last attempt's.
    pub fn run<T, E: Classify, F: Future<Output = Result<T, E>>>(
        &self,
        call: impl FnMut(Attempt) -> F,
    ) -> impl Future<Output = Result<T, E>> {
        self.run_judged(Verdict::of, call)
    }

    /// The same for errors that do not know their class, or where the caller knows better.
    ///
    /// # Errors
    ///
    /// The last attempt's.
    pub async fn run_judged<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        judge: impl Fn(&E) -> Verdict,
        mut call: impl FnMut(Attempt) -> F,
    ) -> Result<T, E> {
        self.budget.deposit();
        let mut attempt = Attempt::first(Deadline::current());
        loop {
            let error = match call(attempt).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(wait) = self.after(attempt, judge(&error), self.idempotent) else { return Err(error) };
            self.inner.clock.sleep(wait).await;
            attempt.number += 1;
        }
    }

    /// The wait before the next attempt, which is paid for; nothing where there is to be none.
    #[cold]
    pub(crate) fn after(&self, attempt: Attempt, verdict: Verdict, idempotent: bool) -> Option<Duration> {
        let inner = &*self.inner;
        let left = attempt.deadline.map(|deadline| deadline.remaining(&*inner.clock));
        let next = inner.rules.next(attempt.number, verdict, idempotent, left, inner.random.fraction());
        let why = match next {
            Next::Retry(wait) if self.budget.withdraw() => {
                inner.metrics.retried();
                return Some(wait);
            }
            Next::Retry(_) => Why::Budget,
            Next::GiveUp(why) => why,
        };
        inner.metrics.gave_up(why);
        None
    }
}

impl std::fmt::Debug for Retry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Retry")
            .field("rules", &self.inner.rules)
            .field("budget", &self.budget)
            .field("idempotent", &self.idempotent)
            .finish()
    }
}
