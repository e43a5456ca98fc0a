//! A thousand requests a second over a rotation: none of them fails.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test in real time")]

mod tokens;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use buttress_access::jwt::{Algorithm, Claims, Jwks, JwksConfig, Signer, Verifier};
use buttress_access::keys::{ApiKeys, ApiKeysConfig, MemoryKeys, NewKey, Peppers};
use buttress_core::{BoxFuture, Clock, Ctx, Key};
use tokens::{AUDIENCE, ISSUER, config, signing};

/// In all; one each millisecond.
const REQUESTS: u32 = 3_000;
const CALLERS: u32 = 4;

type Request = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// Sends the requests, and does `rotate` after the first third of them. Answers how many failed, with the number that were sent.
async fn under_load(request: Request, rotate: impl Future<Output = ()>) -> (u32, u32) {
    let (sent, failed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (request, sent, failed) = (Arc::clone(&request), Arc::clone(&sent), Arc::clone(&failed));
            tokio::spawn(async move {
                let mut beat = tokio::time::interval(Duration::from_millis(CALLERS.into()));
                for _ in 0..REQUESTS / CALLERS {
                    beat.tick().await;
                    let fine = request().await;
                    sent.fetch_add(1, Ordering::Relaxed);
                    failed.fetch_add(u32::from(!fine), Ordering::Relaxed);
                }
            })
        })
        .collect();
    while sent.load(Ordering::Relaxed) < REQUESTS / 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    rotate.await;
    for caller in callers {
        caller.await.unwrap();
    }
    (failed.load(Ordering::Relaxed), sent.load(Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_an_api_key_rotates() {
    let ctx = Ctx::default();
    let mut settings = ApiKeysConfig::default();
    settings.cache_for = Duration::from_millis(100); // so that the store is asked again and again
    let peppers = Peppers::new(1, &[3; 32]).unwrap();
    let keys = ApiKeys::open(&settings, peppers, MemoryKeys::default(), &ctx).await.unwrap();
    let first = keys.issue(NewKey::of(Key::new("crawler").unwrap())).await.unwrap();
    let in_use = Arc::new(RwLock::new(first.expose().to_owned()));
    let request: Request = {
        let (keys, in_use) = (keys.clone(), Arc::clone(&in_use));
        Arc::new(move || {
            let (keys, text) = (keys.clone(), in_use.read().unwrap().clone());
            Box::pin(async move { keys.verify(&text).await.is_ok() })
        })
    };
    let rotate = async {
        let next = keys.rotate(first.id(), Duration::from_millis(800)).await.unwrap();
        // The client takes the new key a little later.
        tokio::time::sleep(Duration::from_millis(300)).await;
        next.expose().clone_into(&mut in_use.write().unwrap());
    };
    assert_eq!(under_load(request, rotate).await, (0, REQUESTS));
    // By now the overlap is over.
    assert!(keys.verify(first.expose()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_the_signing_key_rotates() {
    let ctx = Ctx::default();
    let signer = Signer::new(signing(Algorithm::EdDsa, "one"), &ctx);
    let published = signer.clone();
    let fetch = move || std::future::ready(Ok(published.jwks().into_bytes()));
    let mut settings = JwksConfig::default();
    (settings.floor, settings.fresh_for) = (Duration::from_secs(1), Duration::from_secs(1));
    let jwks = Jwks::new(fetch, &settings, &ctx).unwrap();
    let verifier = Verifier::new(&config(), jwks, &ctx).unwrap();
    // A token of the beginning, used to the end of its short life, and a new one with each request.
    let claims = |clock: &dyn Clock| {
        let claims = Claims::new().issuer(ISSUER).audience(AUDIENCE).subject("user-1");
        claims.expires(clock.wall() + Duration::from_mins(1))
    };
    let first = signer.sign(&claims(&*ctx.clock)).unwrap();
    let request: Request = {
        let (signer, verifier, clock) = (signer.clone(), verifier.clone(), ctx.clock.clone());
        Arc::new(move || {
            let tokens = [first.clone(), signer.sign(&claims(&*clock)).unwrap()];
            let verifier = verifier.clone();
            Box::pin(async move {
                verifier.verify(&tokens[0]).await.is_ok() && verifier.verify(&tokens[1]).await.is_ok()
            })
        })
    };
    let rotate = async {
        signer.prepare(signing(Algorithm::Es256, "two")).unwrap();
        // Every verifier has fetched the set by then.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        signer.rotate(Duration::from_mins(1)).unwrap();
    };
    assert_eq!(under_load(request, rotate).await, (0, REQUESTS));
}
