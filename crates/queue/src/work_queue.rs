//! The queue that people use: any back end, with the decisions made.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use buttress_core::{Classify, Ctx, ErrorClass, Key, Probe, Validate, Vitality};
use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::{
    AnyQueue, DeadLetter, DeadLetters, Error, Job, Pushed, Queue, QueueConfig, Stats, Verdict, backend,
};

/// A durable work queue. Cheap to clone.
///
/// Every job is given out at least once, and again until somebody says that it is done: a worker that crashes, hangs or
/// loses its way gives its jobs back by saying nothing, once their leases have run out. So what a job does has to bear
/// being done twice.
#[derive(Clone)]
pub struct WorkQueue(Arc<Shared>);

struct Shared {
    back: AnyQueue,
    config: QueueConfig,
    policy: Policy,
    metrics: Metrics,
    ctx: Ctx,
}

/// What became of a job that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// It will be tried again.
    Retried {
        /// After this long.
        after: Duration,
    },
    /// It is a dead letter now.
    Dead,
}

impl std::fmt::Debug for WorkQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkQueue").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl WorkQueue {
    /// Opens the queue that `config` names; it is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Config`]; [`Error::Backend`] when the back end is not compiled in or cannot be reached.
    pub async fn open(config: &QueueConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let back = backend::open(config, ctx).await?;
        Ok(Self::over(back, config.clone(), ctx))
    }

    /// A queue over a back end of your own; `config.url` is not looked at.
    #[must_use]
    pub fn over(back: AnyQueue, config: QueueConfig, ctx: &Ctx) -> Self {
        Self(Arc::new(Shared {
            back,
            policy: Policy::new(&config),
            metrics: Metrics::new(&config.name),
            ctx: ctx.clone(),
            config,
        }))
    }

    /// How it is configured.
    #[must_use]
    pub fn config(&self) -> &QueueConfig {
        &self.0.config
    }

    /// Puts a job in. Acknowledged, it is on the disk. The same key twice, while the first is not done, is one job.
    ///
    /// # Errors
    ///
    /// [`Error::PayloadTooLarge`], [`Error::Full`], [`Error::Backend`].
    pub async fn push(&self, key: &Key, payload: Bytes) -> Result<Pushed, Error> {
        let Shared { back, config, metrics, .. } = &*self.0;
        let (bytes, limit) = (payload.len(), config.payload.as_usize());
        let outcome = if bytes > limit {
            Err(Error::PayloadTooLarge { bytes, limit })
        } else {
            back.push(key, payload).await
        };
        match &outcome {
            Ok(pushed) => metrics.pushed(*pushed),
            Err(_) => metrics.refused(),
        }
        outcome
    }

    /// Takes up to `at_most` jobs in hand, those longest ready first; returns at once, also with none.
    ///
    /// A job that has been given out as often as it may becomes a dead letter here.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`], [`Error::Corrupt`].
    pub async fn claim(&self, at_most: usize) -> Result<Vec<Job>, Error> {
        let Shared { back, policy, metrics, .. } = &*self.0;
        loop {
            let claimed = back.claim(at_most).await?;
            let none_left = claimed.is_empty();
            let mut jobs = Vec::with_capacity(claimed.len());
            for job in claimed {
                match policy.exhausted(job.attempt) {
                    None => jobs.push(job),
                    Some(verdict) => self.settle(&job, verdict).await.or_else(unless_lost)?,
                }
            }
            if none_left || !jobs.is_empty() {
                metrics.claimed(jobs.len());
                return Ok(jobs);
            }
        }
    }

    /// Waits until there is a job, and takes up to `at_most` in hand; none once the shutdown drains.
    ///
    /// # Errors
    ///
    /// As [`claim`](WorkQueue::claim).
    pub async fn next(&self, at_most: usize) -> Result<Vec<Job>, Error> {
        let Shared { ctx, config, .. } = &*self.0;
        while !ctx.shutdown.is_draining() {
            let jobs = self.claim(at_most).await?;
            if !jobs.is_empty() {
                return Ok(jobs);
            }
            tokio::select! {
                () = ctx.clock.sleep(config.poll) => {}
                () = ctx.shutdown.drained() => {}
            }
        }
        Ok(Vec::new())
    }

    /// Does `work` on a job, and extends its lease until the work is done, three times in its length.
    ///
    /// The lease is extended by a task of its own, so that work which computes for long holds it too.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`] when the lease could not be extended in time; the work is dropped then, for the job is
    /// another's.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn hold<T>(&self, job: &mut Job, work: impl Future<Output = T>) -> Result<T, Error> {
        let (tell, held_since) = watch::channel(job.held_since);
        let (queue, mut held) = (self.clone(), job.clone());
        let mut keeper =
            AbortOnDrop(tokio::spawn(async move { queue.extend_for_ever(&mut held, &tell).await }));
        let outcome = tokio::select! {
            biased;
            done = work => Ok(done),
            ended = &mut keeper.0 => Err(ended.unwrap_or_else(|_| lost(job))),
        };
        job.held_since = *held_since.borrow();
        outcome
    }

    /// Extends a lease and tells since when it is held; comes back when it is lost.
    async fn extend_for_ever(&self, job: &mut Job, tell: &watch::Sender<Instant>) -> Error {
        let Shared { ctx, config, .. } = &*self.0;
        loop {
            ctx.clock.sleep(config.lease / 3).await;
            match self.extend(job).await {
                Ok(()) => drop(tell.send_replace(job.held_since)),
                Err(error) if error.class().is_transient() => {
                    tracing::warn!(target: "buttress::queue", key = %job.key, %error, "a lease cannot be extended now");
                }
                Err(error) => return error,
            }
            if ctx.clock.now().saturating_duration_since(job.held_since) >= config.lease {
                return lost(job);
            }
        }
    }

    /// Begins a job's lease anew.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`], [`Error::Backend`].
    pub async fn extend(&self, job: &mut Job) -> Result<(), Error> {
        let now = self.0.ctx.clock.now();
        self.settle(job, Verdict::Extend).await?;
        job.held_since = now;
        Ok(())
    }

    /// Says that a job is done. Acknowledged, it is never given out again.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`], [`Error::Backend`].
    pub async fn complete(&self, job: &Job) -> Result<(), Error> {
        self.settle(job, Verdict::Done).await
    }

    /// Says that a job failed: it is tried again later if the class is transient and attempts are left, and is a dead
    /// letter otherwise.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`], [`Error::Backend`].
    pub async fn fail(
        &self,
        job: &Job,
        class: ErrorClass,
        reason: impl Into<String>,
    ) -> Result<Failed, Error> {
        let verdict = self.0.policy.failed(&job.key, job.attempt, class, shortened(reason.into()));
        let failed = match &verdict {
            Verdict::Retry { after } => Failed::Retried { after: *after },
            _ => Failed::Dead,
        };
        self.settle(job, verdict).await?;
        Ok(failed)
    }

    /// Hands a job back unfinished; it is ready at once. The attempt counts.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`], [`Error::Backend`].
    pub async fn release(&self, job: &Job) -> Result<(), Error> {
        self.settle(job, Verdict::Retry { after: Duration::ZERO }).await
    }

    /// Counts, and sets the metrics of what is in the queue.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`].
    pub async fn stats(&self) -> Result<Stats, Error> {
        let stats = self.0.back.stats().await?;
        self.0.metrics.level(&stats);
        Ok(stats)
    }

    /// Counts again and again until the shutdown stops, so that the metrics are never older than `interval`.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn report(&self, interval: Duration) {
        let queue = self.clone();
        self.0.ctx.shutdown.spawn(async move {
            let ctx = &queue.0.ctx;
            while !ctx.shutdown.is_stopping() {
                if let Err(error) = queue.stats().await {
                    tracing::warn!(target: "buttress::queue", %error, "the queue cannot be counted");
                }
                tokio::select! {
                    () = ctx.clock.sleep(interval) => {}
                    () = ctx.shutdown.stopped() => {}
                }
            }
        });
    }

    /// Up to `at_most` dead letters, the oldest first.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`], [`Error::Corrupt`].
    pub async fn dead_letters(&self, at_most: usize) -> Result<Vec<DeadLetter>, Error> {
        self.0.back.dead_letters(at_most).await
    }

    /// Makes a dead letter a job again, with all its attempts before it.
    ///
    /// # Errors
    ///
    /// [`Error::NoDeadLetter`], [`Error::Backend`].
    pub async fn revive(&self, key: &Key) -> Result<(), Error> {
        self.0.back.revive(key).await
    }

    async fn settle(&self, job: &Job, verdict: Verdict) -> Result<(), Error> {
        if let Verdict::Dead { class, reason } = &verdict {
            tracing::warn!(
                target: "buttress::queue",
                queue = self.0.config.name, key = %job.key, attempt = job.attempt, %class, reason,
                "a job is given up"
            );
        }
        let outcome = self.0.back.settle(job, verdict.clone()).await;
        match &outcome {
            Ok(()) => self.0.metrics.settled(&verdict),
            Err(Error::LeaseLost { .. }) => self.0.metrics.lost(),
            Err(_) => {}
        }
        outcome
    }
}

impl Probe for WorkQueue {
    fn name(&self) -> &'static str {
        "queue"
    }

    async fn check(&self) -> Vitality {
        // The cheapest question that the back end itself has to answer.
        match self.dead_letters(1).await {
            Ok(_) => Vitality::Pass,
            Err(error) => Vitality::Fail(error.to_string()),
        }
    }
}

fn lost(job: &Job) -> Error {
    Error::LeaseLost { key: job.key.to_string(), attempt: job.attempt }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A job that was another's already needs nothing more from us.
fn unless_lost(error: Error) -> Result<(), Error> {
    if matches!(error, Error::LeaseLost { .. }) { Ok(()) } else { Err(error) }
}

/// The longest reason that is kept of a dead letter, in bytes.
const LONGEST_REASON: usize = 2048;

fn shortened(mut reason: String) -> String {
    if reason.len() > LONGEST_REASON {
        reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
        reason.push('…');
    }
    reason
}
