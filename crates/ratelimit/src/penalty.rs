//! What becomes of those who do not keep to their limits: a challenge, then a ban, each longer than the one before.
//!
//! Pure: functions of a time, a state of 16 bytes and the rules. Times are in whole seconds.

use std::time::Duration;

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Serialize};

use crate::algorithm::Nanos;

/// What becomes of those who do not keep to their limits.
///
/// | field | default | |
/// |---|---|---|
/// | `enabled` | true | whether anything does |
/// | `challenge_after` | 5 | refused requests that are remembered until the caller is challenged; 0: never |
/// | `ban_after_violations` | 100 | the same until it is banned; 0: never |
/// | `ban_after_failures` | 10 | failed requests that the application reported until the caller is banned; 0: never |
/// | `forget_violation` | `"1m"` | one refused request is forgotten each |
/// | `forget_failure` | `"10m"` | one failed request is forgotten each |
/// | `ban` | `"1h"` | the first ban; each further one is twice as long |
/// | `ban_most` | `"1d"` | the longest |
/// | `forget_ban` | `"1d"` | after a ban, one is forgotten each |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PenaltyConfig {
    /// Whether anything becomes of them.
    pub enabled: bool,
    /// Refused requests until the caller is challenged; 0: never.
    pub challenge_after: u32,
    /// Refused requests until the caller is banned; 0: never.
    pub ban_after_violations: u32,
    /// Failed requests until the caller is banned; 0: never.
    pub ban_after_failures: u32,
    /// One refused request is forgotten each.
    #[serde(with = "units::duration")]
    pub forget_violation: Duration,
    /// One failed request is forgotten each.
    #[serde(with = "units::duration")]
    pub forget_failure: Duration,
    /// The first ban.
    #[serde(with = "units::duration")]
    pub ban: Duration,
    /// The longest ban.
    #[serde(with = "units::duration")]
    pub ban_most: Duration,
    /// After a ban, one is forgotten each.
    #[serde(with = "units::duration")]
    pub forget_ban: Duration,
}

impl Default for PenaltyConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            challenge_after: 5,
            ban_after_violations: 100,
            ban_after_failures: 10,
            forget_violation: Duration::from_mins(1),
            forget_failure: Duration::from_mins(10),
            ban: Duration::from_hours(1),
            ban_most: Duration::from_hours(24),
            forget_ban: Duration::from_hours(24),
        }
    }
}

impl PenaltyConfig {
    /// No penalties: who is refused may come back when there is quota.
    #[must_use]
    pub fn none() -> Self {
        Self { enabled: false, ..Self::default() }
    }
}

/// The most that is counted to.
const MOST: u32 = 1_000;

impl Validate for PenaltyConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let usual = Self::default();
        for (field, value, usual) in [
            ("challenge_after", self.challenge_after, usual.challenge_after),
            ("ban_after_violations", self.ban_after_violations, usual.ban_after_violations),
            ("ban_after_failures", self.ban_after_failures, usual.ban_after_failures),
        ] {
            wrong.require(value <= MOST, field, value, format!("must be at most {MOST}; {usual} is usual"));
        }
        let shown = units::format_duration;
        for (field, value, usual) in [
            ("forget_violation", self.forget_violation, usual.forget_violation),
            ("forget_failure", self.forget_failure, usual.forget_failure),
            ("ban", self.ban, usual.ban),
            ("ban_most", self.ban_most, usual.ban_most),
            ("forget_ban", self.forget_ban, usual.forget_ban),
        ] {
            let sensible = (Duration::from_secs(1)..=Duration::from_hours(24 * 366)).contains(&value);
            let remedy = format!("must be \"1s\" to \"366d\"; \"{}\" is usual", shown(usual));
            wrong.require(sensible, field, shown(value), remedy);
        }
        wrong.require(
            self.ban <= self.ban_most,
            "ban",
            shown(self.ban),
            "must not be longer than `ban_most`",
        );
        wrong.into_result()
    }
}

/// What is remembered of one caller. Counts are kept as the time at which the last of them is forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PenaltyState {
    pub(crate) violations_until: u32,
    pub(crate) failures_until: u32,
    pub(crate) banned_until: u32,
    /// Bans so far that are not forgotten.
    pub(crate) bans: u8,
}

/// How a caller stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// Nothing is held against it.
    Good,
    /// It was refused too often: it should show that it is no machine.
    Challenged {
        /// When it no longer has to.
        lifted_after: Duration,
    },
    /// It is let in no more for a while.
    Banned {
        /// When it is again.
        lifted_after: Duration,
    },
}

