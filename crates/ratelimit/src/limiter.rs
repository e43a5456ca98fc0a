//! The limiter: a plan, the state of all keys, and a clock.

use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Ctx, Event, Events, Outcome, Validate, Violations, units};

use crate::access::Access;
use crate::algorithm::{NEVER, Nanos, Verdict};
use crate::decision::Outcome as Decided;
use crate::fingerprint::Fingerprint;
use crate::metrics::Metrics;
use crate::penalty::{PenaltyState, Standing};
use crate::plan::{Plan, Window};
use crate::status::{Status, Totals, WindowStatus};
use crate::store::{Ask, Bans, Identity, Tables, Windows};
use crate::timeline::Timeline;
use crate::{Decision, Error, LimiterConfig, Policy, Request, Subject};

/// Limits rates in this process. Cheap to clone; clones share all state.
///
/// A [`check`](Limiter::check) takes no lock but that of one shard, for some dozens of nanoseconds, and allocates nothing, apart from
/// the growth of the table and of logs.
///
/// # Memory
///
/// A key takes 64 bytes, whatever its length, or 32 where no caller has more than one limit and there are no penalties; the table has
/// room for twice as many when it has just grown. A [sliding log](crate::algorithm::SlidingLog) takes 64 bytes more, and 16 for
/// each time in its window. There are at most `max_keys` keys
/// (a policy of three or four limits takes two of them). Keys whose state says nothing any more are forgotten as others come. When all of them
/// say something, of some the one goes that would be forgotten soonest, those with violations only after those without, and those that are banned last.
/// Who is forgotten has its whole quota again: `max_keys` should be more than the callers in the longest window.
///
/// # Time
///
/// The clock is read at its last tick (some milliseconds), unless a limit is so fine that it matters. What is told of times is as exact as
/// that; when a sliding log that is used up will be whole again, as exact as one part in 130,000 of its window.
#[derive(Clone)]
pub struct Limiter {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) name: Box<str>,
    pub(crate) plan: Plan,
    store: Tables,
    identity: Identity,
    pub(crate) timeline: Timeline,
    pub(crate) metrics: Metrics,
    pub(crate) events: Events,
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Limiter({})", self.inner.name)
    }
}

impl Limiter {
    /// The same limits for every caller, and no penalties.
    ///
    /// ```
    /// use buttress_ratelimit::{Limit, Limiter};
    ///
    /// let limiter = Limiter::new(Limit::per_minute(10));
    /// assert!(limiter.check("user-1").is_admitted());
    ///
    /// let both = Limiter::new([Limit::per_minute(10), Limit::per_hour(100)]);
    /// assert!(both.check("user-1").is_admitted());
    /// ```
    #[must_use]
    pub fn new(policy: impl Into<Policy>) -> Self {
        Self::ready(&LimiterConfig::one(policy), &Ctx::default())
    }

    /// Limits as configured.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], also where the state should be shared: [`AnyLimiter::open`](crate::AnyLimiter::open) can do that.
    pub fn with(config: &LimiterConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let mut wrong = Violations::new();
        if let Some(url) = &config.shared.url {
            wrong.require(
                false,
                "shared.url",
                url,
                "must be none for a limiter of one process; open an `AnyLimiter`",
            );
        }
        wrong.into_result().map_err(Error::Config)?;
        Ok(Self::ready(config, ctx))
    }

    pub(crate) fn ready(config: &LimiterConfig, ctx: &Ctx) -> Self {
        let plan = Plan::new(config);
        let timeline = Timeline::new(&ctx.clock, plan.exact_time);
        Self {
            inner: Arc::new(Inner {
                name: config.name.as_str().into(),
                store: Tables::new(config.max_keys, &plan),
                identity: Identity::random(),
                metrics: Metrics::new(&config.name),
                events: ctx.events.clone(),
                timeline,
                plan,
            }),
        }
    }

