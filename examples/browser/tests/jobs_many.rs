#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test guards against hanging in real time")]
//! Many jobs: whose goes next, what is known of them, who hears of them, and how they are forgotten.

mod jobs_service;

use std::time::Duration;

use browser::jobs::{Error, Filter, JobId, NewJob, State, TenantLimits};
use browser::report::Report;
use buttress_core::{ByteSize, Clock, ErrorClass};
use jobs_service::{Service, artifact, failed, key, new, soon};
use serde_json::{Map, json};

#[tokio::test]
async fn tenants_take_turns() {
    let service = Service::new(|config| {
        config.running_per_tenant = 2;
        config.tenants.insert("c".into(), TenantLimits { waiting: None, running: Some(1) });
    });
    let mut names = std::collections::HashMap::new();
    for (tenant, name) in [
        ("a", "a1"),
        ("a", "a2"),
        ("a", "a3"),
        ("a", "a4"),
        ("b", "b1"),
        ("b", "b2"),
        ("c", "c1"),
        ("c", "c2"),
    ] {
        names.insert(service.submit(tenant).await.id, name);
    }
    let mut held = Vec::new();
    let mut order = Vec::new();
    while let Some(claimed) = service.claim().await {
        order.push(names[&claimed.job().id]);
        held.push(claimed);
    }
    assert_eq!(
        order,
        ["a1", "b1", "c1", "a2", "b2"],
        "one each, then a second, then all are at their limits"
    );
    // An end makes room for the same tenant only.
    service.store.finish(&held[2], Report::default()).await.unwrap();
    assert_eq!(names[&service.claim().await.unwrap().job().id], "c2");

    // With nobody running, who had a turn longest ago goes first, although the other was there before.
    let service = Service::new(|_| ());
    for tenant in ["a", "a", "a", "b", "b"] {
        service.submit(tenant).await;
    }
    let mut order = Vec::new();
    let mut service = service;
    while let Some(claimed) = service.claim().await {
        order.push(claimed.job().tenant.clone());
        service.store.finish(&claimed, Report::default()).await.unwrap();
        drop(claimed);
        service = service.reopen();
    }
    assert_eq!(order, ["a", "b", "a", "b", "a"]);
}

#[tokio::test]
async fn a_report_that_is_too_large_keeps_its_artifacts() {
    let service = Service::new(|config| config.report = ByteSize::kib(1));
    service.submit("a").await;
    let claimed = service.claim().await.unwrap();
    let results = Map::from_iter([("page".to_owned(), json!("x".repeat(2000)))]);
    let report = Report { results, artifacts: vec![artifact("aa")], ..Report::default() };
    let job = service.store.finish(&claimed, report).await.unwrap();
    let report = job.report.unwrap();
    assert_eq!((job.state, report.artifacts.len(), report.results.len()), (State::Failed, 1, 0));
    assert_eq!(report.failure.unwrap().class, ErrorClass::TooLarge);
}

#[tokio::test]
async fn jobs_are_listed_page_by_page_and_counted() {
    let service = Service::new(|_| ());
    let mut ids = Vec::new();
    for tenant in ["a", "b", "a", "b", "a"] {
        ids.push(service.submit(tenant).await.id);
        service.clock.set_wall(service.clock.wall() - Duration::from_secs(10));
    }
    ids.reverse();
    let list = async |tenant: Option<&str>, state, before, limit| -> Vec<JobId> {
        let filter = Filter { tenant: tenant.map(key), state, before, limit };
        service.store.list(filter).await.unwrap().iter().map(|job| job.id).collect()
    };
    assert_eq!(list(None, None, None, None).await, ids);
    assert_eq!(list(None, None, None, Some(2)).await, ids[..2]);
    assert_eq!(list(None, None, Some(ids[1]), Some(2)).await, ids[2..4]);
    assert_eq!(list(Some("b"), None, None, None).await, [ids[1], ids[3]]);
    let _claimed = service.claim().await.unwrap();
    assert_eq!(list(None, Some(State::Running), None, None).await, [ids[4]]);
    assert_eq!(list(Some("a"), Some(State::Waiting), Some(ids[0]), None).await, [ids[2]]);
    let counts = service.store.counts().await.unwrap();
    assert_eq!(counts.states[&State::Waiting], 4);
    assert_eq!(counts.states[&State::Done], 0);
    let tenants: Vec<_> =
        counts.tenants.iter().map(|t| (&*t.tenant, t.waiting, t.running, t.ended)).collect();
    assert_eq!(tenants, [("a", 2, 1, 0), ("b", 2, 0, 0)]);
}

