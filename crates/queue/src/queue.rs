//! What a back end does for a queue.

use std::future::Future;
use std::sync::Arc;

use buttress_core::{BoxFuture, Key};
use bytes::Bytes;

use crate::{DeadLetter, Error, Job, Pushed, Stats, Verdict};

/// A durable queue as a back end keeps it: the decisions (how often, how long, when to give up) are
/// [`WorkQueue`](crate::WorkQueue)'s, so that they are the same everywhere.
///
/// What a method has acknowledged survives `kill -9` of both sides. A call whose answer was lost may have been carried
/// out; every one of them can be repeated, and a verdict that was carried out is answered with [`Error::LeaseLost`] then.
pub trait Queue: Send + Sync + 'static {
    /// Puts a job in, unless one of that key is waiting, in hand or dead; [`Error::Full`] where there is no room.
    fn push(&self, key: &Key, payload: Bytes) -> impl Future<Output = Result<Pushed, Error>> + Send;

    /// Gives out up to `at_most` jobs that are ready, those longest ready first, each with a lease. A job whose lease
    /// has run out is ready. Returns at once, with fewer or none if there are no more.
    fn claim(&self, at_most: usize) -> impl Future<Output = Result<Vec<Job>, Error>> + Send;

    /// Carries out a verdict on a job in hand; [`Error::LeaseLost`] if it was given to another since.
    fn settle(&self, job: &Job, verdict: Verdict) -> impl Future<Output = Result<(), Error>> + Send;

    /// Counts.
    fn stats(&self) -> impl Future<Output = Result<Stats, Error>> + Send;
}

/// The jobs that were given up.
pub trait DeadLetters: Send + Sync + 'static {
    /// Up to `at_most` dead letters, the oldest first.
    fn dead_letters(&self, at_most: usize) -> impl Future<Output = Result<Vec<DeadLetter>, Error>> + Send;

    /// Makes a dead letter a job again, with all its attempts before it; [`Error::NoDeadLetter`] if there is none.
    fn revive(&self, key: &Key) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Any back end behind a pointer, for when configuration chooses. Cheap to clone.
#[derive(Clone)]
pub struct AnyQueue(Arc<dyn Erased>);

impl AnyQueue {
    /// Wraps a back end.
    pub fn new(queue: impl Queue + DeadLetters) -> Self {
        Self(Arc::new(queue))
    }
}

impl std::fmt::Debug for AnyQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnyQueue")
    }
}

impl Queue for AnyQueue {
    async fn push(&self, key: &Key, payload: Bytes) -> Result<Pushed, Error> {
        self.0.push(key, payload).await
    }

    async fn claim(&self, at_most: usize) -> Result<Vec<Job>, Error> {
        self.0.claim(at_most).await
    }

    async fn settle(&self, job: &Job, verdict: Verdict) -> Result<(), Error> {
        self.0.settle(job, verdict).await
    }

    async fn stats(&self) -> Result<Stats, Error> {
        self.0.stats().await
    }
}

impl DeadLetters for AnyQueue {
    async fn dead_letters(&self, at_most: usize) -> Result<Vec<DeadLetter>, Error> {
        self.0.dead_letters(at_most).await
    }

    async fn revive(&self, key: &Key) -> Result<(), Error> {
        self.0.revive(key).await
    }
}

trait Erased: Send + Sync {
    fn push<'a>(&'a self, key: &'a Key, payload: Bytes) -> BoxFuture<'a, Result<Pushed, Error>>;
    fn claim(&self, at_most: usize) -> BoxFuture<'_, Result<Vec<Job>, Error>>;
    fn settle<'a>(&'a self, job: &'a Job, verdict: Verdict) -> BoxFuture<'a, Result<(), Error>>;
    fn stats(&self) -> BoxFuture<'_, Result<Stats, Error>>;
    fn dead_letters(&self, at_most: usize) -> BoxFuture<'_, Result<Vec<DeadLetter>, Error>>;
    fn revive<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<(), Error>>;
}

impl<Q: Queue + DeadLetters> Erased for Q {
    fn push<'a>(&'a self, key: &'a Key, payload: Bytes) -> BoxFuture<'a, Result<Pushed, Error>> {
        Box::pin(Queue::push(self, key, payload))
    }

    fn claim(&self, at_most: usize) -> BoxFuture<'_, Result<Vec<Job>, Error>> {
        Box::pin(Queue::claim(self, at_most))
    }

    fn settle<'a>(&'a self, job: &'a Job, verdict: Verdict) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(Queue::settle(self, job, verdict))
    }

    fn stats(&self) -> BoxFuture<'_, Result<Stats, Error>> {
        Box::pin(Queue::stats(self))
    }

    fn dead_letters(&self, at_most: usize) -> BoxFuture<'_, Result<Vec<DeadLetter>, Error>> {
        Box::pin(DeadLetters::dead_letters(self, at_most))
    }

    fn revive<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(DeadLetters::revive(self, key))
    }
}
