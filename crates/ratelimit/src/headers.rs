//! What clients are told in headers, and how they read it.
//!
//! The fields `RateLimit-Policy` and `RateLimit` are those of draft-ietf-httpapi-ratelimit-headers-11 (May 2026): lists of strings with
//! parameters, in the syntax of RFC 9651. Text in, text out: no HTTP library is needed.

use std::fmt::Write as _;
use std::time::Duration;

use crate::WindowStatus;

/// The name of the field that tells the policies.
pub const RATE_LIMIT_POLICY: &str = "ratelimit-policy";
/// The name of the field that tells what is left.
pub const RATE_LIMIT: &str = "ratelimit";

/// Whole seconds, rounded up: whoever waits for them has waited long enough.
#[must_use]
pub fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// The value of `RateLimit-Policy`: `"free-1m";q=10;w=60`. Windows of less than a second are told as one.
#[must_use]
pub fn rate_limit_policy(windows: &[WindowStatus]) -> String {
    let mut value = String::with_capacity(windows.len() * 32);
    for window in windows {
        item(&mut value, &window.name);
        let _ = write!(value, ";q={};w={}", window.limit.quota(), seconds(window.limit.window()).max(1));
    }
    value
}

/// The value of `RateLimit`: `"free-1m";r=7;t=42`. Within `t` seconds no more than `r` can be had.
#[must_use]
pub fn rate_limit(windows: &[WindowStatus]) -> String {
    let mut value = String::with_capacity(windows.len() * 32);
    for window in windows {
        item(&mut value, &window.name);
        let _ = write!(value, ";r={};t={}", window.remaining, seconds(window.reset_after));
    }
    value
}

/// The next member of a list. Names come from the configuration, which admits no sign that has to be escaped.
fn item(value: &mut String, name: &str) {
    if !value.is_empty() {
        value.push_str(", ");
    }
    value.push('"');
    value.extend(name.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')));
    value.push('"');
}

/// A member of either field, as a client reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitItem {
    /// The name of the policy.
    pub name: String,
    /// `q`: what the policy allows in a window.
    pub quota: Option<u64>,
    /// `w`: the window in seconds.
    pub window: Option<u64>,
    /// `r`: what is left.
    pub remaining: Option<u64>,
    /// `t`: for how many seconds that has to do.
    pub reset: Option<u64>,
}

/// Members that are read of one field at most.
const MOST_ITEMS: usize = 64;

/// Reads `RateLimit-Policy` or `RateLimit`. Parameters that are not known here are passed over, as the draft asks; a value that does not
/// keep to the syntax is no value, since part of it would mislead.
#[must_use]
pub fn parse_rate_limit(value: &str) -> Option<Vec<LimitItem>> {
    let mut rest = value.trim_matches([' ', '\t']);
    let mut items = Vec::new();
    while items.len() < MOST_ITEMS {
        let mut item = LimitItem::default();
        (item.name, rest) = string(rest)?;
        while let Some(parameter) = rest.strip_prefix(';') {
            let (key, after) = key(parameter.trim_start_matches(' '))?;
            let number;
            (number, rest) = match after.strip_prefix('=') {
                Some(value) => bare(value)?,
                None => (None, after),
            };
            let place = match key {
                "q" => &mut item.quota,
                "w" => &mut item.window,
                "r" => &mut item.remaining,
                "t" => &mut item.reset,
                _ => continue,
            };
            *place = Some(number?);
        }
        items.push(item);
        rest = rest.trim_start_matches([' ', '\t']);
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start_matches([' ', '\t']),
            None => return rest.is_empty().then_some(items),
        }
    }
    None
}

/// A string in quotes, and what follows it.
fn string(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut signs = inner.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => return Some((value, inner.get(at + 1..)?)),
            '\\' => value.push(signs.next().map(|(_, sign)| sign).filter(|sign| matches!(sign, '"' | '\\'))?),
            ' '..='~' => value.push(sign),
            _ => return None,
        }
    }
    None
}

/// The name of a parameter, and what follows it.
fn key(text: &str) -> Option<(&str, &str)> {
    let sign = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.' | '*');
    let (key, rest) = text.split_at(text.find(|c| !sign(c)).unwrap_or(text.len()));
    key.starts_with(|c: char| c.is_ascii_lowercase() || c == '*').then_some((key, rest))
}

