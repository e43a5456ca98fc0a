//! Every tier keeps the contract.
#![allow(clippy::unwrap_used, missing_docs)]

use buttress_cache::contract;
use buttress_cache::tier::{MemoryTier, RedisTier};
use buttress_connect::ConnectionConfig;
use buttress_connect::redis::Redis;
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