#[tokio::test]
async fn listeners_hear_of_every_change_or_that_they_missed_some() {
    use tokio::sync::broadcast::error::TryRecvError;
    let service = Service::new(|_| ());
    let mut changes = service.store.changes();
    let id = service.submit("a").await.id;
    let claimed = service.claim().await.unwrap();
    service.store.finish(&claimed, Report::default()).await.unwrap();
    for state in [State::Waiting, State::Running, State::Done] {
        let change = changes.try_recv().unwrap();
        assert_eq!((change.id, change.state), (id, state));
    }
    let claimed = {
        service.submit("a").await;
        service.claim().await.unwrap()
    };
    drop(claimed);
    for _ in 0..600 {
        let claimed = service.claim().await.unwrap();
        service.store.give_back(&claimed).await.unwrap();
    }
    assert!(matches!(changes.try_recv(), Err(TryRecvError::Lagged(_))));
}

#[tokio::test]
async fn who_waits_for_work_is_woken() {
    let service = Service::new(|_| ());
    let store = &service.store;
    // Two workers and two jobs: each gets one, although they are told of once.
    let worker = async || loop {
        if let Some(claimed) = store.claim().await.unwrap() {
            break claimed;
        }
        store.wait_for_work().await;
    };
    let (one, two, ()) = soon(async {
        tokio::join!(worker(), worker(), async {
            tokio::task::yield_now().await;
            service.submit("a").await;
            service.submit("a").await;
        })
    })
    .await;
    store.finish(&two, Report::default()).await.unwrap();
    // A wait for the next attempt that ends.
    store.finish(&one, failed(ErrorClass::Unavailable)).await.unwrap();
    let (claimed, ()) = soon(async {
        tokio::join!(worker(), async {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                service.clock.advance(Duration::from_millis(100));
                if store.counts().await.unwrap().states[&State::Running] == 1 {
                    break;
                }
            }
        })
    })
    .await;
    assert_eq!(claimed.job().attempt, 2);
    // A claim that is dropped.
    let (again, ()) = soon(async {
        tokio::join!(worker(), async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(claimed);
        })
    })
    .await;
    assert_eq!(again.job().attempt, 3);

    // Two jobs that nobody waited for wake two, although they are told of as one.
    let service = Service::new(|_| ());
    service.submit("a").await;
    service.submit("a").await;
    let late = async || {
        service.store.wait_for_work().await;
        service.claim().await
    };
    let (one, two) = soon(async { tokio::join!(late(), late()) }).await;
    assert!(one.is_some() && two.is_some());
}

#[tokio::test]
async fn ended_jobs_are_forgotten_and_their_artifacts_told_of() {
    let service = Service::new(|config| {
        config.keep = Duration::from_secs(100);
        config.kept = 3;
    });
    let store = &service.store;
    let end = async |hashes: &[&str]| {
        service.submit("a").await;
        let claimed = service.claim().await.unwrap();
        let artifacts = hashes.iter().map(|hash| artifact(hash)).collect();
        store.finish(&claimed, Report { artifacts, ..Report::default() }).await.unwrap().id
    };
    let prune = async || {
        let pruned = store.prune(service.clock.wall()).await.unwrap();
        let mut artifacts = pruned.artifacts;
        artifacts.sort();
        (pruned.jobs, artifacts)
    };
    let old = end(&["shared", "own"]).await;
    service.clock.advance(Duration::from_secs(101));
    let young = end(&["shared"]).await;
    let waiting = service.submit("b").await.id;
    assert_eq!(prune().await, (1, vec!["own".to_owned()]));
    assert_eq!(prune().await, (0, vec![]), "told once");
    assert!(matches!(store.get(old, None).await, Err(Error::NotFound(_))));
    assert_eq!(service.state(young).await, State::Done);
    assert_eq!(service.state(waiting).await, State::Waiting);
    store.cancel(waiting, None).await.unwrap();

    // The ones that ended first go when there are too many, even of the same moment.
    let last = [end(&[]).await, end(&["z"]).await];
    assert_eq!(prune().await, (1, vec!["shared".to_owned()]));
    for id in [waiting, last[0], last[1]] {
        service.get(id).await;
    }

    // A report that takes the place of another lets go of what only the other named.
    service.submit("a").await;
    for (hash, class) in [("first", Some(ErrorClass::Timeout)), ("second", None)] {
        let claimed = service.claim().await.unwrap();
        let report = class.map_or_else(Report::default, failed);
        store.finish(&claimed, Report { artifacts: vec![artifact(hash)], ..report }).await.unwrap();
        service.clock.advance(Duration::from_secs(2));
    }
    assert_eq!(prune().await, (1, vec!["first".to_owned()]));
}

#[tokio::test]
async fn a_key_is_free_again_when_its_job_is_forgotten() {
    let service = Service::new(|config| config.keep = Duration::from_secs(1));
    let keyed = NewJob { key: Some(key("k")), ..new("a") };
    let id = service.store.submit(keyed.clone()).await.unwrap().0.id;
    service.store.cancel(id, None).await.unwrap();
    assert!(!service.store.submit(keyed.clone()).await.unwrap().1);
    service.clock.advance(Duration::from_secs(2));
    assert_eq!(service.store.prune(service.clock.wall()).await.unwrap().jobs, 1);
    assert!(service.store.submit(keyed).await.unwrap().1);
}
