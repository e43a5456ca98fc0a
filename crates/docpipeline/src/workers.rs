//! Many documents at once, with bounded memory, and each on its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use buttress_core::{ByteSize, Ctx, Rejection, RejectionReason, SharedClock, Validate, Violations, timeout};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::budget::{Budget, CancelToken};
use crate::config::PipelineConfig;
use crate::draft::Source;
use crate::error::{Error, Result};
use crate::metrics::WorkerMetrics;
use crate::pipeline::{Pipeline, Processed};
use crate::processes::Processes;
use crate::worker::{self, STACK_BYTES, no_answer};

/// What stands between documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// A process: a stack overflow, an abort or running out of memory costs one document, and a document past its
    /// time is killed. `main` must call [`serve_worker`](crate::serve_worker).
    #[default]
    Process,
    /// A thread of this process: nothing to set up and a little faster, for documents that are trusted. A panic costs
    /// one document; a stack overflow or running out of memory ends the whole process, and a document past its
    /// time that does not look at its budget keeps its thread until it is done.
    Thread,
}

/// How many documents are read at once, and what may wait.
///
/// | field | default | |
/// |---|---|---|
/// | `count` | 0 | workers; 0 means one a core |
/// | `isolation` | `"process"` | see [`Isolation`] |
/// | `queue_bytes` | 512MiB | documents taken in and not yet done, by size |
/// | `recycle_after` | 1000 | documents until a worker process is replaced |
/// | `recycle_memory` | 512MiB | memory in use after a document at which a worker process is replaced |
/// | `grace` | 1s | time past a document's limit until its worker is killed |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WorkersConfig {
    /// Workers; 0 means one a core.
    pub count: usize,
    /// What stands between documents.
    pub isolation: Isolation,
    /// Documents taken in and not yet done, by size.
    pub queue_bytes: ByteSize,
    /// Documents until a worker process is replaced.
    pub recycle_after: u64,
    /// Memory in use at which a worker process is replaced.
    pub recycle_memory: ByteSize,
    /// Time past a document's limit until its worker is killed.
    #[serde(with = "buttress_core::units::duration")]
    pub grace: Duration,
}

impl Default for WorkersConfig {
    fn default() -> Self {
        Self {
            count: 0,
            isolation: Isolation::default(),
            queue_bytes: ByteSize::mib(512),
            recycle_after: 1000,
            recycle_memory: ByteSize::mib(512),
            grace: Duration::from_secs(1),
        }
    }
}

impl Validate for WorkersConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.require(self.count <= 1024, "count", self.count, "must be at most 1024; 0 means one a core");
        let least = ByteSize::mib(1);
        let remedy = "must be at least \"1MiB\"; \"512MiB\" is usual";
        wrong.require(self.queue_bytes >= least, "queue_bytes", self.queue_bytes, remedy);
        wrong.require(self.recycle_after >= 1, "recycle_after", self.recycle_after, "must be at least 1");
        wrong.into_result()
    }
}

/// Workers that read documents, each apart from the others. Cheap to clone.
///
/// Back pressure is by bytes: [`process`](Workers::process) waits while the documents taken in and not yet done are
/// larger than [`WorkersConfig::queue_bytes`]; [`try_reserve`](Workers::try_reserve) refuses instead. Dropping the
/// future of a document cancels it: its worker is killed or told to stop.
#[derive(Clone)]
pub struct Workers(Arc<Shared>);

struct Shared {
    pipeline: Arc<Pipeline>,
    config: WorkersConfig,
    count: usize,
    clock: SharedClock,
    engine: Engine,
    /// One permit a KiB of documents in hand.
    room: Arc<Semaphore>,
    metrics: WorkerMetrics,
}

/// Who reads the documents.
enum Engine {
    Processes(Processes),
    Threads(Threads),
}

struct Threads {
    /// One permit a thread.
    free: Arc<Semaphore>,
    peak_bytes: AtomicU64,
}

/// Room for one document among those in hand, until it is done.
#[derive(Debug)]
pub struct Place {
    _room: OwnedSemaphorePermit,
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workers")
            .field("count", &self.0.count)
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

impl Workers {
    /// Workers for the pipeline that `pipeline` describes. Worker processes start when they are first needed.
    #[must_use]
    pub fn new(pipeline: PipelineConfig, config: WorkersConfig, ctx: &Ctx) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let count = if config.count == 0 { cores } else { config.count };
        let engine = match config.isolation {
            Isolation::Process => Engine::Processes(Processes::new(
                pipeline.clone(),
                count,
                config.recycle_after,
                config.recycle_memory.bytes(),
            )),
            Isolation::Thread => Engine::Threads(Threads {
                free: Arc::new(Semaphore::new(count)),
                peak_bytes: AtomicU64::new(0),
            }),
        };
        Self(Arc::new(Shared {
            pipeline: Arc::new(Pipeline::new(pipeline).with_clock(ctx.clock.clone())),
            count,
            clock: ctx.clock.clone(),
            engine,
            room: Arc::new(Semaphore::new(permits(config.queue_bytes.bytes()) as usize)),
            metrics: WorkerMetrics::new(),
            config,
        }))
    }

