//! What every [`SessionStore`] promises, as tests: for one of your own, and for ours.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a broken promise fails the test, and panicking is how a test fails"
)]

use std::time::{Duration, SystemTime};

use super::{Record, SessionHash, SessionStore, User, Which};
use crate::{Names, TenantId};

/// A moment, in seconds since the first.
fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + second)
}

fn hash(number: u8) -> SessionHash {
    SessionHash::from_bytes([number; 32])
}

fn user(id: &str, tenant: Option<&str>) -> User {
    User { tenant: tenant.map(|tenant| TenantId::new(tenant).unwrap()), id: id.try_into().unwrap() }
}

fn record(number: u8, user: &User, created: u64) -> Record {
    let (roles, scopes) = (Names::new(["editor", "viewer"]).unwrap(), Names::default());
    Record { hash: hash(number), user: user.clone(), roles, scopes, created: at(created), seen: at(created) }
}

/// Runs the whole contract on a store that is empty and has room for 100 sessions at least.
///
/// # Panics
///
/// When a promise is broken.
pub async fn sessions_hold(store: &impl SessionStore) {
    let (ann, bob) = (user("ann", None), user("bob", None));
    // The same name in another tenant is another user.
    let (other, empty) = (user("ann", Some("acme")), user("nobody", None));
    let there = async |numbers: &[u8]| {
        let mut found = Vec::new();
        for number in numbers {
            found.push(store.get(hash(*number)).await.unwrap().is_some());
        }
        found
    };

    // What is put in comes out.
    assert_eq!(store.get(hash(1)).await.unwrap(), None);
    for record in [record(1, &ann, 10), record(2, &bob, 20), record(3, &other, 30)] {
        assert!(store.put(record.clone(), 3, None).await.unwrap());
        assert_eq!(store.get(record.hash).await.unwrap(), Some(record));
    }

    // Use is noted, and of nothing that is not there.
    store.touch(hash(1), at(40)).await.unwrap();
    store.touch(hash(99), at(40)).await.unwrap();
    assert_eq!(store.get(hash(1)).await.unwrap().unwrap().seen, at(40));
    assert_eq!(there(&[99]).await, [false]);

    // For one too many, the user's oldest goes, whatever was used last; nobody else's does. The new one stays, also if its clock is behind.
    for number in 4..=5 {
        assert!(store.put(record(number, &ann, u64::from(number) * 10), 3, None).await.unwrap());
    }
    assert_eq!(there(&[1, 2, 3, 4, 5]).await, [true; 5]);
    assert!(store.put(record(6, &ann, 60), 3, None).await.unwrap());
    assert_eq!(there(&[1, 2, 3, 4, 5, 6]).await, [false, true, true, true, true, true]);
    assert!(store.put(record(7, &ann, 5), 3, None).await.unwrap());
    assert_eq!(there(&[4, 5, 6, 7]).await, [false, true, true, true]);

    // One takes the place of another once.
    assert!(store.put(record(8, &ann, 60), 3, Some(hash(6))).await.unwrap());
    assert!(!store.put(record(9, &ann, 60), 3, Some(hash(6))).await.unwrap());
    assert_eq!(there(&[5, 6, 7, 8, 9]).await, [true, false, true, true, false]);
    // Also of another user.
    assert!(store.put(record(10, &bob, 70), 3, Some(hash(7))).await.unwrap());
    assert_eq!(there(&[2, 5, 7, 8, 10]).await, [true, true, false, true, true]);

    // A user's sessions end: another's do not, whatever hash is named.
    assert_eq!(store.remove(empty, Which::All).await.unwrap(), 0);
    assert_eq!(store.remove(ann.clone(), Which::Only(hash(2))).await.unwrap(), 0);
    assert_eq!(store.remove(ann.clone(), Which::Except(hash(8))).await.unwrap(), 1);
    assert_eq!(there(&[2, 3, 5, 8]).await, [true, true, false, true]);
    assert_eq!(store.remove(ann.clone(), Which::Only(hash(8))).await.unwrap(), 1);
    assert_eq!(store.remove(ann, Which::All).await.unwrap(), 0);
    assert_eq!(there(&[2, 3, 8, 10]).await, [true, true, false, true]);

    // Old ones are swept: 2 began at 20, 3 was seen at 30, 10 is of 70.
    store.touch(hash(2), at(80)).await.unwrap();
    assert_eq!(store.sweep(at(20), at(30)).await.unwrap(), 0);
    assert_eq!(store.sweep(at(0), at(31)).await.unwrap(), 1);
    assert_eq!(there(&[2, 3, 10]).await, [true, false, true]);
    assert_eq!(store.sweep(at(21), at(0)).await.unwrap(), 1);
    assert_eq!(there(&[2, 10]).await, [false, true]);
    assert_eq!(store.remove(bob, Which::All).await.unwrap(), 1);
    assert_eq!(there(&[10]).await, [false]);
}
