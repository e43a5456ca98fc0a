//! What the configurations of all policies have in common.

use std::time::Duration;

use buttress_core::{Violations, units};

/// Times beyond this are typing errors, and would not fit everywhere.
const LONGEST: Duration = Duration::from_hours(24 * 366);

pub(crate) fn time(wrong: &mut Violations, field: &str, value: Duration, usual: Duration) {
    let holds = (Duration::from_millis(1)..=LONGEST).contains(&value);
    let remedy = format!("must be \"1ms\" to \"366d\"; \"{}\" is usual", units::format_duration(usual));
    wrong.require(holds, field, units::format_duration(value), remedy);
}

/// A name is a metric label: short, and of plain signs.
pub(crate) fn name(wrong: &mut Violations, value: &str) {
    let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let holds = (1..=64).contains(&value.len()) && value.chars().all(sign);
    wrong.require(holds, "name", format!("\"{value}\""), "must be 1 to 64 letters, digits, `-` and `_`");
}

/// A share of 0 to 1 as whole thousandths, rounded to the nearest.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
pub(crate) fn thousandths(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * 1000.0).round() as u64
}
