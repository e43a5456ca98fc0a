//! What every [`Engine`] promises, as tests: for an engine of your own, and for ours.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a contract that is broken fails the test, and panicking is how a test fails"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::{Capacity, Engine, Weighed};

/// An entry of a test: counts how many of it there are.
#[derive(Debug)]
pub struct Item {
    /// What it says.
    pub number: u64,
    weight: u64,
    live: Arc<AtomicUsize>,
}

impl Item {
    fn new(number: u64, weight: u64, live: &Arc<AtomicUsize>) -> Self {
        live.fetch_add(1, Ordering::SeqCst);
        Self { number, weight, live: Arc::clone(live) }
    }
}

impl Clone for Item {
    fn clone(&self) -> Self {
        Self::new(self.number, self.weight, &self.live)
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Weighed for Item {
    fn weight(&self) -> u64 {
        self.weight
    }
}

/// Runs the whole contract on an engine.
///
/// # Panics
///
/// When a promise is broken.
pub fn holds<E: Engine<u64, Item>>() {
    what_is_put_in_comes_out::<E>();
    a_condition_is_kept::<E>();
    room_is_bounded_by_number::<E>();
    room_is_bounded_by_weight::<E>();
    what_is_used_stays::<E>();
    all_entries_are_met::<E>();
    nothing_is_lost_or_kept_twice::<E>();
    threads_see_whole_entries::<E>();
}

fn live() -> Arc<AtomicUsize> {
    Arc::default()
}

fn number(item: Option<Item>) -> Option<u64> {
    item.map(|item| item.number)
}

fn what_is_put_in_comes_out<E: Engine<u64, Item>>() {
    let (engine, live) = (E::new(&Capacity::of(100)), live());
    assert!(engine.is_empty() && engine.get(&1).is_none() && engine.remove(&1).is_none());
    engine.insert(1, Item::new(10, 1, &live));
    engine.insert(2, Item::new(20, 1, &live));
    engine.insert(1, Item::new(11, 1, &live));
    assert_eq!((number(engine.get(&1)), number(engine.peek(&2))), (Some(11), Some(20)));
    assert_eq!((engine.len(), engine.weight()), (2, 2));
    assert_eq!(number(engine.remove(&1)), Some(11));
    assert_eq!((engine.len(), engine.weight(), number(engine.get(&1))), (1, 1, None));
    engine.clear();
    assert!(engine.get(&2).is_none() && engine.is_empty());
    engine.insert(3, Item::new(30, 1, &live));
    assert_eq!(number(engine.get(&3)), Some(30), "a cleared engine takes entries");
}

fn a_condition_is_kept<E: Engine<u64, Item>>() {
    let (engine, live) = (E::new(&Capacity::of(100)), live());
    engine.insert(1, Item::new(10, 1, &live));
    assert!(!engine.remove_if(&2, |_| true));
    assert!(!engine.remove_if(&1, |item| item.number == 11));
    assert_eq!(number(engine.get(&1)), Some(10));
    assert!(engine.remove_if(&1, |item| item.number == 10));
    assert_eq!((number(engine.get(&1)), engine.weight()), (None, 0));
}

fn room_is_bounded_by_number<E: Engine<u64, Item>>() {
    let (capacity, live) = (Capacity::of(1000), live());
    let engine = E::new(&capacity);
    for key in 0..20_000 {
        engine.insert(key, Item::new(key, 1, &live));
    }
    // Shards round up.
    let (length, weight) = (engine.len(), engine.weight());
    assert!((800..=1100).contains(&length), "{length} entries where there is room for 1000");
    assert_eq!(weight, length as u64);
    assert_eq!(capacity.evicted.get(), 20_000 - length as u64, "every entry that went is counted");
}

fn room_is_bounded_by_weight<E: Engine<u64, Item>>() {
    let (capacity, live) = (Capacity { weight: 1_000_000, ..Capacity::of(1000) }, live());
    let engine = E::new(&capacity);
    for key in 0..20_000 {
        engine.insert(key, Item::new(key, 500 + key % 1000, &live));
    }
    let weight = engine.weight();
    assert!((500_000..=1_100_000).contains(&weight), "a weight of {weight} where there is room for 1000000");
    engine.insert(1, Item::new(1, u64::from(u32::MAX), &live));
    let weight = engine.weight();
    assert!(weight <= 1_100_000, "a weight of {weight}, with an entry that is too heavy for all");
    let sum: u64 = engine.iter().map(|(_, item)| item.weight).sum();
    assert_eq!(sum, engine.weight(), "the weight is that of the entries");
}

fn what_is_used_stays<E: Engine<u64, Item>>() {
    let (engine, live) = (E::new(&Capacity::of(1000)), live());
    for round in 0..20_u64 {
        for key in 0..100 {
            if engine.get(&key).is_none() {
                engine.insert(key, Item::new(key, 1, &live));
            }
        }
        for passing in 0..300 {
            let key = 1_000_000 + round * 1000 + passing;
            engine.insert(key, Item::new(key, 1, &live));
        }
    }
    let stayed = (0..100).filter(|key| engine.peek(key).is_some()).count();
    assert!(stayed >= 90, "{stayed} of 100 entries that were used in each round");
}

fn all_entries_are_met<E: Engine<u64, Item>>() {
    let (engine, live) = (E::new(&Capacity::of(10_000)), live());
    for key in 0..2000 {
        engine.insert(key, Item::new(key + 1, 1, &live));
    }
    let mut met = HashMap::new();
    for (key, item) in engine.iter() {
        // What is met may be taken out at once.
        assert!(engine.remove(&key).is_some());
        assert!(met.insert(key, item.number).is_none(), "met twice");
    }
    assert_eq!(met.len(), 2000);
    assert!(met.iter().all(|(key, number)| key + 1 == *number));
    assert_eq!((engine.len(), engine.weight()), (0, 0));
}

fn nothing_is_lost_or_kept_twice<E: Engine<u64, Item>>() {
    let (engine, live) = (E::new(&Capacity::of(500)), live());
    for key in 0..5000_u64 {
        engine.insert(key % 700, Item::new(key, 1, &live));
        if key % 7 == 0 {
            engine.remove(&(key % 300));
        }
    }
    let (length, kept) = (engine.len(), live.load(Ordering::SeqCst));
    // Some engines let go a little later.
    assert!((length..=length + 200).contains(&kept), "{kept} items live, {length} in the engine");
    drop(engine);
}

fn threads_see_whole_entries<E: Engine<u64, Item>>() {
    let (engine, live) = (E::new(&Capacity::of(256)), live());
    let wrong = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (engine, live, wrong) = (&engine, &live, &wrong);
            scope.spawn(move || {
                let mut state = thread + 1;
                for _ in 0..20_000 {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let key = (state >> 40) % 512;
                    match (state >> 33) % 8 {
                        0 => drop(engine.remove(&key)),
                        1 | 2 => engine.insert(key, Item::new(key, 1 + key % 3, live)),
                        3 => drop(engine.remove_if(&key, |item| item.weight == 1)),
                        _ if engine.get(&key).is_some_and(|item| item.number != key) => {
                            wrong.fetch_add(1, Ordering::SeqCst);
                        }
                        _ => {}
                    }
                }
            });
        }
    });
    assert_eq!(wrong.load(Ordering::SeqCst), 0, "a key had the entry of another");
    let sum: u64 = engine.iter().map(|(_, item)| item.weight).sum();
    // Some engines lose count a little when a key is written by two at once.
    assert!(sum.abs_diff(engine.weight()) <= sum / 10, "{sum} are told as {}", engine.weight());
}
