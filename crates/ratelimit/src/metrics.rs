//! What a limiter counts. Every metric has the label `limiter`, the limiter's name.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

use crate::decision::Outcome;

/// Decisions, by `outcome`: `admitted`, `exempt`, `limited`, `challenge`, `banned`, `denied`, `unavailable`. Told about once a second.
pub const DECISIONS: &str = "buttress_ratelimit_decisions_total";
/// Callers that were banned.
pub const BANS: &str = "buttress_ratelimit_bans_total";
/// Failed requests that the application reported.
pub const FAILURES: &str = "buttress_ratelimit_failures_total";
/// Callers that were forgotten before their time, because `max_keys` was reached.
pub const EVICTED: &str = "buttress_ratelimit_evicted_total";
/// Callers that are remembered, as of the last sweep.
pub const KEYS: &str = "buttress_ratelimit_keys";
/// Requests that named a tier which is not there.
pub const UNKNOWN_TIER: &str = "buttress_ratelimit_unknown_tier_total";

/// Checks that the shared state did not answer in time, decided as the configuration says.
pub const FALLBACK: &str = "buttress_ratelimit_fallback_total";
/// Whether the shared state answers: 1 or 0.
pub const SHARED_UP: &str = "buttress_ratelimit_shared_up";

/// Handles, resolved once.
#[derive(Clone)]
pub(crate) struct Metrics {
    decisions: [Counter; Outcome::ALL.len()],
    pub(crate) bans: Counter,
    pub(crate) failures: Counter,
    pub(crate) evicted: Counter,
    pub(crate) keys: Gauge,
    pub(crate) unknown_tier: Counter,
}

impl Metrics {
    pub(crate) fn new(limiter: &str) -> Self {
        describe_counter!(DECISIONS, "Decisions, by outcome");
        describe_counter!(BANS, "Callers that were banned");
        describe_counter!(FAILURES, "Failed requests that the application reported");
        describe_counter!(EVICTED, "Callers that were forgotten before their time");
        describe_gauge!(KEYS, "Callers that are remembered");
        describe_counter!(UNKNOWN_TIER, "Requests that named a tier which is not there");
        let count = |name: &'static str| counter!(name, "limiter" => limiter.to_owned());
        let decided = |outcome: Outcome| counter!(DECISIONS, "limiter" => limiter.to_owned(), "outcome" => outcome.as_str());
        Self {
            decisions: Outcome::ALL.map(decided),
            bans: count(BANS),
            failures: count(FAILURES),
            evicted: count(EVICTED),
            keys: gauge!(KEYS, "limiter" => limiter.to_owned()),
            unknown_tier: count(UNKNOWN_TIER),
        }
    }

    pub(crate) fn decided(&self, outcome: Outcome, times: u32) {
        if let Some(counter) = self.decisions.get(outcome as usize).filter(|_| times > 0) {
            counter.increment(times.into());
        }
    }
}
