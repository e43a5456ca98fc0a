//! The shared limiter while its servers are killed, stalled, slow, emptied or replaced: every check answers in time, as configured, and
//! the server is found again by itself.
#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing expectation fails the test"
)]
#![allow(clippy::disallowed_methods, reason = "the servers live in real time")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use buttress_core::{Ctx, EventLog, Events, Probe, Vitality};
use buttress_ratelimit::metrics::{FALLBACK, SHARED_UP};
use buttress_ratelimit::{Decision, Limit, LimiterConfig, OnUnavailable, SharedLimiter};
use buttress_testkit::{FaultProxy, Redis, RedisCluster, RedisSentinel};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

const QUOTA: u32 = 500;
/// The limit of one call.
const WITHIN: Duration = Duration::from_millis(100);
/// More than a check can take on a machine that is busy with other things. A check that hangs takes longer.
const HANGS: Duration = Duration::from_secs(2);
/// More than is leased and not used when the server goes.
const LEASED: u32 = 130;
/// For what has to happen. Met in full only by a failure.
const PATIENCE: Duration = Duration::from_secs(30);
/// One that asks the server for each check, and one that uses up what it has leased.
const KINDS: [u32; 2] = [0, 8];

/// A limiter, and all that it tells.
struct Scene {
    limiter: SharedLimiter,
    on_unavailable: OnUnavailable,
    log: EventLog,
    metrics: PrometheusHandle,
}

impl Scene {
    async fn open(url: &str, lease_share: u32, on_unavailable: OnUnavailable) -> Self {
        let mut config = LimiterConfig::one([Limit::new(QUOTA, Duration::from_hours(5_000))]);
        config.name = format!("lease-share-{lease_share}");
        config.shared.url = Some(url.parse().unwrap());
        config.shared.within = WITHIN;
        config.shared.retry_every = Duration::from_millis(200);
        config.shared.connection.timeout = Duration::from_secs(1);
        config.shared.on_unavailable = on_unavailable;
        config.shared.lease_share = lease_share;
        let log = EventLog::default();
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = recorder.handle();
        // Handles are resolved here, on this thread.
        let _guard = metrics::set_default_local_recorder(&recorder);
        let ctx = Ctx { events: Events::to(Arc::new(log.clone())), ..Ctx::default() };
        Self { limiter: SharedLimiter::open(&config, &ctx).await.unwrap(), on_unavailable, log, metrics }
    }

