//! Whatever is done to them, the store in memory and the store in a file answer the same.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use buttress_access::session::{
    MemorySessions, Record, SessionHash, SessionStore, SqliteSessions, User, Which,
};
use buttress_access::{Names, TenantId};
use buttress_connect::sqlite::Sqlite;
use buttress_connect::{Address, ConnectionConfig};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Put { hash: u8, user: usize, created: u64, most: usize, instead_of: Option<u8> },
    Get(u8),
    Touch(u8, u64),
    Remove(usize, Option<(bool, u8)>),
    Sweep(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (hash, user, time) = (|| 0..6_u8, || 0..3_usize, || 0..8_u64);
    let put = (hash(), user(), time(), 0..4_usize, proptest::option::of(hash()));
    prop_oneof![
        4 => put.prop_map(|(hash, user, created, most, instead_of)| Step::Put { hash, user, created, most, instead_of }),
        3 => hash().prop_map(Step::Get),
        2 => (hash(), time()).prop_map(|(hash, time)| Step::Touch(hash, time)),
        1 => (user(), proptest::option::of((any::<bool>(), hash()))).prop_map(|(user, which)| Step::Remove(user, which)),
        1 => (time(), time()).prop_map(|(created, seen)| Step::Sweep(created, seen)),
    ]
}

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(second)
}

fn hash(number: u8) -> SessionHash {
    SessionHash::from_bytes([number; 32])
}

/// Two of one name in two tenants, and one of neither.
fn user(number: usize) -> User {
    let tenant = ["acme", "globex"].get(number).map(|tenant| TenantId::new(tenant).unwrap());
    User { tenant, id: "ann".try_into().unwrap() }
}

/// What a step brought, whatever it is.
async fn take(store: &dyn SessionStore, step: &Step) -> (Option<Record>, u64) {
    match step.clone() {
        Step::Put { hash: number, user: whose, created, most, instead_of } => {
            let (roles, scopes) = (Names::new(["a", "b"]).unwrap(), Names::default());
            let (created, seen) = (at(created), at(created));
            let record = Record { hash: hash(number), user: user(whose), roles, scopes, created, seen };
            (None, u64::from(store.put(record, most, instead_of.map(hash)).await.unwrap()))
        }
        Step::Get(number) => (store.get(hash(number)).await.unwrap(), 0),
        Step::Touch(number, time) => {
            store.touch(hash(number), at(time)).await.unwrap();
            (None, 0)
        }
        Step::Remove(whose, which) => {
            let which = match which {
                None => Which::All,
                Some((true, number)) => Which::Only(hash(number)),
                Some((false, number)) => Which::Except(hash(number)),
            };
            (None, store.remove(user(whose), which).await.unwrap())
        }
        Step::Sweep(created, seen) => (None, store.sweep(at(created), at(seen)).await.unwrap()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn they_answer_the_same(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let address = Address::sqlite(&folder.path().join("access.db"));
            let sqlite = Sqlite::open(&address, &ConnectionConfig::default()).await.unwrap();
            let file = SqliteSessions::open(sqlite).await.unwrap();
            let memory = MemorySessions::new(100);
            for step in steps {
                prop_assert_eq!(take(&file, &step).await, take(&memory, &step).await, "{:?}", step);
            }
            Ok(())
        })?;
    }
}
