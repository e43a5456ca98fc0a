//! Durations as `"30s"` and sizes as `"64MiB"`, in configuration files and in messages.
//!
//! ```
//! use buttress_core::ByteSize;
//! use std::time::Duration;
//!
//! #[derive(serde::Deserialize)]
//! struct Config {
//!     #[serde(with = "buttress_core::units::duration")]
//!     idle: Duration,
//!     memory: ByteSize,
//! }
//!
//! let config: Config = serde_json::from_str(r#"{"idle": "1m30s", "memory": "64MiB"}"#)?;
//! assert_eq!(config.idle, Duration::from_secs(90));
//! assert_eq!(config.memory.bytes(), 64 << 20);
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number with a unit that does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// Not a duration.
    #[error("`{0}` is not a duration; write it like \"250ms\", \"30s\", \"1m30s\", \"2h\" or \"7d\"")]
    Duration(String),
    /// Not a size.
    #[error("`{0}` is not a size; write it like \"512B\", \"64KiB\", \"64MiB\", \"1.5GiB\" or \"10MB\"")]
    Size(String),
}

const DURATION_UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads a duration: one or more `<whole number><unit>` with the units `d h m s ms us ns`, or `0`.
///
/// # Errors
///
/// [`UnitError::Duration`] when the text is anything else, or does not fit.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let fail = || UnitError::Duration(text.to_owned());
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(fail());
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(fail)?);
        let (unit, tail) = tail.split_at(tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len()));
        let number: u64 = number.parse().map_err(|_| fail())?;
        let (_, scale) = DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(fail)?;
        // A u64 of days in nanoseconds fits a u128 with room to spare; only the sum is checked, below.
        nanos = nanos.saturating_add(u128::from(number) * scale);
        rest = tail.trim_start();
    }
    let seconds = u64::try_from(nanos / 1_000_000_000).map_err(|_| fail())?;
    let subsecond = u32::try_from(nanos % 1_000_000_000).map_err(|_| fail())?;
    Ok(Duration::new(seconds, subsecond))
}

/// Writes a duration so that [`parse_duration`] reads the same one back: `"1m30s"`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, scale) in DURATION_UNITS {
        let count = nanos / scale;
        if count > 0 {
            text.push_str(&count.to_string());
            text.push_str(name);
            nanos %= scale;
        }
    }
    text
}

/// `#[serde(with = "buttress_core::units::duration")]` for a [`Duration`] field.
pub mod duration {
    use super::{Deserialize, Deserializer, Duration, Serializer, format_duration, parse_duration};

    /// Writes `"30s"`.
    pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format_duration(*duration))
    }

    /// Reads `"30s"`.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        parse_duration(&text).map_err(serde::de::Error::custom)
    }
}

/// `#[serde(with = "buttress_core::units::optional_duration")]` for an `Option<Duration>` field.
pub mod optional_duration {
    use super::{
        Deserialize, Deserializer, Duration, Serialize, Serializer, format_duration, parse_duration,
    };

    /// Writes `"30s"` or nothing.
    // The shape that serde's `with` asks for.
    #[allow(clippy::ref_option)]
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        duration.map(format_duration).serialize(to)
    }

    /// Reads `"30s"` or nothing.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Option::<String>::deserialize(from)?
            .map(|text| parse_duration(&text).map_err(serde::de::Error::custom))
            .transpose()
    }
}

const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// A number of bytes, written as `"64MiB"`.
///
/// Reads whole or decimal numbers with `B`, `KB`, `MB`, `GB`, `TB` (powers of 1,000) and `KiB`, `MiB`, `GiB`,
/// `TiB` (powers of 1,024), and plain numbers as bytes. `Display` picks the largest unit of 1,024 that divides
/// it, so that what is written reads back exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(u64);

impl ByteSize {
    /// `n` bytes.
    #[must_use]
    pub const fn b(n: u64) -> Self {
        Self(n)
    }

    /// `n` times 1,024 bytes.
    #[must_use]
    pub const fn kib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 10))
    }

    /// `n` times 1,048,576 bytes.
    #[must_use]
    pub const fn mib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 20))
    }

    /// `n` times 1,073,741,824 bytes.
    #[must_use]
    pub const fn gib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 30))
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes for use as a length; the platform's largest length where it does not fit.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// For people: three digits and a unit, `"1.43 MiB"`. Does not read back exactly.
    #[must_use]
    pub fn human(self) -> String {
        for (name, scale) in SIZE_UNITS.iter().take(4) {
            if self.0 >= *scale {
                let value = self.0 as f64 / *scale as f64;
                let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
                return format!("{value:.digits$} {name}");
            }
        }
        format!("{} B", self.0)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIZE_UNITS.iter().take(4).find(|(_, scale)| self.0 > 0 && self.0.is_multiple_of(*scale)) {
            Some((name, scale)) => write!(f, "{}{name}", self.0 / scale),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fail = || UnitError::Size(text.to_owned());
        let trimmed = text.trim();
        let split = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(split);
        let scale = match unit.trim() {
            "" => 1,
            unit => SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(fail)?.1,
        };
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(scale).map(Self).ok_or_else(fail);
        }
        let value = number.parse::<f64>().map_err(|_| fail())? * scale as f64;
        if !(0.0..9.0e18).contains(&value) {
            return Err(fail());
        }
        // In range by the check above.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(Self(value.round() as u64))
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size like \"64MiB\" or a number of bytes")
            }

            fn visit_u64<E>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }

            fn visit_i64<E: serde::de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
                u64::try_from(bytes).map(ByteSize).map_err(|_| E::custom(UnitError::Size(bytes.to_string())))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }
        from.deserialize_any(Visitor)
    }
}
