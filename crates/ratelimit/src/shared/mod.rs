//! Limits whose state is in Redis, shared by all who use the same limiter there.
//!
//! A check is one script and one round trip: all subjects, their windows and penalties, on the server's time. So processes agree whatever
//! their clocks say, and what is counted survives them; it survives the server as far as that is durable.
//!
//! Times are whole microseconds here. The interval of GCRA and of the token bucket is rounded up to one, so a rate of `n` a second is lower by
//! up to `n` in a million.
//!
//! Keys are `{buttress:NAME}:` and a digest of the subject. The braces keep all keys of a limiter on one node of a cluster,
//! because one script decides on all subjects of a request at once; to spread load over nodes, give groups of callers limiters of
//! different names. Every key expires when it says nothing any more.

mod call;
#[cfg(test)]
mod clock_steps;
mod leases;
#[cfg(test)]
mod simulation;

use std::sync::Arc;
use std::time::Duration;

use buttress_connect::redis::Redis;
use buttress_connect::redis::client::{self, Script};
use buttress_connect::{Backend, Error as ConnectError};
use buttress_core::{Ctx, Event, Outage, Outcome, Probe, Validate, Vitality, chain, timeout};
use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

use self::call::{Answer, Call, LeaseTerms, Operation};
use self::leases::{Leases, Spent};
use crate::algorithm::Nanos;
use crate::config::{OnUnavailable, SharedConfig};
use crate::limiter::Limiter;
use crate::metrics::{FALLBACK, SHARED_UP};
use crate::status::WindowStatus;
use crate::{Decision, Error, LimiterConfig, PenaltyConfig, Request, Subject};

/// Calls in a row without an answer until the server is left alone.
const FAILURES: u32 = 3;

/// Limits rates together with all who use the same limiter in Redis. Cheap to clone.
///
/// A check waits for the server at most for `shared.within`. Where the server does not answer, it is decided as `shared.on_unavailable` says;
/// after three calls without an answer the server is not asked at all, apart from one call each `shared.retry_every`, so it
/// is found again by itself. An event tells of both, `ratelimit.shared.lost` and `ratelimit.shared.found`.
#[derive(Clone)]
pub struct SharedLimiter {
    inner: Arc<Inner>,
}

struct Inner {
    /// The plan, the surroundings, and what counts while the server is gone.
    local: Limiter,
    redis: Redis,
    script: Script,
    prefix: String,
    penalties: PenaltyConfig,
    config: SharedConfig,
    outage: Outage,
    leases: Option<Leases>,
    fallback: Counter,
    up: Gauge,
}

impl std::fmt::Debug for SharedLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedLimiter({}, {:?})", self.inner.local.name(), self.inner.redis)
    }
}

impl SharedLimiter {
    /// Connects. The server has to be there: a wrong address should not wait until it is noticed.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], and [`Error::Backend`] where the server cannot be used.
    pub async fn open(config: &LimiterConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let Some(url) = &config.shared.url else {
            let problem = "`shared.url` says where the state is, like \"redis://127.0.0.1\"".to_owned();
            return Err(ConnectError::Address { address: String::new(), problem }.into());
        };
        if url.backend() != Backend::Redis {
            return Err(url.backend().not_compiled().into());
        }
        let redis = Redis::connect(url, &config.shared.connection).await?;
        let leased = config.shared.lease_share > 0;
        let config = &if leased { leases::by_the_calendar(config) } else { config.clone() };
        describe_counter!(FALLBACK, "Checks that the shared state did not answer in time");
        describe_gauge!(SHARED_UP, "Whether the shared state answers");
        let name = config.name.clone();
        let up = gauge!(SHARED_UP, "limiter" => name.clone());
        up.set(1.0);
        let inner = Inner {
            local: Limiter::ready(config, ctx),
            redis,
            script: Script::new(include_str!("decide.lua")),
            prefix: call::prefix(&name),
            penalties: config.penalties.clone(),
            outage: Outage::new(FAILURES, config.shared.retry_every),
            leases: leased.then(|| Leases::new(config.max_keys, config.shared.lease_keep)),
            config: config.shared.clone(),
            fallback: counter!(FALLBACK, "limiter" => name),
            up,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// As [`Limiter::check`]. Dropped before it answers, it may have consumed the cost.
    pub async fn check<'a>(&self, request: impl Into<Request<'a>>) -> Decision {
        let request = request.into();
        match &self.inner.leases {
            Some(leases) => self.inner.spend(leases, &request).await,
            None => self.inner.decide(&request, Operation::Check).await.0,
        }
    }

    /// As [`Limiter::peek`].
    pub async fn peek<'a>(&self, request: impl Into<Request<'a>>) -> Decision {
        self.inner.decide(&request.into(), Operation::Peek).await.0
    }

