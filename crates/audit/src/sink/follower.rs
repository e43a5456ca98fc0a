//! Feeds a sink from the log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use buttress_core::{Ctx, Probe, Validate, Vitality, chain, timeout};

use super::metrics::Metrics;
use super::{Committed, FollowerConfig, Replica};
use crate::Error;

/// What a sink is fed from: the log.
pub trait Source: Send + Sync + 'static {
    /// Committed entries from sequence `first` on, in order and without a gap: at most `most` of them, and no more than
    /// follow after `bytes` canonical bytes. None when there are none yet. When retention has dropped `first`, it begins
    /// with the first that is there.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    fn committed(
        &self,
        first: u64,
        most: usize,
        bytes: usize,
    ) -> impl Future<Output = Result<Vec<Committed>, Error>> + Send;

    /// How many entries there are: the sequence of the next one.
    fn size(&self) -> u64;
}

/// A task that keeps one sink up with the log, and what it tells of itself: a [`Probe`] too.
///
/// It reads, hands over, and asks the sink again where it stands after any failure, so that it neither skips nor loses. It
/// ends when the context's shutdown stops. While the sink is away it tries again, after a pause that grows.
#[derive(Debug, Clone)]
pub struct Follower(Arc<Status>);

#[derive(Debug)]
struct Status {
    name: String,
    now: Mutex<Standing>,
}

/// How a follower stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// The sequence that the sink wants next; `None` until it was asked.
    pub next: Option<u64>,
    /// How many entries it is behind.
    pub behind: u64,
    /// Failures in a row.
    pub failures: u32,
    /// The last failure, while it lasts.
    pub problem: Option<String>,
    /// Entries that retention dropped from the log before the sink had them.
    pub missed: u64,
}

impl Follower {
    /// Starts to feed `sink` from `source`. `name` is shown by the probe and in metrics: one of few, such as `"archive"`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(
        name: impl Into<String>,
        source: impl Source,
        sink: impl Replica + 'static,
        config: &FollowerConfig,
        ctx: &Ctx,
    ) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let name = name.into();
        let metrics = Metrics::new(&name);
        let this = Self(Arc::new(Status { name, now: Mutex::default() }));
        let feed = Feed { source, sink, config: config.clone(), status: this.clone(), metrics };
        let (ctx_of_task, shutdown) = (ctx.clone(), ctx.shutdown.clone());
        shutdown.spawn(async move { feed.run(&ctx_of_task).await });
        Ok(this)
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.now().clone()
    }

    fn now(&self) -> std::sync::MutexGuard<'_, Standing> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe for Follower {
    fn name(&self) -> &str {
        &self.0.name
    }

    /// Behind is a warning: the log has everything.
    async fn check(&self) -> Vitality {
        let now = self.standing();
        match now.problem {
            Some(problem) => Vitality::Warn(format!(
                "{} entries behind after {} failures: {problem}",
                now.behind, now.failures
            )),
            None if now.missed > 0 => {
                Vitality::Warn(format!("{} entries were dropped by retention before it had them", now.missed))
            }
            None => Vitality::Pass,
        }
    }
}

struct Feed<L, S> {
    source: L,
    sink: S,
    config: FollowerConfig,
    status: Follower,
    metrics: Metrics,
}

impl<L: Source, S: Replica> Feed<L, S> {
    async fn run(self, ctx: &Ctx) {
        let mut next = None;
        loop {
            let stopped = ctx.shutdown.stopped();
            let outcome = tokio::select! {
                () = stopped => return,
                outcome = timeout(&*ctx.clock, self.config.limit, self.step(&mut next)) => outcome,
            };
            let wait = match outcome {
                Ok(Ok(0)) => self.well(next, self.config.poll),
                Ok(Ok(handed)) => {
                    self.metrics.entries.increment(handed as u64);
                    self.well(next, Duration::ZERO)
                }
                Ok(Err(error)) => self.failed(&mut next, chain(&error)),
                Err(elapsed) => self.failed(&mut next, elapsed.to_string()),
            };
            if !wait.is_zero() {
                tokio::select! {
                    () = ctx.shutdown.stopped() => return,
                    () = ctx.clock.sleep(wait) => {}
                }
            }
        }
    }

    /// Hands over one batch; how many were in it.
    async fn step(&self, next: &mut Option<u64>) -> Result<usize, Error> {
        let first = match *next {
            Some(next) => next,
            None => self.sink.next().await?,
        };
        *next = Some(first);
        let batch =
            self.source.committed(first, self.config.batch, self.config.batch_bytes.as_usize()).await?;
        let (Some(begin), Some(end)) = (batch.first(), batch.last()) else { return Ok(0) };
        if begin.sequence() > first {
            let missed = begin.sequence() - first;
            tracing::error!(target: "buttress::audit", sink = %self.status.0.name, missed, "retention dropped entries before a sink had them");
            self.status.now().missed += missed;
        }
        self.sink.put(&batch).await?;
        *next = Some(end.sequence() + 1);
        Ok(batch.len())
    }

    fn well(&self, next: Option<u64>, wait: Duration) -> Duration {
        let mut now = self.status.now();
        if now.problem.take().is_some() {
            tracing::info!(target: "buttress::audit", sink = %self.status.0.name, failures = now.failures, "the sink takes entries again");
        }
        now.failures = 0;
        now.next = next;
        now.behind = self.source.size().saturating_sub(next.unwrap_or(0));
        self.metrics.behind.set(now.behind as f64);
        wait
    }

    /// Notes a failure; how long to wait.
    fn failed(&self, next: &mut Option<u64>, problem: String) -> Duration {
        // Whether the batch arrived is not known: the sink is asked.
        let stood = next.take();
        self.metrics.failures.increment(1);
        let mut now = self.status.now();
        now.behind = self.source.size().saturating_sub(stood.or(now.next).unwrap_or(0));
        self.metrics.behind.set(now.behind as f64);
        if now.problem.as_ref() != Some(&problem) {
            tracing::warn!(target: "buttress::audit", sink = %self.status.0.name, behind = now.behind, problem, "the sink takes no entries");
        }
        now.problem = Some(problem);
        let wait = self.config.pause.saturating_mul(1 << now.failures.min(16));
        now.failures = now.failures.saturating_add(1);
        wait.min(self.config.longest_pause)
    }
}
