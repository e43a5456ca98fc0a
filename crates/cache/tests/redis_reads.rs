//! Reading from the tier in Redis: what many ask for at once is given to each, and a value tells its own end.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a real server lives in real time")]

use std::sync::Arc;
use std::time::Duration;

use buttress_cache::tier::{Lease, RedisTier, Stored, Tier};
use buttress_connect::ConnectionConfig;
use buttress_connect::redis::Redis;
use buttress_testkit::FaultProxy;
use tokio::task::JoinSet;

const MINUTE: Duration = Duration::from_mins(1);

async fn tier(url: &str) -> Arc<RedisTier> {
    let mut config = ConnectionConfig::default();
    config.timeout = Duration::from_secs(5);
    let redis = Redis::connect(&url.parse().unwrap(), &config).await.unwrap();
    Arc::new(RedisTier::new(redis, "reads"))
}

/// What each of them is answered; all ask at once.
async fn ask_all(
    tier: &Arc<RedisTier>,
    names: impl Iterator<Item = String>,
) -> Vec<(String, Option<Stored>)> {
    let mut asking = JoinSet::new();
    for name in names {
        let tier = Arc::clone(tier);
        asking.spawn(async move {
            let stored = tier.get(&name).await.unwrap();
            (name, stored)
        });
    }
    asking.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_has_what_it_asked_for() {
    let server = buttress_testkit::Redis::start();
    let tier = tier(&server.url()).await;
    // Of every three one is there for a time, one without an end, and one not at all.
    let bytes = |number: usize| number.to_string().repeat(1 + number % 50).into_bytes();
    for number in (0..600_usize).filter(|number| number % 3 < 2) {
        let keep = number.is_multiple_of(3).then_some(MINUTE);
        tier.write(&number.to_string(), &bytes(number), keep, b"").await.unwrap();
    }
    for _ in 0..3 {
        let answers = ask_all(&tier, (0..600).map(|number| number.to_string())).await;
        assert_eq!(answers.len(), 600);
        for (name, stored) in answers {
            let number: usize = name.parse().unwrap();
            assert_eq!(
                stored.as_ref().map(|stored| &stored.bytes),
                (number % 3 < 2).then(|| bytes(number)).as_ref()
            );
            let left = stored.and_then(|stored| stored.left);
            assert_eq!(left.is_some(), number.is_multiple_of(3), "{name}: {left:?}");
            assert!(left.is_none_or(|left| left <= MINUTE && left > MINUTE / 2), "{name}: {left:?}");
        }
    }
}

#[tokio::test]
async fn a_value_tells_the_end_that_redis_has_for_it() {
    let server = buttress_testkit::Redis::start();
    let tier = tier(&server.url()).await;
    assert_eq!(tier.lease("b", 1, MINUTE, None).await.unwrap(), Lease::Given);
    tier.write("a", b"one", Some(MINUTE), b"").await.unwrap();
    assert!(tier.fill("b", 1, b"two", Some(Duration::MAX)).await.unwrap());
    for (name, kept) in [("a", "one"), ("b", "two")] {
        let name = format!("reads:{{{name}}}");
        let ends = server.command(&["PEXPIRETIME", &name]).unwrap();
        let ends: u64 = ends.trim_start_matches(':').trim().parse().unwrap();
        let told = server.command(&["GET", &name]).unwrap();
        assert!(told.contains(&format!("{kept}{ends:016}BTRX")), "{told} {ends}");
    }
    tier.write("c", b"three", None, b"").await.unwrap();
    let told = server.command(&["GET", "reads:{c}"]).unwrap();
    assert!(told.contains("three0000000000000000BTRX"), "{told}");
}

#[tokio::test]
async fn what_tells_no_end_is_read_with_that_of_redis() {
    let server = buttress_testkit::Redis::start();
    let tier = tier(&server.url()).await;
    server.command(&["SET", "reads:{old}", "one", "PX", "60000"]).unwrap();
    server.command(&["SET", "reads:{endless}", "two"]).unwrap();
    tier.write("new", b"three", Some(MINUTE), b"").await.unwrap();
    let names = ["old", "none", "new", "endless"];
    // One after the other, and all at once.
    let mut answers = Vec::new();
    for name in names {
        answers.push((name.to_owned(), tier.get(name).await.unwrap()));
    }
    answers.extend(ask_all(&tier, names.iter().cycle().take(40).map(ToString::to_string)).await);
    for (name, stored) in answers {
        let (bytes, left) = stored.map(|stored| (stored.bytes, stored.left)).unzip();
        let expected = match &*name {
            "old" => Some(b"one".to_vec()),
            "endless" => Some(b"two".to_vec()),
            "new" => Some(b"three".to_vec()),
            _ => None,
        };
        assert_eq!(bytes, expected, "{name}");
        let ends = left.flatten().is_some_and(|left| left <= MINUTE && left > MINUTE / 2);
        assert_eq!(ends, ["old", "new"].contains(&&*name), "{name}: {left:?}");
    }
}

#[tokio::test]
async fn what_is_no_string_is_no_value_and_is_not_waited_for() {
    let server = buttress_testkit::Redis::start();
    let tier = tier(&server.url()).await;
    server.command(&["LPUSH", "reads:{list}", "one"]).unwrap();
    tier.write("a", b"one", None, b"").await.unwrap();
    assert!(tier.get("list").await.is_err());
    // Who asks with others is told there is nothing, and learns with the wish to load that there is no way.
    let others = ask_all(&tier, (0..20).map(|_| "a".to_owned()));
    let (others, _) = tokio::join!(others, tier.get("list"));
    assert!(others.iter().all(|(_, stored)| stored.as_ref().is_some_and(|stored| stored.bytes == b"one")));
    assert!(tier.lease("list", 1, MINUTE, None).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_up_holds_up_nobody() {
    let server = buttress_testkit::Redis::start();
    let proxy = FaultProxy::to(server.addr());
    let tier = tier(&format!("redis://{}", proxy.addr())).await;
    tier.write("a", b"one", Some(MINUTE), b"").await.unwrap();
    proxy.stall();
    for _ in 0..50 {
        let tier = Arc::clone(&tier);
        tokio::spawn(async move { tokio::time::timeout(Duration::from_millis(20), tier.get("a")).await });
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    proxy.pass();
    let answers = ask_all(&tier, (0..200).map(|_| "a".to_owned())).await;
    assert!(answers.iter().all(|(_, stored)| stored.as_ref().is_some_and(|stored| stored.bytes == b"one")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_ends_leaves_nobody_waiting() {
    let server = buttress_testkit::Redis::start();
    let tier = tier(&server.url()).await;
    tier.write("a", b"one", Some(MINUTE), b"").await.unwrap();
    for _ in 0..20 {
        let other = Arc::clone(&tier);
        let ends = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            for _ in 0..20 {
                let tier = Arc::clone(&other);
                runtime.spawn(async move { tier.get("a").await.is_ok() });
            }
            // They have asked, and what they asked for together has not been sent.
            runtime.block_on(tokio::task::yield_now());
        });
        ends.await.unwrap();
        let answer = async { while !matches!(tier.get("a").await, Ok(Some(_))) {} };
        tokio::time::timeout(MINUTE, answer).await.unwrap();
        let all = ask_all(&tier, (0..20).map(|_| "a".to_owned()));
        assert_eq!(tokio::time::timeout(MINUTE, all).await.unwrap().len(), 20);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_is_told_to_all_who_wait_for_it() {
    let server = buttress_testkit::Redis::start();
    let proxy = FaultProxy::to(server.addr());
    let tier = tier(&format!("redis://{}", proxy.addr())).await;
    tier.write("a", b"one", Some(MINUTE), b"").await.unwrap();
    proxy.stall();
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let tier = Arc::clone(&tier);
            tokio::spawn(async move { tier.get("a").await.is_ok() })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    proxy.cut();
    proxy.pass();
    let mut failed = 0;
    for asking in asking {
        failed += usize::from(!asking.await.unwrap());
    }
    assert!(failed > 0);
    // A new connection is made for those who come.
    while tier.get("a").await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(ask_all(&tier, (0..50).map(|_| "a".to_owned())).await.iter().all(|(_, stored)| stored.is_some()));
}