/// The rules, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Penalties {
    challenge_after: u32,
    ban_after_violations: u32,
    ban_after_failures: u32,
    forget_violation: u32,
    forget_failure: u32,
    ban: u32,
    ban_most: u32,
    forget_ban: u32,
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).clamp(1, 366 * 86_400)
}

/// The time in whole seconds; lasts until the year 2106.
#[inline]
pub(crate) fn second(now: Nanos) -> u32 {
    u32::try_from(now / 1_000_000_000).unwrap_or(u32::MAX)
}

impl Penalties {
    /// The rules of a configuration. Values out of their range are brought into it.
    #[must_use]
    pub fn new(config: &PenaltyConfig) -> Self {
        Self {
            challenge_after: config.challenge_after.min(MOST),
            ban_after_violations: config.ban_after_violations.min(MOST),
            ban_after_failures: config.ban_after_failures.min(MOST),
            forget_violation: seconds(config.forget_violation),
            forget_failure: seconds(config.forget_failure),
            ban: seconds(config.ban),
            ban_most: seconds(config.ban_most),
            forget_ban: seconds(config.forget_ban),
        }
    }

    /// How the caller stands.
    #[inline]
    #[must_use]
    pub fn standing(&self, now: Nanos, state: &PenaltyState) -> Standing {
        if state.banned_until == 0 && state.violations_until == 0 {
            return Standing::Good;
        }
        let second = second(now);
        let after = |until: u32| Duration::from_nanos((u64::from(until) * 1_000_000_000).saturating_sub(now));
        // More than the longest ban ahead: the clock was set back, and the ban is as long as it can be.
        let banned_until = state.banned_until.min(second.saturating_add(self.ban_most));
        if banned_until > second {
            return Standing::Banned { lifted_after: after(banned_until) };
        }
        if self.challenge_after > 0 {
            let until =
                state.violations_until.min(second.saturating_add(MOST.saturating_mul(self.forget_violation)));
            let below = (self.challenge_after - 1).saturating_mul(self.forget_violation);
            if until.saturating_sub(second) > below {
                return Standing::Challenged { lifted_after: after(until - below) };
            }
        }
        Standing::Good
    }

    /// Counts a refused request. Returns how long the caller is banned, if that was one too many.
    pub fn violation(&self, now: Nanos, state: &mut PenaltyState) -> Option<Duration> {
        let second = second(now);
        let count = count_one(second, &mut state.violations_until, self.forget_violation);
        (self.ban_after_violations > 0 && count >= self.ban_after_violations).then(|| self.ban(second, state))
    }

    /// Counts a failed request. Returns how long the caller is banned, if that was one too many.
    pub fn failure(&self, now: Nanos, state: &mut PenaltyState) -> Option<Duration> {
        let second = second(now);
        let count = count_one(second, &mut state.failures_until, self.forget_failure);
        (self.ban_after_failures > 0 && count >= self.ban_after_failures).then(|| self.ban(second, state))
    }

    /// Refused requests that are remembered.
    #[must_use]
    pub fn violations(&self, now: Nanos, state: &PenaltyState) -> u32 {
        count(second(now), state.violations_until, self.forget_violation)
    }

    /// Failed requests that are remembered.
    #[must_use]
    pub fn failures(&self, now: Nanos, state: &PenaltyState) -> u32 {
        count(second(now), state.failures_until, self.forget_failure)
    }

    /// Whether nothing is remembered any more that could matter.
    #[must_use]
    pub fn is_forgotten(&self, now: Nanos, state: &PenaltyState) -> bool {
        let second = second(now);
        let bans = u32::from(state.bans).saturating_mul(self.forget_ban);
        state.violations_until <= second
            && state.failures_until <= second
            && state.banned_until.saturating_add(bans) <= second
    }

    fn ban(&self, now: u32, state: &mut PenaltyState) -> Duration {
        let forgotten = now.saturating_sub(state.banned_until) / self.forget_ban;
        let before = u32::from(state.bans).saturating_sub(forgotten);
        let length =
            self.ban.saturating_mul(1_u32.checked_shl(before).unwrap_or(u32::MAX)).min(self.ban_most);
        *state = PenaltyState {
            violations_until: 0,
            failures_until: 0,
            banned_until: now.saturating_add(length),
            bans: u8::try_from(before + 1).unwrap_or(u8::MAX),
        };
        Duration::from_secs(length.into())
    }
}