/// A value, as a number if it is one that is not negative, and what follows it.
fn bare(text: &str) -> Option<(Option<u64>, &str)> {
    if text.starts_with('"') {
        return string(text).map(|(_, rest)| (None, rest));
    }
    if let Some(bytes) = text.strip_prefix(':') {
        return bytes.split_once(':').map(|(_, rest)| (None, rest));
    }
    let (value, rest) = text.split_at(text.find([';', ',', ' ', '\t']).unwrap_or(text.len()));
    // An integer has at most 15 digits.
    let digits = (1..=15).contains(&value.len()) && value.bytes().all(|digit| digit.is_ascii_digit());
    let number = if digits { value.parse().ok() } else { None };
    (!value.is_empty()).then_some((number, rest))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing expectation fails the test")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Limit;

    fn window(name: &str, limit: Limit, remaining: u32, reset_after: Duration) -> WindowStatus {
        WindowStatus { name: name.into(), limit, remaining, retry_after: Some(Duration::ZERO), reset_after }
    }

    #[test]
    fn the_fields_are_as_in_the_draft() {
        let windows = [
            window("free-1m", Limit::per_minute(10), 7, Duration::from_millis(41_001)),
            window("free-1h", Limit::per_hour(100), 0, Duration::ZERO),
        ];
        assert_eq!(rate_limit_policy(&windows), "\"free-1m\";q=10;w=60, \"free-1h\";q=100;w=3600");
        assert_eq!(rate_limit(&windows), "\"free-1m\";r=7;t=42, \"free-1h\";r=0;t=0");
    }

    #[test]
    fn the_examples_of_the_draft_are_read() {
        let read = parse_rate_limit("\"burst\";q=100;w=60,\"daily\";q=1000;w=86400").unwrap();
        let told: Vec<_> = read.iter().map(|item| (&*item.name, item.quota, item.window)).collect();
        assert_eq!(told, [("burst", Some(100), Some(60)), ("daily", Some(1_000), Some(86_400))]);
        let read =
            parse_rate_limit("\"peruser\";q=65535;qu=\"content-bytes\";w=10;pk=:sdfjLJUOUH==:").unwrap();
        assert_eq!((read[0].quota, read[0].window), (Some(65_535), Some(10)));
        let read = parse_rate_limit("\"default\";r=50;t=30").unwrap();
        assert_eq!((read[0].remaining, read[0].reset), (Some(50), Some(30)));
        for wrong in ["", "default;r=50", "\"a\";r=-1", "\"a\";r=1,", "\"a", "\"a\";r=1 x", "\"a\";r"] {
            assert_eq!(parse_rate_limit(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            windows in proptest::collection::vec(("[a-zA-Z0-9_./:{}*-]{1,20}", 1..u32::MAX, 1..10_000_u64, any::<u32>(), 0..100_000_u64), 1..5)
        ) {
            let windows: Vec<_> = windows.iter().map(|(name, quota, length, remaining, reset)| {
                window(name, Limit::new(*quota, Duration::from_secs(*length)), *remaining, Duration::from_secs(*reset))
            }).collect();
            let policies = parse_rate_limit(&rate_limit_policy(&windows)).unwrap();
            let limits = parse_rate_limit(&rate_limit(&windows)).unwrap();
            prop_assert_eq!((policies.len(), limits.len()), (windows.len(), windows.len()));
            for ((policy, limit), window) in policies.iter().zip(&limits).zip(&windows) {
                prop_assert_eq!(&*policy.name, &*window.name);
                prop_assert_eq!(policy.quota, Some(window.limit.quota().into()));
                prop_assert_eq!(policy.window, Some(window.limit.window().as_secs()));
                prop_assert_eq!(limit.remaining, Some(window.remaining.into()));
                prop_assert_eq!(limit.reset, Some(window.reset_after.as_secs()));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}|(\"[a-z\\\\\"]{0,4}\"|;[a-z*]{0,2}=?|[0-9:,\" -]{0,6}){0,8}") {
            let _ = parse_rate_limit(&text);
        }
    }
}
