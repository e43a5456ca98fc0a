//! API keys as an application sees them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing expectation fails the test"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use buttress_access::keys::{
    Answer, ApiKeys, ApiKeysConfig, KeyChange, KeyId, KeyRecord, KeyStore, KeyText, MemoryKeys, NewKey,
    Peppers, Replaced,
};
use buttress_access::{Error, Names, Refusal, TenantId, contract};
use buttress_core::{Clock, Ctx, EventLog, Events, Key, Outcome, TestClock};
use proptest::prelude::*;

/// A store that several handles share, and that counts how often it is read.
#[derive(Clone, Default)]
struct Shared(Arc<MemoryKeys>, Arc<AtomicUsize>);

impl KeyStore for Shared {
    fn insert<'a>(&'a self, record: &'a KeyRecord, replaced: Option<Replaced>) -> Answer<'a, bool> {
        self.0.insert(record, replaced)
    }
    fn get(&self, id: KeyId) -> Answer<'_, Option<KeyRecord>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.get(id)
    }
    fn change(&self, id: KeyId, change: KeyChange) -> Answer<'_, bool> {
        self.0.change(id, change)
    }
    fn touch<'a>(&'a self, uses: &'a [(KeyId, SystemTime)]) -> Answer<'a, ()> {
        self.0.touch(uses)
    }
    fn list<'a>(
        &'a self,
        tenant: Option<&'a TenantId>,
        after: Option<KeyId>,
        most: usize,
    ) -> Answer<'a, Vec<KeyRecord>> {
        self.0.list(tenant, after, most)
    }
}

struct Scene {
    clock: TestClock,
    log: EventLog,
    ctx: Ctx,
    store: Shared,
    keys: ApiKeys,
}

fn peppers() -> Peppers {
    Peppers::new(1, &[1; 32]).unwrap()
}

async fn scene() -> Scene {
    let (clock, log, store) = (TestClock::new(), EventLog::default(), Shared::default());
    let mut ctx = Ctx::default();
    (ctx.clock, ctx.events) = (clock.shared(), Events::to(Arc::new(log.clone())));
    let keys = ApiKeys::open(&ApiKeysConfig::default(), peppers(), store.clone(), &ctx).await.unwrap();
    Scene { clock, log, ctx, store, keys }
}

fn crawler() -> NewKey {
    NewKey::of(Key::new("crawler").unwrap())
        .tenant(TenantId::new("acme").unwrap())
        .scopes(Names::new(["documents:read"]).unwrap())
}

