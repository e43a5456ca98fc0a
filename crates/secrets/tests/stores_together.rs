//! Stores in a chain, and rotation in the background.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use buttress_core::{
    BoxFuture, Classify, Ctx, ErrorClass, EventLog, Events, Outcome, SystemClock, TestClock,
};
use buttress_secrets::store::{ChainStore, EnvironmentStore, FALLBACK, FileStore, MemoryStore};
use buttress_secrets::{
    Error, Expect, Generate, Name, ROTATED, RandomValue, RotationPolicy, Rotator, Secret, SecretStore, Stage,
    Which,
};

fn told() -> (EventLog, Ctx) {
    let log = EventLog::default();
    let events = Events::to(Arc::new(log.clone()));
    (log, Ctx { events, ..Ctx::default() })
}

fn environment(value: &str) -> Arc<dyn SecretStore> {
    Arc::new(EnvironmentStore::of("", [("TOKEN".to_owned(), value.as_bytes().to_vec())]))
}

/// A folder that cannot be read now: its name is too long for the system.
fn broken() -> Arc<dyn SecretStore> {
    Arc::new(FileStore::new("/".to_owned() + &"x".repeat(300)))
}

async fn token(store: &dyn SecretStore) -> Result<Option<String>, Error> {
    let found = store.get(&Name::new("token").unwrap(), Which::At(Stage::Current)).await?;
    Ok(found.map(|version| version.secret.text().unwrap().to_owned()))
}

#[tokio::test]
async fn the_first_store_that_has_the_secret_gives_it_and_one_that_fails_is_told() {
    let (log, ctx) = told();
    let empty: Arc<dyn SecretStore> = Arc::new(MemoryStore::new(SystemClock::shared()));
    let chain = ChainStore::new(Arc::clone(&empty), vec![environment("one"), environment("two")], &ctx);
    assert_eq!(token(&chain).await.unwrap().as_deref(), Some("one"));
    assert!(log.events().is_empty());

    let chain = ChainStore::new(broken(), vec![environment("one")], &ctx);
    assert_eq!(token(&chain).await.unwrap().as_deref(), Some("one"));
    let event = &log.events()[0];
    assert_eq!((event.action, event.outcome), (FALLBACK, Outcome::Failure));
    assert_eq!((event.actor.as_deref(), event.target.as_deref()), (Some("files"), Some("token")));

    // Nobody has it; whether the one that failed does is not known.
    let chain = ChainStore::new(Arc::clone(&empty), vec![broken(), empty], &ctx);
    assert_eq!(token(&chain).await.unwrap_err().class(), ErrorClass::Unavailable);
}

#[tokio::test]
async fn a_store_that_is_damaged_is_not_passed_over() {
    struct Damaged;
    impl SecretStore for Damaged {
        fn kind(&self) -> &'static str {
            "damaged"
        }
        fn load<'a>(
            &'a self,
            _: &'a Name,
        ) -> BoxFuture<'a, Result<Option<buttress_secrets::Versions>, Error>> {
            Box::pin(async { Err(Error::Damaged { place: "the vault".to_owned(), problem: "it is" }) })
        }
        fn list(&self, _: usize) -> BoxFuture<'_, Result<Vec<Name>, Error>> {
            Box::pin(async { Ok(Vec::new()) })
        }
        fn put<'a>(
            &'a self,
            _: &'a Name,
            _: &'a Secret,
            _: Expect,
        ) -> BoxFuture<'a, Result<buttress_secrets::Lifecycle, Error>> {
            Box::pin(async { Err(Error::ReadOnly { store: "damaged" }) })
        }
        fn rotate<'a>(
            &'a self,
            _: &'a Name,
            _: &'a buttress_secrets::Lifecycle,
            _: buttress_secrets::Step,
        ) -> BoxFuture<'a, Result<buttress_secrets::Lifecycle, Error>> {
            Box::pin(async { Err(Error::ReadOnly { store: "damaged" }) })
        }
        fn remove<'a>(&'a self, _: &'a Name) -> BoxFuture<'a, Result<bool, Error>> {
            Box::pin(async { Ok(false) })
        }
    }
    let chain = ChainStore::new(Arc::new(Damaged), vec![environment("one")], &Ctx::default());
    assert_eq!(token(&chain).await.unwrap_err().class(), ErrorClass::Corrupt);
}

/// Fails the first time.
struct Unsure(AtomicUsize);

impl Generate for Unsure {
    fn generate<'a>(&'a self, _: &'a Name) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async {
            if self.0.fetch_add(1, Ordering::SeqCst) == 0 {
                Err(Error::Random)
            } else {
                RandomValue::default().value()
            }
        })
    }
}

/// Two processes rotate the same secret: each step is made once, and they end with the service.
#[tokio::test]
async fn rotators_go_on_in_the_background_and_each_step_is_made_once() {
    let (log, clock) = (EventLog::default(), TestClock::new());
    let ctx = Ctx { clock: clock.shared(), events: Events::to(Arc::new(log.clone())), ..Ctx::default() };
    let store: Arc<dyn SecretStore> = Arc::new(MemoryStore::new(clock.shared()));
    let name = Name::new("key").unwrap();
    store.put(&name, &Secret::from("first".to_owned()), Expect::Nothing).await.unwrap();
    let minutes = |number| Duration::from_mins(number);
    let mut policy = RotationPolicy::default();
    (policy.every, policy.overlap, policy.grace) = (minutes(60), minutes(10), minutes(10));
    for _ in 0..2 {
        let generate = Unsure(AtomicUsize::new(0));
        let rotator = Rotator::new(Arc::clone(&store), name.clone(), policy, generate, &ctx).unwrap();
        rotator.start();
    }
    for _ in 0..60 * 5 {
        clock.advance(minutes(1));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    let made: Vec<_> = log
        .events()
        .into_iter()
        .filter(|event| event.action == ROTATED && event.outcome == Outcome::Success)
        .map(|event| event.detail.unwrap().split(';').next().unwrap().to_owned())
        .collect();
    assert!(made.len() >= 9, "{made:?}");
    for (number, step) in made.iter().enumerate() {
        assert_eq!(step, ["create", "switch", "retire"][number % 3], "{made:?}");
    }
    let last = store.lifecycle(&name).await.unwrap().unwrap().current.version;
    let switched = made.iter().filter(|step| *step == "switch").count();
    assert_eq!(usize::try_from(last).unwrap(), 1 + switched);
    ctx.shutdown.drain();
    ctx.shutdown.stop();
    ctx.shutdown.finished().await;
}
