//! What a pool counts. Every metric has the label `pool`, the pool's name.

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::status::{Closed, Status};
use crate::verdict::Times;

/// Objects handed out, at the last tick.
pub const IN_USE: &str = "buttress_pool_in_use";
/// Objects ready to be handed out, at the last tick.
pub const IDLE: &str = "buttress_pool_idle";
/// Callers that wait, at the last tick.
pub const WAITING: &str = "buttress_pool_waiting";
/// Objects there may be.
pub const MAX: &str = "buttress_pool_max";
/// How long callers waited for the object they got, its check apart; told once a tick, to an eighth.
pub const WAIT: &str = "buttress_pool_wait_seconds";
/// How long objects were held; told once a tick, to an eighth.
pub const HOLD: &str = "buttress_pool_hold_seconds";
/// Callers that got no object, by `reason`: `full`, `timed_out`, `create`, `closed`.
pub const REFUSED: &str = "buttress_pool_refused_total";
/// Creations, by `outcome`: `created`, `failed`.
pub const CREATED: &str = "buttress_pool_created_total";
/// Objects that left the pool, by `reason`.
pub const CLOSED: &str = "buttress_pool_closed_total";
/// Guards that were held for too long.
pub const LEAKS: &str = "buttress_pool_leaks_total";

/// Handles, resolved once.
pub(crate) struct Metrics {
    in_use: Gauge,
    idle: Gauge,
    waiting: Gauge,
    max: Gauge,
    wait: Histogram,
    hold: Histogram,
    full: Counter,
    timed_out: Counter,
    create: Counter,
    shut: Counter,
    created: Counter,
    failed: Counter,
    closed: [Counter; Closed::ALL.len()],
    leaks: Counter,
}

impl Metrics {
    pub(crate) fn new(pool: &str) -> Self {
        describe_gauge!(IN_USE, "Objects handed out");
        describe_gauge!(IDLE, "Objects ready to be handed out");
        describe_gauge!(WAITING, "Callers that wait");
        describe_gauge!(MAX, "Objects there may be");
        describe_histogram!(WAIT, "Seconds that callers waited for the object they got");
        describe_histogram!(HOLD, "Seconds that objects were held");
        describe_counter!(REFUSED, "Callers that got no object, by reason: full, timed_out, create, closed");
        describe_counter!(CREATED, "Creations, by outcome: created, failed");
        describe_counter!(CLOSED, "Objects that left the pool, by reason");
        describe_counter!(LEAKS, "Guards that were held for too long");
        let level = |name: &'static str| gauge!(name, "pool" => pool.to_owned());
        let time = |name: &'static str| histogram!(name, "pool" => pool.to_owned());
        let count = |name: &'static str, label: &'static str, value: &'static str| counter!(name, "pool" => pool.to_owned(), label => value);
        Self {
            in_use: level(IN_USE),
            idle: level(IDLE),
            waiting: level(WAITING),
            max: level(MAX),
            wait: time(WAIT),
            hold: time(HOLD),
            full: count(REFUSED, "reason", "full"),
            timed_out: count(REFUSED, "reason", "timed_out"),
            create: count(REFUSED, "reason", "create"),
            shut: count(REFUSED, "reason", "closed"),
            created: count(CREATED, "outcome", "created"),
            failed: count(CREATED, "outcome", "failed"),
            closed: Closed::ALL.map(|reason| count(CLOSED, "reason", reason.as_str())),
            leaks: counter!(LEAKS, "pool" => pool.to_owned()),
        }
    }

    pub(crate) fn level(&self, status: &Status) {
        self.in_use.set(status.in_use as f64);
        self.idle.set(status.idle as f64);
        self.waiting.set(status.waiting as f64);
        self.max.set(status.max as f64);
    }

    /// Tells what happened since it was told last.
    pub(crate) fn times(&self, (waits, holds): (Times, Times)) {
        for (histogram, times) in [(&self.wait, waits), (&self.hold, holds)] {
            for (seconds, count) in times {
                histogram.record_many(seconds, count);
            }
        }
    }

    pub(crate) fn refused(&self, error: &crate::Error) {
        match error {
            crate::Error::TimedOut { .. } => &self.timed_out,
            crate::Error::Create { .. } => &self.create,
            crate::Error::Rejected { rejection, .. }
                if rejection.reason() == buttress_core::RejectionReason::Full =>
            {
                &self.full
            }
            _ => &self.shut,
        }
        .increment(1);
    }

    pub(crate) fn created(&self) {
        self.created.increment(1);
    }

    pub(crate) fn create_failed(&self) {
        self.failed.increment(1);
    }

    pub(crate) fn closed(&self, reason: Closed) {
        if let Some(counter) = self.closed.get(reason as usize) {
            counter.increment(1);
        }
    }

    pub(crate) fn leaked(&self) {
        self.leaks.increment(1);
    }
}
