//! What every store promises, as tests for a store of your own.
#![allow(
    clippy::missing_panics_doc,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests, which fail by panicking"
)]

use std::time::Duration;

use buttress_core::{Classify, ErrorClass, SharedClock, timeout};

use crate::store::{Expect, SecretStore, Step, Which};
use crate::{Error, Lifecycle, Name, Secret, Stage};

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

async fn value(store: &dyn SecretStore, name: &Name, stage: Stage) -> Option<String> {
    let found = store.get(name, Which::At(stage)).await.expect("it answers")?;
    Some(found.secret.text().expect("text").to_owned())
}

fn numbers(lifecycle: &Lifecycle) -> (u64, Option<u64>, Option<u64>) {
    let number = |standing: Option<crate::Standing>| standing.map(|standing| standing.version);
    (lifecycle.current.version, number(lifecycle.previous), number(lifecycle.next))
}

fn class<T: std::fmt::Debug>(outcome: Result<T, Error>) -> ErrorClass {
    outcome.expect_err("an error").class()
}

/// Runs the whole contract of a store that takes secrets, on an empty one.
///
/// # Panics
///
/// When a promise is broken.
pub async fn store_holds(store: &dyn SecretStore, clock: SharedClock) {
    values_come_back(store).await;
    expectations_are_kept(store).await;
    a_rotation_goes_step_by_step(store).await;
    a_change_by_hand_ends_a_rotation(store).await;
    steps_from_an_old_view_are_refused(store).await;
    limits_hold(store).await;
    a_watcher_hears_of_a_change(store, clock).await;
}

async fn values_come_back(store: &dyn SecretStore) {
    let (first, second) = (name("contract/first"), name("contract/second.pem"));
    assert!(store.load(&first).await.expect("it answers").is_none());
    assert!(store.lifecycle(&first).await.expect("it answers").is_none());
    let odd = Secret::new(vec![0, 255, 10, 13, 0]);
    let made = store.put(&first, &odd, Expect::Anything).await.expect("it takes it");
    assert_eq!((made.previous, made.next), (None, None));
    store.put(&second, &secret("s"), Expect::Anything).await.expect("it takes it");
    let versions = store.load(&first).await.expect("it answers").expect("it is there");
    assert_eq!(versions.current.secret.expose(), odd.expose());
    assert_eq!(versions.lifecycle(), made);
    assert_eq!(store.lifecycle(&first).await.expect("it answers"), Some(made));
    let found = store.get(&first, Which::Number(made.current.version)).await.expect("it answers");
    assert_eq!(found.expect("that version").secret.expose(), odd.expose());
    assert!(store.get(&first, Which::Number(999)).await.expect("it answers").is_none());
    assert!(store.get(&first, Which::At(Stage::Next)).await.expect("it answers").is_none());
    assert_eq!(store.list(10).await.expect("it answers"), [first.clone(), second.clone()]);
    assert_eq!(class(store.list(1).await), ErrorClass::TooLarge);
    assert!(store.remove(&first).await.expect("it answers"));
    assert!(!store.remove(&first).await.expect("it answers"));
    assert!(store.load(&first).await.expect("it answers").is_none());
    assert!(store.remove(&second).await.expect("it answers"));
}

async fn expectations_are_kept(store: &dyn SecretStore) {
    let name = name("contract/expected");
    let put = async |text: &str, expect| store.put(&name, &secret(text), expect).await;
    assert_eq!(class(put("x", Expect::Version(1)).await), ErrorClass::NotFound);
    let first = put("one", Expect::Nothing).await.expect("there was nothing").current.version;
    assert_eq!(class(put("x", Expect::Nothing).await), ErrorClass::Conflict);
    let second = put("two", Expect::Version(first)).await.expect("as expected").current.version;
    assert_eq!(class(put("x", Expect::Version(first)).await), ErrorClass::Conflict);
    assert_ne!(first, second);
    assert_eq!(value(store, &name, Stage::Current).await.as_deref(), Some("two"));
    assert_eq!(value(store, &name, Stage::Previous).await.as_deref(), Some("one"));
    assert!(store.remove(&name).await.expect("it answers"));
}

async fn a_rotation_goes_step_by_step(store: &dyn SecretStore) {
    let name = name("contract/rotated");
    let rotate = async |seen: &Lifecycle, step| store.rotate(&name, seen, step).await;
    let begun = store.put(&name, &secret("old"), Expect::Nothing).await.expect("it takes it");
    assert_eq!(class(rotate(&begun, Step::Switch).await), ErrorClass::Conflict);
    assert_eq!(class(rotate(&begun, Step::Retire).await), ErrorClass::Conflict);
    let created = rotate(&begun, Step::Create(secret("new"))).await.expect("a version to come");
    assert_eq!(class(rotate(&created, Step::Create(secret("newer"))).await), ErrorClass::Conflict);
    assert_eq!(created.current, begun.current);
    assert_eq!(value(store, &name, Stage::Current).await.as_deref(), Some("old"));
    assert_eq!(value(store, &name, Stage::Next).await.as_deref(), Some("new"));
    let next = created.next.expect("a version to come").version;
    let switched = rotate(&created, Step::Switch).await.expect("the switch");
    assert_eq!(numbers(&switched), (next, Some(begun.current.version), None));
    assert_eq!(value(store, &name, Stage::Current).await.as_deref(), Some("new"));
    assert_eq!(value(store, &name, Stage::Previous).await.as_deref(), Some("old"));
    let third = rotate(&switched, Step::Create(secret("third"))).await.expect("another to come");
    assert_eq!(class(rotate(&third, Step::Switch).await), ErrorClass::Conflict, "three versions at most");
    let retired = rotate(&third, Step::Retire).await.expect("the former goes");
    assert_eq!(retired.previous, None);
    assert_eq!(value(store, &name, Stage::Previous).await, None);
    let last = rotate(&retired, Step::Switch).await.expect("the switch");
    assert_eq!(value(store, &name, Stage::Current).await.as_deref(), Some("third"));
    assert_eq!(store.lifecycle(&name).await.expect("it answers"), Some(last));
    assert!(store.remove(&name).await.expect("it answers"));
    assert_eq!(class(rotate(&last, Step::Retire).await), ErrorClass::NotFound);
}

