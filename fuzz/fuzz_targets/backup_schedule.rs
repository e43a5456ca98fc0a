//! Any text as a schedule: what is taken reads back as it is shown, and is due at some moment after each.

#![no_main]

use std::time::{Duration, SystemTime};

use buttress_backup::{Cron, Schedule, Zone};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, u64)| {
    let (text, zone, second) = input;
    let Ok(cron) = text.parse::<Cron>() else { return };
    assert_eq!(cron.to_string().parse::<Cron>().as_ref(), Ok(&cron));
    let zone: Zone = zone.parse().unwrap_or_default();
    let schedule = Schedule::new(cron, zone).with_jitter(Duration::from_hours(1), text);
    // Until the year 9000, so that there is a year after it.
    let after = SystemTime::UNIX_EPOCH + Duration::from_secs(second % 221_845_000_000);
    let next = schedule.next(after).expect("what is taken is due at some time");
    assert!(next > after && schedule.is_due(Some(after), next) && !schedule.is_due(Some(next), next));
});
