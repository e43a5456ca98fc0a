//! When a schedule is due: beside a walk over every minute of three years, in zones whose clocks change.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use buttress_backup::{Cron, Schedule, Zone};
use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;

const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];
/// 2026-01-01 00:00 UTC, and three years of minutes, one of them a leap year.
const START: i64 = 1_767_225_600;
const MINUTES: usize = 60 * 24 * 1_096;

fn at(text: &str) -> SystemTime {
    text.parse::<Timestamp>().unwrap().into()
}

fn schedule(cron: &str, zone: &str) -> Schedule {
    Schedule::new(cron.parse().unwrap(), zone.parse().unwrap())
}

/// The coming `count` moments, as people in UTC write them.
fn coming(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    let mut last = at(after);
    let moments = std::iter::from_fn(|| {
        last = schedule.next(last)?;
        Some(Timestamp::try_from(last).unwrap().to_string())
    });
    moments.take(count).collect()
}

/// A minute of the clock on the wall.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Wall {
    /// Minutes since some midnight.
    number: i64,
    minute: u8,
    hour: u8,
    day: u8,
    month: u8,
    weekday: u8,
}

fn wall(number: i64) -> Wall {
    let (day, minute) = (number.div_euclid(1_440), number.rem_euclid(1_440));
    let date = &days()[usize::try_from(day - START / 86_400 + 1).unwrap()];
    let (hour, minute) = (u8::try_from(minute / 60).unwrap(), u8::try_from(minute % 60).unwrap());
    Wall { number, minute, hour, ..*date }
}

/// The dates from one day before the first on.
fn days() -> &'static [Wall] {
    static DAYS: OnceLock<Vec<Wall>> = OnceLock::new();
    DAYS.get_or_init(|| {
        let day = |day: i64| {
            let date = Timestamp::from_second(START + 86_400 * day).unwrap().to_zoned(TimeZone::UTC);
            Wall {
                number: 0,
                minute: 0,
                hour: 0,
                day: date.day().unsigned_abs(),
                month: date.month().unsigned_abs(),
                weekday: date.weekday().to_sunday_zero_offset().unsigned_abs(),
            }
        };
        (-1..1_100).map(day).collect()
    })
}

/// What the clocks of a zone show, minute by minute.
fn walls(zone: usize) -> &'static [Wall] {
    static ALL: [OnceLock<Vec<Wall>>; 4] = [const { OnceLock::new() }; 4];
    ALL[zone].get_or_init(|| {
        let tz = TimeZone::get(ZONES[zone]).unwrap();
        let shown = |minute: usize| {
            let second = START + 60 * i64::try_from(minute).unwrap();
            let offset = tz.to_offset(Timestamp::from_second(second).unwrap()).seconds();
            wall((second + i64::from(offset)) / 60)
        };
        (0..MINUTES).map(shown).collect()
    })
}

/// A schedule as sets, of which the text is made and not the other way round.
#[derive(Debug, Clone)]
struct Sets {
    minutes: BTreeSet<u8>,
    hours: BTreeSet<u8>,
    days: Option<BTreeSet<u8>>,
    months: BTreeSet<u8>,
    weekdays: Option<BTreeSet<u8>>,
}

impl Sets {
    fn text(&self) -> String {
        let list = |set: &BTreeSet<u8>| set.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
        let free = |set: &Option<BTreeSet<u8>>| set.as_ref().map_or("*".to_owned(), list);
        let (minutes, hours, months) = (list(&self.minutes), list(&self.hours), list(&self.months));
        format!("{minutes} {hours} {} {months} {}", free(&self.days), free(&self.weekdays))
    }

    fn on(&self, wall: &Wall) -> bool {
        let day = match (&self.days, &self.weekdays) {
            (Some(days), Some(weekdays)) => days.contains(&wall.day) || weekdays.contains(&wall.weekday),
            (days, weekdays) => {
                days.as_ref().is_none_or(|days| days.contains(&wall.day))
                    && weekdays.as_ref().is_none_or(|weekdays| weekdays.contains(&wall.weekday))
            }
        };
        let time = self.minutes.contains(&wall.minute) && self.hours.contains(&wall.hour);
        time && day && self.months.contains(&wall.month)
    }

