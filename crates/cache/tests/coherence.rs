//! Writers on one node, readers on another, a real Redis that fails over or is a cluster: nobody is served what was changed longer ago
//! than the staleness.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    missing_docs
)]
#![allow(clippy::disallowed_methods, reason = "a real server lives in real time")]

#[path = "common/nodes.rs"]
mod nodes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use buttress_cache::{Lifetime, Terms};
use buttress_core::{Elapsed, Key};
use buttress_testkit::{Redis, RedisCluster, RedisSentinel};
use nodes::{Node, PATIENCE, STALENESS, ask, heard, node};

const KEYS: u64 = 4;

/// The values where they come from, and until when an older one may be served: the last change that has returned, and when.
#[derive(Default)]
struct Truth {
    source: [AtomicU64; KEYS as usize],
    changed: [std::sync::Mutex<Vec<(u64, Instant)>>; KEYS as usize],
}

impl Truth {
    /// Changes a value, and tells the fleet; a change that cannot be told is made again, with another value.
    async fn change(&self, node: &Node, key: u64, number: u64) {
        let at = key as usize;
        let value = self.source[at].fetch_add(1, Ordering::SeqCst) + 1;
        let told = match number % 3 {
            0 => node.remove(&key).await,
            1 => node.set(&key, value, Lifetime::default()).await,
            _ => node.set(&key, value, Terms::default().tag(Key::new("t").unwrap())).await,
        };
        if told.is_ok() {
            self.changed[at].lock().unwrap().push((value, Instant::now()));
        }
    }

    /// The oldest value that who asks now may be served.
    fn least(&self, key: u64) -> u64 {
        let changed = self.changed[key as usize].lock().unwrap();
        let now = Instant::now();
        let old = changed.iter().rev().find(|(_, at)| *at + STALENESS <= now);
        old.map_or(0, |(value, _)| *value)
    }
}

