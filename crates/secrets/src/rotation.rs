//! When which step of a rotation is due. Pure.

use std::time::{Duration, SystemTime};

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Serialize};

use crate::lifecycle::{Lifecycle, Standing};

/// How often a secret gets a new value, and how long two are accepted.
///
/// | field | default | |
/// |---|---|---|
/// | `every` | `"30d"` | so long after a value came into use the next one is made |
/// | `overlap` | `"2h"` | so long every verifier has to learn of it, before anybody uses it |
/// | `grace` | `"2h"` | so long the former value is accepted after that |
///
/// Nothing fails while no user and no verifier is behind by more than `overlap`, and no user by more than `grace`. Two hours are more than
/// [`SecretsConfig`](crate::SecretsConfig) serves a last known good value by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RotationPolicy {
    /// So long after a value came into use the next one is made.
    #[serde(with = "units::duration")]
    pub every: Duration,
    /// So long every verifier has to learn of it.
    #[serde(with = "units::duration")]
    pub overlap: Duration,
    /// So long the former value is accepted.
    #[serde(with = "units::duration")]
    pub grace: Duration,
}

impl Default for RotationPolicy {
    fn default() -> Self {
        Self {
            every: Duration::from_hours(30 * 24),
            overlap: Duration::from_hours(2),
            grace: Duration::from_hours(2),
        }
    }
}

impl Validate for RotationPolicy {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let shown = units::format_duration;
        let year = Duration::from_hours(366 * 24);
        wrong.require(
            self.every <= year * 10,
            "every",
            shown(self.every),
            "must be at most ten years; \"30d\" is usual",
        );
        // Then the former version is gone before the next one is there.
        let takes = self.overlap.saturating_add(self.grace);
        let remedy =
            format!("must be longer than `overlap` and `grace`, which are {} together", shown(takes));
        wrong.require(self.every > takes, "every", shown(self.every), remedy);
        wrong.into_result()
    }
}

/// What is to be done for a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing, for so long.
    Wait(Duration),
    /// Make the next version.
    Create,
    /// Let the next version be the current one.
    Switch,
    /// Let the previous version go.
    Retire,
}

/// What is to be done for a rotation now.
///
/// It knows nothing but what the store keeps, so whoever asks next goes on where another stopped. A clock that was put back makes every
/// step later, never earlier. A version whose time the store does not know is left to whoever put it there.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use buttress_secrets::{Action, Lifecycle, RotationPolicy, Standing, step};
///
/// let made = SystemTime::UNIX_EPOCH;
/// let standing = |version, since| Standing { version, since: Some(since) };
/// let mut secret = Lifecycle { current: standing(1, made), previous: None, next: None };
/// let policy = RotationPolicy::default(); // every 30 days, with 2 hours before and after the switch
///
/// let day = |number: u64| made + Duration::from_secs(86_400 * number);
/// assert_eq!(step(day(29), &secret, &policy), Action::Wait(Duration::from_secs(86_400)));
/// assert_eq!(step(day(30), &secret, &policy), Action::Create);
/// secret.next = Some(standing(2, day(30)));
/// assert_eq!(step(day(30), &secret, &policy), Action::Wait(Duration::from_secs(7200)));
/// assert_eq!(step(day(31), &secret, &policy), Action::Switch);
/// ```
#[must_use]
pub fn step(now: SystemTime, secret: &Lifecycle, policy: &RotationPolicy) -> Action {
    let left = |standing: Standing, after: Duration| {
        let passed = standing.since.map(|since| now.duration_since(since).unwrap_or_default());
        passed.map_or(Duration::MAX, |passed| after.saturating_sub(passed))
    };
    let retire = secret.previous.map(|previous| left(previous, policy.grace));
    if retire == Some(Duration::ZERO) {
        return Action::Retire;
    }
    let (then, forward) = match secret.next {
        // There are three versions at most.
        Some(_) if retire.is_some() => (Duration::MAX, Action::Switch),
        Some(next) => (left(next, policy.overlap), Action::Switch),
        None => (left(secret.current, policy.every), Action::Create),
    };
    if then == Duration::ZERO { forward } else { Action::Wait(then.min(retire.unwrap_or(Duration::MAX))) }
}

/// Whether a previous version is still accepted.
pub(crate) fn in_grace(now: SystemTime, previous: Standing, grace: Duration) -> bool {
    previous.since.is_none_or(|since| now.duration_since(since).unwrap_or_default() < grace)
}