    /// The first minute from `from` on in which it is due.
    fn next(&self, walls: &[Wall], from: usize) -> Option<usize> {
        (from.max(1)..walls.len()).find(|&at| {
            let (before, now) = (&walls[at - 1], &walls[at]);
            // Twice: the clocks showed the same in the three hours before.
            let again = || walls[at.saturating_sub(180)..at].iter().any(|one| one.number == now.number);
            let due = self.on(now) && (self.hours.len() == 24 || !again());
            due || (before.number + 1..now.number).any(|skipped| self.on(&wall(skipped)))
        })
    }
}

fn sets() -> impl Strategy<Value = Sets> {
    let all = |from: u8, to: u8| Just((from..=to).collect::<BTreeSet<_>>());
    let some = |from: u8, to: u8| prop::collection::btree_set(from..=to, 1..4);
    let minutes = prop_oneof![1 => all(0, 59), 4 => some(0, 59)];
    // The hours in which clocks are changed.
    let hours = prop_oneof![2 => all(0, 23), 2 => some(0, 23), 2 => some(0, 4)];
    let days = prop_oneof![3 => Just(None), 1 => some(1, 31).prop_map(Some)];
    let months = prop_oneof![3 => all(1, 12), 1 => some(1, 12)];
    let weekdays = prop_oneof![3 => Just(None), 1 => some(0, 6).prop_map(Some)];
    (minutes, hours, days, months, weekdays).prop_map(|(minutes, hours, days, months, weekdays)| Sets {
        minutes,
        hours,
        days,
        months,
        weekdays,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn it_is_due_when_a_walk_over_all_minutes_says(
        sets in sets(), zone in 0..ZONES.len(), start in 0..MINUTES, at_change in any::<bool>(), seconds in 0_u32..60,
    ) {
        let walls = walls(zone);
        // Half of the walks begin shortly before the clocks change.
        let change = |at: &usize| walls[*at].number != walls[*at - 1].number + 1;
        let start = if at_change { (start.max(1)..MINUTES).find(change).unwrap_or(start).saturating_sub(150) } else { start };
        let Ok(cron) = sets.text().parse::<Cron>() else {
            // 30 February alone.
            prop_assert_eq!(sets.next(walls, 0), None);
            return Ok(());
        };
        let schedule = Schedule::new(cron, ZONES[zone].parse().unwrap());
        let moment = |minute: usize| {
            SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(START).unwrap() + 60 * minute as u64)
        };
        let mut last = moment(start) + Duration::from_secs(seconds.into());
        let mut from = start + 1;
        for _ in 0..60 {
            let Some(expected) = sets.next(walls, from) else { break };
            let next = schedule.next(last).unwrap();
            prop_assert_eq!(next, moment(expected), "{:?} in {} after {:?}", schedule, ZONES[zone], last);
            prop_assert!(schedule.is_due(Some(last), next) && !schedule.is_due(Some(next), next));
            last = next;
            from = expected + 1;
        }
    }

    #[test]
    fn any_text_is_a_schedule_or_refused(text in "[-*/,0-9a-z@ ]{0,24}") {
        if let Ok(cron) = text.parse::<Cron>() {
            let shown = cron.to_string();
            prop_assert_eq!(shown.parse::<Cron>().unwrap(), cron.clone());
            let now = at("2026-01-01T00:00:00Z");
            let next = Schedule::new(cron, Zone::UTC).next(now);
            prop_assert!(next.is_some_and(|next| next > now));
        }
    }
}

#[test]
fn the_night_in_which_summer_begins() {
    let berlin = |cron| schedule(cron, "Europe/Berlin");
    // At 01:00 UTC the clocks go from 2 to 3 o'clock.
    assert_eq!(
        coming(&berlin("30 2 * * *"), "2026-03-28T00:00:00Z", 3),
        ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    );
    // Several times that were left out are one run, as is one of them with the time itself.
    assert_eq!(
        coming(&berlin("0,15,30,45 2,3 * * *"), "2026-03-29T00:00:00Z", 2),
        ["2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z"]
    );
    assert_eq!(
        coming(&schedule("15 2 * * *", "Australia/Lord_Howe"), "2026-10-03T00:00:00Z", 2),
        ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"]
    );
}

#[test]
fn the_night_in_which_summer_ends() {
    // At 01:00 UTC the clocks go from 3 to 2 o'clock.
    let berlin = |cron| schedule(cron, "Europe/Berlin");
    assert_eq!(
        coming(&berlin("30 2 * * *"), "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    // Every hour is every hour.
    assert_eq!(
        coming(&berlin("30 * * * *"), "2026-10-25T00:00:00Z", 3),
        ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"]
    );
}

/// Newfoundland's clocks went from one past midnight back into the day before.
#[test]
fn a_day_that_began_twice() {
    assert_eq!(
        coming(&schedule("30 * * * *", "America/St_Johns"), "2010-11-07T02:30:30Z", 2),
        ["2010-11-07T03:00:00Z", "2010-11-07T04:00:00Z"]
    );
}

#[test]
fn a_day_that_was_left_out_and_a_midnight_that_was() {
    // Samoa had no 30 December 2011, and clocks in Brazil went from midnight to one.
    assert_eq!(
        coming(&schedule("0 12 * * *", "Pacific/Apia"), "2011-12-29T12:00:00Z", 3),
        ["2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"]
    );
    assert_eq!(
        coming(&schedule("@daily", "America/Sao_Paulo"), "2018-11-03T12:00:00Z", 2),
        ["2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"]
    );
}

#[test]
fn what_is_rare_is_found() {
    assert_eq!(coming(&schedule("0 0 29 2 *", "UTC"), "2096-03-01T00:00:00Z", 1), ["2104-02-29T00:00:00Z"]);
    assert_eq!(coming(&schedule("@yearly", "UTC"), "2026-01-01T00:00:00Z", 1), ["2027-01-01T00:00:00Z"]);
    // Either day is enough.
    assert_eq!(
        coming(&schedule("0 0 13 * fri", "UTC"), "2026-11-05T12:00:00Z", 3),
        ["2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z"]
    );
    let end = SystemTime::from(Timestamp::MAX);
    assert_eq!(schedule("@yearly", "UTC").next(end), None);
    assert_eq!(schedule("@yearly", "UTC").next(end + Duration::from_hours(100_000)), None);
}

#[test]
fn ways_to_write_the_same() {
    for (one, other) in [
        ("0 2 * * *", "0  2 *\t* *"),
        ("*/20 * * * *", "0,20,40 * * * *"),
        ("0 0 * jan-mar MON-Fri", "0 0 * 1,2,3 1-5"),
        ("0 0 * * 7", "@weekly"),
        ("5-20/5 * * * *", "5,10,15,20 * * * *"),
        ("0 0 * * 5-7", "0 0 * * fri,sat,sun"),
    ] {
        let (a, b) = (schedule(one, "UTC"), schedule(other, "UTC"));
        assert_eq!(coming(&a, "2026-01-01T00:00:30Z", 50), coming(&b, "2026-01-01T00:00:30Z", 50), "{one}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (text, problem) in [
        ("", "it has 0 fields"),
        ("0 2 * *", "it has 4 fields"),
        ("0 0 2 * * *", "it has 6 fields"),
        ("60 * * * *", "the minute `60` must be 0 to 59"),
        ("0 24 * * *", "the hour `24` must be 0 to 23"),
        ("0 0 0 * *", "the day of the month `0` must be 1 to 31"),
        ("0 0 * foo *", "the month `foo` must be 1 to 12 or jan to dec"),
        ("0 0 * * 8", "the day of the week `8` must be 0 to 7 or sun to sat"),
        ("0 22-2 * * *", "the hour `22-2` runs backwards"),
        ("*/0 * * * *", "the minute `*/0` must step by 1 to 59"),
        ("*/99999999999 * * * *", "must step by 1 to 59"),
        ("5/10 * * * *", "the minute `5/10` steps from a single number; write `5-59/…`"),
        ("+5 * * * *", "the minute `+5` must be"),
        ("0 0 30 2 *", "none of its months has such a day"),
        ("@reboot", "of such words there are"),
        (", * * * *", "the minute `` must be"),
    ] {
        let error = text.parse::<Cron>().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("`{text}` is no schedule: ")) && error.contains(problem),
            "{error}"
        );
    }
    assert!("1,".repeat(1_000).parse::<Cron>().unwrap_err().to_string().len() < 200);
}

#[test]
fn what_was_missed_is_due_once() {
    let hourly = schedule("0 * * * *", "UTC");
    let (last, now) = (at("2026-01-01T00:00:00Z"), at("2026-01-04T12:34:56Z"));
    assert!(hourly.is_due(Some(last), now));
    assert!(!hourly.is_due(Some(now), now));
    assert!(!hourly.is_due(Some(last), at("2026-01-01T00:59:59Z")));
    assert!(hourly.is_due(Some(last), at("2026-01-01T01:00:00Z")));
    assert!(hourly.is_due(None, now));
    // The clock was put back: a run in the future is no run.
    assert!(hourly.is_due(Some(now), last));
}

#[test]
fn jitter_keeps_its_distance() {
    let hourly = || schedule("0 * * * *", "UTC");
    let most = Duration::from_mins(10);
    let moments = |name: &str| coming(&hourly().with_jitter(most, name), "2026-01-01T00:00:00Z", 3);
    let names: Vec<_> = (0..100).map(|number| format!("host-{number}")).collect();
    let firsts: BTreeSet<_> = names.iter().map(|name| moments(name)[0].clone()).collect();
    // A hundred among 601 seconds.
    assert!(firsts.len() > 70, "{}", firsts.len());
    for name in &names {
        let all: Vec<_> = moments(name).iter().map(|one| at(one)).collect();
        assert_eq!(moments(name), moments(name));
        assert!(all[0] >= at("2026-01-01T00:00:00Z") && all[0] <= at("2026-01-01T01:10:00Z"));
        assert!(
            all.windows(2).all(|pair| pair[1].duration_since(pair[0]).unwrap() == Duration::from_hours(1))
        );
    }
    // A night's job with a jitter of hours, asked in the middle of it.
    let nightly = schedule("0 23 * * *", "UTC").with_jitter(Duration::from_hours(12), "host-7");
    let first = nightly.next(at("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(nightly.next(first - Duration::from_secs(1)), Some(first));
    assert_eq!(nightly.next(first), Some(first + Duration::from_hours(24)));
}

/// A clock that counts a leap second stands still for it, or says 23:59:59 twice: no run is left out or done twice.
#[test]
fn a_leap_second_is_no_minute_of_its_own() {
    let (before, leap) = ("2016-12-31T23:59:59Z", "2016-12-31T23:59:60Z");
    assert_eq!(at(leap), at(before));
    for zone in ["UTC", "Asia/Kolkata"] {
        let each_minute = schedule("* * * * *", zone);
        let expected = ["2016-12-31T23:59:00Z", "2017-01-01T00:00:00Z", "2017-01-01T00:01:00Z"];
        assert_eq!(coming(&each_minute, "2016-12-31T23:58:59Z", 3), expected);
        assert_eq!(coming(&each_minute, leap, 2), expected[1..]);
        // What was done at 23:59 is done, before and in the leap second.
        assert!(!each_minute.is_due(Some(at(expected[0])), at(leap)));
        assert!(each_minute.is_due(Some(at(leap)), at(expected[1])));
    }
    assert_eq!(coming(&schedule("@yearly", "UTC"), leap, 1), ["2017-01-01T00:00:00Z"]);
}
