//! What every [`Engine`], and every [`Tier`](crate::tier::Tier), promises, as tests: for one of your own, and for ours.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a contract that is broken fails the test, and panicking is how a test fails"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::{Capacity, Engine};

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

fn put(engine: &impl Engine<u64, Item>, key: u64, item: Item) {
    let weight = item.weight;
    engine.insert(key, item, weight);
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
    put(&engine, 1, Item::new(10, 1, &live));
    put(&engine, 2, Item::new(20, 1, &live));
    put(&engine, 1, Item::new(11, 1, &live));
    assert_eq!((number(engine.get(&1)), number(engine.peek(&2))), (Some(11), Some(20)));
    assert_eq!((engine.len(), engine.weight()), (2, 2));
    assert_eq!(number(engine.remove(&1)), Some(11));
    assert_eq!((engine.len(), engine.weight(), number(engine.get(&1))), (1, 1, None));
    engine.clear();
    assert!(engine.get(&2).is_none() && engine.is_empty());
    put(&engine, 3, Item::new(30, 1, &live));
    assert_eq!(number(engine.get(&3)), Some(30), "a cleared engine takes entries");
}

fn a_condition_is_kept<E: Engine<u64, Item>>() {
    let (engine, live) = (E::new(&Capacity::of(100)), live());
    put(&engine, 1, Item::new(10, 1, &live));
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
        put(&engine, key, Item::new(key, 1, &live));
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
        put(&engine, key, Item::new(key, 500 + key % 1000, &live));
    }
    let weight = engine.weight();
    assert!((500_000..=1_100_000).contains(&weight), "a weight of {weight} where there is room for 1000000");
    put(&engine, 1, Item::new(1, u64::from(u32::MAX), &live));
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
                put(&engine, key, Item::new(key, 1, &live));
            }
        }
        for passing in 0..300 {
            let key = 1_000_000 + round * 1000 + passing;
            put(&engine, key, Item::new(key, 1, &live));
        }
    }
    let stayed = (0..100).filter(|key| engine.peek(key).is_some()).count();
    assert!(stayed >= 90, "{stayed} of 100 entries that were used in each round");
}

