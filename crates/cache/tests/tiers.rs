//! Every tier keeps the contract.
#![allow(clippy::unwrap_used, missing_docs)]

use buttress_cache::contract;
use buttress_cache::tier::{MemoryTier, RedisTier, SqliteTier};
use buttress_connect::redis::Redis;
use buttress_connect::sqlite::Sqlite;
use buttress_connect::{Address, ConnectionConfig};
use buttress_core::SystemClock;

#[tokio::test]
async fn memory() {
    contract::tier_holds(&MemoryTier::new(SystemClock::shared()), SystemClock::shared()).await;
}

#[tokio::test]
async fn redis() {
    let server = buttress_testkit::Redis::start();
    let redis = Redis::connect(&server.url().parse().unwrap(), &ConnectionConfig::default()).await.unwrap();
    contract::tier_holds(&RedisTier::new(redis, "contract"), SystemClock::shared()).await;
}

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let address = Address::sqlite(&folder.path().join("cache.db"));
    let sqlite = Sqlite::open(&address, &ConnectionConfig::default()).await.unwrap();
    let tier = SqliteTier::open(sqlite, 100, SystemClock::shared()).await.unwrap();
    contract::tier_holds(&tier, SystemClock::shared()).await;
}
