//! The queue and the blobs, as submitters and workers call them: a call that fails in passing is made again.
//!
//! All that is called here may be done twice. Blobs are named by their content and written if they are not there; a job that is
//! pushed twice is one. What a worker says of a job in hand is not repeated here: where it does not arrive, the lease runs out, and
//! the next worker finds the result.

use anyhow::{Context, Result};
use buttress_connect::Error as ConnectError;
use buttress_connect::blobs::Blobs;
use buttress_core::{Ctx, ErrorClass, Key};
use buttress_queue::{Error as QueueError, Pushed, WorkQueue};
use buttress_resilience::{Failure, Policy, Verdict};
use bytes::Bytes;

use super::open_queue;
use crate::config::DocprocConfig;

/// The queue, the blobs, and how often they are asked.
#[derive(Clone)]
pub(super) struct Remote {
    pub(super) queue: WorkQueue,
    pub(super) blobs: Blobs,
    policy: Policy,
}

impl Remote {
    pub(super) async fn open(config: &DocprocConfig, ctx: &Ctx) -> Result<Self> {
        let queue = open_queue(config, ctx).await?;
        let blobs = Blobs::open(&config.blobs, &config.queue.connection).await;
        let blobs =
            blobs.with_context(|| format!("cannot open the blobs; `blobs.url` is {}", config.blobs.url))?;
        Ok(Self { queue, blobs, policy: Policy::new(&config.remote, ctx)?.idempotent() })
    }

    /// As [`Blobs::has`].
    pub(super) async fn has(&self, name: &str) -> Result<bool, Failure<ConnectError>> {
        self.policy.run(|_| self.blobs.has(name)).await
    }

    /// As [`Blobs::get`].
    pub(super) async fn get(&self, name: &str) -> Result<Bytes, Failure<ConnectError>> {
        self.policy.run(|_| self.blobs.get(name)).await
    }

    /// Writes a blob if none has that name. Whether it did cannot be said: an attempt whose answer was lost may have.
    pub(super) async fn put_new(&self, name: &str, bytes: &Bytes) -> Result<(), Failure<ConnectError>> {
        self.policy.run(|_| self.blobs.put_new(name, bytes.clone())).await.map(drop)
    }

    /// As [`WorkQueue::push`]; a job is known, too, if an attempt whose answer was lost had pushed it.
    pub(super) async fn push(&self, key: &Key, payload: &Bytes) -> Result<Pushed, Failure<QueueError>> {
        // Room is waited for by the caller, for as long as it takes.
        let judge = |error: &QueueError| match error {
            QueueError::Full { .. } => Verdict::class(ErrorClass::Conflict),
            error => Verdict::of(error),
        };
        self.policy.run_judged(judge, |_| self.queue.push(key, payload.clone())).await
    }
}
