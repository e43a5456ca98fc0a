//! Stores that fail, and what is made of that.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing expectation fails the test")]

use std::collections::HashSet;
use std::time::Duration;

use buttress_backup::store::faulty::{Faults, Faulty, Kill, is_kill};
use buttress_backup::store::{Existing, Folder, RetryConfig, Retrying, Store};
use buttress_backup::{Error, Id, Object, ObjectKind};
use buttress_core::{Classify, Ctx, ErrorClass, TestClock};
use bytes::Bytes;
use tempfile::TempDir;

fn pack(content: &str) -> (Object, Bytes) {
    (Object::new(ObjectKind::Pack, Id::of(content.as_bytes())), Bytes::from(content.to_owned()))
}

fn faulty(faults: Faults) -> (TempDir, Faulty<Folder>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(Folder::new(folder.path()), faults, &Ctx::default());
    (folder, store)
}

/// Writes packs, and tells what came of each.
async fn outcomes(store: &impl Store, packs: usize) -> Vec<Result<bool, ErrorClass>> {
    let mut outcomes = Vec::new();
    for i in 0..packs {
        let (object, bytes) = pack(&format!("pack {i}"));
        outcomes.push(store.put(object, bytes, Existing::Kept).await.map_err(|error| error.class()));
    }
    outcomes
}

