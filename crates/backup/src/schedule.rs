//! When something is due: cron in a time zone. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::Id;
use crate::zone::{Zone, timestamp};

/// The longest that a schedule may be late by chance.
pub(crate) const LONGEST_JITTER: Duration = Duration::from_hours(12);
/// 29 February is eight years away at most: 1896 and 1904, 2096 and 2104.
const DAYS_AHEAD: u32 = 366 * 8 + 2;

/// The five fields of cron: minute, hour, day of the month, month, day of the week.
///
/// | | |
/// |---|---|
/// | `*` | each |
/// | `5`, `1,15`, `9-17`, `*/10`, `0-30/5` | numbers, lists, ranges, steps through all or a range; days of the week are 0 to 7, where 0 and 7 are Sunday |
/// | `jan`, `mon-fri` | months and days of the week by their first three letters |
/// | `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly` | `0 * * * *`, `0 0 * * *`, `0 0 * * 0`, `0 0 1 * *`, `0 0 1 1 *` |
///
/// If neither day is `*`, either of them is enough, as POSIX has it. What could never be, such as 30 February, is refused.
#[derive(Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    either_day: bool,
}

/// A text that is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no schedule: {problem}")]
pub struct NoSchedule {
    text: String,
    problem: String,
}

/// What one of the five fields may say.
struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

const MINUTES: Field = Field { name: "minute", first: 0, last: 59, names: &[] };
const HOURS: Field = Field { name: "hour", first: 0, last: 23, names: &[] };
const DAYS: Field = Field { name: "day of the month", first: 1, last: 31, names: &[] };
const MONTHS: Field = Field {
    name: "month",
    first: 1,
    last: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Field = Field {
    name: "day of the week",
    first: 0,
    last: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

impl Field {
    /// The numbers of a field as bits.
    fn read(&self, text: &str) -> Result<u64, String> {
        let mut bits = 0;
        for item in text.split(',') {
            bits |= self.item(item)?;
        }
        Ok(bits)
    }

    /// One item of a list: `*`, `5`, `5-9`, `*/2`, `5-9/2`.
    fn item(&self, text: &str) -> Result<u64, String> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (text, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.first, self.last),
            Some((from, to)) => (self.number(from)?, self.number(to)?),
            None if step.is_some() => {
                return Err(format!(
                    "the {} `{text}` steps from a single number; write `{range}-{}/…`",
                    self.name, self.last
                ));
            }
            None => (self.number(range)?, self.number(range)?),
        };
        if from > to {
            return Err(format!(
                "the {} `{range}` runs backwards; write it as two ranges with a comma",
                self.name
            ));
        }
        let step = match step.map(str::parse::<u32>) {
            None => 1,
            Some(Ok(step)) if (1..=self.last).contains(&step) => step,
            Some(_) => return Err(format!("the {} `{text}` must step by 1 to {}", self.name, self.last)),
        };
        let numbers = (from..=to).step_by(usize::try_from(step).unwrap_or(1));
        Ok(numbers.fold(0, |bits, number| bits | 1 << number))
    }

    fn number(&self, text: &str) -> Result<u32, String> {
        let named = self.names.iter().zip(self.first..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        // `+5` is a number for the standard library.
        let digits = text.bytes().all(|c| c.is_ascii_digit());
        let read = named.map(|(_, number)| number).or_else(|| text.parse().ok().filter(|_| digits));
        read.filter(|number| (self.first..=self.last).contains(number)).ok_or_else(|| {
            let names = match (self.names.first(), self.names.last()) {
                (Some(first), Some(last)) => format!(" or {first} to {last}"),
                _ => String::new(),
            };
            format!("the {} `{text}` must be {} to {}{names}", self.name, self.first, self.last)
        })
    }
}

impl Cron {
    fn read(text: &str) -> Result<Self, String> {
        let fields = match text.trim().to_ascii_lowercase().as_str() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            word if word.starts_with('@') => {
                return Err(
                    "of such words there are @hourly, @daily, @weekly, @monthly and @yearly".to_owned()
                );
            }
            _ => text,
        };
        let parts: Vec<&str> = fields.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts.as_slice() else {
            let found = parts.len();
            return Err(format!(
                "it has {found} fields, not the five `minute hour day month weekday`; `0 2 * * *` is 2 o'clock every day"
            ));
        };
        let sunday_is_seven = WEEKDAYS.read(weekday)?;
        let cron = Self {
            text: text.trim().to_owned(),
            minutes: MINUTES.read(minute)?,
            hours: HOURS.read(hour)?,
            days: DAYS.read(day)?,
            months: MONTHS.read(month)?,
            weekdays: (sunday_is_seven | sunday_is_seven >> 7) & 0x7f,
            either_day: *day != "*" && *weekday != "*",
        };
        // A year that has 29 days in February and begins on any day of the week has every date there is.
        let longest = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let exists =
            |(month, days): (u32, u32)| has(cron.months, month) && (1..=days).any(|day| has(cron.days, day));
        if !cron.either_day && !(1..).zip(longest).any(exists) {
            return Err("none of its months has such a day".to_owned());
        }
        Ok(cron)
    }

    /// At one time of every day.
    pub(crate) fn daily(hour: u8, minute: u8) -> Self {
        let text = format!("{minute} {hour} * * *");
        Self { hours: 1 << (hour % 24), minutes: 1 << (minute % 60), text, ..Self::every_minute() }
    }

    /// At the full hour of every Sunday.
    pub(crate) fn weekly(hour: u8) -> Self {
        Self { text: format!("0 {hour} * * 0"), weekdays: 1, ..Self::daily(hour, 0) }
    }

    /// At every full hour.
    pub(crate) fn hourly() -> Self {
        Self { text: "0 * * * *".to_owned(), minutes: 1, ..Self::every_minute() }
    }

    /// At 0, 6, 12 and 18 o'clock.
    pub(crate) fn six_hourly() -> Self {
        Self { text: "0 */6 * * *".to_owned(), hours: 1 | 1 << 6 | 1 << 12 | 1 << 18, ..Self::hourly() }
    }

    fn every_minute() -> Self {
        Self {
            text: "* * * * *".to_owned(),
            minutes: (1 << 60) - 1,
            hours: (1 << 24) - 1,
            days: (1 << 32) - 2,
            months: (1 << 13) - 2,
            weekdays: (1 << 7) - 1,
            either_day: false,
        }
    }

    fn on(&self, date: Date) -> bool {
        let day = has(self.days, date.day().unsigned_abs().into());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset().unsigned_abs().into());
        let either = if self.either_day { day || weekday } else { day && weekday };
        either && has(self.months, date.month().unsigned_abs().into())
    }

    fn every_hour(&self) -> bool {
        self.hours == (1 << 24) - 1
    }

    /// The times of a day, in order.
    fn times(&self) -> impl Iterator<Item = Time> {
        numbers(self.hours).flat_map(|hour| {
            numbers(self.minutes).filter_map(move |minute| Time::new(hour, minute, 0, 0).ok())
        })
    }

    /// The first moment of a day's times that is after `after`.
    fn first_of(&self, date: Date, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        if !self.on(date) {
            return None;
        }
        let (begins, ends) =
            (date.to_datetime(Time::midnight()), date.to_datetime(Time::constant(23, 59, 0, 0)));
        if let (Some(offset), Some(same)) = (plain(zone, begins), plain(zone, ends))
            && offset == same
            && is_smooth(zone, begins, ends)
        {
            return self
                .times()
                .filter_map(|time| offset.to_timestamp(date.to_datetime(time)).ok())
                .find(|at| *at > after);
        }
        let moments = self.times().flat_map(|time| moments(zone, date.to_datetime(time), self.every_hour()));
        moments.filter(|at| *at > after).min()
    }
}

