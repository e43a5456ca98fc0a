//! The table under loom: every order in which threads can take the locks of its shards.
//!
//! The core of the crate is compiled here a second time, on loom's locks instead of std's.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
#![allow(dead_code, unreachable_pub, unused_imports, clippy::wrong_self_convention)] // It is larger than what these tests use.

mod sync {
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }
}
#[path = "../src/access.rs"]
mod access;
#[path = "../src/algorithm/mod.rs"]
mod algorithm;
#[path = "../src/caller.rs"]
mod caller;
#[path = "../src/config.rs"]
mod config;
#[path = "../src/decision.rs"]
mod decision;
#[path = "../src/error.rs"]
mod error;
#[path = "../src/fingerprint.rs"]
mod fingerprint;
#[path = "../src/limit.rs"]
mod limit;
#[path = "../src/metrics.rs"]
mod metrics;
#[path = "../src/penalty.rs"]
mod penalty;
#[path = "../src/plan.rs"]
mod plan;
#[path = "../src/request.rs"]
mod request;
#[path = "../src/store/mod.rs"]
mod store;
#[path = "../src/view.rs"]
mod view;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use algorithm::{Algorithm, Nanos};
use config::LimiterConfig;
use decision::Decision;
use error::Error;
use limit::{Limit, Policy};
use loom::thread;
use metrics::Metrics;
use plan::Plan;
use request::{Request, Subject};
use store::{Ask, Bans, Identity, Tables};

/// As many keys as make two shards.
const KEYS: usize = 2_048;
const NOW: Nanos = 1_000_000_000_000;

/// What stays the same in every order.
struct Setting {
    plan: Plan,
    identity: Identity,
    metrics: Metrics,
}

impl Setting {
    /// `quota` an hour for a user, and the same for an address.
    fn new(quota: u32) -> Arc<Self> {
        let limit = Limit::per_hour(quota).algorithm(Algorithm::FixedWindow);
        let mut config = LimiterConfig::one(limit);
        config.known_address = limit.into();
        Arc::new(Self {
            plan: Plan::new(&config),
            identity: Identity::random(),
            metrics: Metrics::new("loom"),
        })
    }

    fn ask(&self) -> Ask<'_> {
        let Self { plan, identity, metrics } = self;
        Ask { plan, identity, metrics, now: NOW, consume: true, blame: true }
    }

    fn shard(&self, subject: Subject<'_>) -> usize {
        fingerprint::shard(self.identity.subject(subject, &self.plan).place, 2)
    }

    /// A user and an address; that of the user in the first shard or in the second, that of the address in the other.
    fn crossing(&self, user_in: usize) -> (String, IpAddr) {
        let user = (0..1_000)
            .map(|number| format!("user-{number}"))
            .find(|user| self.shard(Subject::User(user)) == user_in);
        let address = (1_u32..1_000)
            .map(|number| IpAddr::from(Ipv4Addr::from_bits(number)))
            .find(|address| self.shard(Subject::Ip(*address)) != user_in);
        (user.unwrap(), address.unwrap())
    }
}

fn admits(store: &Tables, setting: &Setting, request: &Request<'_>) -> bool {
    store.decide(setting.ask(), request, &mut Bans::default(), &mut ()).is_admitted()
}

#[test]
fn requests_whose_subjects_lie_crosswise_wait_for_each_other_in_no_order() {
    let setting = Setting::new(1);
    let callers = [setting.crossing(0), setting.crossing(1)];
    loom::model(move || {
        let store = Arc::new(Tables::new(KEYS, &setting.plan));
        let asking = callers.clone().map(|(user, address)| {
            let (store, setting) = (Arc::clone(&store), Arc::clone(&setting));
            thread::spawn(move || admits(&store, &setting, &Request::user(&user).from_ip(address)))
        });
        assert_eq!(asking.map(|caller| caller.join().unwrap()), [true, true]);
        // Each has used up its own, and nothing of the other's.
        for (user, address) in &callers {
            assert!(!admits(&store, &setting, &Request::user(user)));
            assert!(!admits(&store, &setting, &Request::user("someone else").from_ip(*address)));
        }
    });
}

#[test]
fn no_order_admits_more_than_the_quota_or_less() {
    let setting = Setting::new(2);
    let (user, address) = setting.crossing(0);
    loom::model(move || {
        let store = Arc::new(Tables::new(KEYS, &setting.plan));
        let ask = {
            let (store, setting, user) = (Arc::clone(&store), Arc::clone(&setting), user.clone());
            move || {
                let request = Request::user(&user).from_ip(address);
                u32::from(admits(&store, &setting, &request)) + u32::from(admits(&store, &setting, &request))
            }
        };
        let other = thread::spawn(ask.clone());
        // What is tended meanwhile is not forgotten, as it still counts.
        let tending = {
            let (store, setting) = (Arc::clone(&store), Arc::clone(&setting));
            thread::spawn(move || store.tend(&setting.plan, &setting.metrics, NOW))
        };
        assert_eq!(ask() + other.join().unwrap(), 2);
        assert!(tending.join().unwrap() <= 2);
        assert_eq!(store.len(), 2);
    });
}

#[test]
fn what_is_given_back_is_admitted_once_more_and_not_twice() {
    let setting = Setting::new(1);
    let (user, address) = setting.crossing(1);
    loom::model(move || {
        let store = Arc::new(Tables::new(KEYS, &setting.plan));
        let request = Request::user(&user).from_ip(address);
        assert!(admits(&store, &setting, &request));
        let other = {
            let (store, setting, user) = (Arc::clone(&store), Arc::clone(&setting), user.clone());
            thread::spawn(move || admits(&store, &setting, &Request::user(&user).from_ip(address)))
        };
        store.refund(setting.ask(), &request, 1);
        let now = admits(&store, &setting, &request);
        assert!(now != other.join().unwrap(), "one of both");
    });
}
