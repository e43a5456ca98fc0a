//! From accepted to read: takes documents from the store to the workers, and tells whoever watches.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use buttress_core::{Classify, Ctx, ErrorClass};
use buttress_docpipeline::{Error, Processed, Workers};
use tokio::sync::{Notify, broadcast};

use super::records::{Counts, DocumentSummary, Queued, Status};
use super::store::{Store, StoreError};

/// Events kept for a watcher that is slower than the documents; past that it is told to look afresh.
const EVENTS_KEPT: usize = 1024;

/// Takes documents from the store to the workers. Cheap to clone.
///
/// The queue is the store's: a document is off it only when its result or its refusal is committed. So whatever ends
/// this process, a document that was acknowledged is read by the next one.
#[derive(Clone)]
pub(crate) struct Queue {
    store: Store,
    workers: Workers,
    ctx: Ctx,
    attempts: u32,
    /// The documents in hand.
    running: Arc<Mutex<HashSet<String>>>,
    arrived: Arc<Notify>,
    finished: Arc<Notify>,
    changes: broadcast::Sender<Arc<DocumentSummary>>,
}

impl Queue {
    pub(crate) fn new(store: Store, workers: Workers, attempts: u32, ctx: &Ctx) -> Self {
        Self {
            store,
            workers,
            ctx: ctx.clone(),
            attempts,
            running: Arc::default(),
            arrived: Arc::default(),
            finished: Arc::default(),
            changes: broadcast::Sender::new(EVENTS_KEPT),
        }
    }

    /// Begins to take documents, one task a worker, until the shutdown drains. A document in hand is finished; what
    /// is not done when the shutdown stops is handed back to the store.
    pub(crate) fn start(&self) {
        for _ in 0..self.workers.count() {
            let queue = self.clone();
            self.ctx.shutdown.spawn(async move { queue.work().await });
        }
    }

    /// Says that a document has been accepted.
    pub(crate) fn notify(&self, document: &DocumentSummary) {
        self.tell(document.clone());
        self.arrived.notify_one();
    }

    /// Every document that goes a step further, from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Arc<DocumentSummary>> {
        self.changes.subscribe()
    }

    /// The documents with a worker now.
    pub(crate) fn running(&self) -> usize {
        self.in_hand(|running| running.len())
    }

    /// Completes when no document is with a worker.
    pub(crate) async fn idle(&self) {
        while self.running() > 0 {
            self.finished.notified().await;
        }
    }

    /// `document` as it is now: a document with a worker is queued as far as the store knows.
    pub(crate) fn now(&self, mut document: DocumentSummary) -> DocumentSummary {
        if document.status == Status::Queued && self.in_hand(|running| running.contains(&document.id)) {
            document.status = Status::Running;
        }
        document
    }

    /// How many documents are where.
    pub(crate) async fn counts(&self) -> Result<Counts, StoreError> {
        self.store.run(Store::counts).await
    }

    fn in_hand<T>(&self, look: impl FnOnce(&mut HashSet<String>) -> T) -> T {
        look(&mut self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, document: DocumentSummary) {
        // Nobody watching is no error.
        let _ = self.changes.send(Arc::new(self.now(document)));
    }

    async fn work(&self) {
        let shutdown = &self.ctx.shutdown;
        while !shutdown.is_draining() {
            match self.next().await {
                Ok(Some(document)) => {
                    if let Err(error) = self.read(&document).await {
                        tracing::error!(target: "docproc", id = %document.id, error = %error, "a result cannot be kept");
                        self.pause().await;
                    }
                    self.in_hand(|running| running.remove(&document.id));
                    self.finished.notify_one();
                    // Whoever sleeps may find the next one.
                    self.arrived.notify_one();
                }
                Ok(None) => tokio::select! {
                    () = self.arrived.notified() => {}
                    () = shutdown.drained() => {}
                },
                Err(error) => {
                    tracing::error!(target: "docproc", error = %error, "the queue cannot be read");
                    self.pause().await;
                }
            }
        }
    }

    /// A store that fails is not asked again at once.
    async fn pause(&self) {
        tokio::select! {
            () = self.ctx.clock.sleep(std::time::Duration::from_secs(1)) => {}
            () = self.ctx.shutdown.drained() => {}
        }
    }

    /// The first document that waits and that no other task has in hand; it is in hand then.
    async fn next(&self) -> Result<Option<Queued>, StoreError> {
        // As many as may be in hand, and one more.
        let limit = u32::try_from(self.workers.count()).unwrap_or(u32::MAX).saturating_add(1);
        let waiting = self.store.run(move |store| store.queued(limit)).await?;
        Ok(self.in_hand(|running| waiting.into_iter().find(|document| running.insert(document.id.clone()))))
    }

    async fn read(&self, document: &Queued) -> Result<(), StoreError> {
        let id = document.id.clone();
        let taken_up = self.with_id(&id, Store::take_up).await?;
        let Some(attempt) = taken_up else { return Ok(()) };
        if let Some(summary) = self.with_id(&id, Store::summary).await? {
            self.tell(summary);
        }
        let started = self.ctx.clock.now();
        let outcome = tokio::select! {
            outcome = self.process(document, attempt) => outcome,
            () = self.ctx.shutdown.stopped() => Err(Error::Cancelled),
        };
        let took = self.ctx.clock.now().saturating_duration_since(started);
        let now = self.ctx.clock.wall();
        let summary = match outcome {
            // Not its fault: it keeps its place and its attempts.
            Err(Error::Cancelled) => return self.with_id(&id, Store::hand_back).await,
            Err(error) if error.class() == ErrorClass::Unavailable && attempt < self.attempts => {
                return Ok(());
            }
            Err(error) => self.with_id(&id, move |store, id| store.failed(id, &error, took, now)).await?,
            Ok(processed) => self.with_id(&id, move |store, id| store.done(id, processed, took, now)).await?,
        };
        self.in_hand(|running| running.remove(&summary.id));
        self.tell(summary);
        Ok(())
    }

    async fn process(&self, document: &Queued, attempt: u32) -> Result<Processed, Error> {
        if attempt > self.attempts {
            // Each time it was taken up, this process ended before it was done.
            return Err(Error::WorkerDied { how: format!("given up after {} attempts", self.attempts) });
        }
        let path = self.store.accepted(&document.content);
        let bytes = tokio::fs::read(&path).await.map_err(|error| Error::Broken {
            problem: format!("the accepted document cannot be read back: {error}"),
        })?;
        self.workers.process(Some(&document.name), bytes.into()).await
    }

    async fn with_id<T: Send + 'static>(
        &self,
        id: &str,
        work: impl FnOnce(&Store, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let id = id.to_owned();
        self.store.run(move |store| work(store, &id)).await
    }
}
