//! What every store of API keys holds to, as tests.
//!
//! ```
//! use buttress_access::contract;
//! use buttress_access::keys::MemoryKeys;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! contract::store_of_keys(async || MemoryKeys::default()).await;
//! # }
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a broken promise fails the test, and panicking is how a test fails"
)]

use std::time::{Duration, SystemTime};

use buttress_core::Key;

use crate::keys::{KeyChange, KeyId, KeyRecord, KeyStore, Replaced};
use crate::{Names, TenantId};

/// Runs every case on stores that `open` opens: on each call another one that is empty.
pub async fn store_of_keys<S: KeyStore>(open: impl AsyncFn() -> S) {
    what_is_put_in_comes_out(&open().await).await;
    a_key_is_replaced_once_and_whole(&open().await).await;
    a_key_is_revoked_once(&open().await).await;
    last_use_never_goes_back(&open().await).await;
    lists_are_of_one_tenant_in_pages(&open().await).await;
}

/// Seconds after a moment in 2026.
fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000 + seconds)
}

fn id(number: u64) -> KeyId {
    KeyId::parse(&format!("{number:016}")).unwrap()
}

fn record(number: u64) -> KeyRecord {
    KeyRecord::new(id(number), [7; 32], 3, Key::new("owner").unwrap(), at(0))
}

async fn what_is_put_in_comes_out(store: &impl KeyStore) {
    assert_eq!(store.get(id(1)).await.unwrap(), None);
    let plain = record(1);
    let mut full = record(2);
    full.tenant = Some(TenantId::new("ac'me").unwrap());
    full.roles = Names::new(["admin", "reader"]).unwrap();
    full.scopes = Names::new(["documents:read"]).unwrap();
    full.label = "nightly \u{1f319} job".into();
    (full.expires, full.revoked, full.last_used) = (Some(at(9)), Some(at(8)), Some(at(7)));
    full.successor = Some(id(1));
    for record in [&plain, &full] {
        assert!(store.insert(record, None).await.unwrap());
        assert_eq!(store.get(record.id).await.unwrap().as_ref(), Some(record));
    }
    let mut other = record(1);
    other.label = "another".into();
    assert!(!store.insert(&other, None).await.unwrap(), "a name is given once");
    assert_eq!(store.get(id(1)).await.unwrap(), Some(plain));
    let change = KeyChange::Rehash { hash: [9; 32], pepper: 4 };
    assert!(store.change(id(1), change).await.unwrap());
    let changed = store.get(id(1)).await.unwrap().unwrap();
    assert_eq!((changed.hash, changed.pepper), ([9; 32], 4));
    assert!(!store.change(id(99), change).await.unwrap());
}

async fn a_key_is_replaced_once_and_whole(store: &impl KeyStore) {
    assert!(store.insert(&record(1), None).await.unwrap());
    let replaced = Some(Replaced { id: id(1), until: at(60) });
    assert!(store.insert(&record(2), replaced).await.unwrap());
    let old = store.get(id(1)).await.unwrap().unwrap();
    assert_eq!((old.successor, old.expires), (Some(id(2)), Some(at(60))));
    assert!(!store.insert(&record(3), replaced).await.unwrap(), "it has a successor");
    assert_eq!(store.get(id(3)).await.unwrap(), None, "neither is done");
    let nobody = Some(Replaced { id: id(99), until: at(60) });
    assert!(!store.insert(&record(4), nobody).await.unwrap());
    assert_eq!(store.get(id(4)).await.unwrap(), None);

    let mut ends = record(5);
    ends.expires = Some(at(10));
    assert!(store.insert(&ends, None).await.unwrap());
    assert!(store.insert(&record(6), Some(Replaced { id: id(5), until: at(60) })).await.unwrap());
    assert_eq!(store.get(id(5)).await.unwrap().unwrap().expires, Some(at(10)), "never longer than before");
}

async fn a_key_is_revoked_once(store: &impl KeyStore) {
    assert!(store.insert(&record(1), None).await.unwrap());
    assert!(store.change(id(1), KeyChange::Revoke { at: at(5) }).await.unwrap());
    assert!(store.change(id(1), KeyChange::Revoke { at: at(6) }).await.unwrap());
    assert_eq!(store.get(id(1)).await.unwrap().unwrap().revoked, Some(at(5)));
    let replaced = Some(Replaced { id: id(1), until: at(60) });
    assert!(!store.insert(&record(2), replaced).await.unwrap(), "what is revoked has no successor");
}

async fn last_use_never_goes_back(store: &impl KeyStore) {
    assert!(store.insert(&record(1), None).await.unwrap());
    store.touch(&[(id(1), at(20)), (id(99), at(20))]).await.unwrap();
    store.touch(&[(id(1), at(10))]).await.unwrap();
    assert_eq!(store.get(id(1)).await.unwrap().unwrap().last_used, Some(at(20)));
    store.touch(&[]).await.unwrap();
}

async fn lists_are_of_one_tenant_in_pages(store: &impl KeyStore) {
    let acme = TenantId::new("acme").unwrap();
    for number in 1..=6 {
        let mut record = record(number);
        record.tenant = (number % 2 == 0).then(|| acme.clone());
        assert!(store.insert(&record, None).await.unwrap());
    }
    let names = async |tenant: Option<&TenantId>, after, most| {
        let listed = store.list(tenant, after, most).await.unwrap();
        listed.into_iter().map(|record| record.id).collect::<Vec<_>>()
    };
    assert_eq!(names(None, None, 10).await, [id(1), id(3), id(5)]);
    assert_eq!(names(Some(&acme), None, 2).await, [id(2), id(4)]);
    assert_eq!(names(Some(&acme), Some(id(4)), 2).await, [id(6)]);
    assert_eq!(names(Some(&TenantId::new("other").unwrap()), None, 2).await, []);
}
