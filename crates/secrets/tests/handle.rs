//! The handle: kept for a while, last known good when the store fails, each access told, and no secret in any output.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use buttress_core::{
    BoxFuture, Clock, Ctx, ErrorClass, EventLog, Events, Outcome, Probe, TestClock, Vitality,
};
use buttress_secrets::anomaly::AnomalyConfig;
use buttress_secrets::store::MemoryStore;
use buttress_secrets::{
    ANOMALY, CHECKED, Error, Expect, Lifecycle, Name, READ, STALE, Secret, SecretStore, Secrets,
    SecretsConfig, Stage, Step, Versions,
};

/// A store that can be made to fail or to hang, and counts.
struct Moody {
    store: MemoryStore,
    fails: AtomicBool,
    hangs: AtomicBool,
    asked: AtomicUsize,
}

impl SecretStore for Moody {
    fn kind(&self) -> &'static str {
        "moody"
    }

    fn load<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Option<Versions>, Error>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if self.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            if self.fails.load(Ordering::SeqCst) {
                let class = ErrorClass::Unavailable;
                let doing = "be reached".to_owned();
                return Err(Error::Store { store: "moody", doing, class, source: "no route".into() });
            }
            tokio::task::yield_now().await;
            self.store.load(name).await
        })
    }

    fn list(&self, most: usize) -> BoxFuture<'_, Result<Vec<Name>, Error>> {
        self.store.list(most)
    }

    fn put<'a>(
        &'a self,
        name: &'a Name,
        secret: &'a Secret,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Lifecycle, Error>> {
        self.store.put(name, secret, expect)
    }

    fn rotate<'a>(
        &'a self,
        name: &'a Name,
        seen: &'a Lifecycle,
        step: Step,
    ) -> BoxFuture<'a, Result<Lifecycle, Error>> {
        self.store.rotate(name, seen, step)
    }

    fn remove<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<bool, Error>> {
        self.store.remove(name)
    }
}

struct Scene {
    clock: TestClock,
    log: EventLog,
    store: Arc<Moody>,
    secrets: Secrets,
}

