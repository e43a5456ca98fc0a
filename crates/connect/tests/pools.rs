//! Pools of connections while their servers are killed, restarted and stalled.
#![allow(clippy::unwrap_used, missing_docs, reason = "a failing expectation fails the test")]
#![allow(clippy::disallowed_methods, reason = "the servers live in real time")]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use buttress_connect::postgres::{self, Reset};
use buttress_connect::redis;
use buttress_connect::{Address, ConnectionConfig};
use buttress_core::{Classify, Ctx, ErrorClass, EventLog, Events};
use buttress_pool::{CheckPolicy, Checkout, Manager, Pool, PoolConfig};
use buttress_testkit::FaultProxy;

fn address(url: &str) -> Address {
    url.parse().unwrap()
}

fn connection() -> ConnectionConfig {
    let mut config = ConnectionConfig::default();
    config.timeout = Duration::from_secs(2);
    config
}

/// Quick to notice, so that a test need not wait.
fn quick(max: usize) -> PoolConfig {
    let mut config = PoolConfig::default();
    config.max = max;
    config.wait = Duration::from_secs(5);
    config.check = CheckPolicy::AfterIdle(Duration::from_millis(200));
    config.check_every = Some(Duration::from_millis(200));
    config.check_within = Duration::from_millis(500);
    config.create_within = Duration::from_secs(1);
    config.retry_first = Duration::from_millis(20);
    config.failures = 3;
    config.open_for = Duration::from_millis(300);
    config.tick = Duration::from_millis(50);
    config
}

/// One use of a connection: when it was handed out, and whether it worked.
type Used = (SystemTime, bool);

/// Eight tasks use `pool` all the time while `outage` happens; then no connection that was handed out since the circuit
/// closed may have been dead.
async fn survives<M: Manager, S: Send + 'static>(
    pool: Pool<M>,
    log: EventLog,
    user: impl Use<M>,
    outage: impl FnOnce() -> S + Send + 'static,
) {
    let over = Arc::new(AtomicBool::new(false));
    let users: Vec<_> = (0..8)
        .map(|_| {
            let (pool, over, user) = (pool.clone(), Arc::clone(&over), user.clone());
            tokio::spawn(async move {
                let mut uses: Vec<Used> = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    match pool.get().await {
                        Ok(mut guard) => {
                            let at = SystemTime::now();
                            uses.push((at, user.works(&mut guard).await));
                        }
                        // Refused at once while the circuit is open.
                        Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                    }
                }
                uses
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _server = tokio::task::spawn_blocking(outage).await.unwrap();
    let closed = loop {
        let events = log.events();
        if let Some(event) = events.iter().rev().find(|event| event.action == "pool.circuit_closed") {
            break event.at;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    over.store(true, Ordering::Relaxed);
    let mut uses: Vec<Used> = Vec::new();
    for user in users {
        uses.extend(user.await.unwrap());
    }
    let after: Vec<&Used> = uses.iter().filter(|(at, _)| *at > closed).collect();
    assert!(after.len() > 20, "it goes on: {} uses after the circuit closed", after.len());
    let dead = after.iter().filter(|(_, worked)| !worked).count();
    assert_eq!(dead, 0, "of {} connections handed out after the circuit closed", after.len());
}

/// How a connection is used.
trait Use<M: Manager>: Clone + Send + Sync + 'static {
    fn works(&self, connection: &mut M::Object) -> impl Future<Output = bool> + Send;
}

#[derive(Clone)]
struct Select;

impl Use<postgres::Connections> for Select {
    async fn works(&self, connection: &mut postgres::Connection) -> bool {
        connection.query_one("SELECT 1", &[]).await.is_ok()
    }
}

#[derive(Clone)]
struct Ping;

impl Use<redis::Connections> for Ping {
    async fn works(&self, connection: &mut redis::Connection) -> bool {
        connection.query::<i64>(redis::client::cmd("INCR").arg("used")).await.is_ok()
    }
}

fn logged() -> (Ctx, EventLog) {
    let log = EventLog::default();
    (Ctx { events: Events::to(Arc::new(log.clone())), ..Ctx::default() }, log)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_killed_and_restarted_under_load() {
    let mut server = buttress_testkit::Postgres::start();
    let (ctx, log) = logged();
    let connections = postgres::Connections::new(&address(&server.url()), &connection(), &ctx).unwrap();
    let pool = connections.pool(quick(4), &ctx).unwrap();
    let outage = move || {
        server.process().kill();
        std::thread::sleep(Duration::from_millis(500));
        server.crash();
        server
    };
    survives(pool, log, Select, outage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_killed_and_restarted_under_load() {
    let mut server = buttress_testkit::Redis::start();
    let (ctx, log) = logged();
    let pool = redis::Connections::new(&address(&server.url()), &connection())
        .unwrap()
        .pool(quick(4), &ctx)
        .unwrap();
    let outage = move || {
        server.process().kill();
        std::thread::sleep(Duration::from_millis(500));
        server.crash();
        server
    };
    survives(pool, log, Ping, outage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_peer_is_cut_by_the_deadline_and_forgotten() {
    let server = buttress_testkit::Postgres::start();
    let proxy = FaultProxy::to(server.addr());
    let url = format!("postgres://postgres@{}/postgres", proxy.addr());
    let ctx = Ctx::default();
    let connections = postgres::Connections::new(&address(&url), &connection(), &ctx).unwrap();
    let mut config = quick(1);
    config.check = CheckPolicy::Always;
    let pool = connections.reset(Reset::None).pool(config, &ctx).unwrap();
    drop(pool.get().await.unwrap());

    proxy.stall();
    let error = pool.get_with(Checkout::default().within(Duration::from_millis(700))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Timeout, "{error}");
    proxy.pass();
    proxy.cut();
    loop {
        if let Ok(connection) = pool.get().await {
            assert!(connection.query_one("SELECT 1", &[]).await.is_ok(), "the stalled one is not handed out");
            break;
        }
    }
}

#[tokio::test]
async fn a_transaction_left_open_is_rolled_back_before_the_next_user() {
    let server = buttress_testkit::Postgres::start();
    let ctx = Ctx::default();
    let connections = postgres::Connections::new(&address(&server.url()), &connection(), &ctx).unwrap();
    let pool = connections.pool(quick(1), &ctx).unwrap();
    let connection = pool.get().await.unwrap();
    connection.batch_execute("CREATE TABLE t (n int)").await.unwrap();
    connection.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    drop(connection);
    let connection = pool.get().await.unwrap();
    let row = connection.query_one("SELECT count(*) FROM t", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
    assert_eq!(pool.status().size, 1, "on the same connection");
}

#[tokio::test]
async fn an_answer_nobody_waited_for_is_not_given_to_the_next_user() {
    let server = buttress_testkit::Redis::start();
    let ctx = Ctx::default();
    let pool = redis::Connections::new(&address(&server.url()), &connection())
        .unwrap()
        .pool(quick(1), &ctx)
        .unwrap();
    let mut connection = pool.get().await.unwrap();
    let blocking = redis::client::cmd("BLPOP").arg("nothing").arg(1).to_owned();
    let left = tokio::time::timeout(
        Duration::from_millis(50),
        connection.query::<Option<(String, String)>>(&blocking),
    );
    assert!(left.await.is_err());
    drop(connection);
    let mut connection = pool.get().await.unwrap();
    let echo: String = connection.query(redis::client::cmd("ECHO").arg("mine")).await.unwrap();
    assert_eq!(echo, "mine");
}
