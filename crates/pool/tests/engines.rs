//! Every engine keeps the contract.
#![allow(clippy::unwrap_used, missing_docs)]

use buttress_core::Ctx;
use buttress_pool::engine::{Bb8, Deadpool};
use buttress_pool::{Pool, contract};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own() {
    contract::holds(|items, config| Pool::new(items, config, &Ctx::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadpool() {
    contract::holds(|items, config| Deadpool::new(items, &config)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bb8() {
    contract::holds(|items, config| Bb8::new(items, &config)).await;
}
