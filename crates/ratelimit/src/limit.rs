//! A quota for a time: `10/m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use buttress_core::units;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;
use crate::algorithm::Algorithm;

/// The longest window of a limit: 366 days.
const LONGEST: Duration = Duration::from_hours(24 * 366);
/// The shortest.
const SHORTEST: Duration = Duration::from_millis(1);

/// How much may be asked for in which time, and how it is counted.
///
/// In configuration, and by `FromStr`, it is a text: quota, `/`, window; then, if wanted, the algorithm and the burst.
///
/// | text | meaning |
/// |---|---|
/// | `10/m`, `10/1m` | 10 in any minute, by [`Algorithm::SlidingCounter`] |
/// | `100/15m` | 100 in any 15 minutes |
/// | `100/h sliding_log` | 100 in any hour, exactly |
/// | `50/s gcra burst 100` | 50 a second at an even rate, up to 100 at once after a pause |
///
/// ```
/// use buttress_ratelimit::{Algorithm, Limit};
///
/// let limit: Limit = "50/s gcra burst 100".parse()?;
/// assert_eq!(limit, Limit::per_second(50).algorithm(Algorithm::Gcra).burst(100));
/// assert_eq!(Limit::per_minute(10).to_string(), "10/1m");
/// # Ok::<(), buttress_ratelimit::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit {
    quota: u32,
    window: Duration,
    algorithm: Algorithm,
    burst: Option<u32>,
}

impl Limit {
    /// `quota` in any `window`, which is brought to between 1 ms and 366 days. A `quota` of zero admits nothing.
    #[must_use]
    pub fn new(quota: u32, window: Duration) -> Self {
        let window = window.clamp(SHORTEST, LONGEST);
        Self { quota, window, algorithm: Algorithm::default(), burst: None }
    }

    /// `quota` in any second.
    #[must_use]
    pub fn per_second(quota: u32) -> Self {
        Self::new(quota, Duration::from_secs(1))
    }

    /// `quota` in any minute.
    #[must_use]
    pub fn per_minute(quota: u32) -> Self {
        Self::new(quota, Duration::from_mins(1))
    }

    /// `quota` in any hour.
    #[must_use]
    pub fn per_hour(quota: u32) -> Self {
        Self::new(quota, Duration::from_hours(1))
    }

    /// `quota` in any 24 hours.
    #[must_use]
    pub fn per_day(quota: u32) -> Self {
        Self::new(quota, Duration::from_hours(24))
    }

    /// Counted by `algorithm`.
    #[must_use]
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// Up to `burst` at once: with [`Algorithm::Gcra`] and [`Algorithm::TokenBucket`], which take the quota for it otherwise. The
    /// others admit the quota at once.
    #[must_use]
    pub fn burst(self, burst: u32) -> Self {
        Self { burst: Some(burst), ..self }
    }

    /// What may be asked for in one window.
    #[must_use]
    pub fn quota(&self) -> u32 {
        self.quota
    }

    /// The window.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }

    /// How it is counted.
    #[must_use]
    pub fn counted_by(&self) -> Algorithm {
        self.algorithm
    }

    /// The most that is ever admitted at once.
    #[must_use]
    pub fn at_once(&self) -> u32 {
        match self.algorithm {
            Algorithm::Gcra | Algorithm::TokenBucket => self.burst.unwrap_or(self.quota),
            _ => self.quota,
        }
    }

