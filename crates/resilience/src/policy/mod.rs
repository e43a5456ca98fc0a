//! All parts in one order: fallback, retry, hedge, breaker, bulkhead, time limit, call.
//!
//! From the outside to the inside, each for a reason:
//!
//! | part | stands here because |
//! |---|---|
//! | fallback | it answers for whatever all others could not |
//! | retry | an attempt that was refused or took too long is one that failed |
//! | hedge | both of its calls are calls of their own, with a place and a mark each |
//! | breaker | it counts what the callee did, also what took too long, and none of our own waiting |
//! | bulkhead | a call that a breaker refuses takes no place |
//! | time limit | waiting for a place is not the callee's time |
//!
//! An attempt that its caller's deadline ended within a tenth of the policy's own limit says nothing about the callee, and
//! counts nowhere.

mod config;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Classify, Ctx, Elapsed, SharedClock, Validate};

pub use self::config::{Part, ResilienceConfig};
use crate::breaker::Breaker;
use crate::bulkhead::{Bulkhead, Priority};
use crate::deadline::{Deadline, enforced};
use crate::error::{Error, Failure, Verdict};
use crate::hedge::Hedge;
use crate::retry::{Attempt, Retry};

/// What happens around calls to one callee. Cheap to clone: clones share budget, circuit and places.
///
/// See the [crate documentation](crate) for an example.
#[derive(Debug, Clone)]
pub struct Policy {
    inner: Arc<Inner>,
    /// Whether the call may be done twice.
    idempotent: bool,
    /// Whether it cannot be tried again at all.
    once: bool,
    priority: Priority,
}

#[derive(Debug)]
struct Inner {
    clock: SharedClock,
    deadline: Option<Duration>,
    timeout: Option<Duration>,
    retry: Option<Retry>,
    hedge: Option<Hedge>,
    breaker: Option<Breaker>,
    bulkhead: Option<Bulkhead>,
}

impl Policy {
    /// A policy as configured.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new(config: &ResilienceConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let name = &config.name;
        let retry = Retry::new(name, &config.retry, ctx)?;
        let mut builder = Self::builder(ctx).deadline(config.deadline).timeout(config.timeout);
        if config.uses(Part::Hedge) {
            builder = builder.hedge(Hedge::new(name, &config.hedge, retry.budget().clone(), ctx)?);
        }
        if config.uses(Part::Retry) {
            builder = builder.retry(retry);
        }
        if config.uses(Part::Breaker) {
            builder = builder.breaker(Breaker::new(name, &config.breaker, ctx)?);
        }
        if config.uses(Part::Bulkhead) {
            builder = builder.bulkhead(Bulkhead::new(name, &config.bulkhead, ctx)?);
        }
        Ok(builder.build())
    }

    /// A policy put together in code, from parts that others may share.
    pub fn builder(ctx: &Ctx) -> PolicyBuilder {
        PolicyBuilder(Inner {
            clock: ctx.clock.clone(),
            deadline: None,
            timeout: None,
            retry: None,
            hedge: None,
            breaker: None,
            bulkhead: None,
        })
    }

    /// The same policy for calls that the caller says may be done twice: every transient failure is tried again, and a
    /// slow call is hedged if the policy hedges. Make it once and keep it.
    #[must_use]
    pub fn idempotent(&self) -> Self {
        Self { idempotent: true, ..self.clone() }
    }

    /// The same policy for calls of this priority.
    #[must_use]
    pub fn priority(&self, priority: Priority) -> Self {
        Self { priority, ..self.clone() }
    }

    /// The same policy for a call that cannot be made a second time.
    #[cfg(feature = "tower")]
    pub(crate) fn once_only(self) -> Self {
        Self { once: true, idempotent: false, ..self }
    }

    /// Does what `call` does, with all that the policy has around it.
    ///
    /// Within, [`Deadline::current`] is the attempt's. The future may be dropped at any point: it gives back what it holds.
    /// What the policy itself refuses is not tried again.
    ///
    /// # Errors
    ///
    /// The last attempt's [`Failure`].
    pub fn run<T, E: Classify, F: Future<Output = Result<T, E>>>(
        &self,
        call: impl Fn(Attempt) -> F,
    ) -> impl Future<Output = Result<T, Failure<E>>> {
        self.run_judged(Verdict::of, call)
    }

    /// The same for errors that do not know their class, or where the caller knows better.
    ///
    /// # Errors
    ///
    /// As [`run`](Policy::run).
    pub async fn run_judged<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        judge: impl Fn(&E) -> Verdict,
        call: impl Fn(Attempt) -> F,
    ) -> Result<T, Failure<E>> {
        let inner = &*self.inner;
        let mut attempt = Attempt::first(inner.overall());
        inner.deposit();
        loop {
            let failure = match self.attempt(attempt, &judge, &call).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let Some(wait) = self.wait(attempt, &failure, &judge) else { return Err(failure) };
            inner.clock.sleep(wait).await;
            attempt.number += 1;
        }
    }

    /// The same, and asks `fallback` where all else failed: for a cached value, a default, another service.
    ///
    /// # Errors
    ///
    /// Those of `fallback`.
    pub async fn run_or_else<T, E, Other, F, G>(
        &self,
        call: impl Fn(Attempt) -> F,
        fallback: impl FnOnce(Failure<E>) -> G,
    ) -> Result<T, Other>
    where
        E: Classify,
        F: Future<Output = Result<T, E>>,
        G: Future<Output = Result<T, Other>>,
    {
        match self.run(call).await {
            Ok(value) => Ok(value),
            Err(failure) => fallback(failure).await,
        }
    }

    /// The circuit, to be looked at or forced.
    #[must_use]
    pub fn breaker(&self) -> Option<&Breaker> {
        self.inner.breaker.as_ref()
    }

    /// The places.
    #[must_use]
    pub fn bulkhead(&self) -> Option<&Bulkhead> {
        self.inner.bulkhead.as_ref()
    }

    #[cold]
    fn wait<E>(
        &self,
        attempt: Attempt,
        failure: &Failure<E>,
        judge: impl Fn(&E) -> Verdict,
    ) -> Option<Duration> {
        // Who refuses here means it: to wait for an open circuit is what a breaker is there to prevent.
        if self.once || matches!(failure, Failure::Rejected(_)) {
            return None;
        }
        self.inner.retry.as_ref()?.after(attempt, failure.verdict(judge), self.idempotent)
    }

    async fn attempt<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        attempt: Attempt,
        judge: impl Fn(&E) -> Verdict,
        call: impl Fn(Attempt) -> F,
    ) -> Result<T, Failure<E>> {
        match &self.inner.hedge {
            Some(hedge) if self.idempotent => {
                hedge.race(|leg| self.once(Attempt { hedge: leg > 1, ..attempt }, &judge, &call)).await
            }
            _ => self.once(attempt, &judge, &call).await,
        }
    }

    /// One call, admitted, placed and limited.
    async fn once<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        mut attempt: Attempt,
        judge: impl Fn(&E) -> Verdict,
        call: impl Fn(Attempt) -> F,
    ) -> Result<T, Failure<E>> {
        let inner = &*self.inner;
        let mut permit = inner.breaker.as_ref().map(Breaker::admit).transpose()?;
        let slot = match &inner.bulkhead {
            Some(bulkhead) => Some(bulkhead.enter_by(self.priority, attempt.deadline).await?),
            None => None,
        };
        if let Some(permit) = permit.as_mut().filter(|_| slot.is_some()) {
            permit.begin();
        }
        let limit = inner.limit_one(attempt.deadline)?;
        attempt.deadline = limit.map(|(deadline, _)| deadline);
        let result = match limit {
            None => call(attempt).await.map_err(Failure::Call),
            // The call is made within the scope, so that it sees its deadline from its first line on.
            Some((deadline, left)) => {
                match enforced(&*inner.clock, deadline, async { call(attempt).await }).await {
                    Some(result) => result.map_err(Failure::Call),
                    None => Err(Failure::TimedOut(Elapsed(left))),
                }
            }
        };
        if let (Err(Failure::TimedOut(_)), Some((_, left))) = (&result, limit)
            && !inner.is_fair(left)
        {
            return result; // Permit and place are dropped, which says nothing.
        }
        let verdict = result.as_ref().err().map(|failure| failure.verdict(judge));
        if let Some(slot) = slot {
            slot.ended(verdict);
        }
        if let Some(permit) = permit {
            match verdict {
                None => permit.succeeded(),
                Some(verdict) => permit.failed(verdict),
            }
        }
        result
    }
}

