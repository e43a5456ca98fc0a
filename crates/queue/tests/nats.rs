//! Nats keeps the contract, and what it has acknowledged when it is killed.
#![allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]

mod common;

use buttress_queue::contract;
use buttress_testkit::Nats;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_keeps_the_contract() {
    let server = Nats::start();
    common::keeps_the_contract(&server.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_loses_nothing_when_it_is_killed() {
    let mut server = Nats::start();
    let url = server.url();
    let open = async |config| common::open(config, &url).await;
    contract::survives_crashes(open, || server.crash()).await;
}