#[tokio::test]
async fn the_same_plan_fails_in_the_same_way_and_another_in_another() {
    let plan = |seed| Faults { seed, fails_before: 0.2, fails_after: 0.2, torn: 0.1, ..Faults::default() };
    let mut seen = HashSet::new();
    for seed in [1, 2, 3] {
        let (_first, first) = faulty(plan(seed));
        let (_second, second) = faulty(plan(seed));
        let outcome = outcomes(&first, 40).await;
        assert_eq!(outcome, outcomes(&second, 40).await);
        assert_eq!(first.injected(), second.injected());
        assert!((8..32).contains(&first.injected()), "{}", first.injected());
        seen.insert(format!("{outcome:?}"));
    }
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn each_fault_does_what_it_says() {
    let (object, bytes) = pack("content that is long enough to be torn");

    let (_kept, store) = faulty(Faults { fails_before: 1.0, ..Faults::default() });
    let failed = store.put(object, bytes.clone(), Existing::Kept).await.unwrap_err();
    assert!(failed.class().is_transient() && !is_kill(&failed));
    assert_eq!(store.inner().list(ObjectKind::Pack).await.unwrap().len(), 0);

    let (_kept, store) = faulty(Faults { fails_after: 1.0, ..Faults::default() });
    store.put(object, bytes.clone(), Existing::Kept).await.unwrap_err();
    assert_eq!(store.inner().get(object, None).await.unwrap(), bytes);
    store.delete(object).await.unwrap_err();
    assert_eq!(store.inner().list(ObjectKind::Pack).await.unwrap().len(), 0);

    let mut shapes = HashSet::new();
    for seed in 0..20 {
        for silently in [false, true] {
            let share = |yes| if yes { 1.0 } else { 0.0 };
            let faults =
                Faults { seed, torn: share(!silently), torn_silently: share(silently), ..Faults::default() };
            let (_kept, store) = faulty(faults);
            let written = store.put(object, bytes.clone(), Existing::Kept).await;
            assert_eq!(written.is_ok(), silently);
            let visible = store.get(object, None).await.unwrap();
            assert_ne!(visible, bytes);
            shapes.insert((visible.is_empty(), visible.len() == bytes.len()));
        }
    }
    assert_eq!(shapes.len(), 3, "nothing, a prefix, and zeros at the end: {shapes:?}");

    let (_kept, store) = faulty(Faults { lost: 1.0, ..Faults::default() });
    assert!(store.put(object, bytes.clone(), Existing::Kept).await.unwrap());
    assert!(matches!(store.get(object, None).await, Err(Error::Missing { .. })));

    let (_kept, store) = faulty(Faults { stale: 1.0, stale_for: 2, ..Faults::default() });
    store.put(object, bytes.clone(), Existing::Kept).await.unwrap();
    assert_eq!(store.get(object, None).await.unwrap(), bytes);
    for shown in [0, 0, 1, 1] {
        assert_eq!(store.list(ObjectKind::Pack).await.unwrap().len(), shown);
    }

    let (_kept, store) = faulty(Faults { junk: 1.0, ..Faults::default() });
    let junk = store.list(ObjectKind::Pack).await.unwrap();
    assert_eq!(junk.len(), 1);
    assert!(matches!(store.get(junk.first().unwrap().object, None).await, Err(Error::Missing { .. })));

    let (_kept, store) = faulty(Faults { flips: 1.0, ..Faults::default() });
    store.put(object, bytes.clone(), Existing::Kept).await.unwrap();
    let read = store.get(object, None).await.unwrap();
    let bits: u32 = read.iter().zip(&bytes).map(|(a, b)| (a ^ b).count_ones()).sum();
    assert_eq!((read.len(), bits), (bytes.len(), 1));
    store.calm_down();
    assert_eq!(store.get(object, None).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_slow_call_waits_on_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let faults = Faults { slow: 1.0, delay: Duration::from_hours(1), ..Faults::default() };
    let store = Faulty::new(Folder::new(folder.path()), faults, &ctx);
    let listing = tokio::spawn(async move { store.list(ObjectKind::Pack).await });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(!listing.is_finished());
    clock.advance(Duration::from_hours(1));
    assert!(listing.await.unwrap().unwrap().is_empty());
}

#[tokio::test]
async fn a_kill_comes_at_each_operation_once_and_for_all() {
    let (_kept, store) = faulty(Faults::default());
    outcomes(&store, 5).await;
    let operations = store.operations();
    assert_eq!(operations, 5);
    for at in 0..operations {
        for (kill, there) in [(Kill::Before(at), at), (Kill::After(at), at + 1), (Kill::During(at), at)] {
            let (_kept, store) = faulty(Faults { kill: Some(kill), ..Faults::default() });
            let mut acknowledged = 0;
            for i in 0..5 {
                let (object, bytes) = pack(&format!("pack {i}"));
                match store.put(object, bytes, Existing::Kept).await {
                    Ok(_) => acknowledged += 1,
                    Err(error) => assert!(is_kill(&error) && !error.class().is_transient(), "{error:?}"),
                }
            }
            assert_eq!(acknowledged, at, "{kill:?}");
            let mut whole = 0;
            for one in store.inner().list(ObjectKind::Pack).await.unwrap() {
                let bytes = store.inner().get(one.object, None).await.unwrap();
                whole += u64::from(Id::of(&bytes) == one.object.id());
            }
            assert_eq!(whole, there, "{kill:?}");
        }
    }
}

fn retries(attempts: u32) -> RetryConfig {
    let mut config = RetryConfig::default();
    (config.attempts, config.first) = (attempts, Duration::ZERO);
    config
}

#[tokio::test]
async fn what_may_pass_is_tried_so_often_and_what_will_not_once() {
    let ctx = Ctx::default();
    let (_kept, faulty_store) = faulty(Faults { fails_before: 1.0, ..Faults::default() });
    let store = Retrying::new(faulty_store.clone(), &retries(4), &ctx).unwrap();
    assert_eq!(store.list(ObjectKind::Pack).await.unwrap_err().class(), ErrorClass::Unavailable);
    assert_eq!(faulty_store.operations(), 4);

    let (_kept, faulty_store) = faulty(Faults { kill: Some(Kill::Before(1)), ..Faults::default() });
    let store = Retrying::new(faulty_store.clone(), &retries(4), &ctx).unwrap();
    let (object, bytes) = pack("one");
    assert!(matches!(store.get(object, None).await, Err(Error::Missing { .. })));
    assert!(is_kill(&store.put(object, bytes, Existing::Kept).await.unwrap_err()));
    assert_eq!(faulty_store.operations(), 2);
}

/// The answer to the first write is lost, that to the second is "it is there already": it is ours.
#[tokio::test]
async fn a_writer_whose_answer_was_lost_learns_that_it_wrote() {
    let ctx = Ctx::default();
    let mut lost_answers = 0;
    for seed in 0..40 {
        let (_kept, faulty_store) = faulty(Faults { seed, fails_after: 0.4, ..Faults::default() });
        let store = Retrying::new(faulty_store.clone(), &retries(20), &ctx).unwrap();
        assert!(store.put(Object::CONFIG, "mine".into(), Existing::Kept).await.unwrap());
        lost_answers += faulty_store.injected();
        assert!(!store.put(Object::CONFIG, "yours".into(), Existing::Kept).await.unwrap());
        faulty_store.calm_down();
        assert_eq!(store.get(Object::CONFIG, None).await.unwrap(), "mine");
    }
    assert!(lost_answers > 10, "{lost_answers}");
}

#[tokio::test]
async fn a_shutdown_ends_the_wait_for_another_try() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let faulty_store =
        Faulty::new(Folder::new(folder.path()), Faults { fails_before: 1.0, ..Faults::default() }, &ctx);
    let mut config = RetryConfig::default();
    (config.first, config.most) = (Duration::from_mins(5), Duration::from_mins(5));
    let store = Retrying::new(faulty_store, &config, &ctx).unwrap();
    let listing = tokio::spawn(async move { store.list(ObjectKind::Pack).await });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(!listing.is_finished(), "the clock stands");
    ctx.shutdown.stop();
    assert!(matches!(listing.await.unwrap(), Err(Error::Stopped)));
}
