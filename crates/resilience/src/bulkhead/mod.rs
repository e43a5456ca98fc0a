//! A bulkhead: so many calls at once and no more, so that one slow callee does not take all there is.
//!
//! Others wait in a bounded line, in order of [`Priority`], for a bounded time. When the line is full, one of a higher
//! priority takes the place of the last of the lowest. The limit may [adapt](Adapt) to what the callee can take.
//!
//! ```
//! use buttress_core::{Ctx, Elapsed};
//! use buttress_resilience::{Bulkhead, BulkheadConfig, Priority};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bulkhead = Bulkhead::new("search", &BulkheadConfig::default(), &Ctx::default())?;
//! let answer = bulkhead.run(Priority::Low, async { Ok::<_, Elapsed>(7) }).await?;
//! assert_eq!((answer, bulkhead.in_use()), (7, 0));
//! # Ok(())
//! # }
//! ```

mod adaptive;
mod config;
mod line;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use buttress_core::{Classify, Ctx, ErrorClass, Rejection, RejectionReason, Violations};

pub use self::adaptive::Adapt;
use self::adaptive::{Limit, Sample};
pub use self::config::BulkheadConfig;
use self::line::Line;
pub use self::line::Priority;
use crate::deadline::{Deadline, until};
use crate::error::{Error, Failure, Verdict};
use crate::metrics::{BulkheadMetrics, Refused};
use crate::sync::lock;
use crate::time::Time;

/// A limit on calls at once. Cheap to clone: clones share the limit.
#[derive(Clone)]
pub struct Bulkhead(Arc<Inner>);

struct Inner {
    line: Line,
    limit: Option<Mutex<Limit>>,
    config: BulkheadConfig,
    start: Instant,
    ctx: Ctx,
    name: Box<str>,
    metrics: BulkheadMetrics,
}

impl Inner {
    fn now(&self) -> Time {
        Time::of(self.ctx.clock.now(), self.start)
    }

    #[inline]
    fn place(&self) -> Slot<'_> {
        self.metrics.entered();
        Slot { inner: self, started: self.limit.is_some().then(|| self.now()) }
    }

    #[cold]
    fn refuse(&self, why: Refused) -> Rejection {
        self.metrics.refused(why);
        Rejection::new(RejectionReason::Full)
    }
}

impl Bulkhead {
    /// An empty bulkhead in front of the callee `name`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new(name: &str, config: &BulkheadConfig, ctx: &Ctx) -> Result<Self, Error> {
        let mut wrong = Violations::new();
        crate::config::name(&mut wrong, name);
        wrong.nest("bulkhead", config);
        wrong.into_result().map_err(Error::Config)?;
        let metrics = BulkheadMetrics::new(name);
        metrics.limit(u64::from(config.limit));
        Ok(Self(Arc::new(Inner {
            line: config.line(),
            limit: config.adaptive().map(Mutex::new),
            config: config.clone(),
            start: ctx.clock.now(),
            ctx: ctx.clone(),
            name: name.into(),
            metrics,
        })))
    }

    /// A place if there is one now, for those who shed load and do not queue it.
    ///
    /// # Errors
    ///
    /// [`RejectionReason::Full`].
    #[inline]
    pub fn try_enter(&self, priority: Priority) -> Result<Slot<'_>, Rejection> {
        let inner = &*self.0;
        if inner.line.try_enter(priority) { Ok(inner.place()) } else { Err(inner.refuse(Refused::Full)) }
    }

    /// A place, in turn: after at most the configured wait, and not past [`Deadline::current`].
    ///
    /// Dropping the future at any point gives up the place.
    ///
    /// # Errors
    ///
    /// [`RejectionReason::Full`] when too many wait, when the wait is over, and when one of a higher priority needs the
    /// place in the line.
    pub async fn enter(&self, priority: Priority) -> Result<Slot<'_>, Rejection> {
        self.enter_by(priority, Deadline::current()).await
    }

    pub(crate) async fn enter_by(
        &self,
        priority: Priority,
        deadline: Option<Deadline>,
    ) -> Result<Slot<'_>, Rejection> {
        let inner = &*self.0;
        if inner.line.try_enter(priority) {
            return Ok(inner.place());
        }
        if inner.config.waiters == 0 {
            return Err(inner.refuse(Refused::Full));
        }
        let since = inner.now();
        let own = Deadline::within(&*inner.ctx.clock, inner.config.wait);
        let latest = deadline.map_or(own, |deadline| deadline.min(own));
        let _waiting = inner.metrics.waiting();
        let entered = until(&*inner.ctx.clock, latest.instant(), inner.line.enter(priority)).await;
        inner.metrics.waited(inner.now().since(since));
        match entered {
            Some(Ok(())) => Ok(inner.place()),
            Some(Err(_)) => Err(inner.refuse(Refused::Full)),
            None => Err(inner.refuse(Refused::Waited)),
        }
    }

    /// Awaits `call` once there is a place for it.
    ///
    /// # Errors
    ///
    /// [`Failure::Rejected`], [`Failure::Call`].
    pub async fn run<T, E: Classify>(
        &self,
        priority: Priority,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure<E>> {
        let slot = self.enter(priority).await?;
        let result = call.await;
        slot.ended(result.as_ref().err().map(Verdict::of));
        result.map_err(Failure::Call)
    }

    /// Calls at once at most, at this moment.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.0.line.limit()
    }

    /// Changes the limit, at least 1: more come in at once, fewer as those within leave. One that adapts goes on from its
    /// own.
    pub fn set_limit(&self, limit: u32) {
        self.0.line.set_limit(u64::from(limit));
        self.0.metrics.limit(self.limit());
    }

    /// Calls under way.
    #[must_use]
    pub fn in_use(&self) -> u64 {
        self.0.line.numbers().0
    }

    /// Calls that wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.0.line.numbers().1
    }
}

impl std::fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bulkhead")
            .field("name", &self.0.name)
            .field("limit", &self.limit())
            .field("in_use", &self.in_use())
            .field("waiting", &self.waiting())
            .finish()
    }
}

/// A place for one call; free again when it is dropped.
#[must_use = "the place is free again when this is dropped"]
pub struct Slot<'b> {
    inner: &'b Inner,
    started: Option<Time>,
}

impl Slot<'_> {
    /// Gives the place back, and tells how the call went, with what it failed if it did: a limit that adapts learns from it.
    /// To drop the place is to tell nothing.
    #[inline]
    pub fn ended(self, failure: Option<Verdict>) {
        if let (Some(limit), Some(started)) = (&self.inner.limit, self.started) {
            self.learn(limit, started, failure);
        }
    }

    fn learn(&self, limit: &Mutex<Limit>, started: Time, failure: Option<Verdict>) {
        let inner = self.inner;
        let overload = match failure.map(|verdict| verdict.class) {
            None => false,
            Some(
                ErrorClass::Timeout
                | ErrorClass::Overloaded
                | ErrorClass::Throttled
                | ErrorClass::Unavailable,
            ) => true,
            // It failed fast, and says nothing about how much the callee can take.
            Some(_) => return,
        };
        let within = inner.line.numbers().0;
        let value = lock(limit).note(Sample { started, ended: inner.now(), within, overload });
        if value != inner.line.limit() {
            inner.line.set_limit(value);
            inner.metrics.limit(value);
        }
    }
}

impl std::fmt::Debug for Slot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("of", &self.inner.name).finish_non_exhaustive()
    }
}

impl Drop for Slot<'_> {
    #[inline]
    fn drop(&mut self) {
        self.inner.metrics.left();
        self.inner.line.leave();
    }
}
