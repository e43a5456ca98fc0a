//! The state of all keys, in the smallest entries that will do.

use super::entry::{Narrow, Wide};
use super::{Ask, Bans, Store, Windows};
use crate::algorithm::Nanos;
use crate::fingerprint::Fingerprint;
use crate::metrics::Metrics;
use crate::penalty::PenaltyState;
use crate::plan::Plan;
use crate::{Decision, Request};

/// The state of all keys.
pub(crate) enum Tables {
    /// Where callers have one limit and no penalties.
    Narrow(Store<Narrow>),
    Wide(Store<Wide>),
}

/// The same of either.
macro_rules! either {
    ($tables:expr, $store:ident => $work:expr) => {
        match $tables {
            Tables::Narrow($store) => $work,
            Tables::Wide($store) => $work,
        }
    };
}

impl Tables {
    /// Room for `max_keys`, which is taken as keys come.
    pub(crate) fn new(max_keys: usize, plan: &Plan) -> Self {
        if plan.is_narrow() { Self::Narrow(Store::new(max_keys)) } else { Self::Wide(Store::new(max_keys)) }
    }

    #[inline]
    pub(crate) fn decide(
        &self,
        ask: Ask<'_>,
        request: &Request<'_>,
        bans: &mut Bans,
        windows: &mut impl Windows,
    ) -> Decision {
        either!(self, store => store.decide(ask, request, bans, windows))
    }

    pub(crate) fn refund(&self, ask: Ask<'_>, request: &Request<'_>, cost: u32) {
        either!(self, store => store.refund(ask, request, cost));
    }

    pub(crate) fn penalise<T>(
        &self,
        plan: &Plan,
        print: Fingerprint,
        now: Nanos,
        change: impl FnOnce(Nanos, &mut PenaltyState) -> T,
    ) -> Option<T> {
        either!(self, store => store.penalise(plan, print, now, change))
    }

    pub(crate) fn penalty(&self, print: Fingerprint, now: Nanos) -> (Nanos, PenaltyState) {
        either!(self, store => store.penalty(print, now))
    }

    pub(crate) fn tend(&self, plan: &Plan, metrics: &Metrics, now: Nanos) -> usize {
        either!(self, store => store.tend(plan, metrics, now))
    }

    pub(crate) fn len(&self) -> usize {
        either!(self, store => store.len())
    }

    pub(crate) fn bytes(&self) -> usize {
        either!(self, store => store.bytes())
    }

    pub(crate) fn banned(&self, now: Nanos) -> usize {
        either!(self, store => store.banned(now))
    }
}