async fn a_change_by_hand_ends_a_rotation(store: &dyn SecretStore) {
    let name = name("contract/by-hand");
    let begun = store.put(&name, &secret("one"), Expect::Nothing).await.expect("it takes it");
    let created = store.rotate(&name, &begun, Step::Create(secret("two"))).await.expect("a step");
    let put = store.put(&name, &secret("leaked, so replaced"), Expect::Anything).await.expect("it takes it");
    assert_eq!(put.next, None);
    assert_ne!(Some(put.current.version), created.next.map(|next| next.version), "no number is given twice");
    assert_eq!(value(store, &name, Stage::Previous).await.as_deref(), Some("one"));
    assert!(store.remove(&name).await.expect("it answers"));
}

async fn steps_from_an_old_view_are_refused(store: &dyn SecretStore) {
    let name = name("contract/two-rotators");
    let seen = store.put(&name, &secret("one"), Expect::Nothing).await.expect("it takes it");
    let created = store.rotate(&name, &seen, Step::Create(secret("two"))).await.expect("a step");
    store.rotate(&name, &created, Step::Switch).await.expect("a step");
    for (seen, step) in [(&seen, Step::Create(secret("x"))), (&created, Step::Switch), (&seen, Step::Retire)]
    {
        assert_eq!(class(store.rotate(&name, seen, step).await), ErrorClass::Conflict);
    }
    assert_eq!(value(store, &name, Stage::Current).await.as_deref(), Some("two"));
    assert!(store.remove(&name).await.expect("it answers"));
}

async fn limits_hold(store: &dyn SecretStore) {
    let name = name("contract/large");
    let large = Secret::new(vec![7; Secret::MAX_BYTES]);
    let seen = store.put(&name, &large, Expect::Anything).await.expect("the largest value");
    let found = store.load(&name).await.expect("it answers").expect("it is there");
    assert!(found.current.secret.matches(large.expose()));
    let larger = Secret::new(vec![7; Secret::MAX_BYTES + 1]);
    assert_eq!(class(store.put(&name, &larger, Expect::Anything).await), ErrorClass::TooLarge);
    assert_eq!(class(store.rotate(&name, &seen, Step::Create(larger)).await), ErrorClass::TooLarge);
    assert!(store.remove(&name).await.expect("it answers"));
}

/// The clock must go by itself, or be moved by another task.
async fn a_watcher_hears_of_a_change(store: &dyn SecretStore, clock: SharedClock) {
    let name = name("contract/watched");
    let every = Duration::from_millis(10);
    let seen = store.put(&name, &secret("one"), Expect::Anything).await.expect("it takes it");
    // Nothing has changed: it waits.
    let waiting = store.watch(&name, Some(seen), clock.clone(), every);
    assert!(timeout(&*clock, every * 5, waiting).await.is_err());
    let watching = store.watch(&name, Some(seen), clock.clone(), every);
    let changing = async {
        clock.sleep(every * 2).await;
        store.put(&name, &secret("two"), Expect::Anything).await.expect("it takes it")
    };
    let (heard, made) = tokio::join!(watching, changing);
    assert_eq!(heard.expect("it answers"), Some(made));
    assert!(store.remove(&name).await.expect("it answers"));
    let gone = store.watch(&name, Some(made), clock.clone(), every).await;
    assert_eq!(gone.expect("it answers"), None);
}

/// What a secret of a store that only reads is to be: its name, and its values by stage.
pub type Published<'a> = (&'a str, &'a [(Stage, &'a [u8])]);

/// Runs the contract of a store that only reads, and has exactly these secrets.
///
/// # Panics
///
/// When a promise is broken.
pub async fn reading_holds(store: &dyn SecretStore, published: &[Published<'_>]) {
    for (text, values) in published {
        let versions = store.load(&name(text)).await.expect("it answers").expect("it is there");
        for stage in [Stage::Current, Stage::Previous, Stage::Next] {
            let expected = values.iter().find(|(at, _)| *at == stage).map(|(_, bytes)| *bytes);
            let found = versions.at(stage).map(|version| version.secret.expose());
            assert_eq!(found, expected, "{text}, {stage}");
        }
        let again = store.lifecycle(&name(text)).await.expect("it answers").expect("it is there");
        assert_eq!(numbers(&again), numbers(&versions.lifecycle()), "{text}: the same while nothing changes");
    }
    let mut names: Vec<&str> = published.iter().map(|(text, _)| *text).collect();
    names.sort_unstable();
    let listed = store.list(1000).await.expect("it answers");
    assert_eq!(listed.iter().map(Name::as_str).collect::<Vec<_>>(), names);
    let nowhere = name("contract/nowhere");
    assert!(store.load(&nowhere).await.expect("it answers").is_none());
    let put = store.put(&nowhere, &secret("x"), Expect::Anything).await;
    assert_eq!(class(put), ErrorClass::Unsupported);
    assert_eq!(class(store.remove(&nowhere).await), ErrorClass::Unsupported);
}