/// The numbers of the bits that are set.
fn numbers(mut bits: u64) -> impl Iterator<Item = i8> {
    std::iter::from_fn(move || {
        let lowest = bits.trailing_zeros();
        bits &= bits.checked_sub(1)?;
        i8::try_from(lowest).ok()
    })
}

fn has(bits: u64, number: u32) -> bool {
    bits >> number & 1 == 1
}

/// The offset of a time that occurs once.
fn plain(zone: &TimeZone, local: DateTime) -> Option<jiff::tz::Offset> {
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => Some(offset),
        _ => None,
    }
}

/// Whether the clocks are not changed between two times that occur once.
fn is_smooth(zone: &TimeZone, from: DateTime, to: DateTime) -> bool {
    let (Ok(from), Ok(to)) = (zone.to_timestamp(from), zone.to_timestamp(to)) else { return false };
    zone.following(from).next().is_none_or(|change| change.timestamp() > to)
}

/// When a time of the clock is: the first moment after it if it was left out, and if it occurs twice the first or both.
fn moments(zone: &TimeZone, local: DateTime, both: bool) -> impl Iterator<Item = Timestamp> {
    let found = match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => [offset.to_timestamp(local).ok(), None],
        AmbiguousOffset::Gap { before, .. } => {
            let later = before.to_timestamp(local).and_then(|at| at.checked_add(1.second()));
            // The moment at which the clocks went forward.
            [later.ok().and_then(|at| zone.preceding(at).next()).map(|change| change.timestamp()), None]
        }
        AmbiguousOffset::Fold { before, after } => {
            [before.to_timestamp(local).ok(), both.then(|| after.to_timestamp(local).ok()).flatten()]
        }
    };
    found.into_iter().flatten()
}

