//! Many documents at once, with bounded memory, and each on its own.

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use buttress_core::{ByteSize, Ctx, Rejection, RejectionReason, SharedClock, Validate, Violations, timeout};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::budget::CancelToken;
use crate::config::PipelineConfig;
use crate::draft::Source;
use crate::error::{Error, Result};
use crate::frame;
use crate::metrics::WorkerMetrics;
use crate::pipeline::{Pipeline, Processed};
use crate::worker::{self, Hello, Reply, Request, STACK_BYTES, WORKER_VARIABLE};

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
    /// One permit a worker.
    free: Arc<Semaphore>,
    /// One permit a KiB of documents in hand.
    room: Arc<Semaphore>,
    idle: Mutex<Vec<WorkerProcess>>,
    peak_bytes: AtomicU64,
    metrics: WorkerMetrics,
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
        Self(Arc::new(Shared {
            pipeline: Arc::new(Pipeline::new(pipeline).with_clock(ctx.clock.clone())),
            count,
            clock: ctx.clock.clone(),
            free: Arc::new(Semaphore::new(count)),
            room: Arc::new(Semaphore::new(permits(config.queue_bytes.bytes()) as usize)),
            idle: Mutex::default(),
            peak_bytes: AtomicU64::new(0),
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
        ByteSize::b(self.0.peak_bytes.load(Ordering::Relaxed))
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
        // The semaphore is never closed.
        let Ok(worker) = Arc::clone(&shared.free).acquire_owned().await else { return Err(Error::Cancelled) };
        let started = shared.clock.now();
        let busy = shared.metrics.busy();
        let outcome = match shared.config.isolation {
            Isolation::Process => shared.in_process(name, &bytes).await,
            Isolation::Thread => shared.in_thread(name, bytes, (worker, place)).await,
        };
        drop(busy);
        shared.metrics.done(&outcome, shared.clock.now().saturating_duration_since(started));
        outcome
    }
}

/// A KiB a permit, at least one.
fn permits(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024).max(1)).unwrap_or(u32::MAX)
}

impl Shared {
    async fn in_process(&self, name: Option<&str>, bytes: &Bytes) -> Result<Processed> {
        let limits = &self.pipeline.config().limits;
        // What the limits refuse unread needs no worker, and no trip through a pipe.
        drop(crate::Budget::open(limits, bytes.len(), self.clock.clone(), CancelToken::default())?);
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut worker = match idle {
            Some(worker) => worker,
            None => WorkerProcess::start(self.pipeline.config()).await?,
        };
        // Dropped at any point from here, the worker is killed.
        let deadline = limits.time + self.config.grace;
        let Ok(reply) = timeout(&*self.clock, deadline, worker.ask(name, bytes)).await else {
            return Err(Error::TimedOut { limit: limits.time });
        };
        let Ok((reply, text)) = reply else { return Err(worker.post_mortem().await) };
        self.peak_bytes.fetch_max(reply.peak_bytes, Ordering::Relaxed);
        worker.documents += 1;
        let spent = worker.documents >= self.config.recycle_after
            || reply.resident_bytes > self.config.recycle_memory.bytes();
        if !spent {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        }
        let mut processed = reply.outcome?;
        processed.document.text = text;
        Ok(processed)
    }

    /// `held` is what the document occupies; a thread that outlives its time goes on occupying it.
    async fn in_thread(
        &self,
        name: Option<&str>,
        bytes: Bytes,
        held: (OwnedSemaphorePermit, Place),
    ) -> Result<Processed> {
        let cancel = CancelOnDrop(CancelToken::default());
        let (done, outcome) = oneshot::channel();
        let (pipeline, token, name) = (Arc::clone(&self.pipeline), cancel.0.clone(), name.map(str::to_owned));
        std::thread::Builder::new()
            .name("document".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let source = Source { name: name.as_deref(), bytes };
                let outcome = pipeline.process_cancellable(&source, &token);
                drop(held);
                // Nobody waits any longer for a document that was given up.
                let _ = done.send(outcome);
            })
            .map_err(|error| Error::Broken { problem: format!("no thread for a document: {error}") })?;
        let limit = self.pipeline.config().limits.time;
        let outcome = timeout(&*self.clock, limit + self.config.grace, outcome).await;
        self.peak_bytes.fetch_max(worker::memory().1, Ordering::Relaxed);
        match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Error::WorkerDied { how: "its thread ended without an answer".to_owned() }),
            Err(_) => Err(Error::TimedOut { limit }),
        }
    }
}

struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// A worker process and the pipes to it. Killed when dropped.
struct WorkerProcess {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    documents: u64,
}

impl WorkerProcess {
    /// Starts this very program as a worker.
    async fn start(config: &PipelineConfig) -> Result<Self> {
        let broken = |problem: String| Error::Broken {
            problem: format!(
                "a worker process does not start: {problem}; `isolation = \"thread\"` needs none"
            ),
        };
        let program = std::env::current_exe().map_err(|error| broken(error.to_string()))?;
        let mut child = Command::new(program)
            .env(WORKER_VARIABLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| broken(error.to_string()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(broken("it has no pipes".to_owned()));
        };
        let mut worker = Self { child, input, output, documents: 0 };
        let hello = Hello { config: config.clone() };
        frame::send(&mut worker.input, &hello, &[]).await.map_err(|error| broken(error.to_string()))?;
        Ok(worker)
    }

    /// Has one document read; the text comes apart from the reply.
    async fn ask(&mut self, name: Option<&str>, bytes: &[u8]) -> std::io::Result<(Reply, String)> {
        let request = Request { name: name.map(str::to_owned) };
        frame::send(&mut self.input, &request, bytes).await?;
        let (reply, text) = frame::receive::<Reply>(&mut self.output).await?;
        Ok((reply, String::from_utf8(text).map_err(std::io::Error::other)?))
    }

    /// Why a worker that broke off did so.
    async fn post_mortem(mut self) -> Error {
        // Whatever broke the pipe, the process is of no more use.
        let _ = self.child.start_kill();
        let status = self.child.wait().await.ok();
        let mut last_words = Vec::new();
        if let Some(errors) = self.child.stderr.take() {
            // It is dead, so its pipe ends; a pipe holds at most 64 KiB.
            let _ = errors.take(4096).read_to_end(&mut last_words).await;
        }
        worker::died(status, &String::from_utf8_lossy(&last_words))
    }
}
