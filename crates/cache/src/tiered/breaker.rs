//! When a tier that fails is left alone: one decision, without clock.

use std::time::{Duration, Instant};

/// Closed, open for a time, or open with one trial under way.
#[derive(Debug)]
pub(crate) struct Breaker {
    most: u32,
    length: Duration,
    failures: u32,
    open_until: Option<Instant>,
    trial: bool,
}

impl Breaker {
    /// Opens for `length` after `most` failures in a row.
    pub(crate) fn new(most: u32, length: Duration) -> Self {
        Self { most, length, failures: 0, open_until: None, trial: false }
    }

    /// Whether a call may be made. Open, one call is let through when the time is over.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        let Some(until) = self.open_until else { return true };
        let admitted = now >= until && !self.trial;
        self.trial |= admitted;
        admitted
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open_until.is_some()
    }

    /// A call succeeded. Whether that closed it.
    pub(crate) fn succeed(&mut self) -> bool {
        (self.failures, self.trial) = (0, false);
        self.open_until.take().is_some()
    }

    /// A call failed. Whether that opened it.
    pub(crate) fn fail(&mut self, now: Instant) -> bool {
        let was_open = self.is_open();
        self.failures = self.failures.saturating_add(1);
        // A call from before it opened does not end a trial, and keeps it open.
        if was_open || self.failures >= self.most {
            self.open_until = Some(now + self.length);
            self.trial = false;
        }
        !was_open && self.is_open()
    }

    /// A call was given up by its caller.
    pub(crate) fn abandon(&mut self) {
        self.trial = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_one_success() {
        #[allow(clippy::disallowed_methods, reason = "only differences are looked at")]
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut breaker = Breaker::new(3, Duration::from_secs(10));
        assert!(!breaker.fail(start) && !breaker.fail(start) && !breaker.succeed());
        assert!(!breaker.fail(start) && !breaker.fail(start) && breaker.fail(start));
        assert!(breaker.is_open() && !breaker.admit(after(9)));
        assert!(breaker.admit(after(10)) && !breaker.admit(after(10)), "one trial at a time");
        assert!(!breaker.fail(after(11)) && !breaker.admit(after(20)));
        assert!(breaker.admit(after(21)));
        breaker.abandon();
        assert!(breaker.admit(after(21)), "a trial that was given up is followed by another");
        assert!(breaker.succeed() && breaker.admit(after(21)) && breaker.admit(after(21)));
    }
}
