//! The shared limiter when its server, or another process, is killed.
#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing expectation fails the test"
)]
#![allow(clippy::print_stdout, reason = "a process of its own tells what it got")]
#![allow(clippy::disallowed_methods, reason = "the server lives in real time")]

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Classify, Ctx, ErrorClass, EventLog, Events};
use buttress_ratelimit::{AnyLimiter, Decision, Limit, LimiterConfig, OnUnavailable, Request, SharedLimiter};
use buttress_testkit::{FaultProxy, Redis};

const HOUR: Duration = Duration::from_hours(5_000);

fn config(url: &str) -> LimiterConfig {
    let mut config = LimiterConfig::one([Limit::new(100, HOUR), Limit::new(1_000, HOUR * 2)]);
    config.shared.url = Some(url.parse().unwrap());
    config.shared.within = Duration::from_secs(20);
    config
}

async fn open(config: &LimiterConfig) -> SharedLimiter {
    SharedLimiter::open(config, &Ctx::default()).await.unwrap()
}

async fn admitted(limiter: &SharedLimiter, times: usize) -> usize {
    let mut admitted = 0;
    for _ in 0..times {
        admitted += usize::from(limiter.check("user").await.is_admitted());
    }
    admitted
}

/// Started again as a process of its own, this asks for as much as it gets and prints how much that was.
#[tokio::test]
async fn process() {
    let Ok(url) = std::env::var("RATELIMIT_TEST_URL") else { return };
    let limiter = open(&config(&url)).await;
    println!("admitted {} of", admitted(&limiter, 150).await);
}

