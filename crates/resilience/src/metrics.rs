//! What policies count. Every metric has the label `policy`, the policy's name.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::breaker::BreakerState;
use crate::retry::Why;

/// Calls through a breaker, by `outcome`: `success`, `failure`, `slow` (and did not fail), `refused`.
pub const BREAKER_CALLS: &str = "buttress_resilience_breaker_calls_total";
/// 1 for the state that a breaker is in and 0 for the others, by `state`.
pub const BREAKER_STATE: &str = "buttress_resilience_breaker_state";
/// Changes of a breaker, by the `state` that it came to.
pub const BREAKER_CHANGES: &str = "buttress_resilience_breaker_changes_total";
/// 1 while a shared breaker reaches the others, 0 while it decides alone.
pub const BREAKER_SHARED: &str = "buttress_resilience_breaker_shared";
/// Attempts beyond the first.
pub const RETRIES: &str = "buttress_resilience_retries_total";
/// Failures that were not tried again though they may pass, by `reason`: `attempts`, `deadline`, `asked`, `budget`.
pub const RETRIES_GIVEN_UP: &str = "buttress_resilience_retries_given_up_total";
/// Calls under way in a bulkhead.
pub const BULKHEAD_IN_USE: &str = "buttress_resilience_bulkhead_in_use";
/// Calls that wait for a place.
pub const BULKHEAD_WAITING: &str = "buttress_resilience_bulkhead_waiting";
/// Calls at once at most.
pub const BULKHEAD_LIMIT: &str = "buttress_resilience_bulkhead_limit";
/// How long calls waited that had to, with and without success.
pub const BULKHEAD_WAIT: &str = "buttress_resilience_bulkhead_wait_seconds";
/// Calls that got no place, by `reason`: `full`, `waited`.
pub const BULKHEAD_REFUSED: &str = "buttress_resilience_bulkhead_refused_total";
/// Calls that were asked a second time.
pub const HEDGES: &str = "buttress_resilience_hedges_total";
/// Of these, those whose second call was the first to answer.
pub const HEDGES_WON: &str = "buttress_resilience_hedges_won_total";
/// Calls that were answered by another's, by `policy`.
pub const COALESCED: &str = "buttress_resilience_coalesced_total";
/// Items in one batch, as it was sent.
pub const BATCH_ITEMS: &str = "buttress_resilience_batch_items";

fn count(name: &'static str, policy: &str, label: &'static str, value: &'static str) -> Counter {
    counter!(name, "policy" => policy.to_owned(), label => value)
}

/// Of a breaker.
pub(crate) struct BreakerMetrics {
    success: Counter,
    failure: Counter,
    slow: Counter,
    refused: Counter,
    #[cfg(feature = "redis")]
    shared: Gauge,
    states: [(BreakerState, Gauge, Counter); BreakerState::ALL.len()],
}

impl BreakerMetrics {
    pub(crate) fn new(policy: &str) -> Self {
        describe_counter!(
            BREAKER_CALLS,
            "Calls through a breaker, by outcome: success, failure, slow, refused"
        );
        describe_gauge!(BREAKER_STATE, "1 for the state that a breaker is in");
        describe_gauge!(
            BREAKER_SHARED,
            "1 while a shared breaker reaches the others, 0 while it decides alone"
        );
        describe_counter!(BREAKER_CHANGES, "Changes of a breaker, by the state that it came to");
        let calls = |outcome| count(BREAKER_CALLS, policy, "outcome", outcome);
        Self {
            success: calls("success"),
            failure: calls("failure"),
            slow: calls("slow"),
            refused: calls("refused"),
            #[cfg(feature = "redis")]
            shared: gauge!(BREAKER_SHARED, "policy" => policy.to_owned()),
            states: BreakerState::ALL.map(|state| {
                let level = gauge!(BREAKER_STATE, "policy" => policy.to_owned(), "state" => state.as_str());
                (state, level, count(BREAKER_CHANGES, policy, "state", state.as_str()))
            }),
        }
    }

    #[inline]
    pub(crate) fn ended(&self, failed: bool, slow: bool) {
        match (failed, slow) {
            (true, _) => &self.failure,
            (false, true) => &self.slow,
            (false, false) => &self.success,
        }
        .increment(1);
    }

    pub(crate) fn refused(&self) {
        self.refused.increment(1);
    }

    #[cfg(feature = "redis")]
    pub(crate) fn shared(&self, reaches: bool) {
        self.shared.set(if reaches { 1.0 } else { 0.0 });
    }

    pub(crate) fn state(&self, now: BreakerState) {
        for (state, level, _) in &self.states {
            level.set(if *state == now { 1.0 } else { 0.0 });
        }
    }