impl Inner {
    /// The deadline of the whole.
    fn overall(&self) -> Option<Deadline> {
        let own = self.deadline.map(|limit| Deadline::within(&*self.clock, limit));
        earlier(own, Deadline::current())
    }

    /// The deadline of an attempt that begins now, and the time until then.
    fn limit_one(&self, overall: Option<Deadline>) -> Result<Option<(Deadline, Duration)>, Elapsed> {
        if self.timeout.is_none() && overall.is_none() {
            return Ok(None);
        }
        let now = self.clock.now();
        let own = self.timeout.and_then(|limit| now.checked_add(limit)).map(Deadline::at);
        let Some(deadline) = earlier(own, overall) else { return Ok(None) };
        let left = deadline.instant().saturating_duration_since(now);
        // What has no time left is not begun.
        if left.is_zero() { Err(Elapsed(left)) } else { Ok(Some((deadline, left))) }
    }

    /// Whether a callee that did not answer in this time has shown anything. Callers who come at their last moment must not
    /// open the circuit for all.
    fn is_fair(&self, left: Duration) -> bool {
        self.timeout.is_none_or(|limit| left >= limit / 10)
    }

    /// Notes a call in the budgets that it may be repeated from.
    fn deposit(&self) {
        let retry = self.retry.as_ref().map(Retry::budget);
        let hedge = self.hedge.as_ref().map(Hedge::budget);
        if let Some(budget) = retry {
            budget.deposit();
        }
        if let Some(budget) = hedge.filter(|hedge| !retry.is_some_and(|retry| retry.is_same(hedge))) {
            budget.deposit();
        }
    }
}

fn earlier(one: Option<Deadline>, other: Option<Deadline>) -> Option<Deadline> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Puts a [`Policy`] together. What is not given is left out.
#[derive(Debug)]
#[must_use]
pub struct PolicyBuilder(Inner);

impl PolicyBuilder {
    /// For the whole: waits, attempts and the waits between them.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.0.deadline = Some(limit);
        self
    }

    /// For one attempt.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.0.timeout = Some(limit);
        self
    }

    /// Tries again.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.0.retry = Some(retry);
        self
    }

    /// Asks a second time, for calls that are [idempotent](Policy::idempotent).
    pub fn hedge(mut self, hedge: Hedge) -> Self {
        self.0.hedge = Some(hedge);
        self
    }

    /// Leaves a callee alone that keeps failing.
    pub fn breaker(mut self, breaker: Breaker) -> Self {
        self.0.breaker = Some(breaker);
        self
    }

    /// Limits the calls at once.
    pub fn bulkhead(mut self, bulkhead: Bulkhead) -> Self {
        self.0.bulkhead = Some(bulkhead);
        self
    }

    /// The policy.
    pub fn build(self) -> Policy {
        Policy { inner: Arc::new(self.0), idempotent: false, once: false, priority: Priority::default() }
    }
}
