//! What policies count. Every metric has the label `policy`, the policy's name.

use metrics::{Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::breaker::BreakerState;

/// Calls through a breaker, by `outcome`: `success`, `failure`, `slow` (and did not fail), `refused`.
pub const BREAKER_CALLS: &str = "buttress_resilience_breaker_calls_total";
/// 1 for the state that a breaker is in and 0 for the others, by `state`.
pub const BREAKER_STATE: &str = "buttress_resilience_breaker_state";
/// Changes of a breaker, by the `state` that it came to.
pub const BREAKER_CHANGES: &str = "buttress_resilience_breaker_changes_total";

fn count(name: &'static str, policy: &str, label: &'static str, value: &'static str) -> Counter {
    counter!(name, "policy" => policy.to_owned(), label => value)
}

/// Of a breaker.
pub(crate) struct BreakerMetrics {
    success: Counter,
    failure: Counter,
    slow: Counter,
    refused: Counter,
    states: [(BreakerState, Gauge, Counter); BreakerState::ALL.len()],
}

impl BreakerMetrics {
    pub(crate) fn new(policy: &str) -> Self {
        describe_counter!(BREAKER_CALLS, "Calls through a breaker, by outcome: success, failure, slow, refused");
        describe_gauge!(BREAKER_STATE, "1 for the state that a breaker is in");
        describe_counter!(BREAKER_CHANGES, "Changes of a breaker, by the state that it came to");
        let calls = |outcome| count(BREAKER_CALLS, policy, "outcome", outcome);
        Self {
            success: calls("success"),
            failure: calls("failure"),
            slow: calls("slow"),
            refused: calls("refused"),
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

    pub(crate) fn state(&self, now: BreakerState) {
        for (state, level, _) in &self.states {
            level.set(if *state == now { 1.0 } else { 0.0 });
        }
    }

    pub(crate) fn changed(&self, to: BreakerState) {
        self.state(to);
        let changed = self.states.iter().find(|(state, ..)| *state == to);
        changed.iter().for_each(|(.., changes)| changes.increment(1));
    }
}