    pub(crate) fn changed(&self, to: BreakerState) {
        self.state(to);
        if let Some((.., changes)) = self.states.iter().find(|(state, ..)| *state == to) {
            changes.increment(1);
        }
    }
}

/// Of a retry.
pub(crate) struct RetryMetrics {
    retries: Counter,
    attempts: Counter,
    deadline: Counter,
    asked: Counter,
    budget: Counter,
}

impl RetryMetrics {
    pub(crate) fn new(policy: &str) -> Self {
        describe_counter!(RETRIES, "Attempts beyond the first");
        describe_counter!(
            RETRIES_GIVEN_UP,
            "Failures not tried again though they may pass, by reason: attempts, deadline, asked, budget"
        );
        let given_up = |reason| count(RETRIES_GIVEN_UP, policy, "reason", reason);
        Self {
            retries: counter!(RETRIES, "policy" => policy.to_owned()),
            attempts: given_up("attempts"),
            deadline: given_up("deadline"),
            asked: given_up("asked"),
            budget: given_up("budget"),
        }
    }

    pub(crate) fn retried(&self) {
        self.retries.increment(1);
    }

    pub(crate) fn gave_up(&self, why: Why) {
        match why {
            Why::Final => return,
            Why::Attempts => &self.attempts,
            Why::Deadline => &self.deadline,
            Why::Asked => &self.asked,
            Why::Budget => &self.budget,
        }
        .increment(1);
    }
}

/// Why there was no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Waited,
}

/// Of a bulkhead.
pub(crate) struct BulkheadMetrics {
    in_use: Gauge,
    waiting: Gauge,
    limit: Gauge,
    wait: Histogram,
    full: Counter,
    waited: Counter,
}

impl BulkheadMetrics {
    pub(crate) fn new(policy: &str) -> Self {
        describe_gauge!(BULKHEAD_IN_USE, "Calls under way in a bulkhead");
        describe_gauge!(BULKHEAD_WAITING, "Calls that wait for a place");
        describe_gauge!(BULKHEAD_LIMIT, "Calls at once at most");
        describe_histogram!(BULKHEAD_WAIT, "Seconds that calls waited that had to");
        describe_counter!(BULKHEAD_REFUSED, "Calls that got no place, by reason: full, waited");
        let level = |name: &'static str| gauge!(name, "policy" => policy.to_owned());
        Self {
            in_use: level(BULKHEAD_IN_USE),
            waiting: level(BULKHEAD_WAITING),
            limit: level(BULKHEAD_LIMIT),
            wait: histogram!(BULKHEAD_WAIT, "policy" => policy.to_owned()),
            full: count(BULKHEAD_REFUSED, policy, "reason", "full"),
            waited: count(BULKHEAD_REFUSED, policy, "reason", "waited"),
        }
    }

    #[inline]
    pub(crate) fn entered(&self) {
        self.in_use.increment(1.0);
    }

    #[inline]
    pub(crate) fn left(&self) {
        self.in_use.decrement(1.0);
    }

    /// Counted as waiting until it is dropped.
    pub(crate) fn waiting(&self) -> Waiting<'_> {
        self.waiting.increment(1.0);
        Waiting(&self.waiting)
    }

    pub(crate) fn waited(&self, time: Duration) {
        self.wait.record(time.as_secs_f64());
    }

    pub(crate) fn limit(&self, limit: u64) {
        self.limit.set(limit as f64);
    }

    pub(crate) fn refused(&self, why: Refused) {
        match why {
            Refused::Full => &self.full,
            Refused::Waited => &self.waited,
        }
        .increment(1);
    }
}

/// One who waits, in the gauge.
pub(crate) struct Waiting<'m>(&'m Gauge);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Of a hedge.
pub(crate) struct HedgeMetrics {
    hedges: Counter,
    won: Counter,
}

impl HedgeMetrics {
    pub(crate) fn new(policy: &str) -> Self {
        describe_counter!(HEDGES, "Calls that were asked a second time");
        describe_counter!(HEDGES_WON, "Calls whose second call was the first to answer");
        Self {
            hedges: counter!(HEDGES, "policy" => policy.to_owned()),
            won: counter!(HEDGES_WON, "policy" => policy.to_owned()),
        }
    }

    pub(crate) fn hedged(&self) {
        self.hedges.increment(1);
    }

    pub(crate) fn won(&self) {
        self.won.increment(1);
    }
}

/// Of a coalescer.
pub(crate) fn coalesced(policy: &str) -> Counter {
    describe_counter!(COALESCED, "Calls that were answered by another's");
    counter!(COALESCED, "policy" => policy.to_owned())
}

/// Of a batcher.
pub(crate) fn batch_items(policy: &str) -> Histogram {
    describe_histogram!(BATCH_ITEMS, "Items in one batch");
    histogram!(BATCH_ITEMS, "policy" => policy.to_owned())
}
