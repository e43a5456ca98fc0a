//! The time that is left, as a header tells it to the next service.
//!
//! | form | header | looks like |
//! |---|---|---|
//! | [`Form::Millis`] | `x-request-timeout` | `1500` |
//! | [`Form::Grpc`] | `grpc-timeout` | `1500m`, one of `H M S m u n` behind at most 8 digits |
//!
//! Who writes rounds down, so that the callee never believes it has longer than its caller. Who reads takes no more than
//! a most of its own: a caller must not decide how long work is kept alive.
//!
//! Source of the gRPC form: "gRPC over HTTP/2", `Timeout`.

use std::time::Duration;

use buttress_core::{Classify, ErrorClass};

/// How a header tells the time that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Milliseconds, 1 to 10 digits.
    #[default]
    Millis,
    /// 1 to 8 digits and a unit.
    Grpc,
}

/// A header that does not tell a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time limit must be {}", match .0 {
    Form::Millis => "1 to 10 digits, in milliseconds, like \"1500\"",
    Form::Grpc => "1 to 8 digits and one of H, M, S, m, u, n, like \"1500m\"",
})]
pub struct HeaderError(Form);

impl Classify for HeaderError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// The units of gRPC from the finest, in nanoseconds.
const UNITS: [(u8, u64); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

impl Form {
    /// The header's usual name, in lower case.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Millis => "x-request-timeout",
            Self::Grpc => "grpc-timeout",
        }
    }

    /// Reads what a caller sent; whatever it asks for, the answer is at most `most`.
    ///
    /// ```
    /// use buttress_resilience::deadline::header::Form;
    /// use std::time::Duration;
    ///
    /// let most = Duration::from_secs(30);
    /// assert_eq!(Form::Millis.parse(b"1500", most)?, Duration::from_millis(1500));
    /// assert_eq!(Form::Grpc.parse(b"99999999H", most)?, most);
    /// assert!(Form::Grpc.parse(b"-1S", most).is_err());
    /// # Ok::<(), buttress_resilience::deadline::header::HeaderError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`HeaderError`] for anything but the form: signs, blanks, fractions, too many digits.
    pub fn parse(self, text: &[u8], most: Duration) -> Result<Duration, HeaderError> {
        let (digits, limit, unit) = match self {
            Self::Millis => (text, 10, 1_000_000),
            Self::Grpc => {
                let (unit, digits) = text.split_last().ok_or(HeaderError(self))?;
                let (_, nanos) = UNITS.iter().find(|(sign, _)| sign == unit).ok_or(HeaderError(self))?;
                (digits, 8, *nanos)
            }
        };
        let number = number(digits, limit).ok_or(HeaderError(self))?;
        Ok(Duration::from_nanos(unit).saturating_mul(number).min(most))
    }

    /// Writes the time that is left, rounded down.
    #[must_use]
    pub fn print(self, left: Duration) -> String {
        match self {
            Self::Millis => left.as_millis().min(9_999_999_999).to_string(),
            Self::Grpc => {
                let nanos = left.as_nanos();
                let told = UNITS.iter().map(|(sign, unit)| (*sign, nanos / u128::from(*unit)));
                let mut fitting = told.filter(|(_, number)| *number < 100_000_000);
                let (sign, number) = fitting.next().unwrap_or((b'H', 99_999_999));
                format!("{number}{}", char::from(sign))
            }
        }
    }
}

/// ASCII digits and nothing else, at most so many.
fn number(digits: &[u8], limit: usize) -> Option<u32> {
    if !(1..=limit).contains(&digits.len()) {
        return None;
    }
    let mut number = 0_u64;
    for digit in digits {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        number = number * 10 + u64::from(digit);
    }
    // Beyond this lies only what is cut to the most anyway: 49 days of milliseconds.
    Some(u32::try_from(number).unwrap_or(u32::MAX))
}
