//! What policies count. Every metric has the label `policy`, the policy's name.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

use crate::breaker::BreakerState;
use crate::retry::Why;

/// Calls through a breaker, by `outcome`: `success`, `failure`, `slow` (and did not fail), `refused`.
pub const BREAKER_CALLS: &str = "buttress_resilience_breaker_calls_total";
/// 1 for the state that a breaker is in and 0 for the others, by `state`.
pub const BREAKER_STATE: &str = "buttress_resilience_breaker_state";
/// Changes of a breaker, by the `state` that it came to.
pub const BREAKER_CHANGES: &str = "buttress_resilience_breaker_changes_total";
/// Attempts beyond the first.
pub const RETRIES: &str = "buttress_resilience_retries_total";
/// Failures that were not tried again though they may pass, by `reason`: `attempts`, `deadline`, `asked`, `budget`.
pub const RETRIES_GIVEN_UP: &str = "buttress_resilience_retries_given_up_total";

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
