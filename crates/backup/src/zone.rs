//! Where the day begins: a time zone by its name.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time zone of the IANA database: `"UTC"`, `"Europe/Berlin"`. It decides when a schedule fires and where the days, weeks and years of a
/// retention begin. All but UTC need the database on the machine (`/usr/share/zoneinfo`, Debian's package `tzdata`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated universal time, in which every day has 24 hours.
    pub const UTC: Self = Self(TimeZone::UTC);

    pub(crate) fn tz(&self) -> &TimeZone {
        &self.0
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

/// A name of no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no time zone of this machine; write \"UTC\" or a name like \"Europe/Berlin\", which needs the package tzdata"
)]
pub struct NoZone(String);

impl FromStr for Zone {
    type Err = NoZone;

    fn from_str(name: &str) -> Result<Self, NoZone> {
        if name.eq_ignore_ascii_case("utc") {
            return Ok(Self::UTC);
        }
        TimeZone::get(name).map(Self).map_err(|_| NoZone(name.to_owned()))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(from)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

/// The moment for the calendar. One outside of the years -9999 to 9999, which only a forged time is, becomes the nearest in them.
pub(crate) fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time)
        .unwrap_or_else(|_| if time > SystemTime::UNIX_EPOCH { Timestamp::MAX } else { Timestamp::MIN })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_zone_reads_as_it_is_written() {
        for name in ["UTC", "Europe/Berlin", "Australia/Lord_Howe"] {
            assert_eq!(name.parse::<Zone>().unwrap().to_string(), name);
        }
        assert_eq!("utc".parse::<Zone>().unwrap(), Zone::UTC);
        for name in ["", "Berlin", "/etc/passwd", "../../etc/passwd"] {
            assert!(name.parse::<Zone>().unwrap_err().to_string().contains("is no time zone"), "{name}");
        }
    }
}
