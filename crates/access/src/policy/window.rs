//! When a rule applies.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time of day to the minute, `"08:30"`, from `00:00` to `24:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(u16);

/// Hours of the day, on some days of the week, at a fixed offset from UTC (a policy knows no summer time).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// From this time on.
    pub from: Time,
    /// Before this time. Where it is earlier than `from`, of the next day.
    pub until: Time,
    /// The days on which it begins; none: every day.
    #[serde(default)]
    pub days: Vec<Day>,
    /// Minutes east of UTC: 60 for Berlin in winter. At most 14 hours to either side.
    #[serde(default)]
    pub utc_offset_minutes: i16,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// A stretch of time; one end may be open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dates {
    /// From this moment on, `"2027-01-01T00:00:00Z"`.
    #[serde(default, with = "moment", skip_serializing_if = "Option::is_none")]
    pub from: Option<SystemTime>,
    /// Before this moment.
    #[serde(default, with = "moment", skip_serializing_if = "Option::is_none")]
    pub until: Option<SystemTime>,
}

const MINUTES_OF_DAY: i64 = 24 * 60;

impl Hours {
    pub(super) fn hold(&self, now: SystemTime) -> bool {
        let minutes = minutes_since_1970(now).saturating_add(i64::from(self.utc_offset_minutes));
        let (day, minute) = (minutes.div_euclid(MINUTES_OF_DAY), minutes.rem_euclid(MINUTES_OF_DAY));
        let (from, until) = (i64::from(self.from.0), i64::from(self.until.0));
        if from < until {
            return (from..until).contains(&minute) && self.is_on(day);
        }
        // Over midnight: the evening of today, or what is left of yesterday.
        (minute >= from && self.is_on(day)) || (minute < until && self.is_on(day - 1))
    }

    /// `day` counts from 1970-01-01, a Thursday.
    fn is_on(&self, day: i64) -> bool {
        let weekday = (day + 3).rem_euclid(7);
        self.days.is_empty() || self.days.iter().any(|on| *on as i64 == weekday)
    }
}

fn minutes_since_1970(now: SystemTime) -> i64 {
    let whole = |seconds: u64| i64::try_from(seconds / 60).unwrap_or(i64::MAX / 2);
    match now.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => whole(since.as_secs()),
        Err(before) => -whole(before.duration().as_secs()) - 1,
    }
}

impl Dates {
    pub(super) fn hold(&self, now: SystemTime) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

impl FromStr for Time {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "a time of day is written like \"08:30\", from \"00:00\" to \"24:00\"";
        let digits = |text: &str| -> Option<u16> {
            (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
        };
        let (hour, minute) = text.split_once(':').ok_or(WRONG)?;
        let (hour, minute) = (digits(hour).ok_or(WRONG)?, digits(minute).ok_or(WRONG)?);
        let minutes = hour * 60 + minute;
        if minute > 59 || i64::from(minutes) > MINUTES_OF_DAY { Err(WRONG) } else { Ok(Self(minutes)) }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.until)?;
        for (number, day) in self.days.iter().enumerate() {
            write!(f, "{}{day:?}", if number == 0 { " on " } else { ", " })?;
        }
        let (sign, offset) =
            (if self.utc_offset_minutes < 0 { '-' } else { '+' }, self.utc_offset_minutes.unsigned_abs());
        write!(f, " UTC{sign}{:02}:{:02}", offset / 60, offset % 60)
    }
}

impl fmt::Display for Dates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(from) = self.from {
            write!(f, "from {}", humantime::format_rfc3339(from))?;
        }
        if let Some(until) = self.until {
            write!(
                f,
                "{}until {}",
                if self.from.is_some() { " " } else { "" },
                humantime::format_rfc3339(until)
            )?;
        }
        Ok(())
    }
}

/// Moments as RFC 3339 has them, in UTC.
mod moment {
    use super::{Cow, Deserialize, Deserializer, Serialize, Serializer, SystemTime};

    #[allow(clippy::ref_option, reason = "the shape that serde's `with` asks for")]
    pub(super) fn serialize<S: Serializer>(moment: &Option<SystemTime>, to: S) -> Result<S::Ok, S::Error> {
        moment.map(|moment| humantime::format_rfc3339(moment).to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SystemTime>, D::Error> {
        let Some(text) = Option::<Cow<'de, str>>::deserialize(from)? else { return Ok(None) };
        let wrong = |_| serde::de::Error::custom("a moment is written like \"2027-01-01T00:00:00Z\"");
        humantime::parse_rfc3339(&text).map(Some).map_err(wrong)
    }
}
