//! Batching: items of many callers go out in one call, and each caller gets the answer to its own.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress_core::{BoxFuture, Ctx, Rejection, RejectionReason, Validate, Violations, timeout, units};
use metrics::Histogram;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

use crate::deadline::keep;
use crate::error::{Error, Failure};
use crate::sync::lock;

/// When a batch goes out.
///
/// | field | default | |
/// |---|---|---|
/// | `size` | 100 | with so many items |
/// | `wait` | `"5ms"` | or so long after its first |
/// | `limit` | `"30s"` | a call that takes longer is given up |
/// | `items` | 10000 | items at once, those on their way too; what comes beyond is refused |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BatchConfig {
    /// With so many items.
    pub size: usize,
    /// Or so long after its first.
    #[serde(with = "units::duration")]
    pub wait: Duration,
    /// A call that takes longer is given up.
    #[serde(with = "units::duration")]
    pub limit: Duration,
    /// Items at once.
    pub items: usize,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { size: 100, wait: Duration::from_millis(5), limit: Duration::from_secs(30), items: 10_000 }
    }
}

impl Validate for BatchConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let (usual, most) = (Self::default(), 1_000_000);
        wrong.require(
            (1..=most).contains(&self.size),
            "size",
            self.size,
            "must be 1 to 1000000; 100 is usual",
        );
        crate::config::time(&mut wrong, "wait", self.wait, usual.wait);
        crate::config::time(&mut wrong, "limit", self.limit, usual.limit);
        let items = (self.size..=most).contains(&self.items);
        wrong.require(items, "items", self.items, "must be between `size` and 1000000; 10000 is usual");
        wrong.into_result()
    }
}

/// The answers to the items of a batch in their order, each its own; or one error for all.
type Answers<O, E> = Result<Vec<Result<O, E>>, E>;

type Call<I, O, E> = Box<dyn Fn(Vec<I>) -> BoxFuture<'static, Answers<O, E>> + Send + Sync>;

/// Collects items and sends them together. Cheap to clone: clones fill the same batches.
///
/// A batch runs in a task of its own. The item of a caller who has gone before it goes out is left out.
///
/// ```
/// use buttress_core::{Ctx, Elapsed};
/// use buttress_resilience::{Batch, BatchConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let squares = Batch::new("squares", &BatchConfig::default(), &Ctx::default(), |numbers: Vec<u64>| async move {
///     Ok::<_, Elapsed>(numbers.into_iter().map(|number| Ok(number * number)).collect())
/// })?;
/// assert_eq!(tokio::try_join!(squares.run(3), squares.run(4))?, (9, 16)); // one call
/// # Ok(())
/// # }
/// ```
pub struct Batch<I, O, E>(Arc<Inner<I, O, E>>);

struct Inner<I, O, E> {
    /// The batch that is filling.
    open: Mutex<Option<Arc<Filling<I, O, E>>>>,
    room: Arc<Semaphore>,
    config: BatchConfig,
    ctx: Ctx,
    call: Call<I, O, E>,
    sizes: Histogram,
}

/// A batch on its way to be sent.
struct Filling<I, O, E> {
    entries: Mutex<Vec<Entry<I, O, E>>>,
    /// Rung when it is full.
    full: Notify,
}

struct Entry<I, O, E> {
    item: I,
    answer: Seat<O, E>,
}

struct Seat<O, E> {
    answer: oneshot::Sender<Result<O, Failure<E>>>,
    _room: OwnedSemaphorePermit,
}