    /// Asks `times` times in each of four tasks, and on until `ended`.
    async fn ask(&self, times: usize, ended: impl Fn() -> bool + Clone + Send + 'static) -> Answers {
        let task = |_| {
            let (limiter, ended) = (self.limiter.clone(), ended.clone());
            tokio::spawn(async move {
                let mut answers = Answers::default();
                while answers.0.len() < times || !ended() {
                    let asked = Instant::now();
                    let decision = limiter.check("user").await;
                    answers.0.push((decision, asked.elapsed()));
                    if answers.0.len() >= times {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                answers
            })
        };
        let mut all = Answers::default();
        for task in (0..4).map(task).collect::<Vec<_>>() {
            all.0.extend(task.await.expect("no task panics").0);
        }
        all
    }

    async fn ask_often(&self) -> Answers {
        self.ask(1_000, || true).await
    }

    fn metric(&self, name: &str) -> f64 {
        let told = self.metrics.render();
        let line =
            told.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {told}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    fn last_event(&self) -> Option<&'static str> {
        self.log.events().last().map(|event| event.action)
    }

    /// Events, metrics and probe tell that the server is gone.
    async fn tells_of_it(&self) {
        assert_eq!(self.last_event(), Some("ratelimit.shared.lost"));
        assert!(self.metric(SHARED_UP) < 0.5);
        assert!(self.metric(FALLBACK) > 2.5);
        let told = Probe::check(&self.limiter).await;
        let closed = self.on_unavailable == OnUnavailable::Closed;
        assert!(
            if closed { matches!(told, Vitality::Fail(_)) } else { matches!(told, Vitality::Warn(_)) },
            "{told:?}"
        );
    }

    /// Waits until the server is found again, and events, metrics and probe tell of it.
    async fn recovers(&self) {
        let asked = Instant::now();
        while self.last_event() != Some("ratelimit.shared.found") {
            assert!(asked.elapsed() < PATIENCE, "not found again: {:?}", self.log.events());
            tokio::time::sleep(Duration::from_millis(10)).await;
            let _ = self.limiter.check("other").await;
        }
        assert!(self.metric(SHARED_UP) > 0.5);
        assert_eq!(Probe::check(&self.limiter).await, Vitality::Pass);
        let told: Vec<_> = self.log.events().iter().map(|event| event.action).collect();
        assert!(
            told.chunks(2).all(|two| two == ["ratelimit.shared.lost", "ratelimit.shared.found"]),
            "{told:?}"
        );
    }
}

/// What was decided, and how long that took.
#[derive(Default)]
struct Answers(Vec<(Decision, Duration)>);

impl Answers {
    fn admitted(&self) -> u32 {
        self.count(|decision| matches!(decision, Decision::Admitted(_)))
    }

    fn count(&self, what: impl Fn(&Decision) -> bool) -> u32 {
        u32::try_from(self.0.iter().filter(|(decision, _)| what(decision)).count()).unwrap()
    }

    /// No check took longer than a call may; and of a hundred, one may take as long.
    fn in_time(&self) {
        let slower = |limit| self.0.iter().filter(|(_, took)| *took > limit).count();
        assert_eq!(slower(HANGS), 0, "of {}", self.0.len());
        assert!(slower(WITHIN) <= self.0.len() / 100, "{} of {}", slower(WITHIN), self.0.len());
    }

    fn are_as(&self, on_unavailable: OnUnavailable) {
        match on_unavailable {
            // What was leased before is used up, too.
            OnUnavailable::Local => assert!((QUOTA..QUOTA + LEASED).contains(&self.admitted())),
            OnUnavailable::Open => assert_eq!(self.count(Decision::is_admitted) as usize, self.0.len()),
            OnUnavailable::Closed => {
                let soon = |wait: Option<Duration>| wait <= Some(Duration::from_millis(200));
                let told = self.count(|decision| {
                    matches!(decision, Decision::Unavailable { .. }) && soon(decision.retry_after())
                });
                assert_eq!(told + self.admitted(), u32::try_from(self.0.len()).unwrap());
                assert!(self.admitted() < LEASED, "what was leased before");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What happens to the server while it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Break,
    Mend,
}

/// One limiter of each kind goes through an outage; `keeps` says whether the server keeps what was counted.
async fn outage(url: &str, keeps: bool, on_unavailable: OnUnavailable, mut server: impl FnMut(Act)) {
    for lease_share in KINDS {
        let scene = Scene::open(url, lease_share, on_unavailable).await;
        let before = scene.ask(25, || true).await;
        assert_eq!(before.admitted(), 100, "{lease_share}");
        server(Act::Break);
        let during = scene.ask_often().await;
        during.in_time();
        during.are_as(on_unavailable);
        scene.tells_of_it().await;
        server(Act::Mend);
        scene.recovers().await;
        let alone = scene.metric(FALLBACK);
        let after = scene.ask_often().await;
        after.in_time();
        // On a machine that is busy with other things an answer may come too late: what it hands out is lost.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let late = (scene.metric(FALLBACK) - alone) as u32;
        let lost = LEASED + lease_share.min(1) * (QUOTA / 8) * late;
        let local = if on_unavailable == OnUnavailable::Local { QUOTA } else { 0 };
        let leased = during.admitted() - local;
        let gone = if keeps { before.admitted() + leased } else { 0 };
        // What was asked for as the server went may have been handed out without an answer.
        let all = gone + after.admitted();
        assert!(all <= QUOTA && all + lost >= QUOTA, "{lease_share}: {gone} + {}", after.admitted());
    }
}

async fn killed(on_unavailable: OnUnavailable) {
    let mut server = Redis::durable();
    outage(&server.url(), true, on_unavailable, |act| match act {
        Act::Break => server.process().kill(),
        Act::Mend => server.crash(),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_each_process_counts_for_itself() {
    killed(OnUnavailable::Local).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_all_are_admitted() {
    killed(OnUnavailable::Open).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_nobody_is_admitted() {
    killed(OnUnavailable::Closed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn started_again_empty() {
    let mut server = Redis::start();
    outage(&server.url(), false, OnUnavailable::Local, |act| match act {
        Act::Break => server.process().kill(),
        Act::Mend => server.crash(),
    })
    .await;
}

/// Through a proxy that does what it is told.
async fn on_the_way(breaks: impl Fn(&FaultProxy)) {
    let server = Redis::start();
    let proxy = FaultProxy::to(server.addr());
    outage(&format!("redis://{}", proxy.addr()), true, OnUnavailable::Local, |act| match act {
        Act::Break => breaks(&proxy),
        Act::Mend => proxy.pass(),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled() {
    on_the_way(FaultProxy::stall).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slower_than_a_call_may_be() {
    on_the_way(|proxy| proxy.slow_down(WITHIN * 3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_slow_for_long_does_not_hand_out_what_nobody_gets() {
    let server = Redis::start();
    let proxy = FaultProxy::to(server.addr());
    let url = format!("redis://{}", proxy.addr());
    let scene = Scene::open(&url, 8, OnUnavailable::Closed).await;
    assert!(scene.limiter.check("user").await.is_admitted());
    proxy.slow_down(WITHIN * 3);
    let begun = Instant::now();
    // Long enough for ten calls that try it.
    let during = scene.ask(1, move || begun.elapsed() > Duration::from_secs(2)).await;
    proxy.pass();
    scene.recovers().await;
    let after = scene.ask_often().await;
    let admitted = 1 + during.admitted() + after.admitted();
    assert!(admitted <= QUOTA && admitted + LEASED >= QUOTA, "{admitted} of {QUOTA}");
}

/// The host is gone without a word, and another has its address: the connection stays open, and nothing comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vanished() {
    on_the_way(FaultProxy::strand).await;
}

/// A replica takes over while four tasks ask.
async fn failover<G: Send + 'static>(
    start: fn() -> G,
    url: fn(&G) -> String,
    replicate: fn(&G),
    fail_over: fn(&mut G),
) {
    for lease_share in KINDS {
        let group = tokio::task::spawn_blocking(start).await.unwrap();
        let scene = Scene::open(&url(&group), lease_share, OnUnavailable::Closed).await;
        let before = scene.ask(25, || true).await;
        assert_eq!(before.admitted(), 100);
        let mut group = tokio::task::spawn_blocking(move || (replicate(&group), group).1).await.unwrap();
        let over = tokio::task::spawn_blocking(move || {
            fail_over(&mut group);
            group
        });
        let handle = over.abort_handle();
        let during = scene.ask(1_000, move || handle.is_finished()).await;
        let group = over.await.unwrap();
        during.in_time();
        assert!(scene.metric(FALLBACK) > 2.5);
        scene.recovers().await;
        let after = scene.ask_often().await;
        after.in_time();
        // What was counted in the last moment may not have come to the replica.
        let admitted = before.admitted() + during.admitted() + after.admitted();
        assert!(
            admitted.abs_diff(QUOTA) < 50,
            "{lease_share}: {} + {} + {}",
            before.admitted(),
            during.admitted(),
            after.admitted()
        );
        drop(group);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_over_by_sentinels() {
    failover(RedisSentinel::start, RedisSentinel::url, RedisSentinel::replicate, RedisSentinel::fail_over)
        .await;
}

/// The master hangs, and its connections stay open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_over_by_sentinels_from_a_master_that_hangs() {
    failover(
        RedisSentinel::start,
        RedisSentinel::url,
        RedisSentinel::replicate,
        RedisSentinel::fail_over_hanging,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_a_cluster_is_lost_and_its_replica_takes_over() {
    let fail_over = |cluster: &mut RedisCluster| {
        cluster.fail_over("{buttress:lease-share-0}:");
        cluster.fail_over("{buttress:lease-share-8}:");
    };
    failover(RedisCluster::replicated, RedisCluster::url, RedisCluster::replicate, fail_over).await;
}
