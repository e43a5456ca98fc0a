//! What retention keeps: beside a model that is too simple to be wrong, beside restic, and in the corners of the calendar.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod model;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, SystemTime};

use buttress_backup::{Id, Period, Plan, Reason, Retention, SnapshotInfo, Zone};
use buttress_core::Validate;
use buttress_testkit::Program;
use jiff::Timestamp;
use model::model;
use proptest::prelude::*;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn at(text: &str) -> SystemTime {
    text.parse::<Timestamp>().unwrap().into()
}

fn snapshot(name: impl AsRef<[u8]>, time: SystemTime) -> SnapshotInfo {
    SnapshotInfo::new(Id::of(name.as_ref()), time)
}

/// Snapshots of these times, each the name of itself.
fn snapshots(times: &[&str]) -> Vec<SnapshotInfo> {
    times.iter().map(|time| snapshot(time, at(time))).collect()
}

fn policy(change: impl FnOnce(&mut Retention)) -> Retention {
    let mut policy = Retention::none();
    change(&mut policy);
    policy
}

fn kept(plan: &Plan) -> BTreeSet<Id> {
    plan.keep.iter().map(|keep| keep.id).collect()
}

/// The names of those that are kept, in the order of `all`.
fn names<'a>(plan: &Plan, all: &[&'a str]) -> Vec<&'a str> {
    let kept = kept(plan);
    all.iter().filter(|name| kept.contains(&Id::of(name.as_bytes()))).copied().collect()
}

fn reasons(plan: &Plan, name: &str) -> Vec<Reason> {
    let id = Id::of(name.as_bytes());
    plan.keep.iter().filter(|keep| keep.id == id).flat_map(|keep| keep.reasons.clone()).collect()
}

fn zones() -> impl Strategy<Value = Zone> {
    prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
    ])
    .prop_map(|name| name.parse().unwrap())
}

fn policies() -> impl Strategy<Value = Retention> {
    let count = || prop_oneof![3 => Just(0_u32), 3 => 1_u32..6, 1 => Just(u32::MAX)];
    let span = || prop_oneof![2 => Just(None), 1 => (1_u64..20_000).prop_map(|hours| Some(Duration::from_hours(hours)))];
    let counts = (count(), count(), count(), count(), count(), count());
    let spans = (span(), span(), span(), span(), span(), span());
    (counts, spans, zones()).prop_filter_map("keeps something", |(counts, spans, zone)| {
        let policy = policy(|policy| {
            (policy.last, policy.hourly, policy.daily, policy.weekly, policy.monthly, policy.yearly) = counts;
            (policy.within, policy.within_hourly, policy.within_daily) = (spans.0, spans.1, spans.2);
            (policy.within_weekly, policy.within_monthly, policy.within_yearly) = (spans.3, spans.4, spans.5);
            policy.tags = vec!["pin".to_owned()];
            policy.time_zone = zone;
        });
        policy.validate().is_ok().then_some(policy)
    })
}

