//! How large a pool is, and how it treats its objects and its callers.

use std::time::Duration;

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::retry::RetryRules;
use crate::state::Rules;
use crate::time::nanos;

/// When an idle object is asked whether it works before it is handed out. One that is suspect is asked in any case.
///
/// Written as `"always"`, `"never"`, or the time for which it may have been idle to be handed out unasked: `"30s"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckPolicy {
    /// Each time: a round trip more for each caller.
    Always,
    /// When it was idle for so long, or longer.
    AfterIdle(Duration),
    /// Only when it is suspect: after another one turned out to be broken.
    Never,
}

impl Serialize for CheckPolicy {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Always => to.serialize_str("always"),
            Self::AfterIdle(time) => to.serialize_str(&units::format_duration(*time)),
            Self::Never => to.serialize_str("never"),
        }
    }
}

impl<'de> Deserialize<'de> for CheckPolicy {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match text.as_str() {
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            time => units::parse_duration(time).map(Self::AfterIdle).map_err(|_| {
                let expected = "must be \"always\", \"never\", or a time idle like \"30s\"";
                serde::de::Error::custom(format!("`{time}` {expected}"))
            }),
        }
    }
}

/// How large a pool is, and how it treats its objects and its callers.
///
/// | field | default | |
/// |---|---|---|
/// | `name` | `"pool"` | in metrics, errors and probes |
/// | `max` | 10 | objects at most |
/// | `min_idle` | 0 | idle objects kept ready, from the first use on |
/// | `overflow` | 0 | objects beyond `max` while callers wait; closed when nobody does |
/// | `waiters` | 1024 | callers that may wait for an object in use; 0 refuses at once |
/// | `wait` | `"30s"` | how long a caller waits, unless it says otherwise |
/// | `idle` | `"10m"` | an object idle for so long is closed, beyond `min_idle`; none: never |
/// | `max_age` | `"30m"` | an object this old is closed, up to a tenth earlier; none: never |
/// | `max_uses` | 0 | an object used so often is closed; 0: never |
/// | `check` | `"10s"` | see [`CheckPolicy`] |
/// | `check_every` | `"30s"` | idle objects are checked so often in the background; none: never |
/// | `check_within` | `"5s"` | limit of one check, reset or close |
/// | `create_within` | `"30s"` | limit of one creation |
/// | `retry_first` | `"100ms"` | the wait after a creation that failed; it doubles with each in a row |
/// | `retry_most` | `"10s"` | the longest wait |
/// | `failures` | 5 | creations that fail in a row until none is tried for `open_for` |
/// | `open_for` | `"5s"` | how long; then one is tried |
/// | `leak_after` | `"5m"` | a guard held for so long is reported, with where it was taken; none: never |
/// | `tick` | `"1s"` | how often what is old or idle is looked for |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PoolConfig {
    /// In metrics, errors and probes.
    pub name: String,
    /// Objects at most.
    pub max: usize,
    /// Idle objects kept ready.
    pub min_idle: usize,
    /// Objects beyond `max` while callers wait.
    pub overflow: usize,
    /// Callers that may wait for an object in use.
    pub waiters: usize,
    /// How long a caller waits.
    #[serde(with = "units::duration")]
    pub wait: Duration,
    /// An object idle for so long is closed.
    #[serde(with = "units::optional_duration")]
    pub idle: Option<Duration>,
    /// An object this old is closed.
    #[serde(with = "units::optional_duration")]
    pub max_age: Option<Duration>,
    /// An object used so often is closed.
    pub max_uses: u64,
    /// When an idle object is checked before it is handed out.
    pub check: CheckPolicy,
    /// How often idle objects are checked in the background.
    #[serde(with = "units::optional_duration")]
    pub check_every: Option<Duration>,
    /// Limit of one check, reset or close.
    #[serde(with = "units::duration")]
    pub check_within: Duration,
    /// Limit of one creation.
    #[serde(with = "units::duration")]
    pub create_within: Duration,
    /// The wait after a creation that failed.
    #[serde(with = "units::duration")]
    pub retry_first: Duration,
    /// The longest wait.
    #[serde(with = "units::duration")]
    pub retry_most: Duration,
    /// Creations that fail in a row until none is tried.
    pub failures: u32,
    /// How long none is tried.
    #[serde(with = "units::duration")]
    pub open_for: Duration,
    /// A guard held for so long is reported.
    #[serde(with = "units::optional_duration")]
    pub leak_after: Option<Duration>,
    /// How often what is old or idle is looked for.
    #[serde(with = "units::duration")]
    pub tick: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            name: "pool".to_owned(),
            max: 10,
            min_idle: 0,
            overflow: 0,
            waiters: 1024,
            wait: Duration::from_secs(30),
            idle: Some(Duration::from_mins(10)),
            max_age: Some(Duration::from_mins(30)),
            max_uses: 0,
            check: CheckPolicy::AfterIdle(Duration::from_secs(10)),
            check_every: Some(Duration::from_secs(30)),
            check_within: Duration::from_secs(5),
            create_within: Duration::from_secs(30),
            retry_first: Duration::from_millis(100),
            retry_most: Duration::from_secs(10),
            failures: 5,
            open_for: Duration::from_secs(5),
            leak_after: Some(Duration::from_mins(5)),
            tick: Duration::from_secs(1),
        }
    }
}

