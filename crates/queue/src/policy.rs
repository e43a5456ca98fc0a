//! When to try again, and when to give up. No I/O, no clock.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use buttress_core::{ErrorClass, Key};

use crate::{QueueConfig, Verdict};

/// What a queue does with a job that failed.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    attempts: u32,
    first: Duration,
    most: Duration,
}

impl Policy {
    pub(crate) fn new(config: &QueueConfig) -> Self {
        Self { attempts: config.attempts, first: config.retry_first, most: config.retry_most }
    }

    /// A failure that may pass is tried again until the attempts are used up.
    pub(crate) fn failed(&self, key: &Key, attempt: u32, class: ErrorClass, reason: String) -> Verdict {
        if class.is_transient() && attempt < self.attempts {
            Verdict::Retry { after: self.wait(key, attempt) }
        } else {
            Verdict::Dead { class, reason }
        }
    }

    /// The verdict on a job that was given out once more than it may: whoever had it neither finished nor failed, as
    /// one who crashes with it does.
    pub(crate) fn exhausted(&self, attempt: u32) -> Option<Verdict> {
        (attempt > self.attempts).then(|| Verdict::Dead {
            class: ErrorClass::Internal,
            reason: format!(
                "given out {} times, and each time its worker ended before it said how it went",
                self.attempts
            ),
        })
    }

    /// Doubles with each attempt. Jobs that failed together do not come back together: each waits between 80 % and
    /// 120 % of that, by its key.
    fn wait(&self, key: &Key, attempt: u32) -> Duration {
        let doubled =
            self.first.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
        let mut hasher = DefaultHasher::new();
        (key.as_str(), attempt).hash(&mut hasher);
        let percent = u32::try_from(80 + hasher.finish() % 41).unwrap_or(100);
        (doubled.min(self.most).saturating_mul(percent) / 100).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)] // A failing expectation fails the test.
    use super::*;
    use proptest::prelude::*;

    fn policy(attempts: u32) -> Policy {
        Policy { attempts, first: Duration::from_secs(1), most: Duration::from_mins(5) }
    }

    proptest! {
        #[test]
        fn waits_grow_and_stay_below_the_longest(name in "[a-z]{1,12}", attempt in 1..u32::MAX) {
            let (key, policy) = (Key::new(name).unwrap(), policy(u32::MAX));
            let wait = policy.wait(&key, attempt);
            prop_assert!(wait >= Duration::from_millis(800));
            prop_assert!(wait <= policy.most);
            if attempt < 8 {
                // 120 % of one attempt is less than 80 % of the next.
                prop_assert!(wait < policy.wait(&key, attempt + 1));
            }
        }

        #[test]
        fn a_job_is_given_out_no_more_often_than_it_may(attempts in 1_u32..50, attempt in 1_u32..100) {
            let (key, policy) = (Key::new("a").unwrap(), policy(attempts));
            let verdict = policy.failed(&key, attempt, ErrorClass::Timeout, String::new());
            prop_assert_eq!(matches!(verdict, Verdict::Retry { .. }), attempt < attempts);
            prop_assert_eq!(policy.exhausted(attempt).is_some(), attempt > attempts);
        }
    }

    #[test]
    fn what_will_fail_again_is_not_tried_again() {
        let key = Key::new("a").unwrap();
        for class in [ErrorClass::Invalid, ErrorClass::TooLarge, ErrorClass::Internal, ErrorClass::Corrupt] {
            assert!(
                matches!(policy(9).failed(&key, 1, class, String::new()), Verdict::Dead { .. }),
                "{class}"
            );
        }
    }
}
