//! Single flight under loom: every order in which threads can join loads, end them, and change what is loaded.
//!
//! It is compiled here a second time, on loom's atomics and locks instead of std's.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
#![allow(dead_code, unreachable_pub)] // It is larger than what these tests use.

mod sync {
    use std::hash::{BuildHasherDefault, DefaultHasher};

    pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    /// The same each time, as loom goes over the same ground again and again.
    pub(crate) type RandomState = BuildHasherDefault<DefaultHasher>;

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }
}
mod engine {
    pub(crate) use buttress_cache::CacheKey;
}
/// Entries without tags.
mod tags {
    #[derive(Clone, Default)]
    pub(crate) struct Seen;

    impl Seen {
        #[allow(clippy::unused_self, reason = "it stands for one that has tags")]
        pub(crate) fn holds(&self) -> bool {
            true
        }
    }
}
#[path = "../src/flights.rs"]
mod flights;

use std::sync::Arc;

use flights::{Flights, Joined};
use loom::sync::Mutex;
use loom::thread;
use sync::lock;
use tags::Seen;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error;

type Loads = Arc<Flights<u64, u64>>;

fn join(loads: &Loads, key: u64) -> Joined<u64, u64> {
    loads.join(&key, Seen, true, || Error)
}

/// Where values come from, and what a cache has kept of it.
#[derive(Default)]
struct World {
    source: Mutex<u64>,
    kept: Mutex<Option<u64>>,
}

impl World {
    /// As a cache loads: whoever gets the ticket reads the source, and keeps what it read.
    fn load(&self, loads: &Loads) {
        if let Joined::Lead(ticket) = join(loads, 1) {
            let value = *lock(&self.source);
            drop(ticket.land(Ok(Some(value)), |_| *lock(&self.kept) = Some(value)));
        }
    }
}

#[test]
fn what_was_read_before_a_change_is_not_kept_after_it() {
    for change in [Some(2), None] {
        let mut every_order = loom::model::Builder::new();
        // With three threads there are too many orders; few faults need more than two switches.
        every_order.preemption_bound = Some(2);
        every_order.check(move || {
            let (world, loads) = (Arc::new(World::default()), Arc::new(Flights::new(4)));
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let (world, loads) = (Arc::clone(&world), Arc::clone(&loads));
                    thread::spawn(move || world.load(&loads))
                })
                .collect();
            *lock(&world.source) = 2;
            // As a cache is told of the change: by the new value, or by taking the old one out.
            loads.supersede(&1);
            *lock(&world.kept) = change;
            for other in others {
                other.join().unwrap();
            }
            let kept = *lock(&world.kept);
            assert!(kept == Some(2) || (change.is_none() && kept.is_none()), "{kept:?}");
            assert_eq!(loads.len(), 0);
        });
    }
}

#[test]
fn one_loads_and_the_others_have_what_it_brought() {
    loom::model(|| {
        let (loads, begun) = (Arc::new(Flights::new(4)), Arc::new(Mutex::new(0)));
        let caller = |loads: Loads, begun: Arc<Mutex<u64>>| match join(&loads, 1) {
            Joined::Lead(ticket) => {
                let number = {
                    let mut begun = lock(&begun);
                    *begun += 1;
                    *begun
                };
                drop(ticket.land(Ok(Some(number)), |_| ()));
                None
            }
            Joined::Follow { outcome, .. } => Some(outcome),
            Joined::Full => panic!("there is room"),
        };
        let other = thread::spawn({
            let (loads, begun) = (Arc::clone(&loads), Arc::clone(&begun));
            move || caller(loads, begun)
        });
        let followed = [caller(Arc::clone(&loads), Arc::clone(&begun)), other.join().unwrap()];
        let begun = *lock(&begun);
        let followers: Vec<_> = followed.into_iter().flatten().collect();
        assert_eq!(begun + followers.len() as u64, 2, "each loads or follows");
        for outcome in followers {
            assert_eq!(*outcome.borrow(), Some(Ok(Some(1))));
        }
    });
}

#[test]
fn there_are_never_more_loads_than_there_may_be() {
    loom::model(|| {
        let (loads, running) = (Arc::new(Flights::new(1)), Arc::new(Mutex::new(0)));
        let caller = |loads: &Loads, running: &Mutex<u64>, key| {
            if let Joined::Lead(ticket) = join(loads, key) {
                let now = {
                    let mut running = lock(running);
                    *running += 1;
                    *running
                };
                assert_eq!(now, 1);
                *lock(running) -= 1;
                // One that is given up makes room as well.
                if key == 1 { drop(ticket) } else { drop(ticket.land(Ok(None), |_| ())) }
            }
        };
        let other = thread::spawn({
            let (loads, running) = (Arc::clone(&loads), Arc::clone(&running));
            move || caller(&loads, &running, 1)
        });
        caller(&loads, &running, 2);
        other.join().unwrap();
        assert_eq!(loads.len(), 0);
        assert!(matches!(join(&loads, 3), Joined::Lead(_)));
    });
}
