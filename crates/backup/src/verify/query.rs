//! What a query of a restored database must answer.

use std::time::{Duration, SystemTime};

use buttress_core::{Violations, units};
use serde::{Deserialize, Serialize};

use super::Verdict;

/// A query that answers one value, and what the value must be: at least one of the bounds is given, and all that are must hold.
///
/// | field | |
/// |---|---|
/// | `sql` | the query |
/// | `equals` | the value, as text |
/// | `at_least`, `at_most` | bounds of a number, included |
/// | `newest_within` | the value is a time in seconds since 1970, no older than this when it was backed up, and not of later: `SELECT max(extract(epoch FROM created)) FROM orders`, in SQLite `SELECT max(unixepoch(created)) FROM orders` |
///
/// No row, and `NULL`, are no value and fail: so an empty table is never fresh.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Query {
    /// The query.
    pub sql: String,
    /// The value.
    pub equals: Option<String>,
    /// The least number.
    pub at_least: Option<f64>,
    /// The largest number.
    pub at_most: Option<f64>,
    /// How old the newest may be.
    #[serde(with = "units::optional_duration")]
    pub newest_within: Option<Duration>,
}

/// How far another machine's clock may be ahead.
const AHEAD: Duration = Duration::from_mins(5);

impl Query {
    /// A query without a bound yet.
    pub fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), ..Self::default() }
    }

    /// The value must be at least this.
    #[must_use]
    pub fn at_least(mut self, number: f64) -> Self {
        self.at_least = Some(number);
        self
    }

    /// The value must be at most this.
    #[must_use]
    pub fn at_most(mut self, number: f64) -> Self {
        self.at_most = Some(number);
        self
    }

    /// The value must be this, as text.
    #[must_use]
    pub fn equals(mut self, value: impl Into<String>) -> Self {
        self.equals = Some(value.into());
        self
    }

    /// The value must be a time no older than this when it was backed up.
    #[must_use]
    pub fn newest_within(mut self, age: Duration) -> Self {
        self.newest_within = Some(age);
        self
    }

    pub(super) fn check(&self, wrong: &mut Violations) {
        let bounded = self.equals.is_some()
            || self.at_least.is_some()
            || self.at_most.is_some()
            || self.newest_within.is_some();
        let holds = bounded && !self.sql.trim().is_empty();
        wrong.require(
            holds,
            "queries",
            &self.sql,
            "must have `sql` and one of `equals`, `at_least`, `at_most`, `newest_within`",
        );
    }

    /// Adds to the verdict what `found` is worth of what was made at the time `made`.
    pub(super) fn judge(&self, found: Option<&str>, made: SystemTime, verdict: &mut Verdict) {
        let shown = found.unwrap_or("no value");
        let number = found.and_then(|found| found.trim().parse::<f64>().ok());
        if let Some(expected) = &self.equals {
            verdict.add(&self.sql, expected, shown, found == Some(expected));
        }
        if let Some(least) = self.at_least {
            let passed = number.is_some_and(|number| number >= least);
            verdict.add(&self.sql, format!("at least {least}"), shown, passed);
        }
        if let Some(most) = self.at_most {
            let passed = number.is_some_and(|number| number <= most);
            verdict.add(&self.sql, format!("at most {most}"), shown, passed);
        }
        if let Some(within) = self.newest_within {
            let time = number
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
            fresh(&self.sql, time, within, made, verdict);
        }
    }
}

/// Adds the check that `time` was no longer ago than `within` at the time `made`, and is not of later.
pub(super) fn fresh(
    what: impl Into<String>,
    time: Option<SystemTime>,
    within: Duration,
    made: SystemTime,
    verdict: &mut Verdict,
) {
    let expected = format!("no older than {} when it was backed up", units::format_duration(within));
    let whole_seconds = |time: Duration| units::format_duration(Duration::from_secs(time.as_secs()));
    let (found, passed) = match time.map(|time| made.duration_since(time)) {
        None => ("no time".to_owned(), false),
        Some(Ok(age)) => (format!("{} old", whole_seconds(age)), age <= within),
        Some(Err(ahead)) => {
            let ahead = ahead.duration();
            (format!("{} later than that", whole_seconds(ahead)), ahead <= AHEAD)
        }
    };
    verdict.add(what, expected, found, passed);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]
    use super::*;

    #[test]
    fn a_value_is_judged_by_its_bounds() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let hour = Duration::from_hours(1);
        for (query, found, passed) in [
            (Query::new("q").equals("a"), Some("a"), true),
            (Query::new("q").equals("a"), Some("b"), false),
            (Query::new("q").equals(""), None, false),
            (Query::new("q").at_least(3.0), Some("3"), true),
            (Query::new("q").at_least(3.0), Some("2.9"), false),
            (Query::new("q").at_least(0.0), None, false),
            (Query::new("q").at_least(0.0), Some("NaN"), false),
            (Query::new("q").at_most(3.0), Some("3"), true),
            (Query::new("q").at_most(3.0), Some("many"), false),
            (Query::new("q").at_least(1.0).at_most(3.0), Some("4"), false),
            (Query::new("q").newest_within(hour), Some("996400"), true),
            (Query::new("q").newest_within(hour), Some("996399.9"), false),
            (Query::new("q").newest_within(hour), Some("1000300"), true),
            (Query::new("q").newest_within(hour), Some("1000301"), false),
            (Query::new("q").newest_within(hour), Some("1e300"), false),
            (Query::new("q").newest_within(hour), Some("-1"), false),
            (Query::new("q").newest_within(hour), None, false),
        ] {
            let mut verdict = Verdict::new();
            query.judge(found, now, &mut verdict);
            assert_eq!(verdict.passed(), passed, "{query:?} {found:?} {verdict:?}");
        }
        assert!(!Verdict::new().passed());
    }
}
