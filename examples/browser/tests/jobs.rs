#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test guards against hanging in real time")]
//! The life of a job, in every turn that it may take.

mod jobs_service;

use std::path::Path;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use browser::jobs::{Error, Filter, JobsConfig, NewJob, State, Store, TenantLimits};
use browser::report::Report;
use buttress_core::{ByteSize, Classify, Clock, Ctx, ErrorClass, Validate};
use jobs_service::{Service, artifact, config, failed, key, new, soon};
use serde_json::{Map, Value, json};

#[tokio::test]
async fn a_job_is_done_and_keeps_its_report() {
    let service = Service::new(|_| ());
    let (job, is_new) = service.store.submit(new("acme")).await.unwrap();
    assert!(is_new && job.state == State::Waiting && job.attempt == 0);
    assert_eq!(job.inputs["city"], "Köln");
    service.clock.advance(Duration::from_secs(2));
    let claimed = service.claim().await.unwrap();
    assert_eq!(claimed.job().id, job.id);
    let running = service.get(job.id).await;
    assert_eq!(&running, claimed.job());
    assert_eq!((running.state, running.attempt), (State::Running, 1));
    assert_eq!(running.started_at, Some(job.created_at + Duration::from_secs(2)));
    service.clock.advance(Duration::from_secs(3));
    let results = Map::from_iter([("a".to_owned(), json!(1)), ("b".to_owned(), json!([2]))]);
    let report = Report { results, artifacts: vec![artifact("aa")], ..Report::default() };
    let done = service.store.finish(&claimed, report.clone()).await.unwrap();
    assert_eq!((done.state, done.report.as_ref()), (State::Done, Some(&report)));
    assert_eq!(done.ended_at, Some(job.created_at + Duration::from_secs(5)));
    drop(claimed);
    assert!(service.claim().await.is_none());

    let service = service.reopen();
    assert_eq!(service.store.recovered(), browser::jobs::Recovered::default());
    assert_eq!(service.get(job.id).await, done);
    let summary = &service.store.list(Filter::default()).await.unwrap()[0];
    assert_eq!((summary.id, summary.results, summary.artifacts), (job.id, 2, 1));
    let shown = serde_json::to_value(&done).unwrap();
    assert_eq!((&shown["state"], &shown["created_at"]), (&json!("done"), &json!("2026-01-01T00:00:00.000Z")));
}

#[tokio::test]
async fn a_used_key_gives_back_its_job_and_refuses_another() {
    let service = Service::new(|config| config.waiting = 2);
    let mut keyed = NewJob { key: Some(key("order-1")), ..new("acme") };
    let (job, _) = service.store.submit(keyed.clone()).await.unwrap();
    let other = NewJob { tenant: key("other"), ..keyed.clone() };
    assert_ne!(service.store.submit(other).await.unwrap().0.id, job.id);
    // Known even when there is no room for a new one.
    let (same, is_new) = service.store.submit(keyed.clone()).await.unwrap();
    assert_eq!((same, is_new), (job.clone(), false));
    let flow = NewJob { flow: "steps: [1]".into(), ..keyed.clone() };
    keyed.inputs.insert("city".into(), Value::Null);
    for different in [flow, keyed] {
        let error = service.store.submit(different).await.unwrap_err();
        assert!(matches!(&error, Error::Conflict { job: known, .. } if *known == job.id), "{error}");
        assert_eq!(error.class(), ErrorClass::Conflict);
    }
}

#[tokio::test]
async fn what_waits_is_bounded_for_each_and_for_all() {
    let service = Service::new(|config| {
        (config.waiting, config.waiting_per_tenant) = (4, 2);
        let limits = TenantLimits { waiting: Some(3), running: None };
        config.tenants.insert("large".into(), limits);
        config.job = ByteSize::kib(1);
    });
    for (tenant, accepted, own) in [
        ("a", true, false),
        ("a", true, false),
        ("a", false, true),
        ("large", true, false),
        ("large", true, false),
        ("large", false, false),
        ("b", false, false),
    ] {
        let answer = service.store.submit(new(tenant)).await;
        assert_eq!(answer.is_ok(), accepted, "{tenant}");
        let Err(error) = answer else { continue };
        assert!(matches!(error, Error::Full { tenant, .. } if tenant == own), "{error}");
        assert_eq!(error.class(), ErrorClass::Overloaded);
        assert!(error.retry_after().is_some());
    }
    // One that runs does not wait.
    let _claimed = service.claim().await.unwrap();
    service.submit("b").await;
    let large = NewJob { flow: "x".repeat(1024), ..new("c") };
    assert_eq!(service.store.submit(large).await.unwrap_err().class(), ErrorClass::TooLarge);
}