    /// Whether a clock that is some milliseconds behind would be noticed: where all that may be had at once comes back within a time
    /// of which such a delay is more than a hundredth.
    pub(crate) fn needs_exact_time(&self) -> bool {
        let span = match self.algorithm {
            Algorithm::Gcra | Algorithm::TokenBucket => {
                self.window.mul_f64(f64::from(self.at_once()) / f64::from(self.quota.max(1)))
            }
            _ => self.window,
        };
        span < Duration::from_millis(500)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.quota, units::format_duration(self.window))?;
        match self.algorithm {
            Algorithm::SlidingCounter => {}
            other => write!(f, " {}", other.as_str())?,
        }
        match self.burst {
            Some(burst) => write!(f, " burst {burst}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Limit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fail = |problem: &'static str| Error::Limit { text: text.chars().take(80).collect(), problem };
        let mut words = text.split_ascii_whitespace();
        let (quota, window) = words
            .next()
            .and_then(|rate| rate.split_once('/'))
            .ok_or_else(|| fail("write it like \"10/m\", \"100/15m\" or \"50/s gcra burst 100\""))?;
        let quota = quota.parse().map_err(|_| fail("the quota is a whole number up to 4294967295"))?;
        let bare = window.starts_with(|c: char| c.is_ascii_alphabetic());
        let window = if bare { format!("1{window}") } else { window.to_owned() };
        let window = units::parse_duration(&window)
            .map_err(|_| fail("after the `/` stands a time: \"s\", \"m\", \"h\", \"d\", or like \"15m\""))?;
        if !(SHORTEST..=LONGEST).contains(&window) {
            return Err(fail("the window is from \"1ms\" to \"366d\""));
        }
        let mut limit = Self::new(quota, window);
        while let Some(word) = words.next() {
            if word == "burst" {
                let burst = words.next().and_then(|burst| burst.parse().ok());
                limit.burst = Some(burst.ok_or_else(|| fail("after `burst` stands a whole number"))?);
            } else {
                limit.algorithm = Algorithm::ALL.into_iter().find(|known| known.as_str() == word).ok_or_else(|| {
                    fail("known are sliding_counter, sliding_log, gcra, token_bucket, fixed_window and burst")
                })?;
            }
        }
        if limit.burst.is_some() && !matches!(limit.algorithm, Algorithm::Gcra | Algorithm::TokenBucket) {
            return Err(fail("only gcra and token_bucket have a burst"));
        }
        Ok(limit)
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Limits that hold together: a request is admitted by all of them, or consumes nothing of any. Without limits, all is admitted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Policy(Vec<Limit>);

impl Policy {
    /// The most limits that a policy holds.
    pub const MOST: usize = 4;

    /// These limits; at most [`Policy::MOST`] of them are taken by a limiter.
    pub fn new(limits: impl IntoIterator<Item = Limit>) -> Self {
        Self(limits.into_iter().collect())
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        &self.0
    }
}

impl From<Limit> for Policy {
    fn from(limit: Limit) -> Self {
        Self(vec![limit])
    }
}

impl<const N: usize> From<[Limit; N]> for Policy {
    fn from(limits: [Limit; N]) -> Self {
        Self(limits.into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits() -> impl Strategy<Value = Limit> {
        let algorithm = proptest::sample::select(Algorithm::ALL.to_vec());
        (any::<u32>(), 1..400_000_000_000_u64, algorithm, any::<Option<u32>>()).prop_map(
            |(quota, micros, algorithm, burst)| {
                let limit = Limit::new(quota, Duration::from_micros(micros)).algorithm(algorithm);
                match burst {
                    Some(burst) if matches!(algorithm, Algorithm::Gcra | Algorithm::TokenBucket) => {
                        limit.burst(burst)
                    }
                    _ => limit,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(limit in limits()) {
            prop_assert_eq!(limit.to_string().parse::<Limit>().unwrap(), limit);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,30}|[0-9]{0,11}/[0-9]{0,3}[a-z]{0,2}( [a-z_]{0,8}){0,3}") {
            let _ = text.parse::<Limit>();
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, told) in [
            ("10", "write it like"),
            ("ten/m", "the quota is a whole number"),
            ("10/fortnight", "after the `/` stands a time"),
            ("10/0s", "the window is from"),
            ("10/400d", "the window is from"),
            ("10/m leaky", "known are"),
            ("10/m gcra burst", "after `burst`"),
            ("10/m burst 5", "only gcra and token_bucket"),
        ] {
            let error = text.parse::<Limit>().unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