impl<I, O, E> Batch<I, O, E>
where
    I: Send + 'static,
    O: Send + 'static,
    E: Clone + Send + 'static,
{
    /// Sends batches by `call`, which answers each item in its place, or all with one error.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new<F>(
        name: &str,
        config: &BatchConfig,
        ctx: &Ctx,
        call: impl Fn(Vec<I>) -> F + Send + Sync + 'static,
    ) -> Result<Self, Error>
    where
        F: Future<Output = Answers<O, E>> + Send + 'static,
    {
        let mut wrong = Violations::new();
        crate::config::name(&mut wrong, name);
        wrong.nest("batch", config);
        wrong.into_result().map_err(Error::Config)?;
        Ok(Self(Arc::new(Inner {
            open: Mutex::new(None),
            room: Arc::new(Semaphore::new(config.items)),
            config: config.clone(),
            ctx: ctx.clone(),
            call: Box::new(move |items| Box::pin(call(items))),
            sizes: crate::metrics::batch_items(name),
        })))
    }

    /// The answer to `item`.
    ///
    /// # Errors
    ///
    /// [`Failure::Call`] with the item's error or that of the whole call; [`Failure::Rejected`] when there are too many
    /// items; [`Failure::TimedOut`] when the call's limit or this caller's deadline came first; [`Failure::Lost`] when the
    /// call panicked, did not answer every item, or was ended by a stop.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn run(&self, item: I) -> Result<O, Failure<E>> {
        let inner = &self.0;
        let Ok(room) = Arc::clone(&inner.room).try_acquire_owned() else {
            return Err(Failure::Rejected(Rejection::new(RejectionReason::Full)));
        };
        let (answer, answered) = oneshot::channel();
        self.enter(Entry { item, answer: Seat { answer, _room: room } });
        keep(&*inner.ctx.clock, answered).await?.unwrap_or(Err(Failure::Lost))
    }

    fn enter(&self, entry: Entry<I, O, E>) {
        let inner = &self.0;
        let mut open = lock(&inner.open);
        let filling = Arc::clone(open.get_or_insert_with(|| {
            let filling = Arc::new(Filling { entries: Mutex::default(), full: Notify::new() });
            let due = inner.ctx.clock.sleep(inner.config.wait);
            inner.ctx.shutdown.spawn(Arc::clone(inner).send(Arc::clone(&filling), due));
            filling
        }));
        let mut entries = lock(&filling.entries);
        entries.push(entry);
        if entries.len() >= inner.config.size {
            *open = None;
            filling.full.notify_one();
        }
    }
}

impl<I, O, E: Clone> Inner<I, O, E> {
    /// Waits until the batch is due, and sends it.
    async fn send(self: Arc<Self>, filling: Arc<Filling<I, O, E>>, due: BoxFuture<'static, ()>) {
        let clock = &*self.ctx.clock;
        tokio::select! {
            () = due => {}
            () = filling.full.notified() => {}
            () = self.ctx.shutdown.stopped() => {}
        }
        let entries = self.close(&filling);
        let waited_for = entries.into_iter().filter(|entry| !entry.answer.answer.is_closed());
        let (items, seats): (Vec<_>, Vec<_>) = waited_for.map(|entry| (entry.item, entry.answer)).unzip();
        if items.is_empty() {
            return;
        }
        self.sizes.record(items.len() as f64);
        let answers = tokio::select! {
            answers = timeout(clock, self.config.limit, (self.call)(items)) => answers,
            () = self.ctx.shutdown.stopped() => return,
        };
        let answers = match answers {
            Ok(Ok(answers)) if answers.len() == seats.len() => answers,
            // Nobody can tell whose answer is missing.
            Ok(Ok(_)) => return Seat::all(seats, &Failure::Lost),
            Ok(Err(error)) => return Seat::all(seats, &Failure::Call(error)),
            Err(elapsed) => return Seat::all(seats, &Failure::TimedOut(elapsed)),
        };
        for (seat, answer) in seats.into_iter().zip(answers) {
            seat.tell(answer.map_err(Failure::Call));
        }
    }

    /// Takes the batch's items; what comes from now on fills another.
    fn close(&self, filling: &Arc<Filling<I, O, E>>) -> Vec<Entry<I, O, E>> {
        let mut open = lock(&self.open);
        if open.as_ref().is_some_and(|other| Arc::ptr_eq(other, filling)) {
            *open = None;
        }
        std::mem::take(&mut *lock(&filling.entries))
    }
}

impl<O, E: Clone> Seat<O, E> {
    /// One who has gone does not hear it.
    fn tell(self, answer: Result<O, Failure<E>>) {
        let _ = self.answer.send(answer);
    }

    fn all(seats: Vec<Self>, failure: &Failure<E>) {
        for seat in seats {
            seat.tell(Err(failure.clone()));
        }
    }
}

impl<I, O, E> Clone for Batch<I, O, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<I, O, E> std::fmt::Debug for Batch<I, O, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("config", &self.0.config).finish_non_exhaustive()
    }
}