#[tokio::test]
async fn a_transient_failure_is_tried_again_after_a_wait() {
    let service = Service::new(|config| config.attempts = 3);
    let id = service.submit("a").await.id;
    let mut waits = Vec::new();
    for attempt in 1..=3 {
        let claimed = service.claim().await.unwrap();
        assert_eq!(claimed.job().attempt, attempt);
        let job = service.store.finish(&claimed, failed(ErrorClass::Timeout)).await.unwrap();
        assert_eq!(job.last_failure.as_ref().unwrap().class, ErrorClass::Timeout);
        let Some(next) = job.next_try_at else {
            assert_eq!((job.state, job.attempt), (State::Failed, 3));
            break;
        };
        assert_eq!(job.state, State::Waiting);
        assert_eq!(service.store.next_due().await.unwrap(), Some(next));
        let wait = next.duration_since(service.clock.wall()).unwrap();
        service.clock.advance(wait.saturating_sub(Duration::from_millis(1)));
        assert!(service.claim().await.is_none());
        service.clock.advance(Duration::from_millis(1));
        waits.push(wait);
    }
    assert_eq!(waits.len(), 2);
    for (wait, longest) in waits.into_iter().zip([1_000, 2_000].map(Duration::from_millis)) {
        assert!(wait >= longest / 2 && wait <= longest, "{wait:?}");
    }
    assert_eq!(service.state(id).await, State::Failed);

    let id = service.submit("a").await.id;
    let claimed = service.claim().await.unwrap();
    service.store.finish(&claimed, failed(ErrorClass::Invalid)).await.unwrap();
    assert_eq!(service.state(id).await, State::Failed, "what would fail again is not tried again");
}

#[tokio::test]
async fn a_wait_is_over_when_the_clock_was_set_back() {
    let service = Service::new(|_| ());
    service.submit("a").await;
    let claimed = service.claim().await.unwrap();
    service.store.finish(&claimed, failed(ErrorClass::Timeout)).await.unwrap();
    service.clock.set_wall(service.clock.wall() - Duration::from_hours(24));
    assert!(service.claim().await.is_some());
}

#[tokio::test]
async fn a_job_is_cancelled_while_it_waits_and_while_it_runs() {
    let service = Service::new(|_| ());
    let store = &service.store;
    let id = service.submit("a").await.id;
    assert!(matches!(store.cancel(id, Some(&key("b"))).await, Err(Error::NotFound(_))));
    assert!(matches!(store.get(id, Some(&key("b"))).await, Err(Error::NotFound(_))));
    assert_eq!(store.cancel(id, Some(&key("a"))).await.unwrap().state, State::Cancelled);
    assert!(service.claim().await.is_none());

    for class in [None, Some(ErrorClass::Cancelled), Some(ErrorClass::Invalid)] {
        let id = service.submit("a").await.id;
        let claimed = service.claim().await.unwrap();
        assert!(!claimed.is_cancelled());
        let (job, ()) = soon(async { tokio::join!(store.cancel(id, None), claimed.cancelled()) }).await;
        let job = job.unwrap();
        assert!(job.state == State::Running && job.cancel_asked && claimed.is_cancelled());
        let job = store.finish(&claimed, class.map_or_else(Report::default, failed)).await.unwrap();
        assert_eq!(job.state, State::Cancelled);
        service.clock.advance(Duration::from_secs(1));
        assert_eq!(store.cancel(id, None).await.unwrap(), job, "an end stays as it is");
    }
    // Given back or dropped, it does not begin anew.
    for give_back in [true, false] {
        let id = service.submit("a").await.id;
        let claimed = service.claim().await.unwrap();
        store.cancel(id, None).await.unwrap();
        if give_back {
            store.give_back(&claimed).await.unwrap();
        }
        drop(claimed);
        assert!(service.claim().await.is_none());
        assert_eq!(service.state(id).await, State::Cancelled);
    }
}