    /// As [`Limiter::check_in_full`].
    pub async fn check_in_full<'a>(&self, request: impl Into<Request<'a>>) -> (Decision, Vec<WindowStatus>) {
        let request = request.into();
        let Some(leases) = &self.inner.leases else {
            return self.inner.decide(&request, Operation::Check).await;
        };
        let decision = self.inner.spend(leases, &request).await;
        let local = &*self.inner.local.inner;
        (decision, leases.windows(leases.print(&request, &local.plan), local.timeline.now()))
    }

    /// As [`Limiter::wait`].
    pub async fn wait<'a>(&self, request: impl Into<Request<'a>>, within: Duration) -> Decision {
        let request = request.into();
        let clock = self.inner.local.inner.timeline.clock();
        let deadline = clock.now().checked_add(within);
        loop {
            let (decision, _) = self.inner.decide(&request, Operation::Wait).await;
            let Decision::Limited(quota) = &decision else { return decision };
            let Some(wait) = quota.retry_after() else { return decision };
            let Some(then) = clock.now().checked_add(wait.max(Duration::from_millis(1))) else {
                return decision;
            };
            if deadline.is_some_and(|deadline| then > deadline) {
                return decision;
            }
            clock.sleep_until(then).await;
        }
    }

    /// As [`Limiter::refund`]. Lost if the server is not there.
    pub async fn refund<'a>(&self, request: impl Into<Request<'a>>) {
        let request = request.into();
        if self.inner.call(&request, Operation::Refund, None).await.is_none() {
            self.inner.local.refund(request);
        }
    }

    /// As [`Limiter::report_failure`].
    pub async fn report_failure<'a>(&self, request: impl Into<Request<'a>>) -> Option<Duration> {
        let (request, local) = (request.into(), &self.inner.local);
        if !self.inner.penalties.enabled || local.inner.access(&request).is_some() {
            return None;
        }
        let subjects = request.only_subjects();
        let Some(answer) = self.inner.call(&subjects, Operation::Failure, None).await else {
            return local.report_failure(request);
        };
        local.inner.metrics.failures.increment(1);
        self.inner.tell_of_bans(&request, &answer, "failed requests")
    }

    /// As [`Limiter::ban`].
    pub async fn ban<'a>(&self, subject: impl Into<Subject<'a>>, time: Duration) {
        let subject = subject.into();
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let asked = self.inner.call(&subject.into(), Operation::Ban, Some(seconds)).await;
        if asked.is_some() {
            self.inner.local.inner.tell_of_ban(subject, time, "asked for");
        } else {
            self.inner.local.ban(subject, time);
        }
    }

    /// As [`Limiter::pardon`].
    pub async fn pardon<'a>(&self, request: impl Into<Request<'a>>) {
        let request = request.into();
        let subjects = request.only_subjects();
        match self.inner.call(&subjects, Operation::Pardon, None).await {
            Some(answer) => {
                for (subject, _) in request.subjects().zip(answer.bans).filter(|(_, pardoned)| *pardoned > 0)
                {
                    self.inner.local.inner.tell_of_pardon(subject);
                }
            }
            None => self.inner.local.pardon(request),
        }
    }

    /// Gives back all that this process has leased and not used. To be called at the end; otherwise it is lost until its windows end.
    /// [`maintain`](SharedLimiter::maintain) does.
    pub async fn give_back(&self) {
        self.inner.give_back(true).await;
    }

    /// Gives back what idle callers have not used, in a task that ends with the shutdown and gives back all then, or with the
    /// last clone of the limiter. Does nothing without leases.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn maintain(&self, ctx: &Ctx) {
        if self.inner.leases.is_none() {
            return;
        }
        let weak = Arc::downgrade(&self.inner);
        let (clock, shutdown, pause) =
            (ctx.clock.clone(), ctx.shutdown.clone(), self.inner.config.lease_keep);
        ctx.shutdown.spawn(async move {
            loop {
                let ended = timeout(&*clock, pause, shutdown.stopped()).await.is_ok();
                let Some(inner) = weak.upgrade() else { return };
                inner.give_back(ended).await;
                if ended {
                    return;
                }
            }
        });
    }
}

