//! Whether to try again, and after what wait. No clock, no I/O.

use std::time::Duration;

use buttress_core::ErrorClass;

use crate::error::Verdict;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Attempts altogether.
    pub(crate) attempts: u32,
    pub(crate) first: Duration,
    pub(crate) most: Duration,
    /// The longest wait that a callee may ask for.
    pub(crate) asked_most: Duration,
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Retry(Duration),
    GiveUp(Why),
}

/// Why a failure is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// It would fail again, or must not be done twice.
    Final,
    /// As many attempts as may be were made.
    Attempts,
    /// The next attempt would come too late.
    Deadline,
    /// The callee asks for a longer wait than it is granted.
    Asked,
    /// The budget is used up.
    Budget,
}

impl Rules {
    /// What follows failure number `attempt`, where `left` is the time until the deadline and `fraction` is random, 0 to 1.
    ///
    /// The wait is random between none and twice the last one's most ("full jitter": Brooker, "Exponential Backoff And
    /// Jitter", AWS 2015), and comes on top of what the callee asks for.
    pub(crate) fn next(
        &self,
        attempt: u32,
        verdict: Verdict,
        idempotent: bool,
        left: Option<Duration>,
        fraction: f64,
    ) -> Next {
        // Who cancelled a call does not want it again.
        let may_pass = verdict.class.is_transient() && verdict.class != ErrorClass::Cancelled;
        if !(may_pass && (idempotent || verdict.was_refused())) {
            return Next::GiveUp(Why::Final);
        }
        if attempt >= self.attempts {
            return Next::GiveUp(Why::Attempts);
        }
        let wait = match verdict.retry_after {
            Some(asked) if asked > self.asked_most => return Next::GiveUp(Why::Asked),
            Some(asked) => asked.saturating_add(self.first.min(self.most).mul_f64(fraction)),
            None => self.ceiling(attempt).mul_f64(fraction),
        };
        match left {
            // To wait for a deadline is to fail later than need be.
            Some(left) if wait >= left => Next::GiveUp(Why::Deadline),
            _ => Next::Retry(wait),
        }
    }

    /// The longest wait after failure number `attempt`.
    fn ceiling(&self, attempt: u32) -> Duration {
        let doubled = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.most)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // Failing is what a test is for.
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules {
        attempts: 40,
        first: Duration::from_millis(100),
        most: Duration::from_secs(10),
        asked_most: Duration::from_secs(30),
    };

    fn wait(next: Next) -> Option<Duration> {
        match next {
            Next::Retry(wait) => Some(wait),
            Next::GiveUp(_) => None,
        }
    }

    #[test]
    fn what_was_cancelled_is_not_tried_again() {
        let next = RULES.next(1, Verdict::class(ErrorClass::Cancelled), true, None, 0.5);
        assert_eq!(next, Next::GiveUp(Why::Final));
    }

    proptest! {
        #[test]
        fn a_wait_is_below_its_ceiling_and_before_the_deadline(
            attempt in 1_u32..40, fraction in 0.0_f64..1.0, left in prop::option::of(0_u64..20_000)
        ) {
            let left = left.map(Duration::from_millis);
            let verdict = Verdict::class(ErrorClass::Timeout);
            let next = RULES.next(attempt, verdict, true, left, fraction);
            if let Some(wait) = wait(next) {
                prop_assert!(wait <= RULES.most);
                prop_assert!(wait.as_secs_f64() <= 0.1 * 2_f64.powi(i32::try_from(attempt).unwrap() - 1));
                prop_assert!(left.is_none_or(|left| wait < left));
            } else {
                prop_assert_eq!(next, Next::GiveUp(if attempt == 40 { Why::Attempts } else { Why::Deadline }));
            }
        }

        #[test]
        fn what_the_callee_asks_for_is_granted_or_it_is_not_asked_again(asked in 0_u64..60, fraction in 0.0_f64..1.0) {
            let asked = Duration::from_secs(asked);
            let verdict = Verdict::class(ErrorClass::Throttled).after(asked);
            match RULES.next(1, verdict, false, None, fraction) {
                Next::Retry(wait) => {
                    prop_assert!(asked <= RULES.asked_most);
                    prop_assert!(wait >= asked && wait <= asked + RULES.first);
                }
                next @ Next::GiveUp(_) => {
                    prop_assert_eq!(next, Next::GiveUp(Why::Asked));
                    prop_assert!(asked > RULES.asked_most);
                }
            }
        }
    }

    #[test]
    fn what_must_not_be_done_twice_is_tried_again_only_if_it_was_not_begun() {
        let next = |class, idempotent| RULES.next(1, Verdict::class(class), idempotent, None, 0.5);
        let half = Next::Retry(Duration::from_millis(50));
        for class in [ErrorClass::Throttled, ErrorClass::Overloaded] {
            assert_eq!((next(class, true), next(class, false)), (half, half), "{class}");
        }
        for class in [ErrorClass::Timeout, ErrorClass::Unavailable] {
            assert_eq!((next(class, true), next(class, false)), (half, Next::GiveUp(Why::Final)), "{class}");
        }
        assert_eq!(next(ErrorClass::Invalid, true), Next::GiveUp(Why::Final));
    }
}
