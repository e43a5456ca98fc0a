//! Entries on their way to the one writer: bounded by their bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::merkle::Hash;
use crate::note::SignedCheckpoint;
use crate::{Error, Receipt};

/// What one permit stands for.
const PERMIT_BYTES: usize = 1 << 10;

/// An entry that waits: its canonical bytes with the prefix left empty.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) bytes: Vec<u8>,
    /// Where nobody waits for an answer, it is tried until it is in the log.
    pub(crate) reply: Option<oneshot::Sender<Result<Receipt, Error>>>,
    /// Its room, given back when this is dropped.
    _permit: OwnedSemaphorePermit,
}

impl Pending {
    pub(crate) fn answer(self, sequence: u64, leaf_hash: Hash) {
        if let Some(reply) = self.reply {
            // Who asked may have gone.
            let _ = reply.send(Ok(Receipt { sequence, leaf_hash }));
        }
    }
}

pub(crate) type CheckpointReply = oneshot::Sender<Result<SignedCheckpoint, Error>>;

/// What the writer is to do next.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) entries: VecDeque<Pending>,
    pub(crate) checkpoints: Vec<CheckpointReply>,
    /// Seal and checkpoint are due.
    pub(crate) due: bool,
    /// Nothing comes after this.
    pub(crate) last: bool,
}

#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Something is there for the writer.
    ready: Condvar,
    /// Something was taken.
    room: Condvar,
    permits: Arc<Semaphore>,
    capacity: usize,
}

#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is asked for by another and answered by itself")]
struct State {
    entries: VecDeque<Pending>,
    checkpoints: Vec<CheckpointReply>,
    due: bool,
    closed: bool,
    /// The last group failed, and those of it that nobody waits for are back in the queue.
    failing: bool,
    /// Another attempt is worth it.
    retry: bool,
}

impl Queue {
    pub(crate) fn new(bytes: usize) -> Self {
        let capacity = bytes / PERMIT_BYTES;
        Self {
            state: Mutex::default(),
            ready: Condvar::new(),
            room: Condvar::new(),
            permits: Arc::new(Semaphore::new(capacity)),
            capacity,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cost(&self, bytes: &[u8]) -> u32 {
        u32::try_from(bytes.len().div_ceil(PERMIT_BYTES).min(self.capacity)).unwrap_or(u32::MAX)
    }

    /// How many bytes wait, in steps of a KiB.
    pub(crate) fn bytes(&self) -> usize {
        self.capacity.saturating_sub(self.permits.available_permits()) * PERMIT_BYTES
    }

    /// Waits for room, and puts it in. Dropped before there is room, nothing was put in.
    pub(crate) async fn push(
        &self,
        bytes: Vec<u8>,
        reply: oneshot::Sender<Result<Receipt, Error>>,
    ) -> Result<(), Error> {
        let permit = Arc::clone(&self.permits).acquire_many_owned(self.cost(&bytes)).await;
        let permit = permit.map_err(|_| Error::Closed)?;
        self.put(Pending { bytes, reply: Some(reply), _permit: permit }).map_err(|_| Error::Closed)
    }

    /// Puts it in if there is room; otherwise gives it back, also where the queue is closed.
    pub(crate) fn try_push(&self, bytes: Vec<u8>) -> Result<(), Vec<u8>> {
        match Arc::clone(&self.permits).try_acquire_many_owned(self.cost(&bytes)) {
            Ok(permit) => {
                self.put(Pending { bytes, reply: None, _permit: permit }).map_err(|refused| refused.bytes)
            }
            Err(_) => Err(bytes),
        }
    }

    /// Blocks the thread until there is room.
    pub(crate) fn push_blocking(&self, bytes: Vec<u8>) -> Result<(), Error> {
        loop {
            let state = self.state();
            if state.closed {
                return Err(Error::Closed);
            }
            // Under the lock under which room is told of, so that none is missed.
            match Arc::clone(&self.permits).try_acquire_many_owned(self.cost(&bytes)) {
                Ok(permit) => {
                    drop(state);
                    return self
                        .put(Pending { bytes, reply: None, _permit: permit })
                        .map_err(|_| Error::Closed);
                }
                Err(_) => drop(self.room.wait(state).unwrap_or_else(PoisonError::into_inner)),
            }
        }
    }

    fn put(&self, pending: Pending) -> Result<(), Pending> {
        let mut state = self.state();
        if state.closed {
            return Err(pending);
        }
        // Who waits for an answer gets one at once, also while the disk fails.
        state.retry |= pending.reply.is_some();
        state.entries.push_back(pending);
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Asks for seal and checkpoint.
    pub(crate) fn ask_checkpoint(&self, reply: CheckpointReply) {
        let mut state = self.state();
        if !state.closed {
            state.checkpoints.push(reply);
        }
        drop(state);
        self.ready.notify_one();
    }

    /// Time has passed. Whether `due`: seal and checkpoint are.
    pub(crate) fn tick(&self, due: bool) {
        let mut state = self.state();
        state.due |= due;
        state.retry |= state.failing;
        let wake = state.due || state.retry;
        drop(state);
        if wake {
            self.ready.notify_one();
        }
    }

    /// Takes no more. What is in it is still written.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.permits.close();
        self.ready.notify_one();
        self.room.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Waits for something to do. Of the entries so many as fit in `most` bytes, and at least one.
    pub(crate) fn take(&self, most: usize) -> Work {
        let mut state = self.state();
        loop {
            let entries = !state.entries.is_empty() && (!state.failing || state.retry);
            if entries || !state.checkpoints.is_empty() || state.due || state.closed {
                break;
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut work = Work {
            checkpoints: std::mem::take(&mut state.checkpoints),
            due: std::mem::take(&mut state.due),
            ..Work::default()
        };
        if !state.failing || state.retry || state.closed {
            let mut bytes = 0;
            while let Some(next) = state.entries.front() {
                bytes += next.bytes.len() + 4;
                if bytes > most && !work.entries.is_empty() {
                    break;
                }
                work.entries.extend(state.entries.pop_front());
            }
        }
        state.retry = false;
        work.last = state.closed && state.entries.is_empty();
        work
    }

    /// A group is in the log, and its permits are back.
    pub(crate) fn done(&self) {
        self.state().failing = false;
        self.room.notify_all();
    }

    /// A group failed: these come first the next time.
    pub(crate) fn put_back(&self, entries: VecDeque<Pending>) {
        let mut state = self.state();
        state.failing = true;
        for entry in entries.into_iter().rev() {
            state.entries.push_front(entry);
        }
        drop(state);
        self.room.notify_all();
    }

    /// Everything that is left, when the writer is gone.
    pub(crate) fn drain(&self) -> Vec<Pending> {
        self.close();
        let mut state = self.state();
        state.checkpoints.clear();
        state.entries.drain(..).collect()
    }
}
