//! The decisions: when a rotation takes which step, and which accesses are unusual.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use buttress_secrets::anomaly::{Anomaly, AnomalyConfig, Detector};
use buttress_secrets::{Action, Lifecycle, RotationPolicy, Standing, step};
use proptest::prelude::*;

const START: u64 = 1_767_225_600; // Thursday 2026-01-01 00:00 UTC

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(START + seconds)
}

fn policy(every: u64, overlap: u64, grace: u64) -> RotationPolicy {
    let mut policy = RotationPolicy::default();
    (policy.every, policy.overlap, policy.grace) =
        (Duration::from_secs(every), Duration::from_secs(overlap), Duration::from_secs(grace));
    policy
}

/// What a store does.
fn apply(secret: &mut Lifecycle, action: Action, now: SystemTime, last: &mut u64) {
    let standing = |version| Standing { version, since: Some(now) };
    match action {
        Action::Wait(_) => {}
        Action::Create => {
            assert!(secret.next.is_none());
            *last += 1;
            secret.next = Some(standing(*last));
        }
        Action::Switch => {
            assert!(secret.previous.is_none(), "three versions at most");
            let next = secret.next.take().unwrap();
            secret.previous = Some(standing(secret.current.version));
            secret.current = standing(next.version);
        }
        Action::Retire => assert!(secret.previous.take().is_some()),
    }
}

proptest! {
    /// Whoever uses what was current a moment ago, and whoever accepts what there was a moment ago, agree: as long as neither moment
    /// is longer than the overlap and the grace. The rotator looks when it likes, and dies when it likes.
    #[test]
    fn nobody_is_refused_who_is_not_too_far_behind(
        overlap in 1_u64..50, grace in 1_u64..50, more in 1_u64..100,
        looks in proptest::collection::vec(proptest::bool::weighted(0.3), 600),
    ) {
        let policy = policy(overlap + grace + more, overlap, grace);
        let mut secret = Lifecycle {
            current: Standing { version: 1, since: Some(at(0)) }, previous: None, next: None,
        };
        let (mut last, mut past) = (1, VecDeque::new());
        for (second, look) in looks.into_iter().enumerate() {
            let now = at(second as u64);
            if look {
                let action = step(now, &secret, &policy);
                apply(&mut secret, action, now, &mut last);
            }
            past.push_back(secret);
            if past.len() > usize::try_from(overlap.min(grace)).unwrap() {
                past.pop_front();
            }
            // Two that are both in the past were compared when the later of them was new.
            for other in &past {
                for (user, verifier) in [(&secret, other), (other, &secret)] {
                    let known = [Some(verifier.current), verifier.previous, verifier.next];
                    let accepted = known.into_iter().flatten().any(|known| known.version == user.current.version);
                    prop_assert!(accepted, "{:?} is not among {:?}", user.current, verifier);
                }
            }
        }
    }

    /// A rotation goes on: it waits as long as it says, and then there is something to do.
    #[test]
    fn what_is_waited_for_comes(
        ages in proptest::collection::vec(proptest::option::of(0_u64..300), 3), every in 101_u64..200,
    ) {
        let policy = policy(every, 50, 50);
        let since = |age: Option<u64>, version| age.map(|age| Standing { version, since: Some(at(300 - age)) });
        let secret = Lifecycle {
            current: since(ages[0].or(Some(0)), 2).unwrap(),
            previous: since(ages[1], 1),
            next: since(ages[2], 3),
        };
        if let Action::Wait(left) = step(at(300), &secret, &policy) {
            prop_assert!(left > Duration::ZERO);
            let then = at(300) + left;
            prop_assert!(!matches!(step(then, &secret, &policy), Action::Wait(_)));
            let before = then - Duration::from_millis(1);
            prop_assert!(matches!(step(before, &secret, &policy), Action::Wait(_)));
        }
    }

    /// A clock that is put back lets nothing happen earlier.
    #[test]
    fn a_clock_that_goes_back_hurries_nothing(back in 1_u64..10_000, age in 0_u64..100) {
        let standing = |version| Standing { version, since: Some(at(20_000 - age)) };
        let secret = Lifecycle { current: standing(2), previous: Some(standing(1)), next: None };
        let policy = policy(1000, 100, 100);
        let (now, then) = (step(at(20_000), &secret, &policy), step(at(20_000 - back), &secret, &policy));
        if matches!(now, Action::Wait(_)) {
            prop_assert!(matches!(then, Action::Wait(_)));
        }
    }

    /// However many readers there are, the memory is bounded, and nothing is told twice in an hour.
    #[test]
    fn any_accesses_are_taken(accesses in proptest::collection::vec((0_u64..100_000, 0_u8..40, 0_u8..9), 0..500)) {
        let mut config = AnomalyConfig::default();
        (config.readers, config.burst_least) = (8, 3);
        (config.opens, config.closes) = (Some("09:00".to_owned()), Some("17:00".to_owned()));
        let mut detector = Detector::new(config);
        for (second, reader, secret) in accesses {
            let found = detector.observe(at(second), &reader.to_string(), &secret.to_string());
            prop_assert!(found.len() <= 3);
        }
    }
}

#[test]
fn a_version_of_somebody_else_is_left_alone() {
    let foreign = |version| Standing { version, since: None };
    let secret = Lifecycle { current: foreign(1), previous: Some(foreign(2)), next: Some(foreign(3)) };
    assert_eq!(step(at(1_000_000_000), &secret, &RotationPolicy::default()), Action::Wait(Duration::MAX));
}

#[test]
fn a_burst_is_told_once_and_a_steady_load_is_none() {
    let mut config = AnomalyConfig::default();
    (config.burst_least, config.burst_over) = (20, 3.0);
    let mut detector = Detector::new(config);
    let minute = |detector: &mut Detector, minute: u64, accesses: u64| {
        let seconds = (0..accesses).map(|number| minute * 60 + number * 60 / accesses);
        let bursts = seconds.flat_map(|second| detector.observe(at(second), "api", "key"));
        bursts.filter(|found| *found == Anomaly::Burst).count()
    };
    for number in 0..30 {
        assert_eq!(minute(&mut detector, number, 100), 0, "minute {number}");
    }
    assert_eq!(minute(&mut detector, 30, 290), 0);
    assert_eq!(minute(&mut detector, 31, 1000), 1);
    // What is usual has hardly moved.
    assert_eq!(minute(&mut detector, 32, 1000), 1);
    // Few are no burst, however unusual.
    assert_eq!(minute(&mut detector, 3000, 19), 0);
}

#[test]
fn the_hours_of_work_are_known() {
    let hours = |opens: &str, closes: &str, weekends| {
        let mut config = AnomalyConfig::default();
        (config.opens, config.closes) = (Some(opens.to_owned()), Some(closes.to_owned()));
        config.weekends = weekends;
        move |hour: u64| {
            let found = Detector::new(config.clone()).observe(at(hour * 3600), "api", "key");
            found.contains(&Anomaly::OffHours)
        }
    };
    let day = hours("07:00", "19:00", true);
    assert_eq!([6, 7, 18, 19, 24 + 12].map(day), [true, false, false, true, false]);
    let night = hours("22:00", "06:00", true);
    assert_eq!([21, 22, 2, 6].map(night), [true, false, false, true]);
    // The third day of 2026 is a Saturday.
    let weekdays = hours("00:00", "23:59", false);
    assert_eq!([36, 48, 72, 96].map(weekdays), [false, true, true, false]);
}