    /// How many documents are read at once.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.count
    }

    /// The most memory that any worker has had in use.
    #[must_use]
    pub fn peak_memory(&self) -> ByteSize {
        ByteSize::b(match &self.0.engine {
            Engine::Processes(processes) => processes.peak_bytes(),
            Engine::Threads(threads) => threads.peak_bytes.load(Ordering::Relaxed),
        })
    }

    /// Waits for room for a document of `bytes`.
    pub async fn reserve(&self, bytes: usize) -> Place {
        let shared = &self.0;
        let wanted = permits(bytes as u64).min(permits(shared.config.queue_bytes.bytes()));
        match Arc::clone(&shared.room).acquire_many_owned(wanted).await {
            Ok(permit) => Place { _room: permit },
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Takes room for a document of `bytes`, if there is some now.
    ///
    /// # Errors
    ///
    /// [`Rejection`] of class `Overloaded` when the documents in hand leave none.
    pub fn try_reserve(&self, bytes: usize) -> Result<Place, Rejection> {
        let shared = &self.0;
        let wanted = permits(bytes as u64).min(permits(shared.config.queue_bytes.bytes()));
        Arc::clone(&shared.room).try_acquire_many_owned(wanted).map(|permit| Place { _room: permit }).map_err(
            |_| {
                shared.metrics.rejected();
                Rejection::new(RejectionReason::Full).after(Duration::from_secs(1))
            },
        )
    }

    /// Reads one document, waiting for room first.
    ///
    /// # Errors
    ///
    /// Why the document is refused; see [`Error`].
    pub async fn process(&self, name: Option<&str>, bytes: Bytes) -> Result<Processed> {
        let place = self.reserve(bytes.len()).await;
        self.process_in(place, name, bytes).await
    }

    /// Reads one document in the room that was reserved for it.
    ///
    /// # Errors
    ///
    /// Why the document is refused; see [`Error`].
    pub async fn process_in(&self, place: Place, name: Option<&str>, bytes: Bytes) -> Result<Processed> {
        let shared = &self.0;
        match &shared.engine {
            Engine::Processes(processes) => shared.in_process(processes, place, name, bytes).await,
            Engine::Threads(threads) => shared.in_thread(threads, place, name, bytes).await,
        }
    }
}

/// A KiB a permit, at least one.
fn permits(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024).max(1)).unwrap_or(u32::MAX)
}

impl Shared {
    async fn in_process(
        &self,
        processes: &Processes,
        place: Place,
        name: Option<&str>,
        bytes: Bytes,
    ) -> Result<Processed> {
        let limits = &self.pipeline.config().limits;
        // What the limits refuse unread needs no worker, and no trip through a pipe.
        if let Err(refusal) = Budget::open(limits, bytes.len(), self.clock.clone(), CancelToken::default()) {
            return self.count(Duration::ZERO, Err(refusal));
        }
        let running = match processes.start(place, name, bytes).await {
            Ok(running) => running,
            Err(error) => return self.count(Duration::ZERO, Err(error)),
        };
        self.time(running.outcome()).await
    }

    /// Waits for a document that a worker has begun, no longer than it may take.
    async fn time(&self, outcome: impl Future<Output = Result<Processed>>) -> Result<Processed> {
        let busy = self.metrics.busy();
        let started = self.clock.now();
        let limit = self.pipeline.config().limits.time;
        let outcome = timeout(&*self.clock, limit + self.config.grace, outcome).await;
        drop(busy);
        let took = self.clock.now().saturating_duration_since(started);
        self.count(took, outcome.unwrap_or(Err(Error::TimedOut { limit })))
    }

    fn count(&self, took: Duration, outcome: Result<Processed>) -> Result<Processed> {
        self.metrics.done(&outcome, took);
        outcome
    }

    async fn in_thread(
        &self,
        threads: &Threads,
        place: Place,
        name: Option<&str>,
        bytes: Bytes,
    ) -> Result<Processed> {
        // The semaphore is never closed.
        let Ok(free) = Arc::clone(&threads.free).acquire_owned().await else { return Err(Error::Cancelled) };
        let cancel = CancelOnDrop(CancelToken::default());
        let (done, outcome) = oneshot::channel();
        let (pipeline, token, name) = (Arc::clone(&self.pipeline), cancel.0.clone(), name.map(str::to_owned));
        let spawned = std::thread::Builder::new().name("document".to_owned()).stack_size(STACK_BYTES).spawn(
            move || {
                let source = Source { name: name.as_deref(), bytes };
                let outcome = pipeline.process_cancellable(&source, &token);
                // A thread that outlives its document's time goes on occupying what it does.
                drop((free, place));
                // Nobody waits any longer for a document that was given up.
                let _ = done.send(outcome);
            },
        );
        if let Err(error) = spawned {
            let problem = format!("no thread for a document: {error}");
            return self.count(Duration::ZERO, Err(Error::Broken { problem }));
        }
        let outcome = self.time(async { outcome.await.unwrap_or_else(|_| Err(no_answer())) }).await;
        threads.peak_bytes.fetch_max(worker::memory().1, Ordering::Relaxed);
        outcome
    }
}

struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
