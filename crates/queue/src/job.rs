//! What goes through a queue, and what is told of it.

use std::time::{Duration, Instant, SystemTime};

use buttress_core::{ErrorClass, Key};
use bytes::Bytes;
use serde::Serialize;

/// A job in hand: ours until its lease runs out.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Job {
    /// What makes it the same job when it is pushed again.
    pub key: Key,
    /// What is to be done.
    pub payload: Bytes,
    /// How often it has been given out, this time included. Every time counts: a worker that crashed with it, and one
    /// that handed it back.
    pub attempt: u32,
    /// What the back end knows this claim by.
    pub token: String,
    /// When it was claimed or its lease last extended, by the clock of this process.
    pub held_since: Instant,
}

impl Job {
    /// A job as a back end gives it out.
    #[must_use]
    pub fn new(
        key: Key,
        payload: Bytes,
        attempt: u32,
        token: impl Into<String>,
        held_since: Instant,
    ) -> Self {
        Self { key, payload, attempt, token: token.into(), held_since }
    }
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The job is in the queue, on the disk.
    New,
    /// A job of that key was there already: waiting, in hand, or dead. It stays as it is.
    Known,
}

/// What is to become of a job in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is done; its key is forgotten.
    Done,
    /// It takes longer: the lease begins anew.
    Extend,
    /// It is to be given out again.
    Retry {
        /// Not before this long from now.
        after: Duration,
    },
    /// It is not given out again until somebody says so.
    Dead {
        /// What its last failure means.
        class: ErrorClass,
        /// Why, for people.
        reason: String,
    },
}

/// A job that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The job's key.
    pub key: Key,
    /// The job's payload.
    pub payload: Bytes,
    /// How often it was given out.
    pub attempts: u32,
    /// What its last failure means, as [`ErrorClass::as_str`] writes it.
    pub class: String,
    /// Why, for people.
    pub reason: String,
    /// When it was given up.
    pub died_at: SystemTime,
}

impl DeadLetter {
    /// A dead letter as a back end tells of it; `died_at` in milliseconds since 1970.
    #[must_use]
    pub fn new(key: Key, payload: Bytes, attempts: u32, class: String, reason: String, died_at: u64) -> Self {
        let died_at = SystemTime::UNIX_EPOCH + Duration::from_millis(died_at);
        Self { key, payload, attempts, class, reason, died_at }
    }
}

/// How much is in a queue: what an autoscaler reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Jobs that could be claimed now.
    pub ready: u64,
    /// Jobs in hand.
    pub leased: u64,
    /// Jobs that wait until they may be tried again.
    pub delayed: u64,
    /// Dead letters.
    pub dead: u64,
    /// How long the oldest ready job has been ready, in seconds; 0 if none is.
    pub oldest_ready_seconds: u64,
}

impl Stats {
    /// Figures as a back end counts them; the age in milliseconds.
    #[must_use]
    pub fn new(ready: u64, leased: u64, delayed: u64, dead: u64, oldest_ready_ms: u64) -> Self {
        Self { ready, leased, delayed, dead, oldest_ready_seconds: oldest_ready_ms / 1000 }
    }

    /// Jobs that are not done yet, dead letters aside.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.ready + self.leased + self.delayed
    }
}
