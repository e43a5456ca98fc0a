//! Times as people and other programs write them: RFC 3339, in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: i128 = 86_400 * NANOS;
const NANOS: i128 = 1_000_000_000;

/// `2026-11-22T01:02:03.000000004Z`; the fraction is left out when it is zero, and has 3, 6 or 9 digits.
pub(crate) fn format(time: SystemTime) -> String {
    let nanos = nanos(time);
    let (days, rest) = (nanos.div_euclid(DAY), nanos.rem_euclid(DAY));
    let (year, month, day) = date(days);
    let (seconds, fraction) = (rest / NANOS, rest % NANOS);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = match fraction {
        0 => String::new(),
        n if n % 1_000_000 == 0 => format!(".{:03}", n / 1_000_000),
        n if n % 1000 == 0 => format!(".{:06}", n / 1000),
        n => format!(".{n:09}"),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Reads what [`format`] writes, with any offset; also a date alone, which is its beginning.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00:00Z"));
    let mut parts = date.splitn(3, '-');
    let (year, month, day) =
        (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let (time, offset) = if let Some(time) = time.strip_suffix(['Z', 'z']) {
        (time, 0)
    } else {
        let sign = time.rfind(['+', '-'])?;
        let (hours, minutes) = time.get(sign + 1..)?.split_once(':')?;
        let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
        let offset = hours * 3600 + minutes * 60;
        let ahead = time.get(sign..)?.starts_with('+');
        (hours < 24 && minutes < 60).then_some((time.get(..sign)?, if ahead { offset } else { -offset }))?
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.splitn(3, ':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |text| number(text, 2))?;
    if hour > 23 || minute > 59 || second > 60 || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let fraction = format!("{fraction:0<9}");
    let days = i128::from(days(year, month, day));
    let seconds = i128::from(hour * 3600 + minute * 60 + second - offset);
    let nanos = days * DAY + seconds * NANOS + i128::from(number(&fraction, 9)?);
    let distance = u64::try_from(nanos.unsigned_abs()).ok().map(Duration::from_nanos)?;
    if nanos < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
}

/// Nanoseconds since 1970, before it negative.
pub(crate) fn nanos(time: SystemTime) -> i128 {
    let cast = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => cast(after),
        Err(before) => -cast(before.duration()),
    }
}

fn number(text: &str, digits: usize) -> Option<i64> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a date of the Gregorian calendar; years begin in March, so that the day that comes and goes is the
/// last (H. Hinnant, "chrono-compatible low-level date algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date(days: i128) -> (i128, i128, i128) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = year + era * 400 + i128::from(month <= 2);
    (year, month, of_year - (153 * march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_times_are_said_and_read() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (1_763_772_483_000_000_004, "2025-11-22T00:48:03.000000004Z"),
            (4_107_542_400_120_000_000, "2100-03-01T00:00:00.120Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_nanos(nanos);
            assert_eq!(format(time), text);
            assert_eq!(parse(text), Some(time));
        }
        assert_eq!(parse("2026-11-22"), parse("2026-11-22T00:00:00Z"));
        assert_eq!(parse("2026-11-22T02:30+02:30"), parse("2026-11-22 00:00:00Z"));
        assert_eq!(format(UNIX_EPOCH - Duration::from_nanos(1)), "1969-12-31T23:59:59.999999999Z");
        for text in [
            "",
            "2026",
            "2026-02-29",
            "2026-11-22T24:00:00Z",
            "2026-11-22T01:00:00",
            "2026-1-2",
            "20261122",
            "2026-11-22T00:00:00.Z",
            "2026-11-22T00:00:00+1:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_time_reads_back(nanos in 0..i64::MAX.unsigned_abs(), early in any::<bool>()) {
            let distance = Duration::from_nanos(nanos);
            let time = if early { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance };
            prop_assert_eq!(parse(&format(time)), Some(time));
        }

        #[test]
        fn any_text_is_refused_or_read(text in "[0-9TZ:.+ -]{0,35}|\\PC{0,20}") {
            parse(&text);
        }
    }
}
