//! What the tests of all back ends share.

use buttress_core::Ctx;
use buttress_queue::{QueueConfig, WorkQueue, contract};

/// The contract, on queues at `url`.
pub(crate) async fn keeps_the_contract(url: &str) {
    contract::holds(async |config| open(config, url).await).await;
}

pub(crate) async fn open(mut config: QueueConfig, url: &str) -> WorkQueue {
    config.url = url.parse().unwrap();
    WorkQueue::open(&config, &Ctx::default()).await.unwrap()
}
