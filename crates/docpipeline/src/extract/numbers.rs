//! Numbers as people see them: what the style of a cell makes of the number in it.

use std::collections::HashMap;

use crate::dates::civil;

/// Excel keeps this many digits.
const DIGITS: usize = 15;

/// How a number reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::extract) enum NumberFormat {
    Plain,
    Percent,
    Date,
    Time,
    /// Hours that go on past midnight.
    Elapsed,
    DateTime,
}

/// The number formats of the cell styles of a workbook.
pub(in crate::extract) struct NumberStyles {
    formats: Vec<NumberFormat>,
    since_1904: bool,
}

impl NumberStyles {
    /// The formats of the styles, in the order in which cells count them.
    pub(in crate::extract) fn new(formats: Vec<NumberFormat>, since_1904: bool) -> Self {
        Self { formats, since_1904 }
    }

    /// The number as a cell of `style` shows it.
    pub(in crate::extract) fn print_number(&self, number: f64, style: usize) -> String {
        let moment = || serial(number, self.since_1904);
        match self.formats.get(style).copied().unwrap_or(NumberFormat::Plain) {
            NumberFormat::Plain => plain(number),
            NumberFormat::Percent => format!("{}%", plain(number * 100.0)),
            NumberFormat::Elapsed => elapsed(number).unwrap_or_else(|| plain(number)),
            NumberFormat::Date => moment().map_or_else(|| plain(number), |(date, _)| date),
            NumberFormat::Time => moment().map_or_else(|| plain(number), |(_, time)| time),
            NumberFormat::DateTime => {
                moment().map_or_else(|| plain(number), |(date, time)| format!("{date} {time}"))
            }
        }
    }

    /// The number that stands in the file as `raw`, as a cell of `style` shows it.
    pub(in crate::extract) fn print(&self, raw: &str, style: usize) -> String {
        let format = self.formats.get(style).copied().unwrap_or(NumberFormat::Plain);
        if format == NumberFormat::Plain && is_short(raw) {
            return raw.to_owned();
        }
        match raw.parse::<f64>().ok().filter(|number| number.is_finite()) {
            Some(number) => self.print_number(number, style),
            None => raw.to_owned(),
        }
    }
}

impl NumberFormat {
    /// The format with this number: one that the workbook defines, or one that needs no code.
    pub(in crate::extract) fn of_id(id: u32, defined: &HashMap<u32, Self>) -> Self {
        defined.get(&id).copied().unwrap_or_else(|| built_in_format(id))
    }
}

/// The formats that need no code (ECMA-376 part 1, 18.8.30).
fn built_in_format(id: u32) -> NumberFormat {
    match id {
        9 | 10 => NumberFormat::Percent,
        14..=17 | 27..=31 | 36 | 50..=54 | 57 | 58 => NumberFormat::Date,
        18..=21 | 32..=35 | 45 | 47 | 55 | 56 => NumberFormat::Time,
        46 => NumberFormat::Elapsed,
        22 => NumberFormat::DateTime,
        _ => NumberFormat::Plain,
    }
}

/// What a format code makes of a number: quoted text, escapes and bracketed conditions do not count.
pub(in crate::extract) fn format_of_code(code: &str) -> NumberFormat {
    let code = code.to_ascii_lowercase();
    if code.contains("general") {
        return NumberFormat::Plain;
    }
    let (mut date, mut time, mut month, mut percent) = (false, false, false, false);
    let mut characters = code.split(';').next().unwrap_or_default().chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => while characters.next().is_some_and(|c| c != '"') {},
            '\\' | '_' | '*' => {
                characters.next();
            }
            '[' => {
                let inside: String = characters.by_ref().take_while(|c| *c != ']').collect();
                // Anything else in brackets is a colour, a locale or a condition.
                if matches!(inside.as_str(), "h" | "hh" | "m" | "mm" | "s" | "ss") {
                    return NumberFormat::Elapsed;
                }
            }
            'y' | 'd' => date = true,
            'h' | 's' => time = true,
            // Months or minutes, by what stands beside it.
            'm' => month = true,
            '%' => percent = true,
            _ => {}
        }
    }
    match (date || month && !time, time) {
        (true, true) => NumberFormat::DateTime,
        (true, false) => NumberFormat::Date,
        (false, true) => NumberFormat::Time,
        (false, false) if percent => NumberFormat::Percent,
        (false, false) => NumberFormat::Plain,
    }
}