/// How many are remembered of those of which the last is forgotten at `until`.
fn count(now: u32, until: u32, each: u32) -> u32 {
    until.saturating_sub(now).div_ceil(each).min(MOST)
}

fn count_one(now: u32, until: &mut u32, each: u32) -> u32 {
    // Never further ahead than what is counted to, also when the clock was set back.
    let most = now.saturating_add(MOST.saturating_mul(each));
    *until = (*until).max(now).saturating_add(each).min(most);
    count(now, *until, each)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Nanos = 1_000_000_000;
    const START: Nanos = 1_700_000_000 * SECOND;

    fn rules() -> Penalties {
        Penalties::new(&PenaltyConfig::default())
    }

    #[test]
    fn five_violations_challenge_until_one_is_forgotten() {
        let (rules, mut state) = (rules(), PenaltyState::default());
        for _ in 0..4 {
            assert_eq!(rules.violation(START, &mut state), None);
            assert_eq!(rules.standing(START, &state), Standing::Good);
        }
        rules.violation(START, &mut state);
        let challenged = Standing::Challenged { lifted_after: Duration::from_mins(1) };
        assert_eq!(rules.standing(START, &state), challenged);
        assert_eq!(rules.standing(START + 60 * SECOND, &state), Standing::Good);
        assert_eq!(rules.violations(START + 61 * SECOND, &state), 4);
        assert_eq!(rules.violations(START + 300 * SECOND, &state), 0);
    }

    #[test]
    fn ten_failures_ban_for_longer_each_time_up_to_a_day() {
        let (rules, mut state, mut now) = (rules(), PenaltyState::default(), START);
        for hours in [1, 2, 4, 8, 16, 24, 24] {
            let ban = Duration::from_hours(hours);
            for _ in 0..9 {
                assert_eq!(rules.failure(now, &mut state), None);
            }
            assert_eq!(rules.failure(now, &mut state), Some(ban));
            assert_eq!(rules.standing(now, &state), Standing::Banned { lifted_after: ban });
            now += hours * 3_600 * SECOND;
            assert_eq!(
                rules.standing(now - 1, &state),
                Standing::Banned { lifted_after: Duration::from_nanos(1) }
            );
            assert_eq!(rules.standing(now, &state), Standing::Good);
        }
        // Seven bans are remembered; four days later, three.
        now += 4 * 86_400 * SECOND;
        let ban = (0..10).find_map(|_| rules.failure(now, &mut state));
        assert_eq!(ban, Some(Duration::from_hours(8)));
        assert!(!rules.is_forgotten(now, &state));
        assert!(rules.is_forgotten(now + 10 * 86_400 * SECOND, &state));
    }

    #[test]
    fn a_clock_set_back_makes_no_ban_longer_than_the_longest() {
        let (rules, mut state) = (rules(), PenaltyState::default());
        for _ in 0..10 {
            rules.failure(START, &mut state);
        }
        let longest = Standing::Banned { lifted_after: Duration::from_hours(24) };
        assert_eq!(rules.standing(START / 2, &state), longest);
    }

    proptest! {
        #[test]
        fn one_is_forgotten_each(gaps in proptest::collection::vec(0..200_u64, 1..60)) {
            let (rules, mut state, mut now) = (rules(), PenaltyState::default(), START);
            // The reference: each is forgotten a minute after the one before it was, or after it came.
            let mut forgotten: Vec<Nanos> = Vec::new();
            for gap in gaps {
                now += gap * SECOND;
                forgotten.push(forgotten.last().copied().unwrap_or(0).max(now) + 60 * SECOND);
                prop_assert_eq!(rules.violation(now, &mut state), None);
                let remembered = forgotten.iter().filter(|at| **at > now).count();
                prop_assert_eq!(rules.violations(now, &state) as usize, remembered);
                let challenged = matches!(rules.standing(now, &state), Standing::Challenged { .. });
                prop_assert_eq!(challenged, remembered >= 5);
            }
        }

        #[test]
        fn no_number_is_too_large(now: u64, numbers: (u32, u32, u32, u8), most: u32) {
            let rules = Penalties { ban_most: most, forget_violation: most, forget_ban: most.max(1), ..rules() };
            let (violations_until, failures_until, banned_until, bans) = numbers;
            let mut state = PenaltyState { violations_until, failures_until, banned_until, bans };
            let _ = rules.standing(now, &state);
            let _ = rules.is_forgotten(now, &state);
            if most > 0 {
                rules.violation(now, &mut state);
            }
            rules.failure(now, &mut state);
        }
    }
}