/// Times beyond this are typing errors, and would not fit everywhere.
const LONGEST: Duration = Duration::from_hours(24 * 366);

impl Validate for PoolConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let name = (1..=64).contains(&self.name.len()) && self.name.chars().all(sign);
        let quoted = format!("\"{}\"", self.name);
        wrong.require(name, "name", quoted, "must be 1 to 64 letters, digits, `-` and `_`");
        let most = 100_000;
        wrong.require((1..=most).contains(&self.max), "max", self.max, "must be 1 to 100000; 10 is usual");
        let stock = self.min_idle <= self.max;
        wrong.require(stock, "min_idle", self.min_idle, "must not be more than `max`");
        wrong.require(self.overflow <= most, "overflow", self.overflow, "must be at most 100000; 0 is usual");
        let line = self.waiters <= 1_000_000;
        wrong.require(line, "waiters", self.waiters, "must be at most 1000000; 1024 is usual");
        wrong.require(self.failures >= 1, "failures", self.failures, "must be at least 1; 5 is usual");
        let usual = Self::default();
        let shown = units::format_duration;
        for (field, value, usual) in [
            ("wait", self.wait, usual.wait),
            ("check_within", self.check_within, usual.check_within),
            ("create_within", self.create_within, usual.create_within),
            ("retry_first", self.retry_first, usual.retry_first),
            ("retry_most", self.retry_most, usual.retry_most),
            ("open_for", self.open_for, usual.open_for),
            ("tick", self.tick, usual.tick),
        ] {
            let holds = (Duration::from_millis(1)..=LONGEST).contains(&value);
            let remedy = format!("must be \"1ms\" to \"366d\"; \"{}\" is usual", shown(usual));
            wrong.require(holds, field, shown(value), remedy);
        }
        for (field, value) in [
            ("idle", self.idle),
            ("max_age", self.max_age),
            ("check_every", self.check_every),
            ("leak_after", self.leak_after),
        ] {
            let value = value.unwrap_or(LONGEST);
            let holds = (Duration::from_millis(1)..=LONGEST).contains(&value);
            wrong.require(holds, field, shown(value), "must be \"1ms\" to \"366d\"; leave it out for never");
        }
        wrong.into_result()
    }
}

impl PoolConfig {
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            max: self.max,
            min_idle: self.min_idle,
            overflow: self.overflow,
            waiters: self.waiters,
            idle: self.idle,
            max_age: self.max_age,
            max_uses: self.max_uses,
            unchecked: match self.check {
                CheckPolicy::Always => Some(0),
                CheckPolicy::AfterIdle(time) => Some(nanos(time)),
                CheckPolicy::Never => None,
            },
            check_every: self.check_every,
            leak_after: self.leak_after,
            failures: self.failures,
            open_for: self.open_for,
            retry: RetryRules { first: self.retry_first, most: self.retry_most },
        }
    }
}