    /// Admits a request and consumes its cost, or refuses it. A text is a user; see [`Request`] for what else may ask.
    #[inline]
    pub fn check<'a>(&self, request: impl Into<Request<'a>>) -> Decision {
        self.inner.decide(&request.into(), true, true, &mut ())
    }

    /// What [`check`](Limiter::check) would say, without consuming anything or holding anything against anybody.
    pub fn peek<'a>(&self, request: impl Into<Request<'a>>) -> Decision {
        self.inner.decide(&request.into(), false, false, &mut ())
    }

    /// As [`check`](Limiter::check), and tells how each limit stands after it.
    pub fn check_in_full<'a>(&self, request: impl Into<Request<'a>>) -> (Decision, Vec<WindowStatus>) {
        self.inner.decide_in_full(&request.into(), true)
    }

    /// Gives back what a request has consumed that was admitted: it did not do what it paid for.
    pub fn refund<'a>(&self, request: impl Into<Request<'a>>) {
        let request = request.into();
        self.inner.store.refund(self.inner.ask(true, false), &request, request.cost);
    }

    /// Admits a request whose cost is known only afterwards: it consumes what it names as the most, and gives back what it turns out
    /// not to need.
    ///
    /// # Errors
    ///
    /// The decision, where it does not admit the request.
    pub fn reserve<'a>(&self, request: impl Into<Request<'a>>) -> Result<Reservation<'a>, Decision> {
        let request = request.into();
        match self.check(request) {
            Decision::Admitted(_) => Ok(Reservation { limiter: self.clone(), unused: request.cost, request }),
            Decision::Exempt => Ok(Reservation { limiter: self.clone(), unused: 0, request }),
            refused => Err(refused),
        }
    }

    /// Waits until a request is admitted, at most for `within`; asks again whenever it might be. A refusal meanwhile is not held against
    /// the caller. Who waits has no place in a line: others may come first.
    ///
    /// Returns what was said last: at once, if waiting cannot help or would take too long. May be dropped at any time; nothing is consumed then.
    pub async fn wait<'a>(&self, request: impl Into<Request<'a>>, within: Duration) -> Decision {
        /// A tick of the coarse clock, and a little more.
        const TICK: Duration = Duration::from_millis(5);
        let request = request.into();
        let clock = self.inner.timeline.clock();
        let deadline = clock.now().checked_add(within);
        loop {
            let decision = self.inner.decide(&request, true, false, &mut ());
            let Decision::Limited(quota) = &decision else { return decision };
            let Some(wait) = quota.retry_after() else { return decision };
            let wait = if self.inner.plan.exact_time { wait } else { wait.max(TICK) };
            let Some(then) = clock.now().checked_add(wait) else { return decision };
            if deadline.is_some_and(|deadline| then > deadline) {
                return decision;
            }
            clock.sleep_until(then).await;
        }
    }

    /// Notes that a request failed in a way that tells against its caller: a wrong password, say. Held against each of its subjects.
    /// Returns how long the caller is banned, if that was one too many.
    pub fn report_failure<'a>(&self, request: impl Into<Request<'a>>) -> Option<Duration> {
        let inner = &*self.inner;
        let penalties = inner.plan.penalties.as_ref()?;
        let request = request.into();
        if inner.access(&request).is_some() {
            return None;
        }
        inner.metrics.failures.increment(1);
        let mut longest = None;
        for subject in request.subjects() {
            let ban = inner.penalise(subject, |now, state| penalties.failure(now, state)).flatten();
            if let Some(ban) = ban {
                inner.tell_of_ban(subject, ban, "failed requests");
            }
            longest = longest.max(ban);
        }
        longest
    }

    /// Bans a caller from now on for so long, whatever it has done. Where penalties are not enabled, nobody is banned.
    pub fn ban<'a>(&self, subject: impl Into<Subject<'a>>, time: Duration) {
        let subject = subject.into();
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        self.inner.penalise(subject, |now, state| {
            state.banned_until = crate::penalty::second(now).saturating_add(seconds);
        });
        self.inner.tell_of_ban(subject, time, "asked for");
    }

    /// Forgets what is held against each subject of a request: a ban, a challenge, and what led to them. What it has consumed stays consumed.
    pub fn pardon<'a>(&self, request: impl Into<Request<'a>>) {
        for subject in request.into().subjects() {
            let before = self.inner.penalise(subject, |_, state| std::mem::take(state));
            if before.is_some_and(|before| before != PenaltyState::default()) {
                self.inner.tell_of_pardon(subject);
            }
        }
    }

    /// How a caller stands, and what its limits are. Consumes nothing.
    pub fn status<'a>(&self, request: impl Into<Request<'a>>) -> Status {
        let request = request.into();
        let (decision, windows) = self.inner.decide_in_full(&request.cost(0), false);
        let inner = &*self.inner;
        let now = inner.timeline.now();
        let mut status = Status { decision, windows, ..Status::default() };
        if let Some(penalties) = &inner.plan.penalties {
            for subject in request.subjects() {
                let (now, state) = inner.store.penalty(inner.identity.subject(subject, &inner.plan), now);
                status.violations = status.violations.max(penalties.violations(now, &state));
                status.failures = status.failures.max(penalties.failures(now, &state));
                if let Standing::Banned { lifted_after } = penalties.standing(now, &state) {
                    status.banned_for = status.banned_for.max(Some(lifted_after));
                }
            }
        }
        status
    }

    /// What the limiter holds. Looks at every key, so not for each request.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let store = &self.inner.store;
        Totals { keys: store.len(), banned: store.banned(self.inner.timeline.now()), bytes: store.bytes() }
    }

    /// Forgets keys that say nothing any more, and tells the metrics all that was decided. Nothing depends on it: both happens as
    /// requests come. With [`maintain`](Limiter::maintain) it also happens when none do.
    pub fn tend(&self) {
        let inner = &*self.inner;
        inner.store.tend(&inner.plan, &inner.metrics, inner.timeline.now());
    }

    /// Calls [`tend`](Limiter::tend) each second, in a task that ends with the shutdown, or with the last clone of the limiter.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn maintain(&self, ctx: &Ctx) {
        let weak = Arc::downgrade(&self.inner);
        let (clock, shutdown) = (ctx.clock.clone(), ctx.shutdown.clone());
        ctx.shutdown.spawn(async move {
            loop {
                let ended = buttress_core::timeout(&*clock, Duration::from_secs(1), shutdown.stopped()).await;
                let Some(inner) = weak.upgrade() else { return };
                inner.store.tend(&inner.plan, &inner.metrics, inner.timeline.now());
                if ended.is_ok() {
                    return;
                }
            }
        });
    }

    /// The limiter's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }
}