impl Probe for SharedLimiter {
    fn name(&self) -> &str {
        self.inner.local.name()
    }

    /// Whether the server is asked, and answers in time. Where it does not, that is a failure if nobody is admitted then, else a warning.
    async fn check(&self) -> Vitality {
        let inner = &*self.inner;
        // Of a cluster, the node that has the keys is to answer.
        let mut question = client::cmd("EXISTS");
        question.arg(&inner.prefix);
        let asked = inner.redis.query::<i64>(&question);
        let answer = timeout(&**inner.local.inner.timeline.clock(), inner.config.within, asked);
        if !inner.outage.is_on() && matches!(answer.await, Ok(Ok(_))) {
            return Vitality::Pass;
        }
        match inner.config.on_unavailable {
            OnUnavailable::Local => {
                Vitality::Warn("the shared state does not answer; each process counts for itself".to_owned())
            }
            OnUnavailable::Open => {
                Vitality::Warn("the shared state does not answer; all requests are admitted".to_owned())
            }
            OnUnavailable::Closed => {
                Vitality::Fail("the shared state does not answer; no request is admitted".to_owned())
            }
        }
    }
}

impl Inner {
    /// The time for [`Outage`].
    fn now(&self) -> Duration {
        Duration::from_nanos(self.local.inner.timeline.now())
    }

    async fn decide(&self, request: &Request<'_>, operation: Operation) -> (Decision, Vec<WindowStatus>) {
        let local = &*self.local.inner;
        let consume = operation != Operation::Peek;
        if let Some(access) = local.access(request) {
            return (local.by_list(access, consume), Vec::new());
        }
        let Some(answer) = self.call(request, operation, None).await else {
            self.fallback.increment(1);
            return self.without_server(request, operation);
        };
        if consume {
            local.note_tier(request);
            local.metrics.decided(answer.decision.outcome(), 1);
            self.tell_of_bans(request, &answer, "refused requests");
        }
        (answer.decision, answer.windows)
    }

    #[cold]
    fn without_server(&self, request: &Request<'_>, operation: Operation) -> (Decision, Vec<WindowStatus>) {
        let decision = match (self.config.on_unavailable, operation) {
            (OnUnavailable::Local, Operation::Peek) => return (self.local.peek(request), Vec::new()),
            (OnUnavailable::Local, _) => return self.local.check_in_full(request),
            (OnUnavailable::Open, _) => Decision::Exempt,
            (OnUnavailable::Closed, _) => {
                let wait = self.outage.left(self.now());
                Decision::Unavailable { retry_after: wait.max(Duration::from_millis(100)) }
            }
        };
        self.local.inner.metrics.decided(decision.outcome(), 1);
        (decision, Vec::new())
    }

    /// Asks the server, if it is to be asked. Nothing if there was no answer in time.
    async fn call(&self, request: &Request<'_>, operation: Operation, amount: Option<u32>) -> Option<Answer> {
        if !self.outage.admits(self.now()) {
            return None;
        }
        self.call_with(&Call::of(request, &self.local.inner.plan), operation, amount, None).await
    }

