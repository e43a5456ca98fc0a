//! Runs one check in the background and keeps what it answered.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use buttress_core::{Ctx, Event, Outcome, Random, Vitality, timeout};

use crate::check::{Check, Group};
use crate::config::HealthConfig;
use crate::metrics::CheckMetrics;
use crate::report::{CheckReport, Status};
use crate::verdict::{Belief, Freshness, Tally, Thresholds, freshness};

/// A check, and its latest answer for any number of readers.
pub(crate) struct Runner {
    check: Check,
    interval: Duration,
    timeout: Duration,
    jitter: f64,
    thresholds: Thresholds,
    latest: ArcSwap<Latest>,
    metrics: CheckMetrics,
}

#[derive(Clone)]
struct Latest {
    tally: Tally,
    /// When the latest answer came; the start of the waiting while there is none.
    at: Instant,
    /// The same on the wall, for people.
    wall: Option<SystemTime>,
}

impl Runner {
    pub(crate) fn new(check: Check, config: &HealthConfig, ctx: &Ctx) -> Self {
        Self {
            interval: check.interval.unwrap_or(config.interval),
            timeout: check.timeout.unwrap_or(config.timeout),
            jitter: config.jitter,
            thresholds: Thresholds { failure: config.failure_threshold, success: config.success_threshold },
            latest: ArcSwap::from_pointee(Latest { tally: Tally::NEW, at: ctx.clock.now(), wall: None }),
            metrics: CheckMetrics::new(check.group, check.name()),
            check,
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.check.name()
    }

    pub(crate) fn group(&self) -> Group {
        self.check.group
    }

    /// What the check counts for now.
    pub(crate) fn report(&self, now: Instant) -> CheckReport {
        let latest = self.latest.load();
        let age = now.saturating_duration_since(latest.at);
        let round = self.interval.saturating_add(self.timeout);
        let (status, output) = match (&latest.tally.belief, freshness(age, round)) {
            (Belief::Unknown, _) => (Status::Fail, Some("not checked yet".to_owned())),
            (Belief::Ill(reason), _) => (Status::Fail, Some(reason.clone())),
            (Belief::Well(_), Freshness::Lost) => {
                (Status::Fail, Some("no answer for a long time".to_owned()))
            }
            (Belief::Well(_), Freshness::Stale) => (Status::Warn, Some("no recent answer".to_owned())),
            (Belief::Well(Some(reason)), Freshness::Fresh) => (Status::Warn, Some(reason.clone())),
            (Belief::Well(None), Freshness::Fresh) => (Status::Pass, None),
        };
        CheckReport {
            name: self.check.name().to_owned(),
            status: if self.check.required { status } else { status.min(Status::Warn) },
            time: latest.wall,
            output,
        }
    }

    /// Asks the probe again and again until stopped.
    pub(crate) async fn run(&self, ctx: &Ctx) {
        let random = Random::seeded();
        loop {
            let pause = spread(self.interval, self.jitter, random.fraction());
            let step = async {
                self.ask(ctx).await;
                ctx.clock.sleep(pause).await;
            };
            tokio::select! {
                () = step => {}
                () = ctx.shutdown.stopped() => return,
            }
        }
    }

    async fn ask(&self, ctx: &Ctx) {
        let start = ctx.clock.now();
        let result = match timeout(&*ctx.clock, self.timeout, unpanicked(self.check.probe.check())).await {
            Ok(Ok(vitality)) => vitality,
            Ok(Err(panic)) => Vitality::Fail(format!("the check panicked: {panic}")),
            Err(elapsed) => Vitality::Fail(elapsed.to_string()),
        };
        let now = ctx.clock.now();
        self.metrics.ran(&result, now.saturating_duration_since(start));

        let before = self.report(now);
        let mut latest = Latest::clone(&self.latest.load());
        latest.tally.observe(result, self.thresholds);
        latest.at = now;
        latest.wall = Some(ctx.clock.wall());
        self.latest.store(latest.into());

        let after = self.report(now);
        self.metrics.is(after.status);
        if before.status != after.status {
            self.tell(ctx, &after);
        }
    }

    fn tell(&self, ctx: &Ctx, report: &CheckReport) {
        let (check, group) = (self.check.name(), self.check.group.as_str());
        let detail = report.output.clone().unwrap_or_else(|| "passes".to_owned());
        if report.status == Status::Pass {
            tracing::info!(target: "buttress::health", check, group, "the check passes");
        } else {
            let status = report.status.as_str();
            tracing::warn!(target: "buttress::health", check, group, status, detail, "the check does not pass");
        }
        let outcome = if report.status == Status::Fail { Outcome::Failure } else { Outcome::Success };
        ctx.events.emit(Event::new(ctx.clock.wall(), "health.change", outcome).target(check).detail(detail));
    }
}

/// An interval shortened by a random share of at most `jitter`. `chance` is from 0 to 1.
fn spread(interval: Duration, jitter: f64, chance: f64) -> Duration {
    interval.mul_f64((1.0 - jitter * chance).clamp(0.0, 1.0))
}

/// Runs `work` and turns a panic into its message.
async fn unpanicked<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| {
        // A probe that panicked is not polled again, so what it left half done is not seen.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(panic) => Poll::Ready(Err(message(&*panic))),
        }
    })
    .await
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "(no message)".to_owned())
}