fn why(answer: Result<impl Sized, Error>) -> Refusal {
    match answer.err() {
        Some(Error::Refused { why, .. }) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    contract::store_of_keys(async || MemoryKeys::default()).await;
}

#[tokio::test]
async fn a_full_memory_takes_no_more() {
    let (config, ctx) = (ApiKeysConfig::default(), Ctx::default());
    let keys = ApiKeys::open(&config, peppers(), MemoryKeys::new(1), &ctx).await.unwrap();
    keys.issue(crawler()).await.unwrap();
    assert!(matches!(keys.issue(crawler()).await, Err(Error::Busy(_))));
}

#[tokio::test]
async fn a_key_says_who_shows_it_until_it_expires() {
    let scene = scene().await;
    let issued = scene.keys.issue(crawler().lifetime(Duration::from_hours(1))).await.unwrap();
    assert!(issued.expose().starts_with(&format!("key_{}_", issued.id())));
    let principal = scene.keys.verify(issued.expose()).await.unwrap();
    assert_eq!(principal.id.as_str(), "crawler");
    assert_eq!(principal.tenant, Some(TenantId::new("acme").unwrap()));
    assert!(principal.scopes.contains("documents:read"));
    scene.clock.advance(Duration::from_secs(3_599));
    scene.keys.verify(issued.expose()).await.unwrap();
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(why(scene.keys.verify(issued.expose()).await), Refusal::Expired, "also from the cache");
}

#[tokio::test]
async fn what_is_not_a_key_costs_no_look_up() {
    let scene = scene().await;
    let text = scene.keys.issue(crawler()).await.unwrap().expose().to_owned();
    let verify = async |text: String| why(scene.keys.verify(&text).await);
    assert_eq!(verify(String::new()).await, Refusal::Malformed);
    assert_eq!(verify("k".repeat(1_000)).await, Refusal::TooLarge);
    for place in 0..text.len() {
        let mut typo = text.clone().into_bytes();
        typo[place] = if typo[place] == b'a' { b'b' } else { b'a' };
        let refusal = verify(String::from_utf8(typo).unwrap()).await;
        assert!(matches!(refusal, Refusal::Malformed | Refusal::Checksum), "{place}: {refusal:?}");
    }
    assert_eq!(scene.store.1.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn keys_of_others_are_unknown_and_a_wrong_secret_does_not_match() {
    let (here, there) = (scene().await, scene().await);
    let mut issued = Vec::new();
    for _ in 0..2 {
        issued.push(here.keys.issue(crawler()).await.unwrap());
    }
    assert_eq!(why(there.keys.verify(issued[0].expose()).await), Refusal::Unknown);
    // The record of one under the name of the other: as if the secret had been guessed for a known name.
    let mut forged = KeyRecord::new(
        issued[0].id(),
        issued[1].record().hash,
        1,
        Key::new("victim").unwrap(),
        there.clock.wall(),
    );
    forged.expires = issued[0].record().expires;
    assert!(there.store.insert(&forged, None).await.unwrap());
    assert_eq!(why(there.keys.verify(issued[0].expose()).await), Refusal::Mismatch);
    // Revoked, but that is told only to whoever knows the secret.
    there.store.change(issued[0].id(), KeyChange::Revoke { at: there.clock.wall() }).await.unwrap();
    assert_eq!(why(there.keys.verify(issued[0].expose()).await), Refusal::Mismatch);
}

#[tokio::test]
async fn a_revoked_key_is_refused_here_at_once_and_elsewhere_soon() {
    let scene = scene().await;
    let config = ApiKeysConfig::default();
    let other = ApiKeys::open(&config, peppers(), scene.store.clone(), &scene.ctx).await.unwrap();
    let issued = scene.keys.issue(crawler()).await.unwrap();
    scene.keys.verify(issued.expose()).await.unwrap();
    other.verify(issued.expose()).await.unwrap();
    scene.keys.revoke(issued.id()).await.unwrap();
    assert_eq!(why(scene.keys.verify(issued.expose()).await), Refusal::Revoked);
    scene.clock.advance(config.cache_for);
    assert_eq!(why(other.verify(issued.expose()).await), Refusal::Revoked);
    let nobody = KeyId::parse("0000000000000000").unwrap();
    assert!(matches!(scene.keys.revoke(nobody).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn many_uses_are_one_look_up_and_one_batch() {
    let scene = scene().await;
    let issued = scene.keys.issue(crawler()).await.unwrap();
    for _ in 0..1_000 {
        scene.keys.verify(issued.expose()).await.unwrap();
    }
    assert_eq!(scene.store.1.load(Ordering::Relaxed), 1);
    let used_at = scene.clock.wall();
    let last_used = async || scene.store.0.get(issued.id()).await.unwrap().unwrap().last_used;
    assert_eq!(last_used().await, None, "not with the request");
    tokio::task::yield_now().await; // the task in the background begins to wait
    scene.clock.advance(Duration::from_mins(1));
    while last_used().await.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(last_used().await, Some(used_at));
    scene.clock.advance(Duration::from_mins(1));
    scene.keys.verify(issued.expose()).await.unwrap();
    scene.ctx.shutdown.stop();
    scene.ctx.shutdown.finished().await;
    assert_eq!(last_used().await, Some(used_at + Duration::from_mins(2)), "a stop writes what is left");
}

#[tokio::test]
async fn a_rotated_key_overlaps_with_its_successor() {
    let scene = scene().await;
    let old = scene.keys.issue(crawler().lifetime(Duration::from_hours(100))).await.unwrap();
    scene.clock.advance(Duration::from_hours(10));
    scene.keys.verify(old.expose()).await.unwrap();
    let new = scene.keys.rotate(old.id(), Duration::from_hours(1)).await.unwrap();
    let [first, second] = [old.expose(), new.expose()].map(|text| scene.keys.verify(text));
    assert_eq!(first.await.unwrap(), second.await.unwrap());
    let lasts = new.record().expires.unwrap().duration_since(new.record().created).unwrap();
    assert_eq!(lasts, Duration::from_hours(100));
    assert!(matches!(scene.keys.rotate(old.id(), Duration::ZERO).await, Err(Error::Conflict { .. })));
    scene.clock.advance(Duration::from_hours(1));
    assert_eq!(why(scene.keys.verify(old.expose()).await), Refusal::Expired);
    scene.keys.verify(new.expose()).await.unwrap();
}

#[tokio::test]
async fn a_pepper_is_replaced_while_keys_are_used() {
    let scene = scene().await;
    let issued = scene.keys.issue(crawler()).await.unwrap();
    let open = async |peppers| {
        ApiKeys::open(&ApiKeysConfig::default(), peppers, scene.store.clone(), &scene.ctx).await.unwrap()
    };
    let both = open(Peppers::new(2, &[2; 32]).unwrap().accept(1, &[1; 32]).unwrap()).await;
    let newest = async || open(Peppers::new(2, &[2; 32]).unwrap()).await;
    assert_eq!(why(newest().await.verify(issued.expose()).await), Refusal::Mismatch);
    both.verify(issued.expose()).await.unwrap();
    newest().await.verify(issued.expose()).await.unwrap();
    // Who has kept the record from before still takes the key.
    both.verify(issued.expose()).await.unwrap();
}

#[tokio::test]
async fn events_name_keys_and_no_secrets() {
    let scene = scene().await;
    let old = scene.keys.issue(crawler()).await.unwrap();
    let new = scene.keys.rotate(old.id(), Duration::from_secs(1)).await.unwrap();
    scene.keys.revoke(new.id()).await.unwrap();
    let refused = scene.keys.verify(new.expose()).await.unwrap_err();
    let events = scene.log.events();
    let told: Vec<_> = events.iter().map(|event| (event.action, event.outcome)).collect();
    let done = |action| (action, Outcome::Success);
    let expected = [done("api_key.issue"), done("api_key.rotate"), done("api_key.revoke")];
    assert_eq!(told, [&expected[..], &[("api_key.verify", Outcome::Denied)]].concat());
    assert_eq!(events[3].target, Some(new.id().to_string()));
    let shown = format!(
        "{events:?} {refused} {refused:?} {old:?} {:?} {:?} {:?} {:?}",
        old.record(),
        scene.keys,
        peppers(),
        KeyText::parse(old.expose()).unwrap(),
    );
    for key in [&old, &new] {
        let secret = key.expose().rsplit('_').nth(1).unwrap();
        assert!(secret.len() == 43 && !shown.contains(secret));
        let hash = format!("{:?}", key.record().hash);
        assert!(!shown.contains(&hash));
    }
}

#[tokio::test]
async fn a_store_that_hangs_is_not_waited_for() {
    struct Hanging;
    impl KeyStore for Hanging {
        fn insert<'a>(&'a self, _: &'a KeyRecord, _: Option<Replaced>) -> Answer<'a, bool> {
            Box::pin(std::future::pending())
        }
        fn get(&self, _: KeyId) -> Answer<'_, Option<KeyRecord>> {
            Box::pin(std::future::pending())
        }
        fn change(&self, _: KeyId, _: KeyChange) -> Answer<'_, bool> {
            Box::pin(std::future::pending())
        }
        fn touch<'a>(&'a self, _: &'a [(KeyId, SystemTime)]) -> Answer<'a, ()> {
            Box::pin(std::future::pending())
        }
        fn list<'a>(
            &'a self,
            _: Option<&'a TenantId>,
            _: Option<KeyId>,
            _: usize,
        ) -> Answer<'a, Vec<KeyRecord>> {
            Box::pin(std::future::pending())
        }
    }
    let scene = scene().await;
    let keys = ApiKeys::open(&ApiKeysConfig::default(), peppers(), Hanging, &scene.ctx).await.unwrap();
    let text = scene.keys.issue(crawler()).await.unwrap().expose().to_owned();
    let asked = tokio::spawn(async move { keys.verify(&text).await });
    while !asked.is_finished() {
        scene.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    assert!(matches!(asked.await.unwrap(), Err(Error::Unavailable { .. })));
}

#[test]
fn weak_peppers_and_odd_settings_are_refused() {
    assert!(Peppers::new(1, &[1; 31]).is_err());
    assert!(peppers().accept(1, &[2; 32]).is_err(), "a version twice");
    for odd in
        ["prefix = \"Key\"", "prefix = \"a__b\"", "lifetime = \"1s\"", "cache_most = 0", "within = \"0s\""]
    {
        let config: ApiKeysConfig = toml::from_str(odd).unwrap();
        assert!(buttress_core::Validate::validate(&config).is_err(), "{odd}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_fail(text in "\\PC{0,120}") {
        let _ = KeyText::parse(&text);
    }

    #[test]
    fn no_text_like_a_key_makes_it_fail(text in "[a-z_]{0,20}_[0-9A-Za-z]{14,18}_[0-9A-Za-z]{42,44}_[0-9A-Za-z]{5,7}") {
        // One in 2^32 of them would hold.
        prop_assert!(KeyText::parse(&text).is_err());
    }
}
