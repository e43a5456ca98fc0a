//! A worker: takes jobs from the queue as long as it has room, and leaves their results.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use buttress_core::{Classify, Ctx, ErrorClass, chain};
use buttress_docpipeline::{Error as DocumentError, Finished, Record, Workers};
use buttress_health::Check;
use buttress_queue::{Error as QueueError, Failed, Job};
use buttress_service::{BoxError, Component, Service};
use buttress_telemetry::Telemetry;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Ticket;
use super::remote::Remote;
use crate::config::DocprocConfig;

/// How often the metrics of the queue are brought up to date.
const COUNTED_EVERY: Duration = Duration::from_secs(15);

/// A queue that fails is not asked again at once.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs a worker until it is asked to stop. Probes and metrics are at `listen`.
///
/// Asked to stop, it takes no more jobs and finishes those in hand; what is not done within `service.drain.finish_within`
/// it hands back to the queue, for another worker.
///
/// # Errors
///
/// When it cannot start, or does not stop in order.
pub async fn run(config: DocprocConfig, listen: SocketAddr) -> Result<()> {
    let ctx = Ctx::default();
    let telemetry = Telemetry::init(&config.telemetry, &ctx)?;
    telemetry.build_info("docproc", env!("CARGO_PKG_VERSION"));
    let workers = Workers::new(config.pipeline.clone(), config.workers.clone(), &ctx);
    let worker = Worker {
        remote: Remote::open(&config, &ctx).await?,
        config: config.pipeline.digest(),
        room: Arc::new(Semaphore::new(workers.count())),
        workers,
        ctx: ctx.clone(),
    };
    let mut service = config.service;
    service.listen = listen;
    Service::new("docproc-worker", service, ctx, telemetry).with(worker).run().await?;
    Ok(())
}

#[derive(Clone)]
struct Worker {
    remote: Remote,
    workers: Workers,
    config: String,
    /// One permit a document in hand.
    room: Arc<Semaphore>,
    ctx: Ctx,
}

impl Component for Worker {
    fn name(&self) -> &'static str {
        "worker"
    }

    async fn start(&self, _: &Ctx) -> Result<(), BoxError> {
        self.remote.queue.report(COUNTED_EVERY);
        let worker = self.clone();
        self.ctx.shutdown.spawn(async move { worker.take_jobs().await });
        Ok(())
    }

    async fn drain(&self) {
        // Closed by nobody; all of the room is free when nothing is in hand.
        let all = u32::try_from(self.workers.count()).unwrap_or(u32::MAX);
        let _ = self.room.acquire_many(all).await;
    }

    fn checks(&self) -> Vec<Check> {
        vec![Check::ready(self.remote.queue.clone()), Check::ready(self.remote.blobs.clone())]
    }
}

/// Why a job is not done.
enum Undone {
    /// It is this worker that stops, not the document's fault.
    Stopping,
    /// It failed.
    Failed(ErrorClass, String),
}

impl<E: Classify + std::fmt::Display> From<E> for Undone {
    fn from(error: E) -> Self {
        match error.class() {
            ErrorClass::Cancelled => Self::Stopping,
            class => Self::Failed(class, error.to_string()),
        }
    }
}

impl Worker {
    /// Takes as many jobs as there is room for, until the shutdown drains.
    async fn take_jobs(&self) {
        while !self.ctx.shutdown.is_draining() {
            let Ok(mut room) = Arc::clone(&self.room).acquire_owned().await else { return };
            while let Ok(more) = Arc::clone(&self.room).try_acquire_owned() {
                room.merge(more);
            }
            match self.remote.queue.next(room.num_permits()).await {
                Ok(jobs) => {
                    for job in jobs {
                        let Some(place) = room.split(1) else { break };
                        let worker = self.clone();
                        self.ctx.shutdown.spawn(async move { Box::pin(worker.finish(job, place)).await });
                    }
                }
                Err(error) => {
                    tracing::error!(target: "docproc", error = %chain(&error), "no jobs can be had");
                    tokio::select! {
                        () = self.ctx.clock.sleep(PAUSE) => {}
                        () = self.ctx.shutdown.drained() => {}
                    }
                }
            }
        }
    }

    /// Does a job and says how it went. Where that cannot be said, the lease runs out and another does the job again.
    async fn finish(&self, mut job: Job, place: OwnedSemaphorePermit) {
        let started = self.ctx.clock.now();
        let payload = job.payload.clone();
        let done = self.remote.queue.hold(&mut job, async {
            tokio::select! {
                done = self.read(&payload) => done,
                () = self.ctx.shutdown.stopped() => Err(Undone::Stopping),
            }
        });
        let done = done.await;
        let (key, attempt) = (&job.key, job.attempt);
        let said = match done {
            Ok(Ok(())) => self.remote.queue.complete(&job).await.map(|()| "done"),
            Ok(Err(Undone::Stopping)) => self.remote.queue.release(&job).await.map(|()| "handed back"),
            Ok(Err(Undone::Failed(class, reason))) => {
                tracing::warn!(target: "docproc", %key, attempt, %class, reason, "a document failed");
                self.remote.queue.fail(&job, class, reason).await.map(|failed| match failed {
                    Failed::Retried { .. } => "to be tried again",
                    Failed::Dead => "a dead letter",
                })
            }
            Err(lost) => Err(lost),
        };
        drop(place);
        let took = self.ctx.clock.now().saturating_duration_since(started).as_secs_f64();
        match said {
            Ok(state) => tracing::info!(target: "docproc", %key, attempt, seconds = took, state, "job"),
            Err(error @ QueueError::LeaseLost { .. }) => {
                tracing::warn!(target: "docproc", %key, attempt, seconds = took, %error, "another has the job");
            }
            Err(error) => {
                tracing::error!(target: "docproc", %key, attempt, error = %chain(&error), "how a job went cannot be said");
            }
        }
    }

    /// Reads the document of a job and leaves its result.
    async fn read(&self, payload: &[u8]) -> Result<(), Undone> {
        let unreadable =
            |error| Undone::Failed(ErrorClass::Invalid, format!("the job does not read: {error}"));
        let ticket: Ticket = serde_json::from_slice(payload).map_err(unreadable)?;
        if ticket.config != self.config {
            let (theirs, ours) = (&ticket.config, &self.config);
            // While a new configuration goes round, another worker may have it already.
            let reason = format!(
                "submitted with the pipeline configuration {theirs}, but this worker has {ours}: give both the same \
                 [pipeline] section, then `docproc queue retry`"
            );
            return Err(Undone::Failed(ErrorClass::Unavailable, reason));
        }
        if self.remote.has(&ticket.result()).await? {
            return Ok(());
        }
        let bytes = self.remote.get(&ticket.document()).await?;
        let size = bytes.len() as u64;
        let started = self.ctx.clock.now();
        let processed = self.workers.process(Some(&ticket.name), bytes).await?;
        let result = ticket.result();
        let finished = Finished {
            name: ticket.name,
            content: ticket.content,
            config: ticket.config,
            bytes: size,
            took: self.ctx.clock.now().saturating_duration_since(started),
            outcome: Ok(processed),
        };
        let json = serde_json::to_vec(&Record::from(&finished)).map_err(|error| {
            Undone::from(DocumentError::Broken { problem: format!("a result cannot be written: {error}") })
        })?;
        self.remote.put_new(&result, &Bytes::from(json)).await?;
        Ok(())
    }
}
