//! What was refused, for those who ask why a page did not load.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use metrics::{counter, describe_counter};

use super::Reason;

/// Refused connections by `reason`.
const REFUSED: &str = "buttress_browser_guard_refused_total";
/// How many refusals are kept.
const KEPT: usize = 64;

/// One refused connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The host that was asked for, as a name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Why it was refused.
    pub reason: Reason,
    /// When.
    pub at: SystemTime,
}

/// The last refusals, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: VecDeque<Refusal>,
    counts: BTreeMap<Reason, u64>,
}

impl Refusals {
    pub(crate) fn new() -> Self {
        describe_counter!(REFUSED, "Connections that the guard refused to pages, by reason");
        Self::default()
    }

    pub(crate) fn note(&self, refusal: Refusal) {
        counter!(REFUSED, "reason" => refusal.reason.as_str()).increment(1);
        let mut state = self.state();
        *state.counts.entry(refusal.reason).or_default() += 1;
        if state.last.len() == KEPT {
            state.last.pop_front();
        }
        state.last.push_back(refusal);
    }

    pub(crate) fn last(&self) -> Vec<Refusal> {
        self.state().last.iter().cloned().collect()
    }

    pub(crate) fn counts(&self) -> BTreeMap<Reason, u64> {
        self.state().counts.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
