//! Key sets that are fetched, and keys that rotate.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing expectation fails the test"
)]

mod tokens;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress_access::jwt::{
    Algorithm, Jwks, JwksConfig, JwksFile, KeySet, Signer, SigningKey, TokenConfig, Verifier,
};
use buttress_access::{Error, Names, Refusal, TenantId};
use buttress_core::{BoxFuture, Clock, Ctx, EventLog, Events, TestClock};
use tokens::{claims, config, set, signing};

/// What others publish: a text that changes, and how often it was fetched.
#[derive(Clone, Default)]
struct Published(Arc<Mutex<Option<String>>>, Arc<AtomicUsize>);

impl Published {
    fn set<'a>(&self, keys: impl IntoIterator<Item = &'a SigningKey>) {
        *self.0.lock().unwrap() = Some(set(keys).to_jwks());
    }

    fn fails(&self) {
        *self.0.lock().unwrap() = None;
    }

    fn fetches(&self) -> usize {
        self.1.load(Ordering::Relaxed)
    }

    fn source(&self) -> impl Fn() -> BoxFuture<'static, Result<Vec<u8>, Error>> + use<> {
        let published = self.clone();
        move || {
            let published = published.clone();
            Box::pin(async move {
                published.1.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                let text = published.0.lock().unwrap().clone();
                text.map(String::into_bytes)
                    .ok_or(Error::Unavailable { what: "the server", problem: "gone".to_owned() })
            })
        }
    }
}

fn ctx(clock: &TestClock) -> Ctx {
    Ctx { clock: clock.shared(), ..Ctx::default() }
}

fn verifier(published: &Published, ctx: &Ctx) -> Verifier {
    let jwks = Jwks::new(published.source(), &JwksConfig::default(), ctx).unwrap();
    Verifier::new(&config(), jwks, ctx).unwrap()
}

