//! Breakers of several replicas that tell each other through a real Redis.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use buttress_connect::redis::Redis;
use buttress_connect::{Address, ConnectionConfig};
use buttress_core::{Classify, Ctx, EventLog, Events};
use buttress_resilience::{Breaker, BreakerConfig, BreakerState, SharingConfig, Verdict, WindowConfig};
use common::DOWN;

/// One of several processes, as far as breakers can tell.
struct Replica {
    breaker: Breaker,
    log: EventLog,
    ctx: Ctx,
}

async fn replica(server: &buttress_testkit::Redis, agree: u32) -> Replica {
    replica_at(&server.url(), agree).await
}

async fn replica_at(url: &str, agree: u32) -> Replica {
    let log = EventLog::default();
    let ctx = Ctx { events: Events::to(Arc::new(log.clone())), ..Ctx::default() };
    let mut config = BreakerConfig::default();
    (config.window, config.least) = (WindowConfig::Calls(4), 4);
    // Longer than any test waits.
    (config.open_first, config.open_most) = (Duration::from_mins(10), Duration::from_mins(10));
    let breaker = Breaker::new("callee", &config, &ctx).unwrap();
    let address: Address = url.parse().unwrap();
    let mut connection = ConnectionConfig::default();
    connection.timeout = Duration::from_millis(500);
    let redis = Redis::connect(&address, &connection).await.unwrap();
    let mut sharing = SharingConfig::default();
    (sharing.every, sharing.agree) = (Duration::from_millis(20), agree);
    breaker.share(redis, &sharing).unwrap();
    Replica { breaker, log, ctx }
}

impl Replica {
    fn open(&self) {
        (0..4).for_each(|_| self.breaker.admit().unwrap().failed(Verdict::of(&DOWN)));
        assert_eq!(self.breaker.state(), BreakerState::Open);
    }

    fn is_open(&self) -> bool {
        self.breaker.state() == BreakerState::Open
    }

    fn told(&self, start: &str) -> usize {
        let events = self.log.events();
        let sharing = events.iter().filter(|event| event.action == "breaker.sharing");
        sharing.filter(|event| event.detail.as_ref().is_some_and(|detail| detail.starts_with(start))).count()
    }
}

async fn until(condition: impl Fn() -> bool) {
    for _ in 0..3000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not come");
}

#[tokio::test]
async fn a_replica_that_opens_tells_the_others() {
    let server = buttress_testkit::Redis::start();
    let (one, other) = (replica(&server, 1).await, replica(&server, 1).await);
    one.open();
    until(|| other.is_open()).await;
    let (wait, follows) = (one.breaker.admit().unwrap_err(), other.breaker.admit().unwrap_err());
    assert!(follows.retry_after() <= wait.retry_after().map(|wait| wait + Duration::from_secs(1)));
    // One who comes later learns of it too, and one who follows is not taken for one who found out.
    let late = replica(&server, 1).await;
    until(|| late.is_open()).await;
    let answer = server.command(&["ZCARD", "buttress:breaker:callee"]).unwrap();
    assert_eq!(answer.trim(), ":1");
    let expires = server.command(&["PTTL", "buttress:breaker:callee"]).unwrap();
    assert!(!expires.starts_with(":-"), "it goes by itself: {expires}");
    one.ctx.shutdown.stop();
    one.ctx.shutdown.finished().await;
}

#[tokio::test]
async fn one_alone_may_be_wrong() {
    let server = buttress_testkit::Redis::start();
    let one = replica(&server, 2).await;
    let (second, third) = (replica(&server, 2).await, replica(&server, 2).await);
    one.open();
    until(|| server.command(&["ZCARD", "buttress:breaker:callee"]).unwrap().trim() == ":1").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!second.is_open() && !third.is_open());
    second.open();
    until(|| third.is_open()).await;
}

#[tokio::test]
async fn without_redis_each_decides_alone_and_says_so() {
    let mut server = buttress_testkit::Redis::start();
    let (one, other) = (replica(&server, 1).await, replica(&server, 1).await);
    server.process().kill();
    until(|| one.told("decides alone") > 0 && other.told("decides alone") > 0).await;
    one.open();
    assert!(!other.is_open());
    server.crash();
    // What it found while it could not tell is told now, also to a server that has forgotten all.
    until(|| other.is_open()).await;
    until(|| one.told("shares with other replicas again") > 0).await;
}

#[tokio::test]
async fn a_redis_that_hangs_holds_nobody_up() {
    let server = buttress_testkit::Redis::start();
    let proxy = buttress_testkit::FaultProxy::to(server.addr());
    let one = replica_at(&format!("redis://{}", proxy.addr()), 1).await;
    let other = replica(&server, 1).await;
    proxy.stall();
    // Nothing here waits for Redis.
    one.breaker.admit().unwrap().succeeded();
    until(|| one.told("decides alone") > 0).await;
    other.open();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!one.is_open());
    proxy.pass();
    until(|| one.is_open()).await;
}

#[tokio::test]
async fn the_task_ends_with_the_breaker() {
    let server = buttress_testkit::Redis::start();
    let Replica { breaker, ctx, .. } = replica(&server, 1).await;
    assert_eq!(ctx.shutdown.tasks(), 1);
    drop(breaker);
    until(|| ctx.shutdown.tasks() == 0).await;
}
