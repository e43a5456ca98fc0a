//! How long a job waits for its next attempt.

use std::time::Duration;

/// The wait after attempt number `attempt` (from 1): `first`, doubled with each attempt, `most` at most, of which
/// chance takes off up to a half, so that jobs that failed together do not come back together.
pub(crate) fn back_off(attempt: u32, first: Duration, most: Duration, chance: u64) -> Duration {
    let doubled =
        1_u32.checked_shl(attempt.saturating_sub(1)).map_or(most, |times| first.saturating_mul(times));
    let longest = doubled.min(most);
    let half = longest / 2;
    let range = u64::try_from(half.as_micros()).unwrap_or(u64::MAX - 1) + 1;
    longest.saturating_sub(half) + Duration::from_micros(chance % range)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_doubles_until_the_most() {
        let (first, most) = (Duration::from_secs(1), Duration::from_mins(1));
        let longest = |attempt| {
            let half = back_off(attempt, first, most, 0);
            assert!(back_off(attempt, first, most, u64::MAX) <= half * 2);
            half * 2
        };
        let waits: Vec<u64> = [1, 2, 3, 6, 7, 8, 32, 33, 100, u32::MAX].map(|n| longest(n).as_secs()).into();
        assert_eq!(waits, [1, 2, 4, 32, 60, 60, 60, 60, 60, 60]);
    }

    proptest! {
        #[test]
        fn it_stays_between_half_and_all(attempt in 1_u32..50, first in 0_u64..10_000, chance: u64) {
            let (first, most) = (Duration::from_millis(first), Duration::from_secs(10));
            let wait = back_off(attempt, first, most, chance);
            let longest = first.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(most);
            prop_assert!(wait <= longest && wait >= longest / 2, "{wait:?} of {longest:?}");
        }
    }
}