impl FromStr for Cron {
    type Err = NoSchedule;

    fn from_str(text: &str) -> Result<Self, NoSchedule> {
        // Shown in messages, so no longer than one can be.
        let shown: String = text.chars().take(80).collect();
        if text.len() > 1_000 {
            return Err(NoSchedule { text: shown, problem: "it is longer than 1,000 bytes".to_owned() });
        }
        Self::read(text).map_err(|problem| NoSchedule { text: shown, problem })
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({})", self.text)
    }
}

impl Serialize for Cron {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Cron {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// When something is due: a [`Cron`] in a time zone, a little late so that not all do it at once.
///
/// When the clocks are put forward, a time that was left out is due at the first moment after. When they are put back, a time that occurs twice
/// is due the first time; but a schedule of every hour goes on every hour, as whoever lost at most an hour of data expects it.
///
/// ```
/// use buttress_backup::{Schedule, Zone};
/// use jiff::Timestamp;
///
/// let nightly = Schedule::new("30 2 * * *".parse()?, "Europe/Berlin".parse()?);
/// let evening: Timestamp = "2026-03-28T20:00:00Z".parse()?;
/// // There is no half past two in the night in which summer begins: three o'clock it is, which is one in UTC.
/// let next = nightly.next(evening.into()).map(Timestamp::try_from).transpose()?;
/// assert_eq!(next, Some("2026-03-29T01:00:00Z".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    cron: Cron,
    zone: Zone,
    late: Duration,
}

impl Schedule {
    /// By `cron`, on the clocks of `zone`.
    #[must_use]
    pub fn new(cron: Cron, zone: Zone) -> Self {
        Self { cron, zone, late: Duration::ZERO }
    }

    /// The same, late by whole seconds up to `most` (at most 12 hours), and always by the same for one name: a fleet spreads, and each of its
    /// instances keeps its distance from one run to the next.
    #[must_use]
    pub fn with_jitter(mut self, most: Duration, name: &str) -> Self {
        let id = Id::of(name.as_bytes());
        let drawn = id.as_bytes().first_chunk().map_or(0, |begin| u64::from_be_bytes(*begin));
        let seconds = most.min(LONGEST_JITTER).as_secs().saturating_add(1);
        self.late = Duration::from_secs(drawn % seconds);
        self
    }

    /// The first moment after `after` at which it is due; none if that is behind the year 9999. Takes microseconds, and for what is due
    /// once in years less than a millisecond.
    #[must_use]
    pub fn next(&self, after: SystemTime) -> Option<SystemTime> {
        let zone = self.zone.tz();
        let after = timestamp(after).checked_sub(self.late).ok()?;
        // A day before: its last times may come later by the clock than the first of this day.
        let mut date = zone.to_datetime(after).date().yesterday().ok()?;
        for _ in 0..DAYS_AHEAD {
            let following = date.tomorrow();
            if let Some(found) = self.cron.first_of(date, zone, after) {
                let sooner = following.ok().and_then(|date| self.cron.first_of(date, zone, after));
                let due = sooner.map_or(found, |sooner| sooner.min(found));
                return SystemTime::from(due).checked_add(self.late);
            }
            date = following.ok()?;
        }
        None
    }

    /// Whether it became due since `last`, the time of the last run. What was missed meanwhile is due once, however often it was missed; what
    /// never ran is due. A `last` in the future, before the clock was put back, does not count.
    #[must_use]
    pub fn is_due(&self, last: Option<SystemTime>, now: SystemTime) -> bool {
        match last.filter(|last| *last <= now) {
            Some(last) => self.next(last).is_some_and(|next| next <= now),
            None => true,
        }
    }

    /// The longest time between two runs of the coming days, for checks of a configuration.
    pub(crate) fn longest_pause(&self, now: SystemTime) -> Option<Duration> {
        let mut longest = Duration::ZERO;
        let mut at = self.next(now)?;
        // A week shows the shape of all that is more frequent than weekly.
        let end = now.checked_add(Duration::from_hours(24 * 8))?;
        for _ in 0..20_000 {
            let next = self.next(at)?;
            longest = longest.max(next.duration_since(at).unwrap_or_default());
            if next > end {
                break;
            }
            at = next;
        }
        Some(longest)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_what_would_be_read() {
        for cron in [
            Cron::daily(2, 0),
            Cron::daily(4, 30),
            Cron::weekly(6),
            Cron::hourly(),
            Cron::six_hourly(),
            Cron::every_minute(),
        ] {
            assert_eq!(cron.to_string().parse::<Cron>().unwrap(), cron);
        }
    }
}
