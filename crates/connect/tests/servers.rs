//! Each back end is reached, answers, and finds its way back after a crash.
#![allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]
#![allow(clippy::disallowed_methods, reason = "the servers live in real time")]

use std::time::Duration;

use buttress_connect::nats::Nats;
use buttress_connect::postgres::Postgres;
use buttress_connect::redis::Redis;
use buttress_connect::sqlite::Sqlite;
use buttress_connect::{Address, ConnectionConfig, Error};
use buttress_core::{Classify, Ctx, ErrorClass, Probe, Vitality};

fn config() -> ConnectionConfig {
    let mut config = ConnectionConfig::default();
    config.timeout = Duration::from_secs(5);
    config
}

fn address(url: &str) -> Address {
    url.parse().unwrap()
}

async fn passes_again(probe: &impl Probe) {
    for _ in 0..500 {
        if probe.check().await == Vitality::Pass {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(probe.check().await, Vitality::Pass);
}

#[tokio::test]
async fn redis_is_reached_and_found_again() {
    let mut server = buttress_testkit::Redis::start();
    let redis = Redis::connect(&address(&server.url()), &config()).await.unwrap();
    assert_eq!(redis.check().await, Vitality::Pass);
    server.process().kill();
    assert!(matches!(redis.check().await, Vitality::Fail(_)));
    server.crash();
    passes_again(&redis).await;
}

#[tokio::test]
async fn postgres_is_reached_and_found_again() {
    let mut server = buttress_testkit::Postgres::start();
    let postgres = Postgres::connect(&address(&server.url()), &config(), &Ctx::default()).await.unwrap();
    assert_eq!(postgres.check().await, Vitality::Pass);
    let wrong = postgres.query("SELECT nothing", &[]).await.unwrap_err();
    assert!(format!("{}", std::error::Error::source(&wrong).unwrap()).contains("nothing"), "{wrong:?}");
    server.crash();
    passes_again(&postgres).await;
    let missing = Postgres::connect(&address(&server.url_of("missing")), &config(), &Ctx::default()).await;
    assert_eq!(missing.unwrap_err().class(), ErrorClass::NotFound);
}

#[tokio::test]
async fn nats_is_reached_and_found_again() {
    let mut server = buttress_testkit::Nats::start();
    let nats = Nats::connect(&address(&server.url()), &config()).await.unwrap();
    assert_eq!(nats.check().await, Vitality::Pass);
    server.crash();
    passes_again(&nats).await;
}

#[tokio::test]
async fn sqlite_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let at = Address::sqlite(&folder.path().join("deep/jobs.db"));
    let sqlite = Sqlite::open(&at, &config()).await.unwrap();
    assert_eq!(sqlite.check().await, Vitality::Pass);
    std::fs::write(
        folder.path().join("text.db"),
        "this is no database, however long one looks at it".repeat(9),
    )
    .unwrap();
    let error = Sqlite::open(&Address::sqlite(&folder.path().join("text.db")), &config()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Corrupt, "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_no_password_is_told() {
    let errors: [Error; 3] = [
        Redis::connect(&address("redis://:hunter2@127.0.0.1:1"), &config()).await.unwrap_err(),
        Postgres::connect(&address("postgres://app:hunter2@127.0.0.1:1/db"), &config(), &Ctx::default())
            .await
            .unwrap_err(),
        Nats::connect(&address("nats://app:hunter2@127.0.0.1:1"), &config()).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    }
}