impl Inner {
    #[inline]
    fn ask(&self, consume: bool, blame: bool) -> Ask<'_> {
        Ask {
            plan: &self.plan,
            identity: &self.identity,
            metrics: &self.metrics,
            now: self.timeline.now(),
            consume,
            blame,
        }
    }

    #[inline]
    pub(crate) fn access(&self, request: &Request<'_>) -> Option<Access> {
        if self.plan.access.is_empty() { None } else { self.plan.access.find(request.ip?) }
    }

    #[inline]
    fn decide(
        &self,
        request: &Request<'_>,
        consume: bool,
        blame: bool,
        windows: &mut impl Windows,
    ) -> Decision {
        if let Some(access) = self.access(request) {
            return self.by_list(access, consume);
        }
        let mut bans = Bans::default();
        let decision = self.store.decide(self.ask(consume, blame), request, &mut bans, windows);
        if bans != Bans::default() {
            self.tell_of_bans(request, bans);
        }
        decision
    }

    fn decide_in_full(&self, request: &Request<'_>, consume: bool) -> (Decision, Vec<WindowStatus>) {
        let mut looked = Looked(Vec::new());
        let decision = self.decide(request, consume, consume, &mut looked);
        let refused = consume && !decision.is_admitted();
        if refused {
            // What admitted it has kept what it would have given.
            let cost = self.plan.cost(request, request.cost);
            for (window, allowed) in &mut looked.0 {
                let back = if *allowed { cost } else { 0 };
                window.remaining = window.remaining.saturating_add(back).min(window.limit.at_once());
            }
        }
        (decision, looked.0.into_iter().map(|(window, _)| window).collect())
    }

    #[cfg(feature = "redis")]
    pub(crate) fn note_tier(&self, request: &Request<'_>) {
        if request.tier.is_some() && !self.plan.tier(request.tier).1 {
            self.metrics.unknown_tier.increment(1);
        }
    }

    #[cold]
    pub(crate) fn by_list(&self, access: Access, count: bool) -> Decision {
        let (decision, outcome) = match access {
            Access::Allow => (Decision::Exempt, Decided::Exempt),
            Access::Deny => (Decision::Denied, Decided::Denied),
        };
        if count {
            self.metrics.decided(outcome, 1);
        }
        decision
    }

    fn penalise<T>(
        &self,
        subject: Subject<'_>,
        change: impl FnOnce(Nanos, &mut PenaltyState) -> T,
    ) -> Option<T> {
        let print: Fingerprint = self.identity.subject(subject, &self.plan);
        self.store.penalise(&self.plan, print, self.timeline.now(), change)
    }

    #[cold]
    fn tell_of_bans(&self, request: &Request<'_>, bans: Bans) {
        for (subject, seconds) in request.subjects().zip(bans) {
            if seconds > 0 {
                self.tell_of_ban(subject, Duration::from_secs(seconds.into()), "refused requests");
            }
        }
    }

    pub(crate) fn tell_of_pardon(&self, subject: Subject<'_>) {
        let event = Event::new(self.timeline.clock().wall(), "ratelimit.pardon", Outcome::Success);
        self.events.emit(event.actor(&*self.name).target(subject.to_string()));
    }

    pub(crate) fn tell_of_ban(&self, subject: Subject<'_>, time: Duration, why: &str) {
        self.metrics.bans.increment(1);
        let shown = units::format_duration(time);
        tracing::warn!(limiter = &*self.name, time = shown, why, "a caller is banned");
        let event = Event::new(self.timeline.clock().wall(), "ratelimit.ban", Outcome::Denied)
            .actor(&*self.name)
            .target(subject.to_string())
            .detail(format!("for {shown}: {why}"));
        self.events.emit(event);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.store.tend(&self.plan, &self.metrics, self.timeline.now());
    }
}

