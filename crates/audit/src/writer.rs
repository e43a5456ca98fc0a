//! The one writer: takes what waits, makes it durable in one go, and answers.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use buttress_core::chain;

use crate::entry::{nanos_of, write_prefix};
use crate::log::Shared;
use crate::queue::{CheckpointReply, Pending};
use crate::store::{Group, Store};
use crate::{Entry, Error, Record};

/// Runs until the queue is closed and empty.
pub(crate) fn run(mut store: Store, shared: &Arc<Shared>, lock: File) {
    let _gone = Gone { shared: Arc::clone(shared), lock: Some(lock) };
    let opened = shared.ctx.clock.now();
    let mut group = Group::new();
    loop {
        let work = shared.queue.take(shared.group);
        let mut failed = false;
        if !work.entries.is_empty() {
            failed = !write(&mut store, shared, &mut group, work.entries, opened);
        }
        let many = store.size() - store.sealed >= shared.checkpoint_entries;
        if work.due || work.last || many || !work.checkpoints.is_empty() {
            checkpoint(&mut store, shared, work.checkpoints);
        }
        // Closed with a disk that fails: once more was tried, and what is left is told of by `Gone`.
        if work.last || (failed && shared.queue.is_closed()) {
            break;
        }
    }
    if let Err(error) = store.finish() {
        tracing::warn!(target: "buttress::audit", error = %chain(&error), "the tree of hashes is behind; it is made good when the log is opened");
    }
}

/// Whether it is in the log. Otherwise who waits has the error, and the rest is back in the queue.
fn write(
    store: &mut Store,
    shared: &Shared,
    group: &mut Group,
    mut entries: VecDeque<Pending>,
    opened: Instant,
) -> bool {
    let clock = &shared.ctx.clock;
    let began = clock.now();
    let ticks = u64::try_from((began - opened).as_nanos()).unwrap_or(u64::MAX);
    let wall = nanos_of(clock.wall()).unwrap_or_default();
    group.clear();
    for (sequence, entry) in (store.size()..).zip(&mut entries) {
        write_prefix(&mut entry.bytes, sequence, wall, ticks);
        group.push(&entry.bytes);
    }
    let first = store.size();
    match store.commit(group, wall) {
        Ok(()) => {
            let metrics = &shared.metrics;
            metrics.entries.increment(group.leaves.len() as u64);
            metrics.groups.increment(1);
            metrics.commit.record((clock.now() - began).as_secs_f64());
            shared.committed.send_replace(store.size());
            shared.healthy();
            for ((sequence, entry), leaf) in (first..).zip(entries).zip(&group.leaves) {
                entry.answer(sequence, *leaf);
            }
            shared.queue.done();
            metrics.queued.set(shared.queue.bytes() as f64);
            true
        }
        Err(error) => {
            tracing::error!(target: "buttress::audit", error = %chain(&error), entries = entries.len(), "entries cannot be written");
            shared.metrics.disk_failures.increment(1);
            shared.failing(&error);
            let mut back = VecDeque::new();
            for mut entry in entries {
                match entry.reply.take() {
                    None => back.push_back(entry),
                    Some(reply) => drop(reply.send(Err(again(&error)))),
                }
            }
            shared.queue.put_back(back);
            false
        }
    }
}

fn checkpoint(store: &mut Store, shared: &Shared, asked: Vec<CheckpointReply>) {
    let wall = nanos_of(shared.ctx.clock.wall()).unwrap_or_default();
    let done = store.milestone(wall);
    match &done {
        Ok(None) => {}
        Ok(Some(signed)) => drop(shared.signed.send_replace(Some(signed.clone()))),
        Err(error) => {
            tracing::error!(target: "buttress::audit", error = %chain(error), "the log cannot be sealed and signed");
            shared.metrics.disk_failures.increment(1);
        }
    }
    shared.sealing(done.as_ref().err());
    for reply in asked {
        let answer = match (&done, &store.latest) {
            (Err(error), _) => Err(again(error)),
            (Ok(_), Some(latest)) => Ok(latest.clone()),
            (Ok(_), None) => Err(Error::Closed),
        };
        let _ = reply.send(answer);
    }
}

/// The same error for another who waits.
fn again(error: &Error) -> Error {
    match error {
        Error::Disk { doing, path, source } => Error::Disk {
            doing,
            path: path.clone(),
            source: io::Error::new(source.kind(), source.to_string()),
        },
        Error::Damaged { path, problem } => Error::Damaged { path: path.clone(), problem: problem.clone() },
        _ => Error::Closed,
    }
}

/// When the writer ends, also by a panic, nobody waits for it any longer.
struct Gone {
    shared: Arc<Shared>,
    lock: Option<File>,
}

impl Drop for Gone {
    fn drop(&mut self) {
        for mut left in self.shared.queue.drain() {
            if left.reply.is_none() {
                // The prefix is empty, and that is the encoding of no sequence; it only has to read.
                write_prefix(&mut left.bytes, 0, 0, 0);
                match Record::decode(&left.bytes) {
                    Ok(record) => self.shared.lose(&record.entry, "the log was closed while its disk failed"),
                    Err(_) => self.shared.metrics.lost.increment(1),
                }
            }
        }
        // Whoever waits for the end may open the log at once.
        self.lock.take();
        self.shared.done.send_replace(true);
    }
}

impl Shared {
    /// Says that an event is lost, with all of it: somebody may still want to know.
    pub(crate) fn lose(&self, entry: &Entry, why: &str) {
        tracing::error!(target: "buttress::audit", ?entry, why, "an event could not be logged");
        self.metrics.lost.increment(1);
        self.lost(why);
    }
}