fn all_entries_are_met<E: Engine<u64, Item>>() {
    let (engine, live) = (E::new(&Capacity::of(10_000)), live());
    for key in 0..2000 {
        put(&engine, key, Item::new(key + 1, 1, &live));
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
        put(&engine, key % 700, Item::new(key, 1, &live));
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
    let (engine, live) = (E::new(&Capacity { weight: 500, ..Capacity::of(256) }), live());
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
                        1 | 2 => put(engine, key, Item::new(key, 1 + key % 3, live)),
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
    // Some engines put things in order a little later, and lose count a little when a key is written by two at once.
    let fits = || {
        let sum: u64 = engine.iter().map(|(_, item)| item.weight).sum();
        sum.abs_diff(engine.weight()) <= sum / 5
    };
    let told = || (engine.iter().map(|(_, item)| item.weight).sum::<u64>(), engine.weight());
    assert!((0..100).any(|_| fits()), "the weights, and what is told of them: {:?}", told());
}

/// Runs the whole contract on an empty tier. Must be called inside of a tokio runtime; takes a second or so.
///
/// # Panics
///
/// When a promise is broken.
#[cfg(feature = "codec")]
pub async fn tier_holds(tier: &impl crate::tier::Tier, clock: buttress_core::SharedClock) {
    use std::time::Duration;

    use crate::tier::{Heard, Lease};

    let (second, ms) = (Duration::from_secs(1), Duration::from_millis);
    let bytes = async |name: &str| tier.get(name).await.expect("it answers").map(|stored| stored.bytes);
    // The long leases and lifetimes here never end by themselves.
    let lease = async |name: &str, token, over: Option<&str>| {
        let over = over.map(str::as_bytes);
        tier.lease(name, token, second * 60, over).await.expect("it answers")
    };
    let fill = async |name: &str, token, bytes: &[u8]| {
        tier.fill(name, token, bytes, Some(second * 60)).await.expect("it answers")
    };

    // What is put in comes out, with its end.
    assert_eq!(bytes("a").await, None);
    tier.write("a", b"one\0\xff", Some(second * 60), b"").await.expect("it answers");
    let stored = tier.get("a").await.expect("it answers").expect("it is there");
    assert_eq!(stored.bytes, b"one\0\xff");
    assert!(stored.left.is_some_and(|left| left > second * 50 && left <= second * 60), "{:?}", stored.left);
    tier.write("a", b"", None, b"").await.expect("it answers");
    let stored = tier.get("a").await.expect("it answers").expect("it is there");
    assert_eq!((stored.bytes, stored.left), (Vec::new(), None));
    tier.remove("a", b"").await.expect("it answers");
    assert_eq!(bytes("a").await, None);
    tier.write("short", b"x", Some(ms(20)), b"").await.expect("it answers");
    clock.sleep(ms(60)).await;
    assert_eq!(bytes("short").await, None, "it has ended");

    // One at a time loads; whoever lost its lease fills nothing.
    assert_eq!(lease("b", 1, None).await, Lease::Given);
    assert_eq!(lease("b", 2, Some("xx")).await, Lease::Taken);
    assert!(tier.extend("b", 1, second * 60).await.expect("it answers"));
    assert!(!tier.extend("b", 2, second).await.expect("it answers"));
    assert!(!fill("b", 2, b"of another").await);
    assert!(fill("b", 1, b"loaded").await);
    assert!(!fill("b", 1, b"again").await, "the lease went with the first");
    assert_eq!(bytes("b").await.as_deref(), Some(b"loaded".as_slice()));
    assert_eq!(lease("b", 3, None).await, Lease::Needless);
    assert_eq!(
        lease("b", 3, Some("older")).await,
        Lease::Needless,
        "somebody has replaced what would not do"
    );
    assert_eq!(lease("b", 3, Some("load")).await, Lease::Given);
    tier.release("b", 4).await.expect("it answers");
    assert_eq!(lease("b", 4, Some("load")).await, Lease::Taken, "another gives back nothing");
    tier.release("b", 3).await.expect("it answers");
    assert_eq!(lease("b", 4, Some("loaded")).await, Lease::Given);

    // A change ends the lease of who read before it.
    tier.write("b", b"changed", Some(second * 60), b"").await.expect("it answers");
    assert!(!fill("b", 4, b"old").await);
    assert_eq!(bytes("b").await.as_deref(), Some(b"changed".as_slice()));
    assert_eq!(lease("b", 5, Some("changed")).await, Lease::Given);
    tier.remove("b", b"").await.expect("it answers");
    assert!(!fill("b", 5, b"old").await);
    assert_eq!(bytes("b").await, None);

    // A holder that died is outlived.
    let short = tier.lease("c", 6, ms(20), None).await.expect("it answers");
    clock.sleep(ms(60)).await;
    assert_eq!((short, lease("c", 7, None).await), (Lease::Given, Lease::Given));

    tags_hold(tier, &clock).await;

    // Of no bytes at all, which will not do either, nobody is told that they will.
    tier.write("d", b"", None, b"").await.expect("it answers");
    assert_eq!((lease("d", 8, None).await, lease("d", 8, Some("")).await), (Lease::Needless, Lease::Given));
    assert_eq!(lease("e", 9, Some("gone")).await, Lease::Given);

    // News come in order, to all who listen; and it is told up to when nothing is missing.
    let mut news = [tier.listen(ms(20), clock.clone()), tier.listen(ms(20), clock.clone())];
    for news in &mut news {
        assert_eq!(news.next().await, Heard::Begun);
    }
    let before = clock.now();
    tier.publish(b"1").await.expect("it answers");
    tier.remove("x", b"2").await.expect("it answers");
    tier.write("x", b"", None, b"3").await.expect("it answers");
    for news in &mut news {
        let mut heard = Vec::new();
        loop {
            match news.next().await {
                Heard::Message(message) => heard.extend(message),
                Heard::UpTo(moment) if moment > before && !heard.is_empty() => break,
                Heard::UpTo(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(heard, b"123");
    }
}

/// What a tier promises of tags.
#[cfg(feature = "codec")]
async fn tags_hold(tier: &impl crate::tier::Tier, clock: &buttress_core::SharedClock) {
    use std::time::Duration;

    let (minute, ms) = (Duration::from_mins(1), Duration::from_millis);
    let [one, two, gone] = ["one", "two", "gone"].map(|tag| buttress_core::Key::new(tag).expect("a key"));
    let both = [one.clone(), two.clone()];
    let mark = async |tags: &[_], keep| tier.mark(tags, keep).await.expect("it answers");
    let marks = async |tags: &[_]| tier.marks(tags).await.expect("it answers");
    assert_eq!(marks(&both).await, [None, None]);
    let first = mark(&both, Some(minute)).await;
    assert_ne!(first.first(), first.last(), "each has its own");
    assert_eq!(
        mark(&both, Some(ms(1))).await,
        first,
        "it has one, which is kept for as long as was said before"
    );
    clock.sleep(ms(30)).await;
    assert_eq!(marks(&both).await, first.iter().copied().map(Some).collect::<Vec<_>>());
    tier.unmark(&one, b"").await.expect("it answers");
    assert_eq!(marks(&both).await, [None, first.get(1).copied()]);
    let again = mark(&both, None).await;
    assert!(again.first() != first.first() && again.get(1) == first.get(1), "{first:?} {again:?}");
    // One without an end stays, however short it is wanted later; one that is wanted longer lives longer.
    mark(&both, Some(ms(1))).await;
    let short = mark(std::slice::from_ref(&gone), Some(ms(20))).await;
    assert_eq!(mark(std::slice::from_ref(&gone), Some(ms(120))).await, short);
    clock.sleep(ms(50)).await;
    assert_eq!(marks(std::slice::from_ref(&gone)).await, [short.first().copied()]);
    clock.sleep(ms(150)).await;
    assert_eq!(marks(&[gone, two]).await, [None, again.get(1).copied()]);
}
