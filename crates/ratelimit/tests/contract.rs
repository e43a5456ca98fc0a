//! Memory and Redis keep the same contract.
#![allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]

use buttress_core::Ctx;
use buttress_ratelimit::{AnyLimiter, contract};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_the_contract() {
    contract::holds(async |config| AnyLimiter::open(&config, &Ctx::default()).await.unwrap()).await;
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_the_contract() {
    let server = buttress_testkit::Redis::start();
    contract::holds(async |mut config| {
        config.shared.url = Some(server.url().parse().unwrap());
        // The contract is about what is decided, on a machine that may be slow.
        config.shared.within = std::time::Duration::from_secs(20);
        AnyLimiter::open(&config, &Ctx::default()).await.unwrap()
    })
    .await;
}
