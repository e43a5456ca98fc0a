//! What is known of jobs only while the process lives: who runs which, and who wants to hear of what.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, broadcast, watch};

use super::id::JobId;
use super::job::Change;

/// Changes that a slow listener may be behind before it misses some.
const CHANGES: usize = 1_024;

pub(crate) struct Live {
    running: Mutex<HashMap<JobId, Running>>,
    abandoned: Mutex<Vec<Abandoned>>,
    pub(crate) changes: broadcast::Sender<Change>,
    /// Something may have become claimable.
    pub(crate) work: Notify,
    /// When a claim last looked, in milliseconds: what was due then has been seen.
    pub(crate) looked_at: AtomicI64,
    holders: AtomicI64,
    last_id: Mutex<JobId>,
}

struct Running {
    holder: i64,
    cancel: watch::Sender<bool>,
}

/// A claim that was dropped before it was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abandoned {
    pub(crate) id: JobId,
    pub(crate) holder: i64,
    /// Whether anybody got it at all.
    pub(crate) begun: bool,
}

impl Live {
    pub(crate) fn new(last_id: JobId) -> Self {
        Self {
            running: Mutex::default(),
            abandoned: Mutex::default(),
            changes: broadcast::Sender::new(CHANGES),
            work: Notify::new(),
            looked_at: AtomicI64::new(0),
            holders: AtomicI64::new(0),
            last_id: Mutex::new(last_id),
        }
    }

    /// A name after all that were given before.
    pub(crate) fn next_id(&self, now: std::time::SystemTime) -> JobId {
        let mut last = lock(&self.last_id);
        *last = JobId::after(*last, now);
        *last
    }

    /// A number for a new claim.
    pub(crate) fn next_holder(&self) -> i64 {
        self.holders.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Notes that `holder` runs a job now, and gives what tells it of a cancellation.
    pub(crate) fn begin(&self, id: JobId, holder: i64) -> watch::Receiver<bool> {
        let (cancel, told) = watch::channel(false);
        lock(&self.running).insert(id, Running { holder, cancel });
        told
    }

    /// Tells whoever runs a job that it is cancelled.
    pub(crate) fn cancel(&self, id: JobId) {
        if let Some(running) = lock(&self.running).get(&id) {
            running.cancel.send_replace(true);
        }
    }

    /// Notes that `holder` does not run a job any more.
    pub(crate) fn end(&self, id: JobId, holder: i64) {
        let mut running = lock(&self.running);
        if running.get(&id).is_some_and(|running| running.holder == holder) {
            running.remove(&id);
        }
    }

    /// Notes a claim for the next claim to take back.
    pub(crate) fn abandon(&self, abandoned: Abandoned) {
        lock(&self.abandoned).push(abandoned);
        self.work.notify_one();
    }

    pub(crate) fn abandoned(&self) -> Vec<Abandoned> {
        lock(&self.abandoned).clone()
    }

    /// Forgets abandoned claims that have been taken back.
    pub(crate) fn taken_back(&self, those: &[Abandoned]) {
        lock(&self.abandoned).retain(|one| !those.contains(one));
    }

    /// Tells of changes, and that there may be work.
    pub(crate) fn publish(&self, changes: &[Change]) {
        for change in changes {
            // Nobody listens: fine.
            let _listeners = self.changes.send(change.clone());
        }
        if !changes.is_empty() {
            self.work.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one of these locks can panic half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
