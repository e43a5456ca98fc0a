//! API keys in a file.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]

use buttress_access::contract;
use buttress_access::keys::{ApiKeys, ApiKeysConfig, NewKey, Peppers, SqliteKeys};
use buttress_connect::sqlite::Sqlite;
use buttress_connect::{Address, ConnectionConfig};
use buttress_core::{Ctx, Key};

async fn open(file: &std::path::Path) -> SqliteKeys {
    let sqlite = Sqlite::open(&Address::sqlite(file), &ConnectionConfig::default()).await.unwrap();
    SqliteKeys::open(sqlite).await.unwrap()
}

#[tokio::test]
async fn a_file_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let number = std::cell::Cell::new(0);
    contract::store_of_keys(async || {
        number.set(number.get() + 1);
        open(&folder.path().join(format!("{}.db", number.get()))).await
    })
    .await;
}

#[tokio::test]
async fn a_key_outlives_the_process_and_the_file_does_not_hold_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.db");
    let keys = async || {
        let peppers = Peppers::new(1, &[5; 32]).unwrap();
        ApiKeys::open(&ApiKeysConfig::default(), peppers, open(&file).await, &Ctx::default()).await.unwrap()
    };
    let issued = keys().await.issue(NewKey::of(Key::new("crawler").unwrap())).await.unwrap();
    assert_eq!(keys().await.verify(issued.expose()).await.unwrap().id.as_str(), "crawler");
    let secret = issued.expose().rsplit('_').nth(1).unwrap().as_bytes();
    for part in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(part.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
}