impl Scene {
    fn new(adjust: impl FnOnce(&mut SecretsConfig)) -> Self {
        let (clock, log) = (TestClock::new(), EventLog::default());
        let ctx = Ctx { clock: clock.shared(), events: Events::to(Arc::new(log.clone())), ..Ctx::default() };
        let store = MemoryStore::new(clock.shared());
        let (fails, hangs, asked) = (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0));
        let store = Arc::new(Moody { store, fails, hangs, asked });
        let mut config = SecretsConfig::default();
        adjust(&mut config);
        let secrets = Secrets::new(Arc::clone(&store) as Arc<dyn SecretStore>, &config, &ctx).unwrap();
        Self { clock, log, store, secrets }
    }

    async fn put(&self, name: &str, text: &str) -> Lifecycle {
        let (name, secret) = (Name::new(name).unwrap(), Secret::from(text.to_owned()));
        self.store.put(&name, &secret, Expect::Anything).await.unwrap()
    }

    async fn rotate(&self, name: &str, seen: &Lifecycle, step: Step) -> Lifecycle {
        self.store.rotate(&Name::new(name).unwrap(), seen, step).await.unwrap()
    }

    async fn current(&self, name: &str) -> Result<String, Error> {
        self.secrets.current(name).await.map(|secret| secret.text().unwrap().to_owned())
    }

    fn asked(&self) -> usize {
        self.store.asked.swap(0, Ordering::SeqCst)
    }

    fn events(&self, action: &str) -> usize {
        self.log.events().iter().filter(|event| event.action == action).count()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn the_store_is_asked_once_for_as_long_as_its_answer_is_fresh() {
    let scene = Scene::new(|_| {});
    scene.put("db/password", "one").await;
    let asking: Vec<_> = (0..100).map(|_| scene.current("db/password")).collect();
    for found in futures(asking).await {
        assert_eq!(found.unwrap(), "one");
    }
    assert_eq!(scene.asked(), 1);
    scene.put("db/password", "two").await;
    scene.clock.advance(SECOND * 59);
    assert_eq!(scene.current("db/password").await.unwrap(), "one");
    scene.clock.advance(SECOND);
    assert_eq!(scene.current("db/password").await.unwrap(), "two");
    assert_eq!((scene.asked(), scene.events(READ)), (1, 102));
    scene.put("db/password", "three").await;
    scene.secrets.forget("db/password");
    assert_eq!(scene.current("db/password").await.unwrap(), "three");
}

/// All at once, in one task.
async fn futures<T>(all: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in all.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(cx) {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn last_known_good_is_used_while_the_store_fails_and_not_for_ever() {
    let scene = Scene::new(|_| {});
    scene.put("a", "good").await;
    assert_eq!(scene.current("a").await.unwrap(), "good");
    assert_eq!(scene.secrets.check().await, Vitality::Pass);
    scene.store.fails.store(true, Ordering::SeqCst);
    scene.clock.advance(SECOND * 60);
    scene.asked();
    for _ in 0..50 {
        assert_eq!(scene.current("a").await.unwrap(), "good");
    }
    assert_eq!((scene.asked(), scene.events(STALE)), (1, 1), "a store that fails is left alone for a while");
    assert!(matches!(scene.secrets.check().await, Vitality::Warn(_)));
    scene.clock.advance(SECOND * 5);
    assert_eq!(scene.current("a").await.unwrap(), "good");
    assert_eq!((scene.asked(), scene.events(STALE)), (1, 1), "one outage is told once");
    scene.clock.advance(SECOND * 3600);
    assert!(scene.current("a").await.is_err());
    let error = scene.current("a").await.unwrap_err();
    assert_eq!(buttress_core::Classify::class(&error), ErrorClass::Unavailable);
    assert!(matches!(scene.secrets.check().await, Vitality::Fail(_)));
    scene.store.fails.store(false, Ordering::SeqCst);
    scene.clock.advance(SECOND * 5);
    assert_eq!(scene.current("a").await.unwrap(), "good");
    assert_eq!(scene.secrets.check().await, Vitality::Pass);
}

#[tokio::test]
async fn a_store_that_hangs_is_left_after_its_limit() {
    let scene = Scene::new(|_| {});
    scene.store.hangs.store(true, Ordering::SeqCst);
    let (clock, current) = (scene.clock.clone(), scene.current("a"));
    let passing = async {
        tokio::task::yield_now().await;
        clock.advance(SECOND * 10);
    };
    let (found, ()) = tokio::join!(current, passing);
    assert!(matches!(found.unwrap_err(), Error::TimedOut { .. }));
}

#[tokio::test]
async fn what_is_removed_is_gone_and_what_never_was_takes_no_room() {
    let scene = Scene::new(|config| config.names = 2);
    scene.put("a", "x").await;
    scene.put("b", "x").await;
    for number in 0..10 {
        assert!(matches!(scene.current(&format!("missing-{number}")).await, Err(Error::NotFound { .. })));
    }
    scene.current("a").await.unwrap();
    scene.current("b").await.unwrap();
    scene.put("c", "x").await;
    assert!(matches!(scene.current("c").await, Err(Error::TooLarge { .. })));
    scene.store.remove(&Name::new("a").unwrap()).await.unwrap();
    scene.clock.advance(SECOND * 60);
    assert!(matches!(scene.current("a").await, Err(Error::NotFound { .. })));
    assert_eq!(scene.current("c").await.unwrap(), "x");
}

#[tokio::test]
async fn each_version_is_accepted_in_its_time() {
    let scene = Scene::new(|_| {});
    let seen = scene.put("key", "one").await;
    let accepts = async |text: &'static str| {
        scene.secrets.accepts("key", |secret| secret.matches(text.as_bytes())).await.unwrap()
    };
    assert_eq!(accepts("one").await, Some(Stage::Current));
    assert_eq!(accepts("wrong").await, None);
    let seen = scene.rotate("key", &seen, Step::Create(Secret::from("two".to_owned()))).await;
    // What fits nothing lets the store be asked, which the second before this was too short for.
    assert_eq!(accepts("two").await, None);
    scene.clock.advance(SECOND);
    assert_eq!(accepts("two").await, Some(Stage::Next));
    scene.rotate("key", &seen, Step::Switch).await;
    scene.clock.advance(SECOND * 60);
    assert_eq!(accepts("two").await, Some(Stage::Current));
    assert_eq!(accepts("one").await, Some(Stage::Previous));
    // Past its grace it is refused, though nobody has retired it yet.
    scene.clock.advance(SECOND * 7200);
    assert_eq!(accepts("one").await, None);
    assert!(scene.secrets.matches("key", b"two").await.unwrap());
    scene.asked();
    for _ in 0..1000 {
        assert_eq!(accepts("guess").await, None);
    }
    assert!(scene.asked() <= 1, "who guesses does not reach the store");
    let denied = scene.log.events().into_iter().filter(|event| event.action == CHECKED);
    assert!(denied.filter(|event| event.outcome == Outcome::Denied).count() >= 1000);
}

#[tokio::test]
async fn unusual_accesses_are_told() {
    let scene = Scene::new(|config| {
        let mut anomaly = AnomalyConfig::default();
        (anomaly.learn, anomaly.burst_least) = (SECOND * 3600, 50);
        config.anomaly = anomaly;
    });
    scene.put("a", "x").await;
    let known = scene.secrets.reader("billing");
    known.current("a").await.unwrap();
    scene.clock.advance(SECOND * 7200);
    known.current("a").await.unwrap();
    assert_eq!(scene.events(ANOMALY), 0);
    scene.secrets.reader("stranger").current("a").await.unwrap();
    let event = scene.log.events().into_iter().find(|event| event.action == ANOMALY).unwrap();
    let (actor, target, detail) = (event.actor.unwrap(), event.target.unwrap(), event.detail.unwrap());
    assert_eq!((actor.as_str(), target.as_str(), detail.as_str()), ("stranger", "a", "new_reader"));
    for _ in 0..100 {
        known.current("a").await.unwrap();
    }
    assert_eq!(scene.events(ANOMALY), 2);
}

/// Planted in every place where a secret can be; looked for in all that comes out.
#[tokio::test]
async fn no_secret_is_in_any_output() {
    const PLANTED: &str = "PLANTED-9f4c";
    let scene = Scene::new(|_| {});
    let mut out = String::new();
    let seen = scene.put("a", PLANTED).await;
    let created = scene.rotate("a", &seen, Step::Create(Secret::from(format!("{PLANTED}-next")))).await;
    let next = Step::Create(Secret::from(PLANTED.to_owned()));
    let refused = scene.store.rotate(&Name::new("a").unwrap(), &created, next.clone()).await.unwrap_err();
    let secret = scene.secrets.current("a").await.unwrap();
    let fits = scene.secrets.matches("a", PLANTED.as_bytes()).await.unwrap();
    scene.secrets.matches("a", format!("{PLANTED}-guess").as_bytes()).await.unwrap();
    let versions = scene.store.load(&Name::new("a").unwrap()).await.unwrap().unwrap();
    let not_a_name = scene.secrets.current(&format!("{PLANTED} {PLANTED}")).await.unwrap_err();
    let binary = Secret::new([PLANTED.as_bytes(), &[0xff]].concat());
    let not_text = binary.text().unwrap_err();
    let large = Secret::new(PLANTED.as_bytes().repeat(10_000));
    let too_large = scene.store.put(&Name::new("b").unwrap(), &large, Expect::Anything).await.unwrap_err();
    scene.store.fails.store(true, Ordering::SeqCst);
    scene.clock.advance(SECOND * 60);
    scene.secrets.current("a").await.unwrap();
    let panic = std::panic::catch_unwind(|| {
        assert!(!secret.matches(PLANTED.as_bytes()), "{secret:?}");
    });
    let panic = panic.unwrap_err().downcast::<String>().unwrap();
    for text in [
        format!("{secret:?} {next:?} {versions:?} {fits} {panic}"),
        format!("{refused} {refused:?} {not_a_name} {not_a_name:?} {not_text:?} {too_large:?}"),
        format!("{:?} {:?} {:?}", scene.secrets, scene.store.store, scene.secrets.check().await),
        format!("{:?}", scene.log.events()),
    ] {
        out.push_str(&text);
    }
    assert!(out.len() > 1000 && !out.contains("PLANTED"), "{out}");
}

/// A thousand requests a second by the clock of the test, over a whole rotation: four signers and four verifiers, each with what it
/// knows, and not one refused.
#[tokio::test]
async fn a_rotation_under_load_refuses_nobody() {
    let scene = Scene::new(|_| {});
    let ctx = Ctx { clock: scene.clock.shared(), ..Ctx::default() };
    let mut config = SecretsConfig::default();
    // Nobody is saved by asking the store in between.
    (config.ttl, config.load_within, config.recheck) = (SECOND * 10, SECOND * 2, SECOND * 3600);
    let rotation = &mut config.rotation;
    (rotation.every, rotation.overlap, rotation.grace) = (SECOND * 60, SECOND * 13, SECOND * 13);
    let policy = config.rotation;
    let handle = || Secrets::new(Arc::clone(&scene.store) as Arc<dyn SecretStore>, &config, &ctx).unwrap();
    let (signers, verifiers): (Vec<_>, Vec<_>) = (0..4).map(|_| (handle(), handle())).unzip();
    let name = Name::new("signing/key").unwrap();
    scene.put("signing/key", "first").await;
    let store = Arc::clone(&scene.store) as Arc<dyn SecretStore>;
    let generate = buttress_secrets::RandomValue::default();
    let rotator = buttress_secrets::Rotator::new(store, name, policy, generate, &ctx).unwrap();
    let (mut seen, mut used) = (std::collections::HashSet::new(), 0_u32);
    let mut stages = std::collections::HashSet::new();
    for tick in 0..200_000_u32 {
        scene.clock.advance(Duration::from_millis(1));
        if tick % 500 == 0 {
            rotator.advance().await.unwrap();
        }
        let (signer, verifier) = (tick % 4, tick / 4 % 4);
        // They do not begin, and so do not ask the store, at the same moments.
        if tick < signer * 1300 || tick < verifier * 1900 + 700 {
            continue;
        }
        let (signer, verifier) = (&signers[signer as usize], &verifiers[verifier as usize]);
        let signature = signer.current("signing/key").await.unwrap();
        let stage = verifier.accepts("signing/key", |key| key.matches(signature.expose())).await.unwrap();
        stages.insert(stage.unwrap());
        if seen.insert(signature.expose().to_vec()) {
            used += 1;
        }
    }
    assert!(used >= 3, "{used} versions were used");
    assert!(stages.contains(&Stage::Previous) && stages.contains(&Stage::Next), "{stages:?}");
}

#[test]
fn a_configuration_reads_and_says_what_is_wrong() {
    use buttress_core::Validate;
    let read = |text: &str| -> SecretsConfig { toml::from_str(text).unwrap() };
    let config = read(
        "ttl = \"30s\"\n[[stores]]\nkind = \"vault\"\npath = \"/var/lib/app.vault\"\nkey = { key_file = \"/run/key\" }\n\
         [[stores]]\nkind = \"files\"\nfolder = \"/run/secrets\"\n[[stores]]\nkind = \"credentials\"\n",
    );
    assert_eq!(config.stores.len(), 3);
    config.validate().unwrap();
    let bad = read("stores = []\nttl = \"3h\"\nnames = 0\n[anomaly]\nopens = \"25:00\"\n");
    let told = bad.validate().unwrap_err().to_string();
    for part in ["stores", "names", "rotation.overlap", "anomaly.opens"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(toml::from_str::<SecretsConfig>("passphrase = \"x\"").is_err());
    let _ = TestClock::new().now();
}
