//! Names of jobs, which sort by the time of their acceptance.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use buttress_core::{Classify, ErrorClass};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::time::millis;
use buttress_core::unique_number;

/// The digits of Crockford's base 32: no `I`, `L`, `O` and `U`.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The name of a job: a ULID, 26 digits and capital letters (`01JZX3QK7W2M8N4V6T9YB5CDEF`).
///
/// The first 48 bits are the milliseconds since 1970 at which it was made, the rest is chance, so names sort by
/// time. Those of one store never go back, whatever its clock does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u128);

impl JobId {
    /// The name that is before all others.
    pub const FIRST: Self = Self(0);

    /// A new name, after `last` and, if the clock allows, of this moment.
    #[must_use]
    pub fn after(last: Self, now: SystemTime) -> Self {
        let millis = u128::from(millis(now).unsigned_abs()) & ((1 << 48) - 1);
        let chance = (u128::from(unique_number()) << 64 | u128::from(unique_number())) & ((1 << 80) - 1);
        Self((millis << 80) | chance).max(Self(last.0.saturating_add(1)))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for place in (0..26).rev() {
            let digit = (self.0 >> (place * 5)) as usize & 31;
            f.write_char(DIGITS.get(digit).map_or('0', |digit| char::from(*digit)))?;
        }
        Ok(())
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

/// A text that is not a [`JobId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a job, which is 26 digits and letters like 01JZX3QK7W2M8N4V6T9YB5CDEF")]
pub struct JobIdError;

impl Classify for JobIdError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl FromStr for JobId {
    type Err = JobIdError;

    /// Reads what `Display` writes, in small letters too.
    fn from_str(text: &str) -> Result<Self, JobIdError> {
        // 26 digits of 5 bits are 130 bits; the first digit has only three of them.
        if text.len() != 26 || !matches!(text.as_bytes().first(), Some(b'0'..=b'7')) {
            return Err(JobIdError);
        }
        text.bytes()
            .try_fold(0_u128, |number, byte| {
                let digit = DIGITS.iter().position(|digit| *digit == byte.to_ascii_uppercase())?;
                Some(number << 5 | digit as u128)
            })
            .map(Self)
            .ok_or(JobIdError)
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_sorts_alike(a: u128, b: u128) {
            let (a, b) = (JobId(a), JobId(b));
            prop_assert_eq!(a.to_string().parse::<JobId>(), Ok(a));
            prop_assert_eq!(a.to_string().to_lowercase().parse::<JobId>(), Ok(a));
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
            let json = serde_json::to_string(&a).unwrap();
            prop_assert_eq!(serde_json::from_str::<JobId>(&json).unwrap(), a);
        }

        #[test]
        fn any_other_text_is_refused(text in "[0-9A-Za-z\u{e9}]{0,30}") {
            if let Ok(id) = text.parse::<JobId>() {
                prop_assert_eq!(id.to_string(), text.to_uppercase());
            }
        }
    }

    #[test]
    fn names_rise_even_when_the_clock_goes_back() {
        let late = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(2_000_000_000);
        let first = JobId::after(JobId::FIRST, late);
        let second = JobId::after(first, SystemTime::UNIX_EPOCH);
        assert!(second > first);
        assert!(JobId::after(second, late + std::time::Duration::from_millis(1)) > second);
    }
}
