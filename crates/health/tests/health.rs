//! What probes are answered, on a clock that moves by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress_core::{Ctx, EventLog, Events, Probe, TestClock, Vitality};
use buttress_health::{Check, Error, Group, Health, HealthConfig, Report, Status};

/// Does as it is told, and counts how often it is asked.
#[derive(Clone)]
struct Scripted {
    name: &'static str,
    does: Arc<Mutex<Does>>,
    asked: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum Does {
    Answer(Vitality),
    Hang,
    Panic,
}

impl Scripted {
    fn new(name: &'static str) -> Self {
        let does = Arc::new(Mutex::new(Does::Answer(Vitality::Pass)));
        Self { name, does, asked: Arc::default() }
    }

    fn now(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    fn fails(&self) {
        self.now(Does::Answer(Vitality::Fail("no route".to_owned())));
    }
}

impl Probe for Scripted {
    fn name(&self) -> &str {
        self.name
    }

    async fn check(&self) -> Vitality {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let does = self.does.lock().unwrap().clone();
        match does {
            Does::Answer(vitality) => vitality,
            Does::Hang => std::future::pending().await,
            Does::Panic => panic!("on purpose"),
        }
    }
}

struct Fixture {
    clock: TestClock,
    ctx: Ctx,
    log: EventLog,
}

impl Fixture {
    fn new() -> Self {
        let (clock, log) = (TestClock::new(), EventLog::default());
        let ctx = Ctx { clock: clock.shared(), events: Events::to(Arc::new(log.clone())), ..Ctx::default() };
        Self { clock, ctx, log }
    }

    fn start(&self, checks: impl IntoIterator<Item = Check>) -> Health {
        let mut config = HealthConfig::default();
        config.jitter = 0.0;
        let mut builder = Health::builder(&self.ctx).config(config);
        for check in checks {
            builder = builder.check(check);
        }
        let health = builder.start().unwrap();
        health.mark_started();
        health
    }