/// Collects each limit that was looked at, and whether it admitted the request.
struct Looked(Vec<(WindowStatus, bool)>);

impl Windows for Looked {
    fn note(&mut self, window: &Window, verdict: &Verdict) {
        let retry_after = (verdict.retry_after != NEVER).then(|| Duration::from_nanos(verdict.retry_after));
        let status = WindowStatus {
            name: Arc::clone(&window.name),
            limit: window.limit,
            remaining: verdict.remaining,
            retry_after,
            reset_after: Duration::from_nanos(verdict.reset_after),
        };
        self.0.push((status, verdict.allowed));
    }
}

/// What was consumed for a request whose cost is known only afterwards. What it does not need goes back when this is dropped.
#[must_use = "dropped at once, it gives everything back"]
#[derive(Debug)]
pub struct Reservation<'a> {
    limiter: Limiter,
    request: Request<'a>,
    unused: u32,
}

impl Reservation<'_> {
    /// The request has cost so much; of what was reserved, the rest goes back. More than was reserved is not charged.
    pub fn settle(mut self, cost: u32) {
        self.unused = self.unused.saturating_sub(cost);
    }

    /// The request has cost all that was reserved.
    pub fn keep(mut self) {
        self.unused = 0;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if self.unused > 0 {
            self.limiter.refund(self.request.cost(self.unused));
        }
    }
}