/// Whether a number stands in the file as people write it.
fn is_short(raw: &str) -> bool {
    raw.len() <= DIGITS && raw.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'))
}

/// The number with the digits that Excel keeps: 0.1 + 0.2 is 0.3.
fn plain(number: f64) -> String {
    let rounded: f64 = format!("{number:.*e}", DIGITS - 1).parse().unwrap_or(number);
    let size = rounded.abs();
    if size >= 1e15 || (size > 0.0 && size < 1e-9) { format!("{rounded:E}") } else { rounded.to_string() }
}

/// The date and time of a serial number of days.
fn serial(number: f64, since_1904: bool) -> Option<(String, String)> {
    let (mut days, second) = days_and_seconds(number)?;
    if since_1904 {
        days += 1462;
    }
    // Day 60 is the 29th of February 1900, which never was; the days before it are one off.
    let days_to_1970 = if days < 60 { 25_568 } else { 25_569 };
    let (year, month, day) = civil(i64::try_from(days).ok()? - days_to_1970);
    Some((format!("{year:04}-{month:02}-{day:02}"), clock(second / 3600, second)))
}

fn elapsed(number: f64) -> Option<String> {
    let (days, second) = days_and_seconds(number)?;
    Some(clock(days * 24 + second / 3600, second))
}

/// Whole days, and the seconds after them; `None` past the year 9999, which Excel does not know.
fn days_and_seconds(number: f64) -> Option<(u64, u64)> {
    if !(0.0..2_958_466.0).contains(&number) {
        return None;
    }
    // In range by the check above; cells show no more than whole seconds.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let seconds = (number * 86_400.0).round() as u64;
    Some((seconds / 86_400, seconds % 86_400))
}

/// Hours, minutes, and seconds if there are any.
fn clock(hours: u64, second: u64) -> String {
    let (minute, second) = (second / 60 % 60, second % 60);
    if second == 0 {
        format!("{hours:02}:{minute:02}")
    } else {
        format!("{hours:02}:{minute:02}:{second:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::{NumberFormat, elapsed, format_of_code, plain, serial};

    #[test]
    fn serials_are_the_dates_that_excel_shows() {
        let date = |number| serial(number, false).map(|(date, _)| date);
        let time = |number| serial(number, false).map(|(_, time)| time);
        assert_eq!(date(1.0).as_deref(), Some("1900-01-01"));
        assert_eq!(date(61.0).as_deref(), Some("1900-03-01"));
        assert_eq!(date(45_292.0).as_deref(), Some("2024-01-01"));
        assert_eq!(date(2_958_465.0).as_deref(), Some("9999-12-31"));
        assert_eq!(date(-1.0), None);
        assert_eq!(time(45_292.75).as_deref(), Some("18:00"));
        assert_eq!(time(0.5 + 1.0 / 86_400.0).as_deref(), Some("12:00:01"));
        assert_eq!(serial(0.0, true).map(|(date, _)| date).as_deref(), Some("1904-01-01"));
        assert_eq!(elapsed(1.25).as_deref(), Some("30:00"));
    }

    #[test]
    fn format_codes_tell_dates_from_numbers() {
        for (code, format) in [
            ("General", NumberFormat::Plain),
            ("#,##0.00 \"days\"", NumberFormat::Plain),
            ("[Red]0.00", NumberFormat::Plain),
            ("0.0%", NumberFormat::Percent),
            ("dd.mm.yyyy", NumberFormat::Date),
            ("mmm", NumberFormat::Date),
            ("mm:ss", NumberFormat::Time),
            ("[h]:mm:ss", NumberFormat::Elapsed),
            ("[$-407]d. mmmm yyyy hh:mm", NumberFormat::DateTime),
        ] {
            assert_eq!(format_of_code(code), format, "{code}");
        }
    }

    #[test]
    fn numbers_have_fifteen_digits() {
        assert_eq!(plain(0.1 + 0.2), "0.3");
        assert_eq!(plain(1234.0), "1234");
        assert_eq!(plain(1e20), "1E20");
    }
}
