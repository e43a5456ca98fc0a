//! The time of one limiter.

use std::time::{Instant, SystemTime};

use buttress_core::SharedClock;

use crate::algorithm::Nanos;

/// Nanoseconds since 1970, as of when the limiter was made, and going on evenly from there: the machine's clock may be set, this one is
/// not. So windows are those of the calendar, and nothing is admitted twice.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    clock: SharedClock,
    /// What has passed on this timeline beside what has passed on the coarse clock: it goes round, as sums with it do.
    ahead: Nanos,
    exact: Option<Exact>,
}

/// For limits that the system's tick is too coarse for.
#[derive(Debug, Clone)]
struct Exact {
    start: Instant,
    epoch: Nanos,
}

impl Timeline {
    pub(crate) fn new(clock: &SharedClock, exact: bool) -> Self {
        let since = clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let epoch = Nanos::try_from(since.as_nanos()).unwrap_or(0);
        let ahead = epoch.wrapping_sub(clock.coarse_nanos());
        Self { clock: clock.clone(), ahead, exact: exact.then(|| Exact { start: clock.now(), epoch }) }
    }

    #[inline]
    pub(crate) fn now(&self) -> Nanos {
        match &self.exact {
            None => self.clock.coarse_nanos().wrapping_add(self.ahead),
            Some(exact) => {
                let passed = self.clock.now().saturating_duration_since(exact.start);
                exact.epoch + passed.as_secs() * 1_000_000_000 + u64::from(passed.subsec_nanos())
            }
        }
    }

    pub(crate) fn clock(&self) -> &SharedClock {
        &self.clock
    }
}
