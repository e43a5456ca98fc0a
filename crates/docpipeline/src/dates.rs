//! Dates as ISO 8601.

/// Year, month and day of a day since 1970, by Howard Hinnant's `civil_from_days`.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A date of a PDF (ISO 32000-1, 7.9.4), `D:20240131120000+01'00'`, as far as it goes.
pub(crate) fn of_pdf(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches("D:");
    let digits: String = text.chars().take_while(char::is_ascii_digit).take(14).collect();
    let field = |at: usize| digits.get(at..at + 2);
    let mut date = digits.get(..4)?.to_owned();
    for (at, separator) in [(4, '-'), (6, '-'), (8, 'T'), (10, ':'), (12, ':')] {
        let Some(value) = field(at) else { break };
        date.push(separator);
        date.push_str(value);
        if at == 8 && field(10).is_none() {
            date.push_str(":00");
        }
    }
    if digits.len() >= 10 {
        let zone: String = text.chars().skip(digits.len()).filter(|c| *c != '\'').collect();
        match (zone.get(..1), zone.get(1..3), zone.get(3..5)) {
            (Some("Z"), ..) => date.push('Z'),
            (Some(sign @ ("+" | "-")), Some(hours), minutes) if hours.bytes().all(|b| b.is_ascii_digit()) => {
                date.push_str(sign);
                date.push_str(hours);
                date.push(':');
                date.push_str(minutes.filter(|m| m.bytes().all(|b| b.is_ascii_digit())).unwrap_or("00"));
            }
            _ => {}
        }
    }
    Some(date)
}

#[cfg(test)]
mod tests {
    use super::{civil, of_pdf};

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(-1), (1969, 12, 31));
        assert_eq!(civil(11_016), (2000, 2, 29));
    }

    #[test]
    fn pdf_dates_are_read_as_far_as_they_go() {
        assert_eq!(of_pdf("D:20240131120509+01'00'").as_deref(), Some("2024-01-31T12:05:09+01:00"));
        assert_eq!(of_pdf("D:20240131120509Z").as_deref(), Some("2024-01-31T12:05:09Z"));
        assert_eq!(of_pdf("D:2024").as_deref(), Some("2024"));
        assert_eq!(of_pdf("D:20240131").as_deref(), Some("2024-01-31"));
        assert_eq!(of_pdf("yesterday"), None);
    }
}
