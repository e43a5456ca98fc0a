//! What a queue counts. Every metric has the label `queue`, the queue's name.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

use crate::{Pushed, Stats, Verdict};

/// Pushes by `outcome`: `new`, `known`, `refused`.
pub const PUSHED: &str = "buttress_queue_pushed_total";
/// Jobs given out.
pub const CLAIMED: &str = "buttress_queue_claimed_total";
/// Jobs in hand settled, by `outcome`: `done`, `retried`, `dead`, `lost` (the lease had run out).
pub const SETTLED: &str = "buttress_queue_settled_total";
/// Jobs that could be claimed now.
pub const READY: &str = "buttress_queue_ready";
/// Jobs in hand.
pub const LEASED: &str = "buttress_queue_leased";
/// Jobs that wait until they may be tried again.
pub const DELAYED: &str = "buttress_queue_delayed";
/// Dead letters.
pub const DEAD: &str = "buttress_queue_dead";
/// How long the oldest ready job has been ready: scale by it.
pub const OLDEST_READY: &str = "buttress_queue_oldest_ready_seconds";

/// Handles, resolved once.
pub(crate) struct Metrics {
    new: Counter,
    known: Counter,
    refused: Counter,
    claimed: Counter,
    done: Counter,
    retried: Counter,
    dead_lettered: Counter,
    lost: Counter,
    ready: Gauge,
    leased: Gauge,
    delayed: Gauge,
    dead: Gauge,
    oldest_ready: Gauge,
}

impl Metrics {
    pub(crate) fn new(queue: &str) -> Self {
        describe_counter!(PUSHED, "Jobs pushed, by outcome: new, known, refused");
        describe_counter!(CLAIMED, "Jobs given out");
        describe_counter!(SETTLED, "Jobs in hand settled, by outcome: done, retried, dead, lost");
        describe_gauge!(READY, "Jobs that could be claimed now");
        describe_gauge!(LEASED, "Jobs in hand");
        describe_gauge!(DELAYED, "Jobs that wait until they may be tried again");
        describe_gauge!(DEAD, "Dead letters");
        describe_gauge!(OLDEST_READY, "Seconds for which the oldest ready job has been ready");
        let count = |name: &'static str, outcome: &'static str| counter!(name, "queue" => queue.to_owned(), "outcome" => outcome);
        let level = |name: &'static str| gauge!(name, "queue" => queue.to_owned());
        Self {
            new: count(PUSHED, "new"),
            known: count(PUSHED, "known"),
            refused: count(PUSHED, "refused"),
            claimed: counter!(CLAIMED, "queue" => queue.to_owned()),
            done: count(SETTLED, "done"),
            retried: count(SETTLED, "retried"),
            dead_lettered: count(SETTLED, "dead"),
            lost: count(SETTLED, "lost"),
            ready: level(READY),
            leased: level(LEASED),
            delayed: level(DELAYED),
            dead: level(DEAD),
            oldest_ready: level(OLDEST_READY),
        }
    }

    pub(crate) fn pushed(&self, pushed: Pushed) {
        match pushed {
            Pushed::New => self.new.increment(1),
            Pushed::Known => self.known.increment(1),
        }
    }

    pub(crate) fn refused(&self) {
        self.refused.increment(1);
    }

    pub(crate) fn claimed(&self, jobs: usize) {
        self.claimed.increment(jobs as u64);
    }

    pub(crate) fn settled(&self, verdict: &Verdict) {
        match verdict {
            Verdict::Done => self.done.increment(1),
            Verdict::Retry { .. } => self.retried.increment(1),
            Verdict::Dead { .. } => self.dead_lettered.increment(1),
            Verdict::Extend => {}
        }
    }

    pub(crate) fn lost(&self) {
        self.lost.increment(1);
    }

    pub(crate) fn level(&self, stats: &Stats) {
        self.ready.set(stats.ready as f64);
        self.leased.set(stats.leased as f64);
        self.delayed.set(stats.delayed as f64);
        self.dead.set(stats.dead as f64);
        self.oldest_ready.set(stats.oldest_ready_seconds as f64);
    }
}
