//! Every store keeps the contract.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use buttress_core::SystemClock;
use buttress_secrets::contract;
use buttress_secrets::store::MemoryStore;

#[tokio::test]
async fn memory() {
    contract::store_holds(&MemoryStore::new(SystemClock::shared()), SystemClock::shared()).await;
}
