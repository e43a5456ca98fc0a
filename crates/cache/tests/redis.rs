//! A fleet on a real Redis: processes, lost connections, servers that die, stall and come back empty.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a real server lives in real time")]

#[path = "common/nodes.rs"]
mod nodes;

use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use buttress_cache::Lifetime;
use buttress_connect::redis::client::cmd;
use buttress_core::{Elapsed, Probe, Vitality};
use buttress_testkit::{FaultProxy, wait_until};
use nodes::{PATIENCE, ask, connect, heard, node};

/// A process that is a node, until it is done or killed.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn process(url: &str, mode: &str) -> Process {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "node_of_a_fleet", "--ignored"])
        .env("BUTTRESS_TEST_FLEET", url)
        .env("BUTTRESS_TEST_MODE", mode)
        .stdout(std::process::Stdio::null())
        .spawn();
    Process(child.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process of other tests"]
async fn node_of_a_fleet() {
    let (Ok(url), Ok(mode)) = (std::env::var("BUTTRESS_TEST_FLEET"), std::env::var("BUTTRESS_TEST_MODE"))
    else {
        return;
    };
    let (node, redis) = (node(&url).await, connect(&url).await);
    let count = async |name: &str| redis.query::<u64>(cmd("INCR").arg(name)).await.unwrap();
    count("ready").await;
    while redis.query::<Option<u64>>(cmd("GET").arg("go")).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let hangs = mode == "hang";
    let callers: Vec<_> = (0..250)
        .map(|_| {
            let (node, redis) = (node.clone(), redis.clone());
            tokio::spawn(async move {
                let load = move || async move {
                    redis.query::<u64>(cmd("INCR").arg("loads")).await.unwrap();
                    tokio::time::sleep(if hangs { PATIENCE } else { Duration::from_millis(100) }).await;
                    Ok::<_, Elapsed>(7)
                };
                node.get_or_load(&1, load).await.unwrap()
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 7);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_in_four_processes_load_once() {
    let server = buttress_testkit::Redis::start();
    let mut processes: Vec<_> = (0..4).map(|_| process(&server.url(), "load")).collect();
    let ready = || (server.command(&["GET", "ready"]).ok()? == "$1\r\n4\r\n").then_some(());
    wait_until("four nodes", PATIENCE, ready);
    server.command(&["SET", "go", "1"]).unwrap();
    for process in &mut processes {
        assert!(process.0.wait().unwrap().success());
    }
    assert_eq!(server.command(&["GET", "loads"]).unwrap(), "$1\r\n1\r\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_while_it_loads_is_outlived() {
    let server = buttress_testkit::Redis::start();
    server.command(&["SET", "go", "1"]).unwrap();
    let mut process = process(&server.url(), "hang");
    let loading = || (server.command(&["GET", "loads"]).ok()? == "$1\r\n1\r\n").then_some(());
    wait_until("a load", PATIENCE, loading);
    let (node, source) = (node(&server.url()).await, Arc::new(AtomicU64::new(5)));
    process.0.kill().unwrap();
    assert_eq!(ask(&node, 1, &source).await, 5);
}

/// Node B is cut off in some way while A changes the value. Reads of B that begin later than the staleness after the change has
/// returned never see the value before it.
async fn never_too_old(disturb: impl Fn(&FaultProxy), mend: impl Fn(&FaultProxy)) {
    let server = buttress_testkit::Redis::start();
    let proxy = FaultProxy::to(server.addr());
    let source = Arc::new(AtomicU64::new(1));
    let (a, b) = (node(&server.url()).await, node(&format!("redis://{}", proxy.addr())).await);
    for round in 0..2 {
        let key = 100 + round;
        source.store(1, Ordering::SeqCst);
        assert_eq!((ask(&a, key, &source).await, ask(&b, key, &source).await), (1, 1));
        disturb(&proxy);
        source.store(2, Ordering::SeqCst);
        a.set(&key, 2, Lifetime::default()).await.unwrap();
        let bound = Instant::now() + Duration::from_secs(1);
        let mut later = 0;
        while later < 40 {
            let begun = Instant::now();
            let value = ask(&b, key, &source).await;
            if begun >= bound {
                assert_eq!(value, 2, "round {round}, read {later}");
                later += 1;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        mend(&proxy);
        heard(&b).await;
        assert_eq!(ask(&b, key, &source).await, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_too_old_over_a_healthy_connection() {
    never_too_old(|_| {}, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_too_old_when_the_connection_is_cut() {
    never_too_old(FaultProxy::cut, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_too_old_when_the_connection_stalls() {
    never_too_old(FaultProxy::stall, FaultProxy::pass).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_too_old_when_redis_cannot_be_reached() {
    let disturb = |proxy: &FaultProxy| {
        proxy.refuse();
        proxy.cut();
    };
    never_too_old(disturb, FaultProxy::pass).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_killed_and_comes_back_empty_costs_loads_and_no_errors() {
    let mut server = buttress_testkit::Redis::start();
    let (node, source) = (node(&server.url()).await, Arc::new(AtomicU64::new(1)));
    for key in 0..20 {
        ask(&node, key, &source).await;
    }
    server.crash();
    source.store(2, Ordering::SeqCst);
    for key in 20..40 {
        assert_eq!(ask(&node, key, &source).await, 2);
    }
    heard(&node).await;
    // Nothing of before is believed, and everything is shared again.
    while ask(&node, 1, &source).await != 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(server.command(&["GET", "fleet:{1}"]).unwrap().contains("BTRC"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stalls_holds_up_a_caller_for_a_bounded_time() {
    let server = buttress_testkit::Redis::start();
    let proxy = FaultProxy::to(server.addr());
    let (node, source) = (node(&format!("redis://{}", proxy.addr())).await, Arc::new(AtomicU64::new(3)));
    proxy.stall();
    for key in 0..30 {
        assert_eq!(ask(&node, key, &source).await, 3);
    }
    assert!(matches!(node.check().await, Vitality::Warn(_)));
    assert!(node.remove(&1).await.is_err());
    proxy.pass();
    heard(&node).await;
    node.remove(&1).await.unwrap();
}
