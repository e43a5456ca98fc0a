//! The time of one limiter.

use std::time::{Instant, SystemTime};

use buttress_core::SharedClock;

use crate::algorithm::Nanos;

/// Nanoseconds since 1970, as of when the limiter was made, and going on evenly from there: the machine's clock may be set, this one is
/// not. So windows are those of the calendar, and nothing is admitted twice.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    clock: SharedClock,
    start: Instant,
    epoch: Nanos,
    exact: bool,
}

impl Timeline {
    pub(crate) fn new(clock: &SharedClock, exact: bool) -> Self {
        let since = clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let epoch = Nanos::try_from(since.as_nanos()).unwrap_or(0);
        Self { clock: clock.clone(), start: clock.now(), epoch, exact }
    }

    #[inline]
    pub(crate) fn now(&self) -> Nanos {
        let now = if self.exact { self.clock.now() } else { self.clock.coarse() };
        let passed = now.saturating_duration_since(self.start);
        self.epoch + passed.as_secs() * 1_000_000_000 + u64::from(passed.subsec_nanos())
    }

    pub(crate) fn clock(&self) -> &SharedClock {
        &self.clock
    }
}