fn why(answer: Result<impl Sized, Error>) -> Refusal {
    match answer.err() {
        Some(Error::Refused { why, .. }) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn an_unknown_key_is_fetched_once_for_all_and_not_too_often() {
    let (clock, published) = (TestClock::new(), Published::default());
    let (old, new) = (signing(Algorithm::EdDsa, "old"), signing(Algorithm::Es256, "new"));
    let verifier = verifier(&published, &ctx(&clock));
    published.set([&old]);
    verifier.verify(&old.sign(&claims()).unwrap()).await.unwrap();
    assert_eq!(published.fetches(), 1);
    let token = new.sign(&claims()).unwrap();
    published.set([&old, &new]);
    // Within the floor nothing is fetched, however often it is asked for.
    for _ in 0..100 {
        assert_eq!(why(verifier.verify(&token).await), Refusal::Unknown);
    }
    assert_eq!(published.fetches(), 1);
    clock.advance(Duration::from_secs(10));
    let all: Vec<_> = (0..100)
        .map(|_| {
            let (verifier, token) = (verifier.clone(), token.clone());
            tokio::spawn(async move { verifier.verify(&token).await.is_ok() })
        })
        .collect();
    for one in all {
        assert!(one.await.unwrap());
    }
    assert_eq!(published.fetches(), 2, "one for all");
}

#[tokio::test]
async fn the_last_good_set_stays_while_none_comes() {
    let (clock, published) = (TestClock::new(), Published::default());
    let key = signing(Algorithm::EdDsa, "key");
    let lasting = claims().expires(clock.wall() + Duration::from_hours(100));
    let token = key.sign(&lasting).unwrap();
    let verifier = verifier(&published, &ctx(&clock));
    assert!(matches!(verifier.verify(&token).await, Err(Error::Unavailable { .. })), "there was none yet");
    published.set([&key]);
    clock.advance(Duration::from_secs(10));
    verifier.verify(&token).await.unwrap();
    published.fails();
    for hour in 0..24 {
        verifier.verify(&token).await.unwrap();
        assert_eq!(published.fetches(), 2 + hour);
        clock.advance(Duration::from_hours(1));
    }
    assert!(matches!(verifier.verify(&token).await, Err(Error::Unavailable { .. })), "too old by now");
    *published.0.lock().unwrap() = Some("{}".to_owned());
    clock.advance(Duration::from_secs(10));
    assert!(matches!(verifier.verify(&token).await, Err(Error::Unavailable { .. })), "no set");
    published.set([&key]);
    clock.advance(Duration::from_secs(10));
    verifier.verify(&token).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_taken_out_is_refused_when_the_set_is_old() {
    let (clock, published) = (TestClock::new(), Published::default());
    let (old, new) = (signing(Algorithm::EdDsa, "old"), signing(Algorithm::EdDsa, "new"));
    let verifier = verifier(&published, &ctx(&clock));
    published.set([&old, &new]);
    let token = old.sign(&claims()).unwrap();
    verifier.verify(&token).await.unwrap();
    published.set([&new]);
    clock.advance(Duration::from_mins(5));
    assert_eq!(why(verifier.verify(&token).await), Refusal::Unknown);
}

#[tokio::test]
async fn a_source_that_hangs_is_not_waited_for() {
    let clock = TestClock::new();
    let hanging = std::future::pending::<Result<Vec<u8>, Error>>;
    let jwks = Jwks::new(hanging, &JwksConfig::default(), &ctx(&clock)).unwrap();
    let asked = tokio::spawn(async move { jwks.get().await });
    while !asked.is_finished() {
        clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    assert!(matches!(asked.await.unwrap(), Err(Error::Unavailable { .. })));
}

#[tokio::test]
async fn a_file_is_a_source() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let (clock, key) = (TestClock::new(), signing(Algorithm::EdDsa, "key"));
    let jwks = Jwks::new(JwksFile(file.clone()), &JwksConfig::default(), &ctx(&clock)).unwrap();
    assert!(jwks.get().await.is_err());
    clock.advance(Duration::from_secs(10));
    std::fs::write(&file, vec![b' '; KeySet::LONGEST + 7]).unwrap();
    assert!(jwks.get().await.is_err());
    clock.advance(Duration::from_secs(10));
    std::fs::write(&file, set([&key]).to_jwks()).unwrap();
    assert_eq!(jwks.get().await.unwrap().iter().count(), 1);
}

#[tokio::test]
async fn a_signer_publishes_before_it_signs_and_after() {
    let (clock, log) = (TestClock::new(), EventLog::default());
    let mut ctx = ctx(&clock);
    ctx.events = Events::to(Arc::new(log.clone()));
    let signer = Signer::new(signing(Algorithm::Es256, "one"), &ctx);
    let kids = || signer.keys().iter().map(|key| key.kid().unwrap().to_owned()).collect::<Vec<_>>();
    assert!(matches!(signer.rotate(Duration::ZERO), Err(Error::Conflict { .. })), "nothing is prepared");
    let first = signer.sign(&claims()).unwrap();
    signer.prepare(signing(Algorithm::EdDsa, "two")).unwrap();
    assert!(matches!(signer.prepare(signing(Algorithm::EdDsa, "one")), Err(Error::Conflict { .. })));
    assert_eq!(kids(), ["one", "two"]);
    signer.rotate(Duration::from_mins(15)).unwrap();
    let second = signer.sign(&claims()).unwrap();
    let verifier = Verifier::new(&config(), signer.clone(), &ctx).unwrap();
    for token in [&first, &second] {
        verifier.verify(token).await.unwrap();
    }
    clock.advance(Duration::from_mins(15) - Duration::from_secs(1));
    assert_eq!(kids(), ["one", "two"]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(kids(), ["two"]);
    assert_eq!(why(verifier.verify(&first).await), Refusal::Unknown);
    let told: Vec<_> = log.events().iter().map(|event| (event.action, event.target.clone())).collect();
    assert_eq!(told[0], ("token_key.prepare", Some("two".to_owned())));
    assert_eq!(told[1], ("token_key.rotate", Some("two".to_owned())));
    assert_eq!(told.last().unwrap().0, "token.verify");
}

#[tokio::test]
async fn a_shared_secret_is_never_published() {
    let signer = Signer::new(signing(Algorithm::Hs256, "shared"), &Ctx::default());
    assert_eq!(signer.jwks(), r#"{"keys":[]}"#);
    let shown = format!("{signer:?} {:?}", signing(Algorithm::EdDsa, "key"));
    assert_eq!(
        shown,
        r#"Signer(SigningKey(HS256, Some("shared")), next None) SigningKey(EdDSA, Some("key"))"#
    );
}

#[tokio::test]
async fn a_token_says_who_asks() {
    let clock = TestClock::new();
    let signer = Signer::new(signing(Algorithm::EdDsa, "key"), &ctx(&clock));
    let mut config = config();
    config.tenant_claim = Some("tid".to_owned());
    let verifier = Verifier::new(&config, signer.clone(), &ctx(&clock)).unwrap();
    let full = claims().with("tid", "acme").unwrap().with("roles", ["admin"]).unwrap();
    let full = full.scopes(&Names::new(["documents:read", "jobs"]).unwrap());
    let principal = verifier.principal(&signer.sign(&full).unwrap()).await.unwrap();
    assert_eq!((principal.id.as_str(), principal.tenant), ("user-1", Some(TenantId::new("acme").unwrap())));
    assert!(principal.roles.contains("admin") && principal.scopes.contains("jobs"));
    let refused = async |claims| why(verifier.principal(&signer.sign(&claims).unwrap()).await);
    assert_eq!(refused(claims()).await, Refusal::MissingClaim("tenant"));
    assert_eq!(refused(full.clone().subject("")).await, Refusal::WrongClaim("sub"));
    assert_eq!(refused(full.clone().with("roles", "admin").unwrap()).await, Refusal::WrongClaim("roles"));
    assert_eq!(refused(full.clone().with("scope", ["a"]).unwrap()).await, Refusal::WrongClaim("scope"));
}

#[test]
fn settings_that_prove_nothing_are_refused() {
    let ctx = Ctx::default();
    let keys = || set([&signing(Algorithm::EdDsa, "key")]);
    assert!(Verifier::new(&TokenConfig::default(), keys(), &ctx).is_err());
    for odd in ["leeway = \"1h\"", "longest = \"1MiB\"", "audiences = []", "issuers = [\"\"]"] {
        let sure = ["issuers = [\"a\"]", "audiences = [\"b\"]"];
        let name = odd.split(' ').next().unwrap();
        let rest = sure.into_iter().filter(|line| !line.starts_with(name)).collect::<Vec<_>>().join("\n");
        let config: TokenConfig = toml::from_str(&format!("{odd}\n{rest}")).unwrap();
        assert!(Verifier::new(&config, keys(), &ctx).is_err(), "{odd}");
    }
    let config: JwksConfig = toml::from_str("floor = \"0s\"").unwrap();
    assert!(Jwks::new(JwksFile("x".into()), &config, &ctx).is_err());
}