#[test]
fn four_processes_get_the_quota_between_them() {
    let server = Redis::start();
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["process", "--exact", "--nocapture", "--test-threads=1"])
            .env("RATELIMIT_TEST_URL", server.url())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let processes: Vec<_> = (0..4).map(|_| start()).collect();
    let admitted = processes.into_iter().map(|process| {
        let told = String::from_utf8(process.wait_with_output().unwrap().stdout).unwrap();
        let (_, told) = told.split_once("admitted ").expect("the process tells what it got");
        told.split_once(" of").unwrap().0.parse::<usize>().unwrap()
    });
    assert_eq!(admitted.sum::<usize>(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_counted_survives_kill_9_of_both_sides() {
    let mut server = Redis::durable();
    let url = server.url();
    let limiter = open(&config(&url)).await;
    assert_eq!(admitted(&limiter, 60).await, 60);
    let mut punishing = config(&url);
    punishing.penalties.enabled = true;
    open(&punishing).await.ban("bad", Duration::from_hours(1)).await;
    drop(limiter);
    server.crash();
    let limiter = open(&config(&url)).await;
    assert_eq!(admitted(&limiter, 60).await, 40);
    assert!(matches!(open(&punishing).await.check("bad").await, Decision::Banned { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_expire_when_they_say_nothing_any_more() {
    let server = Redis::start();
    let mut config = config(&server.url());
    config.tiers.insert("default".to_owned(), "3/200ms sliding_log".parse::<Limit>().unwrap().into());
    let limiter = open(&config).await;
    assert_eq!(admitted(&limiter, 3).await, 3);
    assert_ne!(server.command(&["DBSIZE"]).unwrap(), ":0\r\n");
    for _ in 0..200 {
        if server.command(&["DBSIZE"]).unwrap() == ":0\r\n" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{}", server.command(&["KEYS", "*"]).unwrap());
}

/// Stalls the server, looks what is decided meanwhile, and waits until it is found again.
async fn stalled(on_unavailable: OnUnavailable, meanwhile: impl Fn(&[Decision])) {
    let server = Redis::start();
    let proxy = FaultProxy::to(server.addr());
    let log = EventLog::default();
    let mut config = config(&format!("redis://{}", proxy.addr()));
    config.shared.on_unavailable = on_unavailable;
    config.shared.within = Duration::from_millis(200);
    config.shared.retry_every = Duration::from_millis(300);
    let ctx = Ctx { events: Events::to(Arc::new(log.clone())), ..Ctx::default() };
    let limiter = SharedLimiter::open(&config, &ctx).await.unwrap();
    assert!(limiter.check("user").await.is_admitted());
    proxy.stall();
    let mut decisions = Vec::new();
    for _ in 0..1_000 {
        decisions.push(limiter.check("user").await);
    }
    meanwhile(&decisions);
    assert_eq!(log.events().first().unwrap().action, "ratelimit.shared.lost");
    proxy.pass();
    proxy.cut();
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let _ = limiter.check("other").await;
        if log.events().last().unwrap().action == "ratelimit.shared.found" {
            let Decision::Admitted(quota) = limiter.check("user").await else {
                panic!("what is shared counts")
            };
            assert!((80..99).contains(&quota.remaining), "{quota:?}");
            return;
        }
    }
    panic!("not found again: {:?}", log.events());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_server_the_process_counts_for_itself() {
    stalled(OnUnavailable::Local, |decisions| {
        assert_eq!(decisions.iter().filter(|decision| decision.is_admitted()).count(), 100);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_server_all_are_admitted() {
    stalled(OnUnavailable::Open, |decisions| assert!(decisions.iter().all(Decision::is_admitted))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_server_nobody_is_admitted() {
    stalled(OnUnavailable::Closed, |decisions| {
        assert!(decisions.iter().all(|decision| matches!(decision, Decision::Unavailable { .. })));
        assert!(decisions.iter().all(|decision| decision.retry_after() <= Some(Duration::from_millis(300))));
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_at_once() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = config(&format!("redis://{address}"));
    config.shared.connection.timeout = Duration::from_secs(1);
    let error = AnyLimiter::open(&config, &Ctx::default()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    config.shared.url = Some("postgres://127.0.0.1/limits".parse().unwrap());
    let error = AnyLimiter::open(&config, &Ctx::default()).await.unwrap_err();
    assert!(error.to_string().contains("must be the address of a Redis"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_text_is_a_key() {
    let server = Redis::start();
    let limiter = open(&config(&server.url())).await;
    for text in ["", "}{", "a\r\nDEL b\r\n", "\u{0}", &"x".repeat(100_000)] {
        let request = Request::user(text).cost(100);
        assert!(limiter.check(request).await.is_admitted());
        assert!(!limiter.check(request).await.is_admitted());
    }
    assert!(limiter.check(Request::user("user").cost(u32::MAX)).await.retry_after().is_none());
}

fn leased(url: &str, share: u32) -> LimiterConfig {
    let mut config = config(url);
    config.tiers.insert("default".to_owned(), Limit::new(2_000, HOUR).into());
    config.shared.lease_share = share;
    config.shared.lease_keep = Duration::from_mins(1);
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_hand_out_the_quota_and_no_more() {
    let server = Redis::start();
    let config = leased(&server.url(), 16);
    let mut limiters = Vec::new();
    for _ in 0..4 {
        limiters.push(open(&config).await);
    }
    let tasks: Vec<_> = limiters
        .iter()
        .flat_map(|limiter| [limiter.clone(), limiter.clone()])
        .map(|limiter| tokio::spawn(async move { admitted(&limiter, 1_000).await }))
        .collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    assert_eq!(sum, 2_000);
    let calls = server.command(&["INFO", "commandstats"]).unwrap();
    let calls = calls.split("cmdstat_evalsha:calls=").nth(1).unwrap().split(',').next().unwrap();
    let calls: usize = calls.parse().unwrap();
    assert!(calls < 400, "{calls} calls of the server for 8000 checks");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_leased_and_not_used_goes_back() {
    let server = Redis::start();
    let config = leased(&server.url(), 2);
    let (one, other) = (open(&config).await, open(&config).await);
    assert_eq!(admitted(&one, 1).await, 1);
    assert_eq!(admitted(&other, 1).await, 1);
    one.give_back().await;
    // The other had half of what was left, and what came back is there for it.
    assert_eq!(admitted(&other, 3_000).await, 1_998);
    assert_eq!(admitted(&one, 10).await, 0);
    let (_, windows) = other.check_in_full("user").await;
    assert_eq!(windows.first().unwrap().remaining, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_never_pass_the_quota_of_a_window() {
    let server = Redis::start();
    let mut config = leased(&server.url(), 3);
    let limit: Limit = "60/300ms".parse().unwrap();
    config.tiers.insert("default".to_owned(), limit.into());
    config.shared.lease_keep = Duration::from_millis(100);
    let limiters = [open(&config).await, open(&config).await, open(&config).await];
    let tasks: Vec<_> = limiters
        .into_iter()
        .map(|limiter| {
            tokio::spawn(async move {
                let mut used = Vec::new();
                for _ in 0..1_500 {
                    // Between these two times the request was admitted.
                    let before = std::time::SystemTime::now();
                    if limiter.check("user").await.is_admitted() {
                        used.push((before, std::time::SystemTime::now()));
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                used
            })
        })
        .collect();
    let mut windows = std::collections::BTreeMap::<u128, u32>::new();
    for task in tasks {
        for (before, after) in task.await.unwrap() {
            let window = |time: std::time::SystemTime| {
                time.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() / 300
            };
            // One that may be of either window says nothing.
            if window(before) == window(after) {
                *windows.entry(window(before)).or_default() += 1;
            }
        }
    }
    assert!(windows.len() >= 5, "{windows:?}");
    assert!(windows.values().all(|used| *used <= 60), "{windows:?}");
}