    /// Lets every task run as far as it can.
    async fn settle(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    /// Moves time by so many default intervals, and lets the checks run after each.
    async fn rounds(&self, rounds: u32) {
        for _ in 0..rounds {
            self.clock.advance(Duration::from_secs(5));
            self.settle().await;
        }
    }
}

fn ready(health: &Health) -> (Status, Option<String>) {
    let report = health.report(Group::Ready);
    (report.status, report.checks.first().and_then(|check| check.output.clone()))
}

#[tokio::test]
async fn nothing_is_claimed_before_the_first_answer() {
    let fixture = Fixture::new();
    let health = fixture.start([Check::ready(Scripted::new("store"))]);
    assert_eq!(ready(&health), (Status::Fail, Some("not checked yet".to_owned())));
    fixture.settle().await;
    assert_eq!(ready(&health), (Status::Pass, None));
}

#[tokio::test]
async fn it_takes_three_failures_to_fail_and_one_pass_to_recover() {
    let fixture = Fixture::new();
    let store = Scripted::new("store");
    let health = fixture.start([Check::ready(store.clone())]);
    fixture.settle().await;
    store.fails();
    fixture.rounds(2).await;
    assert_eq!(ready(&health).0, Status::Pass);
    fixture.rounds(1).await;
    assert_eq!(ready(&health), (Status::Fail, Some("no route".to_owned())));
    store.now(Does::Answer(Vitality::Warn("slow".to_owned())));
    fixture.rounds(1).await;
    assert_eq!(ready(&health), (Status::Warn, Some("slow".to_owned())));
    assert!(health.report(Group::Ready).is_ok());

    let changes: Vec<_> =
        fixture.log.events().into_iter().map(|event| (event.target, event.detail)).collect();
    let change = |detail: &str| (Some("store".to_owned()), Some(detail.to_owned()));
    assert_eq!(changes, [change("passes"), change("no route"), change("slow")]);
}

#[tokio::test]
async fn a_first_failure_counts_at_once() {
    let fixture = Fixture::new();
    let store = Scripted::new("store");
    store.fails();
    let health = fixture.start([Check::ready(store)]);
    fixture.settle().await;
    assert_eq!(ready(&health), (Status::Fail, Some("no route".to_owned())));
}

#[tokio::test]
async fn a_probe_that_panics_or_hangs_fails_its_check_and_no_other() {
    for (does, reason) in
        [(Does::Panic, "the check panicked: on purpose"), (Does::Hang, "not done within 1s")]
    {
        let fixture = Fixture::new();
        let (bad, good) = (Scripted::new("bad"), Scripted::new("good"));
        bad.now(does);
        let health = fixture.start([Check::ready(bad.clone()), Check::ready(good.clone())]);
        fixture.settle().await;
        fixture.clock.advance(Duration::from_secs(1)); // the time limit
        fixture.settle().await;
        let report = health.report(Group::Ready);
        assert_eq!(report.checks[0].output.as_deref(), Some(reason));
        assert_eq!(report.checks[1].status, Status::Pass);

        let asked = bad.asked.load(Ordering::SeqCst);
        fixture.rounds(2).await;
        assert!(bad.asked.load(Ordering::SeqCst) > asked, "it is asked again");
    }
}

#[tokio::test]
async fn a_flood_of_probes_asks_nobody() {
    let fixture = Fixture::new();
    let store = Scripted::new("store");
    let health = fixture.start([Check::ready(store.clone())]);
    fixture.settle().await;
    for _ in 0..10_000 {
        assert!(health.report(Group::All).is_ok());
    }
    fixture.settle().await;
    assert_eq!(store.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_optional_check_is_never_more_than_a_warning() {
    let fixture = Fixture::new();
    let search = Scripted::new("search");
    search.fails();
    let health = fixture.start([Check::ready(search).optional()]);
    fixture.settle().await;
    assert_eq!(ready(&health), (Status::Warn, Some("no route".to_owned())));
}

#[tokio::test]
async fn an_old_answer_is_a_warning_and_a_very_old_one_a_failure() {
    let fixture = Fixture::new();
    let health = fixture.start([Check::ready(Scripted::new("store")).interval(Duration::from_millis(100))]);
    fixture.settle().await;
    // No yielding to the checks from here on: they do not get to run. A round is 1.1 s.
    fixture.clock.advance(Duration::from_millis(3300));
    assert_eq!(ready(&health).0, Status::Pass);
    fixture.clock.advance(Duration::from_millis(1));
    assert_eq!(ready(&health), (Status::Warn, Some("no recent answer".to_owned())));
    fixture.clock.advance(Duration::from_millis(3300));
    assert_eq!(ready(&health), (Status::Fail, Some("no answer for a long time".to_owned())));
}

#[tokio::test]
async fn liveness_looks_at_the_runtime_and_at_no_dependency() {
    let fixture = Fixture::new();
    let store = Scripted::new("store");
    store.fails();
    let health = fixture.start([Check::ready(store)]);
    fixture.settle().await;
    assert_eq!(health.report(Group::Live).status, Status::Pass);
    // The runtime gets no chance to run the heartbeat.
    fixture.clock.advance(Duration::from_secs(11));
    assert_eq!(health.report(Group::Live).status, Status::Fail);
    fixture.settle().await;
    assert_eq!(health.report(Group::Live).status, Status::Pass);
    fixture.ctx.shutdown.stop();
    fixture.settle().await;
    fixture.clock.advance(Duration::from_mins(1));
    assert_eq!(health.report(Group::Live).status, Status::Pass, "a stopping process must not be killed");
}

#[tokio::test]
async fn readiness_begins_with_the_start_and_ends_with_the_drain() {
    let fixture = Fixture::new();
    let health = Health::builder(&fixture.ctx).start().unwrap();
    let output = |group| health.report(group).output;
    assert_eq!(output(Group::Ready).as_deref(), Some("starting"));
    assert_eq!(output(Group::Startup).as_deref(), Some("starting"));
    health.mark_started();
    assert_eq!((output(Group::Ready), output(Group::Startup)), (None, None));
    health.drain();
    assert_eq!(output(Group::Ready).as_deref(), Some("draining"));
    assert_eq!((output(Group::Live), output(Group::Startup)), (None, None));
}

#[tokio::test]
async fn a_report_is_health_json() {
    let fixture = Fixture::new();
    let store = Scripted::new("store");
    store.fails();
    let health = fixture.start([Check::ready(store).optional(), Check::startup(Scripted::new("migrations"))]);
    fixture.settle().await;
    assert_eq!(
        serde_json::to_value(health.report(Group::All)).unwrap(),
        serde_json::json!({
            "status": "warn",
            "checks": {
                "store": [{ "status": "warn", "time": "2026-01-01T00:00:00Z", "output": "no route" }],
                "migrations": [{ "status": "pass", "time": "2026-01-01T00:00:00Z" }],
            },
        })
    );
    assert_eq!(Report::MEDIA_TYPE, "application/health+json");
}

#[tokio::test]
async fn checks_end_with_the_shutdown() {
    let fixture = Fixture::new();
    let hanging = Scripted::new("store");
    hanging.now(Does::Hang);
    let _health = fixture.start([Check::ready(hanging)]);
    fixture.settle().await;
    fixture.ctx.shutdown.stop();
    fixture.ctx.shutdown.finished().await;
}

#[tokio::test]
async fn what_cannot_work_is_refused() {
    let ctx = Ctx::default();
    let twice = Health::builder(&ctx).ready(Scripted::new("a")).ready(Scripted::new("a")).start();
    assert!(matches!(twice, Err(Error::DuplicateName { .. })));
    let same_in_another_group =
        Health::builder(&ctx).ready(Scripted::new("a")).startup(Scripted::new("a")).start();
    assert!(same_in_another_group.is_ok());
    let mut config = HealthConfig::default();
    config.failure_threshold = 0;
    config.jitter = 2.0;
    let error = Health::builder(&ctx).config(config).start().unwrap_err().to_string();
    assert!(error.contains("failure_threshold = 0") && error.contains("jitter = 2"), "{error}");
}

#[test]
fn without_a_runtime_it_says_so() {
    assert!(matches!(Health::builder(&Ctx::default()).start(), Err(Error::NoRuntime)));
}