#[tokio::test]
async fn an_attempt_that_has_ended_reports_in_vain() {
    let service = Service::new(|_| ());
    let store = &service.store;
    let id = service.submit("a").await.id;
    let stale = service.claim().await.unwrap();
    assert_eq!(store.give_back(&stale).await.unwrap().attempt, 0);
    let now = service.claim().await.unwrap();
    assert_eq!(now.job().attempt, 1, "a claim that was given back does not count");
    let error = store.finish(&stale, failed(ErrorClass::Invalid)).await.unwrap_err();
    assert!(matches!(error, Error::NotHeld(job) if job == id));
    assert!(matches!(store.give_back(&stale).await, Err(Error::NotHeld(_))));
    drop(stale);
    assert!(service.claim().await.is_none(), "dropping it does not take the job from its holder");
    store.cancel(id, None).await.unwrap();
    soon(now.cancelled()).await;
    let job = store.finish(&now, Report::default()).await.unwrap();
    assert!(matches!(store.finish(&now, Report::default()).await, Err(Error::NotHeld(_))));
    assert_eq!(service.get(id).await, job);
}

#[tokio::test]
async fn a_dropped_claim_counts_as_an_attempt() {
    let service = Service::new(|config| config.attempts = 2);
    let id = service.submit("a").await.id;
    drop(service.claim().await.unwrap());
    let again = service.claim().await.unwrap();
    assert_eq!(again.job().attempt, 2);
    assert!(again.job().last_failure.as_ref().unwrap().message.contains("interrupted at attempt 1 of 2"));
    drop(again);
    assert!(service.claim().await.is_none());
    assert_eq!(service.state(id).await, State::Failed);

    // A claim that nobody received does not count: its future was dropped half-way.
    let id = service.submit("a").await.id;
    let mut got = None;
    for polls in 0..50 {
        let mut claim = Box::pin(service.store.claim());
        for _ in 0..polls % 5 {
            if let Poll::Ready(claimed) = claim.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                got = claimed.unwrap();
                break;
            }
            tokio::task::yield_now().await;
        }
        if got.is_some() {
            break;
        }
    }
    while got.is_none() {
        soon(service.store.wait_for_work()).await;
        got = service.claim().await;
    }
    let got = got.unwrap();
    assert_eq!((got.job().id, got.job().attempt), (id, 1));
}

#[tokio::test]
async fn jobs_that_ran_when_the_process_ended_run_again_until_their_attempts_are_used_up() {
    let mut service = Service::new(|config| config.attempts = 2);
    let [a, b] = [service.submit("a").await.id, service.submit("b").await.id];
    let first = [service.claim().await.unwrap(), service.claim().await.unwrap()];
    service.store.cancel(b, None).await.unwrap();
    service = service.reopen();
    let recovered = service.store.recovered();
    assert_eq!((recovered.waiting, recovered.failed, recovered.cancelled), (1, 0, 1));
    assert_eq!(service.state(b).await, State::Cancelled);
    assert!(matches!(service.store.finish(&first[0], Report::default()).await, Err(Error::NotHeld(_))));
    let second = service.claim().await.unwrap();
    assert_eq!((second.job().id, second.job().attempt), (a, 2));
    service = service.reopen();
    assert_eq!(service.store.recovered().failed, 1);
    let job = service.get(a).await;
    assert_eq!(job.state, State::Failed);
    assert!(job.last_failure.unwrap().message.contains("interrupted at attempt 2 of 2"));
}

#[tokio::test]
async fn a_folder_has_one_user() {
    let service = Service::new(|_| ());
    let error = Store::open(&service.config, &Ctx::default()).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    assert!(error.to_string().contains("another process uses"));
    drop(service.reopen());

    let mut config = config(Path::new(""));
    config.attempts = 0;
    let error = Store::open(&config, &Ctx::default()).unwrap_err();
    assert!(matches!(&error, Error::Config(wrong) if wrong.as_slice().len() == 2), "{error:?}");
    JobsConfig::default().validate().unwrap();
}
