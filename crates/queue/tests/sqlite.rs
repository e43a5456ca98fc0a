//! SQLite keeps the contract.
#![allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]

mod common;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("deep/queue.db").display());
    common::keeps_the_contract(&url).await;
}