/// Node A changes without a pause, others read; meanwhile `disturb` happens.
async fn nothing_too_old(writer: Node, readers: Vec<Node>, disturb: impl FnOnce()) {
    let (truth, stop) = (Arc::new(Truth::default()), Arc::new(AtomicBool::new(false)));
    let mut tasks = Vec::new();
    for reader in &readers {
        for key in 0..KEYS {
            let (reader, truth, stop) = (reader.clone(), Arc::clone(&truth), Arc::clone(&stop));
            tasks.push(tokio::spawn(async move {
                let mut reads = 0;
                while !stop.load(Ordering::SeqCst) {
                    let least = truth.least(key);
                    let source = Arc::clone(&truth);
                    let load = move || async move {
                        Ok::<_, Elapsed>(source.source[key as usize].load(Ordering::SeqCst))
                    };
                    let value = match reads % 2 {
                        0 => Some(reader.get_or_load(&key, load).await.unwrap()),
                        _ => reader.get(&key).await.unwrap(),
                    };
                    assert!(
                        value.is_none_or(|value| value >= least),
                        "{value:?} of key {key}; {least} was told"
                    );
                    reads += 1;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                reads
            }));
        }
    }
    let changing = {
        let (truth, stop) = (Arc::clone(&truth), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::SeqCst) {
                truth.change(&writer, number % KEYS, number).await;
                number += 1;
                // Longer than the staleness now and then: what is old has time to show.
                let pause = if number % 16 < 12 { 10 } else { 400 };
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            number
        })
    };
    tokio::time::sleep(2 * STALENESS).await;
    tokio::task::block_in_place(disturb);
    tokio::time::sleep(5 * STALENESS).await;
    for reader in &readers {
        heard(reader).await;
    }
    tokio::time::sleep(STALENESS).await;
    stop.store(true, Ordering::SeqCst);
    let mut reads = 0;
    for task in tasks {
        reads += tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
    }
    let changes = changing.await.unwrap();
    let told: usize = truth.changed.iter().map(|told| told.lock().unwrap().len()).sum();
    println!("{changes} changes, {told} of them told, {reads} reads");
    assert!(told > 40 && reads > 1000, "{told} changes were told, {reads} reads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_server_that_dies_and_comes_back_empty() {
    let server = std::cell::RefCell::new(Redis::start());
    let url = server.borrow().url();
    let (a, b, c) = (node(&url).await, node(&url).await, node(&url).await);
    // The writer reads, too: it does not hear its own news.
    nothing_too_old(a.clone(), vec![a, b, c], || server.borrow_mut().crash()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_sentinels_when_the_master_dies() {
    let mut servers = RedisSentinel::start();
    let url = servers.url();
    let (a, b, c) = (node(&url).await, node(&url).await, node(&url).await);
    nothing_too_old(a.clone(), vec![a, b, c], || servers.fail_over()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_cluster() {
    let servers = RedisCluster::start();
    let url = servers.url();
    let (a, b, c) = (node(&url).await, node(&url).await, node(&url).await);
    nothing_too_old(a.clone(), vec![a, b, c], || {}).await;
}

/// Many callers of many nodes, and one load; values with tags, and their end.
async fn one_load_for_all(url: &str) {
    let nodes = [node(url).await, node(url).await, node(url).await];
    let (loads, tag) = (Arc::new(AtomicU64::new(0)), Key::new("t").unwrap());
    for round in 1..=3_u64 {
        let mut callers = Vec::new();
        for caller in 0..150 {
            // Keys of several slots; a third of them with a tag.
            let (node, loads, tag) = (nodes[caller % 3].clone(), Arc::clone(&loads), tag.clone());
            callers.push(tokio::spawn(async move {
                let load = move || async move {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    Ok::<_, Elapsed>(Some(loads.fetch_add(1, Ordering::SeqCst)))
                };
                let key = caller as u64 / 3 % 10;
                let terms = if key < 3 { Terms::default().tag(tag) } else { Terms::default() };
                node.get_or_find(&key, terms, load).await.unwrap()
            }));
        }
        for caller in callers {
            tokio::time::timeout(PATIENCE, caller).await.unwrap().unwrap().unwrap();
        }
        assert_eq!(loads.load(Ordering::SeqCst), 10 + 3 * (round - 1), "round {round}");
        nodes[round as usize % 3].invalidate(&tag).await.unwrap();
        // The news are on their way.
        for node in &nodes {
            let gone = async {
                while node.get(&0).await.unwrap().is_some() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(PATIENCE, gone).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_load_for_all_on_one_server() {
    one_load_for_all(&Redis::start().url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_load_for_all_under_sentinels_before_and_after_a_failover() {
    let mut servers = RedisSentinel::start();
    one_load_for_all(&servers.url()).await;
    tokio::task::block_in_place(|| servers.fail_over());
    // What was kept of before is gone with its tags, or was told of again.
    let node = node(&servers.url()).await;
    for key in 3..10 {
        node.remove(&key).await.unwrap();
    }
    one_load_for_all(&servers.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_load_for_all_in_a_cluster() {
    one_load_for_all(&RedisCluster::start().url()).await;
}

/// A server that has lost what it last acknowledged: as a replica that lagged behind and was made master, or a disk that was behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_the_server_forgot_is_told_again() {
    let mut server = Redis::durable();
    let source = Arc::new(AtomicU64::new(1));
    let (a, b) = (node(&server.url()).await, node(&server.url()).await);
    assert_eq!((ask(&a, 1, &source).await, ask(&b, 1, &source).await), (1, 1));
    let tag = Key::new("t").unwrap();
    let tagged = async |node: &Node, value| {
        let load = move || async move { Ok::<_, Elapsed>(Some(value)) };
        node.get_or_find(&2, Terms::default().tag(tag.clone()), load).await.unwrap().unwrap()
    };
    assert_eq!((tagged(&a, 1).await, tagged(&b, 1).await), (1, 1));
    let before = server.snapshot();
    source.store(2, Ordering::SeqCst);
    a.remove(&1).await.unwrap();
    a.invalidate(&tag).await.unwrap();
    tokio::task::block_in_place(|| server.crash_back_to(&before));
    assert!(server.command(&["KEYS", "*"]).unwrap().contains("fleet:{1}"), "the server has what was before");
    let mended = async {
        while server.command(&["EXISTS", "fleet:{1}"]).unwrap() != ":0\r\n" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, mended).await.unwrap();
    heard(&b).await;
    tokio::time::sleep(STALENESS).await;
    assert_eq!((ask(&b, 1, &source).await, tagged(&b, 2).await), (2, 2));
}
