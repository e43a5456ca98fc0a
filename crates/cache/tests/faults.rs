//! A fleet whose Redis dies, stalls, comes back empty, fails over or is slow: every call is answered in time, the node says what is
//! wrong, and all is well again by itself.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::float_cmp,
    missing_docs
)]
#![allow(clippy::disallowed_methods, reason = "a real server lives in real time")]

#[path = "common/nodes.rs"]
mod nodes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use buttress_cache::TierConfig;
use buttress_core::{Elapsed, Probe, Vitality};
use buttress_testkit::{FaultProxy, Redis, RedisSentinel};
use nodes::{Node, PATIENCE, Watched, config, heard};
use tokio::task::block_in_place;

/// Limit of one call to the tier.
const WITHIN: Duration = Duration::from_millis(100);
/// What a caller waits at most, all but a hundredth of the time: some calls to the tier, and another node's load.
const BOUND: Duration = WITHIN.saturating_mul(10);
const CALLERS: u64 = 8;
/// Loads that have to be answered while something is wrong.
const MANY: usize = 1500;

fn tier_config() -> TierConfig {
    let mut config = config();
    config.within = WITHIN;
    config.lease = Duration::from_millis(500);
    config
}

async fn watched(url: &str) -> Watched {
    Watched::start(url, tier_config(), |_| {}).await
}

/// Callers that ask without a pause until they are told to stop: mostly for what no node has, now and then for what all have.
struct Callers {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<Vec<Duration>>>,
}

impl Callers {
    fn start(node: &Node) -> Self {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let tasks = (0..CALLERS).map(|caller| {
            let (node, stop, asked) = (node.clone(), Arc::clone(&stop), Arc::clone(&asked));
            tokio::spawn(async move {
                let (mut took, mut number) = (Vec::new(), 0);
                while !stop.load(Ordering::SeqCst) {
                    number += 1;
                    let key = if number % 4 == 0 { number % 100 } else { (caller << 32) + number };
                    let begun = Instant::now();
                    let answer = node.get_or_load(&key, move || async move { Ok::<_, Elapsed>(key) }).await;
                    took.push(begun.elapsed());
                    assert_eq!(answer.unwrap(), key);
                    asked.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                took
            })
        });
        Self { tasks: tasks.collect(), stop, asked }
    }

    /// Waits for so many more answers.
    async fn answers(&self, many: usize) {
        let enough = self.asked.load(Ordering::SeqCst) + many as u64;
        let wait = async {
            while self.asked.load(Ordering::SeqCst) < enough {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("answers");
    }

    /// Every call was answered, and all but a hundredth within the bound.
    async fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        let mut took = Vec::new();
        for task in self.tasks {
            took.extend(task.await.unwrap());
        }
        took.sort_unstable();
        let (median, p99, most) = (took[took.len() / 2], took[took.len() * 99 / 100], took[took.len() - 1]);
        println!("{} answers: median {median:?}, p99 {p99:?}, most {most:?}", took.len());
        assert!(took.len() > 2 * MANY && p99 < BOUND, "{} answers, p99 {p99:?}", took.len());
    }
}

async fn warns(node: &Node) {
    let warns = async {
        while node.check().await == Vitality::Pass {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, warns).await.expect("a warning");
}

/// Whether what one node loads is found by the other.
async fn share(one: &Node, two: &Node, key: u64) -> bool {
    let load = |value| move || async move { Ok::<_, Elapsed>(value) };
    let first = one.get_or_load(&key, load(1)).await.unwrap();
    first == two.get_or_load(&key, load(2)).await.unwrap()
}

async fn survives(urls: [&str; 2], disturb: impl FnOnce(), mend: impl FnOnce()) {
    let (one, two) = (watched(urls[0]).await, watched(urls[1]).await);
    let callers = Callers::start(&one.node);
    callers.answers(MANY).await;
    assert!(share(&one.node, &two.node, u64::MAX - 1).await);
    assert_eq!((one.happened("cache.tier_lost"), one.metric("buttress_cache_tier_up")), (0, 1.0));
    block_in_place(disturb);
    warns(&one.node).await;
    callers.answers(MANY).await;
    let failed = one.metric("buttress_cache_tier_calls_total{cache=\"fleet\",outcome=\"failed\"}");
    assert!(failed >= 5.0, "{failed}");
    assert!(one.happened("cache.tier_lost") > 0, "{:?}", one.events.events());
    block_in_place(mend);
    heard(&one.node).await;
    heard(&two.node).await;
    callers.answers(MANY).await;
    callers.stop().await;
    // The other did nothing meanwhile, and may find its connection broken first.
    let shared = async {
        let mut key = 1 << 60;
        while !share(&one.node, &two.node, key).await {
            key += 1;
        }
    };
    tokio::time::timeout(PATIENCE, shared).await.expect("what one node loads is shared again");
    assert!(one.happened("cache.tier_back") > 0, "{:?}", one.events.events());
    assert_eq!(one.metric("buttress_cache_tier_up"), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_started_again_empty() {
    let server = std::cell::RefCell::new(Redis::start());
    let url = server.borrow().url();
    survives([&url, &url], || server.borrow_mut().process().kill(), || server.borrow_mut().crash()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled() {
    let mut server = Redis::start();
    let (url, process) = (server.url(), server.process().id().to_string());
    let signal = |signal: &str| {
        let sent = std::process::Command::new("kill").args([signal, &process]).status().unwrap();
        assert!(sent.success());
    };
    survives([&url, &url], || signal("-STOP"), || signal("-CONT")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slower_than_a_call_may_take() {
    let server = Redis::start();
    let proxy = FaultProxy::to(server.addr());
    let through = format!("redis://{}", proxy.addr());
    survives([&through, &server.url()], || proxy.slow_down(WITHIN * 2), || proxy.pass()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_dies_and_sentinels_make_another() {
    let mut servers = RedisSentinel::start();
    let url = servers.url();
    survives([&url, &url], || servers.fail_over(), || {}).await;
}
