//! The shared types, used as another crate uses them.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // A failed unwrap is a failed test.

use std::sync::Arc;
use std::time::Duration;

use buttress_core::units::{format_duration, parse_duration};
use buttress_core::{
    ByteSize, Clock, DynProbe, Event, EventLog, Events, Key, KeyError, Outcome, Probe, SharedClock, Shutdown,
    SystemClock, TestClock, Vitality, timeout,
};
use proptest::prelude::*;

#[test]
fn keys_are_bounded_and_printable() {
    assert_eq!(Key::new("user:42").unwrap().as_str(), "user:42");
    assert_eq!(Key::new(""), Err(KeyError::Empty));
    assert_eq!(Key::new("x".repeat(257)), Err(KeyError::TooLong { bytes: 257 }));
    assert!(Key::new("x".repeat(256)).is_ok());
    assert_eq!(Key::new("a\nb"), Err(KeyError::Control { at: 1 }));
}

#[test]
fn wrong_units_say_how_to_write_them() {
    assert!(parse_duration("30").unwrap_err().to_string().contains("30s"));
    assert!("12 parsecs".parse::<ByteSize>().unwrap_err().to_string().contains("64MiB"));
    assert!(parse_duration("99999999999999999999d").is_err());
    assert!("99999999TiB".parse::<ByteSize>().is_err());
    assert!("-1MiB".parse::<ByteSize>().is_err());
}

#[test]
fn sizes_read_in_both_systems() {
    assert_eq!("1.5GiB".parse::<ByteSize>().unwrap().bytes(), 3 << 29);
    assert_eq!("10 MB".parse::<ByteSize>().unwrap().bytes(), 10_000_000);
    assert_eq!(serde_json::from_str::<ByteSize>("4096").unwrap().to_string(), "4KiB");
    assert_eq!(ByteSize::b(1_500_000).human(), "1.43 MiB");
}

proptest! {
    #[test]
    fn durations_read_back_as_written(seconds in 0..u64::from(u32::MAX), nanos in 0..1_000_000_000_u32) {
        let duration = Duration::new(seconds, nanos);
        prop_assert_eq!(parse_duration(&format_duration(duration)).unwrap(), duration);
    }

    #[test]
    fn sizes_read_back_as_written(bytes: u64) {
        prop_assert_eq!(ByteSize::b(bytes).to_string().parse::<ByteSize>().unwrap(), ByteSize::b(bytes));
    }

    #[test]
    fn no_text_breaks_the_unit_parsers(text: String) {
        let _ = parse_duration(&text);
        let _ = text.parse::<ByteSize>();
    }
}

#[test]
fn a_shared_clock_tells_the_time_of_the_clock_that_it_shares() {
    let clock = TestClock::new();
    let shared: SharedClock = clock.shared();
    let (copy, direct): (_, &dyn Clock) = (shared.clone(), &*shared);
    let before = (shared.now(), shared.wall(), shared.coarse_nanos());
    clock.advance(Duration::from_secs(3));
    assert_eq!(shared.now() - before.0, Duration::from_secs(3));
    assert_eq!(shared.coarse_nanos() - before.2, 3_000_000_000);
    assert_eq!((copy.now(), copy.coarse_nanos()), (clock.now(), clock.coarse_nanos()));
    assert_eq!(
        (direct.now(), direct.coarse_nanos(), direct.wall()),
        (clock.now(), clock.coarse_nanos(), clock.wall())
    );

    let system = SystemClock::shared();
    let (first, direct): (_, &dyn Clock) = (system.coarse_nanos(), &*system);
    let second = direct.coarse_nanos();
    assert!(first <= second && second <= system.coarse_nanos());
    assert!(direct.now() <= system.now());
}

#[tokio::test]
async fn the_test_clock_wakes_sleepers_when_time_has_come() {
    let clock = TestClock::new();
    let sleeper = tokio::spawn(clock.sleep(Duration::from_secs(10)));
    tokio::task::yield_now().await;
    clock.advance(Duration::from_secs(9));
    tokio::task::yield_now().await;
    assert!(!sleeper.is_finished());
    clock.advance(Duration::from_secs(1));
    sleeper.await.unwrap();
}

#[tokio::test]
async fn a_timeout_cancels_late_work_and_passes_finished_work_on() {
    let clock = TestClock::new();
    assert_eq!(timeout(&clock, Duration::ZERO, async { 7 }).await, Ok(7));

    let limited = tokio::spawn({
        let clock = clock.clone();
        async move { timeout(&clock, Duration::from_secs(5), std::future::pending::<()>()).await }
    });
    tokio::task::yield_now().await;
    clock.advance(Duration::from_secs(5));
    assert_eq!(limited.await.unwrap().unwrap_err().to_string(), "not done within 5s");
}

#[tokio::test]
async fn shutdown_waits_for_its_tasks_even_when_they_panic() {
    let shutdown = Shutdown::new();
    shutdown.spawn({
        let shutdown = shutdown.clone();
        async move { shutdown.stopped().await }
    });
    shutdown.spawn(async { panic!("a task that fails still counts as ended") });
    assert_eq!(shutdown.tasks(), 2);

    shutdown.drain();
    shutdown.drained().await;
    assert!(shutdown.is_draining() && !shutdown.is_stopping());

    shutdown.stop();
    shutdown.finished().await;
    assert_eq!(shutdown.tasks(), 0);
}

#[tokio::test]
async fn a_probe_keeps_its_answer_behind_a_pointer() {
    struct Disk;
    impl Probe for Disk {
        fn name(&self) -> &'static str {
            "disk"
        }
        async fn check(&self) -> Vitality {
            Vitality::Warn("91 % full".to_owned())
        }
    }
    let probe = DynProbe::new(Disk);
    assert_eq!((probe.name(), probe.check().await), ("disk", Vitality::Warn("91 % full".to_owned())));
}

#[test]
fn events_reach_their_sink() {
    let log = EventLog::default();
    let clock = TestClock::new();
    Events::default().emit(Event::new(clock.wall(), "nobody.listens", Outcome::Success));
    Events::to(Arc::new(log.clone()))
        .emit(Event::new(clock.wall(), "config.reload", Outcome::Success).target("docproc.toml"));
    let events = log.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events.first().and_then(|event| event.target.as_deref()), Some("docproc.toml"));
}