    async fn call_with(
        &self,
        call: &Call<'_>,
        operation: Operation,
        amount: Option<u32>,
        lease: Option<LeaseTerms<'_>>,
    ) -> Option<Answer> {
        let clock = self.local.inner.timeline.clock();
        let invocation = call.prepare(&self.script, &self.prefix, operation, &self.penalties, amount, lease);
        let asked = self.redis.invoke::<Vec<i64>>(&invocation);
        let problem = match timeout(&**clock, self.config.within, asked).await {
            Ok(Ok(numbers)) => match call.read(&numbers) {
                Some(answer) => {
                    if self.outage.succeeded() {
                        self.found();
                    }
                    return Some(answer);
                }
                None => "the script's answer does not read".to_owned(),
            },
            Ok(Err(error)) => chain(&error),
            Err(elapsed) => elapsed.to_string(),
        };
        tracing::debug!(limiter = self.local.name(), problem, "the shared state did not answer");
        if self.outage.failed(self.now()) {
            self.lost(problem);
        }
        None
    }

    /// Gives back what is left of leases: of old ones, or of all.
    async fn give_back(&self, all: bool) {
        let Some(leases) = &self.leases else { return };
        for (request, back) in leases.take(self.local.inner.timeline.now(), all) {
            let terms = LeaseTerms { share: 1, most: 1, back: back.left, starts: &back.starts };
            let call = Call::of(&request.borrow(), &self.local.inner.plan);
            if self.call_with(&call, Operation::Return, None, Some(terms)).await.is_none() {
                // Without the server there is nobody to give it to.
                return;
            }
        }
    }

    /// Decides by a lease; the server is asked when it is used up or old.
    async fn spend(&self, leases: &Leases, request: &Request<'_>) -> Decision {
        let local = &*self.local.inner;
        if let Some(access) = local.access(request) {
            return local.by_list(access, true);
        }
        let (plan, now) = (&local.plan, local.timeline.now());
        let (print, cost) = (leases.print(request, plan), plan.cost(request, request.cost));
        let back = match leases.spend(print, now, cost) {
            Spent::Decided(decision) => {
                local.metrics.decided(decision.outcome(), 1);
                return decision;
            }
            Spent::UsedUp(back) => back,
        };
        let mut block = false;
        let answer = if self.outage.admits(Duration::from_nanos(now)) {
            let within = Nanos::try_from(self.config.within.as_nanos()).unwrap_or(Nanos::MAX);
            block = !self.outage.is_on() && leases.asks_for_block(print, now, within, request);
            let terms = LeaseTerms {
                share: self.config.lease_share,
                most: if block { self.config.lease_most } else { 0 },
                back: back.left,
                starts: &back.starts,
            };
            self.call_with(&Call::of(request, plan), Operation::Grant, None, Some(terms)).await
        } else {
            None
        };
        let Some(answer) = answer else {
            self.fallback.increment(1);
            return self.without_server(request, Operation::Check).0;
        };
        local.note_tier(request);
        local.metrics.decided(answer.decision.outcome(), 1);
        self.tell_of_bans(request, &answer, "refused requests");
        leases.granted(print, now, cost, block, &answer, request);
        answer.decision
    }

    fn lost(&self, problem: String) {
        self.up.set(0.0);
        tracing::warn!(limiter = self.local.name(), problem, "the shared state does not answer");
        self.emit("ratelimit.shared.lost", Outcome::Failure, |event| event.detail(problem));
    }

    fn found(&self) {
        self.up.set(1.0);
        tracing::info!(limiter = self.local.name(), "the shared state answers again");
        self.emit("ratelimit.shared.found", Outcome::Success, |event| event);
    }

    fn emit(&self, action: &'static str, outcome: Outcome, more: impl FnOnce(Event) -> Event) {
        let local = &*self.local.inner;
        let event = Event::new(local.timeline.clock().wall(), action, outcome).actor(&*local.name);
        local.events.emit(more(event));
    }

    /// Tells of bans; returns the longest.
    fn tell_of_bans(&self, request: &Request<'_>, answer: &Answer, why: &str) -> Option<Duration> {
        let bans = request.subjects().zip(&answer.bans).filter(|(_, seconds)| **seconds > 0);
        bans.map(|(subject, seconds)| {
            let ban = Duration::from_secs(*seconds);
            self.local.inner.tell_of_ban(subject, ban, why);
            ban
        })
        .max()
    }
}