/// Histories: dense ones around a change of the clocks, and sparse ones over years.
fn histories() -> impl Strategy<Value = Vec<SnapshotInfo>> {
    let step = prop_oneof![Just(60_u64), Just(1_800), Just(3_600), Just(86_400), Just(30 * 86_400)];
    let one = (0_u64..100, prop::option::of(0_u64..8), 0_u8..12, any::<bool>());
    let starts =
        ["2026-03-28T00:00:00Z", "2026-10-24T12:00:00Z", "2023-12-20T00:00:00Z", "2026-04-04T06:00:00Z"];
    (step, prop::sample::select(starts.to_vec()), prop::collection::vec(one, 0..60)).prop_map(
        |(step, start, all)| {
            let mut number = 0_u32;
            all.into_iter()
                .map(|(steps, size, luck, host)| {
                    number += 1;
                    let mut info =
                        snapshot(number.to_be_bytes(), at(start) + Duration::from_secs(step * steps));
                    info.size = size;
                    info.verified = luck == 0;
                    info.tags.extend((luck == 1).then(|| "pin".to_owned()));
                    info.host.push(if host { 'a' } else { 'b' });
                    info
                })
                .collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn it_keeps_what_the_model_keeps(policy in policies(), all in histories(), hours in 0_u64..5_000) {
        let now = at("2026-03-27T00:00:00Z") + HOUR * u32::try_from(hours).unwrap();
        let plan = policy.plan(&all, now).unwrap();
        prop_assert_eq!(kept(&plan), model(&policy, &all, now));
        prop_assert!(plan.keep.iter().all(|keep| !keep.reasons.is_empty()));
        prop_assert!(plan.disputed.is_empty());
    }

    #[test]
    fn each_is_kept_or_removed_and_what_is_kept_stays_kept(policy in policies(), mut all in histories(), shift in 0_u64..2_000) {
        let now = at("2028-01-01T00:00:00Z");
        for (number, one) in all.iter_mut().enumerate() {
            // Some the store saw at another time than the client says.
            one.first_seen = (number % 3 == 0).then(|| one.time + HOUR * u32::try_from(shift).unwrap());
        }
        let plan = policy.plan(&all, now).unwrap();
        let all_ids: BTreeSet<_> = all.iter().map(|one| one.id).collect();
        let removed: BTreeSet<_> = plan.remove.iter().copied().collect();
        prop_assert!(kept(&plan).is_disjoint(&removed));
        prop_assert_eq!(kept(&plan).union(&removed).copied().collect::<BTreeSet<_>>(), all_ids);
        prop_assert!(all.is_empty() || !plan.keep.is_empty());
        let stored = |one: &&SnapshotInfo| (one.stored(), one.id);
        for host in ["a", "b"] {
            let of_host = || all.iter().filter(|one| one.host == host);
            let verified = of_host().filter(|one| one.verified && one.stored() <= now).max_by_key(stored);
            prop_assert!(verified.is_none_or(|one| !removed.contains(&one.id)));
            prop_assert!(of_host().max_by_key(stored).is_none_or(|one| !removed.contains(&one.id)));
        }
        // The order of a listing says nothing, nor does an object that it shows twice.
        let mut twice = all.clone();
        twice.extend(all.iter().cloned());
        twice.reverse();
        prop_assert_eq!(&policy.plan(&twice, now).unwrap(), &plan);
        all.retain(|one| kept(&plan).contains(&one.id));
        prop_assert_eq!(policy.plan(&all, now).unwrap().remove, Vec::<Id>::new());
    }

    /// Somebody with the key of a writer adds whatever they like: no snapshot goes that would have stayed without, but for the places that
    /// theirs take in the hour, day, … in which the store saw them.
    #[test]
    fn forged_times_remove_nothing_of_former_days(policy in policies(), honest in histories(), forged in prop::collection::vec(-4_000_i64..4_000, 1..80)) {
        let now = at("2036-06-15T12:00:00Z");
        let mut all = honest.clone();
        for one in &mut all {
            one.first_seen = Some(one.time);
        }
        let counted = policy.clone();
        let before = kept(&counted.plan(&all, now).unwrap());
        let mut attacked = all.clone();
        for (number, days) in forged.iter().enumerate() {
            let by = DAY * u32::try_from(days.unsigned_abs()).unwrap();
            let time = if *days < 0 { now - by } else { now + by };
            let mut one = snapshot(format!("forged {number}"), time);
            one.first_seen = Some(now);
            one.host = "a".to_owned();
            attacked.push(one);
        }
        let after = kept(&policy.plan(&attacked, now).unwrap());
        // One bucket of each class at most is theirs: what the policy would keep with one place less.
        let less = |count: u32| if count == u32::MAX { count } else { count.saturating_sub(1) };
        let mut smaller = policy.clone();
        smaller.last = 0;
        (smaller.hourly, smaller.daily, smaller.weekly) = (less(policy.hourly), less(policy.daily), less(policy.weekly));
        (smaller.monthly, smaller.yearly) = (less(policy.monthly), less(policy.yearly));
        (smaller.within, smaller.within_hourly, smaller.within_daily) = (None, None, None);
        (smaller.within_weekly, smaller.within_monthly, smaller.within_yearly) = (None, None, None);
        if smaller.validate().is_ok() {
            let due: BTreeSet<_> = smaller.plan(&all, now).unwrap().keep.into_iter()
                .filter(|keep| keep.reasons.iter().any(|reason| matches!(reason, Reason::Period(_) | Reason::Tag(_))))
                .map(|keep| keep.id)
                .collect();
            prop_assert!(due.is_subset(&before) && due.is_subset(&after), "{:?}", due.difference(&after));
        }
    }
}

#[test]
fn the_default_is_thirty_days_and_seven_years() {
    // Every hour from 2018 on, as years of running would leave it if nothing had been removed.
    let (start, now) = (at("2018-01-01T00:30:00Z"), at("2026-07-10T12:00:00Z"));
    let hours = u32::try_from(now.duration_since(start).unwrap().as_secs() / 3_600).unwrap();
    let all: Vec<_> = (0..=hours).map(|hour| start + HOUR * hour).collect();
    let all: Vec<_> = all.iter().map(|time| snapshot(format!("{time:?}"), *time)).collect();
    let plan = Retention::default().plan(&all, now).unwrap();
    let count = |reason: &Reason| plan.keep.iter().filter(|keep| keep.reasons.contains(reason)).count();
    assert_eq!(count(&Reason::Last), 3);
    assert_eq!(count(&Reason::Period(Period::Hour)), 24);
    assert_eq!(count(&Reason::Period(Period::Day)), 30);
    assert_eq!(count(&Reason::Period(Period::Year)), 7);
    // Today's last is the first of each; yesterday's 23:30 is an hour and a day; December's are their own.
    assert_eq!(plan.keep.len(), 24 + 28 + 6);
    assert_eq!(plan.keep.len() + plan.remove.len(), all.len());
}

#[test]
fn a_policy_that_keeps_nothing_is_refused() {
    let error = Retention::none()
        .plan(&snapshots(&["2026-01-01T00:00:00Z"]), at("2026-01-02T00:00:00Z"))
        .unwrap_err();
    assert!(error.to_string().contains("nothing would be kept"), "{error}");
    let read = |json: &str| serde_json::from_str::<Retention>(json);
    assert_eq!(read("{}").unwrap(), Retention::default());
    assert_eq!(
        read(r#"{"daily": 7, "within": "3d", "time_zone": "Europe/Berlin"}"#).unwrap().within,
        Some(DAY * 3)
    );
    for wrong in
        [r#"{"dayly": 7}"#, r#"{"daily": -1}"#, r#"{"time_zone": "Mars/Olympus"}"#, r#"{"within": "7"}"#]
    {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    for wrong in [r#"{"within": "1s"}"#, r#"{"ids": ["xyz"]}"#, r#"{"ids": ["e3b0"]}"#, r#"{"tags": [""]}"#] {
        assert!(read(wrong).unwrap().validate().is_err(), "{wrong}");
    }
}

#[test]
fn a_day_has_23_or_25_hours_when_the_clocks_change() {
    let berlin = |change: fn(&mut Retention)| {
        policy(|policy| {
            policy.time_zone = "Europe/Berlin".parse().unwrap();
            change(policy);
        })
    };
    // 29 March 2026 is 23 hours long in Berlin, from 23:00 to 22:00 UTC.
    let spring =
        ["2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z"];
    let plan = berlin(|policy| policy.daily = 9).plan(&snapshots(&spring), at(spring[3])).unwrap();
    assert_eq!(names(&plan, &spring), [spring[0], spring[2], spring[3]]);
    // 25 October is 25 hours long, and the hour from 2 to 3 is there twice: two hours.
    let autumn = [
        "2026-10-25T00:10:00Z",
        "2026-10-25T00:50:00Z",
        "2026-10-25T01:10:00Z",
        "2026-10-25T01:50:00Z",
        "2026-10-25T22:59:59Z",
    ];
    let plan = berlin(|policy| policy.hourly = 9).plan(&snapshots(&autumn), at(autumn[4])).unwrap();
    assert_eq!(names(&plan, &autumn), [autumn[1], autumn[3], autumn[4]]);
    let plan = berlin(|policy| policy.daily = 9).plan(&snapshots(&autumn), at(autumn[4])).unwrap();
    assert_eq!(names(&plan, &autumn), [autumn[4]]);
}

#[test]
fn leap_days_and_weeks_at_the_turn_of_the_year() {
    let days = ["2028-02-28T12:00:00Z", "2028-02-29T12:00:00Z", "2028-03-01T12:00:00Z"];
    let plan = policy(|policy| policy.daily = 3).plan(&snapshots(&days), at(days[2])).unwrap();
    assert_eq!(names(&plan, &days), days);
    let plan = policy(|policy| policy.monthly = 2).plan(&snapshots(&days), at(days[2])).unwrap();
    assert_eq!(names(&plan, &days), [days[1], days[2]]);
    // Week 53 of 2026 is Monday 28 December to Sunday 3 January.
    let turn =
        ["2026-12-27T12:00:00Z", "2026-12-28T12:00:00Z", "2027-01-03T12:00:00Z", "2027-01-04T12:00:00Z"];
    let plan = policy(|policy| policy.weekly = 9).plan(&snapshots(&turn), at(turn[3])).unwrap();
    assert_eq!(names(&plan, &turn), [turn[0], turn[2], turn[3]]);
    let plan = policy(|policy| policy.yearly = 9).plan(&snapshots(&turn), at(turn[3])).unwrap();
    assert_eq!(names(&plan, &turn), [turn[1], turn[3]]);
}

/// A leap second belongs to the minute, and the year, that it ends.
#[test]
fn a_leap_second_is_of_the_old_year() {
    let turn = ["2016-12-31T23:59:58Z", "2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"];
    for period in [
        |policy: &mut Retention| policy.hourly = 9,
        |policy: &mut Retention| policy.daily = 9,
        |policy: &mut Retention| policy.monthly = 9,
        |policy: &mut Retention| policy.yearly = 9,
    ] {
        let plan = policy(period).plan(&snapshots(&turn), at(turn[1])).unwrap();
        assert_eq!(names(&plan, &turn), turn[1..]);
    }
    // A clock that is set back by the second after it was counted has two snapshots of one second: neither is lost for that.
    let twice = [snapshot("one", at(turn[1])), snapshot("other", at("2016-12-31T23:59:59Z"))];
    let plan = policy(|policy| policy.last = 2).plan(&twice, at(turn[2])).unwrap();
    assert_eq!((plan.keep.len(), plan.remove), (2, Vec::new()));
}

#[test]
fn holds_and_pins_stay_for_ever() {
    let days =
        ["2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z", "2020-01-03T00:00:00Z", "2026-01-04T00:00:00Z"];
    let mut all = snapshots(&days);
    all[0].tags = vec!["nightly".to_owned(), "legal-hold".to_owned()];
    let listed = all[1].id.short();
    let policy = policy(|policy| {
        policy.last = 1;
        policy.tags = vec!["legal-hold".to_owned()];
        policy.ids = vec![listed];
    });
    let plan = policy.plan(&all, at(days[3])).unwrap();
    assert_eq!(names(&plan, &days), [days[0], days[1], days[3]]);
    assert_eq!(reasons(&plan, days[0]), [Reason::Tag("legal-hold".to_owned())]);
    assert_eq!(reasons(&plan, days[1]), [Reason::Listed]);
}

#[test]
fn the_newest_that_was_restored_is_never_removed() {
    let days =
        ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z"];
    let mut all = snapshots(&days);
    all[0].verified = true;
    all[1].verified = true;
    let plan = policy(|policy| policy.last = 1).plan(&all, at(days[3])).unwrap();
    assert_eq!(names(&plan, &days), [days[1], days[3]]);
    assert_eq!(reasons(&plan, days[1]), [Reason::NewestVerified]);
}

#[test]
fn a_backup_that_shrank_does_not_push_out_the_one_before() {
    let hours = ["2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z", "2026-01-01T10:00:00Z"];
    let mut all = snapshots(&hours);
    let daily = policy(|policy| policy.daily = 7);
    for (sizes, keeps) in [
        ([1_000, 1_000, 499], true),
        ([1_000, 1_000, 500], false),
        ([499, 1_000, 1_000], true),
        ([0, 0, 0], false),
    ] {
        for (one, size) in all.iter_mut().zip(sizes) {
            one.size = Some(size);
        }
        let plan = daily.plan(&all, at(hours[2])).unwrap();
        let expected = if keeps { vec![hours[0], hours[2]] } else { vec![hours[2]] };
        assert_eq!(names(&plan, &hours), expected, "{sizes:?}");
    }
}

/// restic #22057: snapshots whose times were made up push real ones out of the policy, in a repository that only grows.
#[test]
fn forged_times_do_not_push_real_snapshots_out() {
    let now = at("2026-06-30T12:00:00Z");
    let real: Vec<_> = (0_u8..30).map(|day| snapshot([day], now - DAY * u32::from(day))).collect();
    let mut all = real.clone();
    for one in &mut all {
        one.first_seen = Some(one.time + Duration::from_secs(30));
    }
    // Made today: one for each of the coming 30 days, which by their times alone fill every place.
    for day in 0_u8..30 {
        let mut forged = snapshot([day, 1], now + DAY * u32::from(day) + HOUR);
        forged.first_seen = Some(now + Duration::from_mins(1));
        all.push(forged);
    }
    let plan = policy(|policy| policy.daily = 30).plan(&all, now).unwrap();
    let kept = kept(&plan);
    // Of today one of theirs is the last.
    assert!(real[1..].iter().all(|one| kept.contains(&one.id)));
    assert_eq!(plan.disputed.len(), 30);
}

#[test]
fn a_copied_repository_keeps_its_history() {
    // The store saw all of them today, one after the other.
    let now = at("2026-06-30T12:00:00Z");
    let all: Vec<_> = (0_u8..60)
        .map(|day| {
            let mut one = snapshot([day], now - DAY * u32::from(day));
            one.first_seen = Some(now - Duration::from_secs(u64::from(day)));
            one
        })
        .collect();
    let plan = policy(|policy| policy.daily = 30).plan(&all, now).unwrap();
    assert_eq!(kept(&plan), all[..30].iter().map(|one| one.id).collect());
}

/// The time of a snapshot is its beginning, and the store sees its end.
#[test]
fn a_backup_that_takes_hours_is_not_disputed() {
    let mut one = snapshot("slow", at("2026-01-01T00:00:00Z"));
    one.first_seen = Some(at("2026-01-01T05:00:00Z"));
    assert!(one.is_disputed());
    one.ended = Some(at("2026-01-01T04:59:30Z"));
    assert!(!one.is_disputed());
    one.ended = Some(at("2026-01-01T04:00:00Z"));
    assert!(one.is_disputed());
}

#[test]
fn the_future_is_kept_and_takes_no_place() {
    let days =
        ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2036-01-01T00:00:00Z", "2036-01-02T00:00:00Z"];
    let plan = policy(|policy| policy.last = 1).plan(&snapshots(&days), at("2026-01-02T00:00:00Z")).unwrap();
    assert_eq!(names(&plan, &days), &days[1..]);
    assert_eq!(reasons(&plan, days[3]), [Reason::Future]);
    // A clock that was set back ten years removes nothing.
    let plan = policy(|policy| policy.last = 1).plan(&snapshots(&days), at("2016-01-01T00:00:00Z")).unwrap();
    assert_eq!(plan.remove, []);
}

#[test]
fn times_beyond_the_calendar_are_borne() {
    let far = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365 * 1_000_000);
    let mut all = snapshots(&["2026-01-01T00:00:00Z"]);
    all.push(snapshot("far", far));
    let plan = Retention::default().plan(&all, far + DAY).unwrap();
    assert_eq!(plan.keep.len() + plan.remove.len(), 2);
}

/// The program beside which we are measured, in a folder of its own.
fn restic(folder: &std::path::Path, arguments: &[&str]) -> serde_json::Value {
    let output = Command::new(Program::RESTIC.path())
        .args(["--repo", "repository", "--no-cache", "--json"])
        .args(arguments)
        .current_dir(folder)
        .env("RESTIC_PASSWORD", "oracle")
        .env("TZ", "UTC")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

#[test]
fn it_keeps_what_restic_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("file"), "x").unwrap();
    restic(folder, &["init"]);
    let start = "2020-12-24T05:00:00Z".parse::<Timestamp>().unwrap();
    // Dense at first, then over weeks and years, across the turn of a year with 53 weeks.
    let hours = [
        0, 1, 2, 20, 24, 47, 72, 96, 97, 120, 168, 180, 200, 240, 300, 400, 700, 1_500, 3_000, 9_000, 17_000,
        18_000,
    ];
    for hours in hours {
        let time = (start + Duration::from_hours(hours)).strftime("%F %T").to_string();
        restic(folder, &["backup", "--host", "h", "--time", &time, "file"]);
    }
    let all: Vec<_> = restic(folder, &["snapshots"])
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let id = Id::parse(one["id"].as_str().unwrap()).unwrap();
            SnapshotInfo::new(id, at(one["time"].as_str().unwrap()))
        })
        .collect();
    assert_eq!(all.len(), hours.len());
    let now = all.iter().map(|one| one.time).max().unwrap();
    let span = |days| Some(DAY * days);
    let policies: Vec<(&str, Retention)> = vec![
        ("--keep-last 4", policy(|policy| policy.last = 4)),
        ("--keep-hourly 6", policy(|policy| policy.hourly = 6)),
        ("--keep-daily 9", policy(|policy| policy.daily = 9)),
        ("--keep-weekly 5", policy(|policy| policy.weekly = 5)),
        ("--keep-monthly 4", policy(|policy| policy.monthly = 4)),
        ("--keep-yearly 2", policy(|policy| policy.yearly = 2)),
        ("--keep-within 700d", policy(|policy| policy.within = span(700))),
        ("--keep-within-weekly 740d", policy(|policy| policy.within_weekly = span(740))),
        ("--keep-within-daily 745d", policy(|policy| policy.within_daily = span(745))),
        ("--keep-last 3 --keep-hourly 24 --keep-daily 30 --keep-yearly 7", Retention::default()),
    ];
    for (arguments, policy) in policies {
        let mut forget = vec!["forget", "--dry-run"];
        forget.extend(arguments.split(' '));
        let answer = restic(folder, &forget);
        let ids = |list: &str| -> BTreeSet<Id> {
            let list = answer[0][list].as_array().cloned().unwrap_or_default();
            list.iter().map(|one| Id::parse(one["id"].as_str().unwrap()).unwrap()).collect()
        };
        let plan = policy.plan(&all, now).unwrap();
        assert_eq!(kept(&plan), ids("keep"), "{arguments}");
        assert_eq!(plan.remove.iter().copied().collect::<BTreeSet<_>>(), ids("remove"), "{arguments}");
    }
}
