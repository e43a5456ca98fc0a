//! One shard: its entries, and which of them go.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};

use super::ghosts::{Ghost, Ghosts};
use super::index::Index;

/// Uses are counted up to this.
const MOST_USES: u8 = 7;
/// So many of the main part are compared with one that wants to come in.
const WINDOW: usize = 8;
/// The part of a shard that is the door: at least, and at most.
const DOOR: (f32, f32) = (0.01, 0.3);
/// When more of the misses than this are for keys that have just gone, the door is too narrow.
const REGRETS: f32 = 0.015;

/// New entries wait at the door, in the order in which they come, while there is no room for all. One that was used meanwhile, or
/// before it was put out the last time, goes on to the main part if one of those who are next there, as on a clock, was used less
/// often; it takes the place of that one. Each comparison takes one use off one of them, so that old fame fades.
///
/// What a look needs comes first: it is on one cache line with the lock.
#[repr(C)]
pub(super) struct Shard<K, T> {
    slots: Vec<Slot<K, T>>,
    index: Index,
    /// What the entries weigh; empty while each weighs 1.
    weights: Vec<u32>,
    /// The first free slot; each names the next in place of a hash.
    free: u32,
    /// The slots at the door, some of them left.
    door: VecDeque<u32>,
    ghosts: Ghosts,
    /// The slot of the main part that is looked at next.
    hand: usize,
    held: usize,
    weight: u64,
    /// What those at the door weigh.
    waiting: u64,
    limit: u64,
    /// The part of the limit that the door should have.
    share: f32,
    /// The part of the limit that one entry is, about.
    step: f32,
    /// About how many entries there will be.
    expected: usize,
}

pub(super) struct Slot<K, T> {
    held: Option<(K, T)>,
    hash: u32,
    uses: AtomicU8,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Free,
    Main,
    Door,
    /// It was at the door; its number is still there.
    Left,
}

const NONE: u32 = u32::MAX;

/// What went, to be dropped when no lock is held any more.
pub(super) struct Gone<K, T> {
    /// Most often there is one.
    first: Option<(K, T)>,
    others: Vec<(K, T)>,
    /// How many went to make room.
    pub(super) evicted: u64,
}

impl<K, T> Gone<K, T> {
    pub(super) const fn none() -> Self {
        Self { first: None, others: Vec::new(), evicted: 0 }
    }

    fn take(&mut self, entry: Option<(K, T)>) {
        if !std::mem::needs_drop::<(K, T)>() {
            return;
        }
        if self.first.is_none() {
            self.first = entry;
        } else {
            self.others.extend(entry);
        }
    }
}

impl<K, T> Slot<K, T> {
    #[inline]
    pub(super) fn entry(&self) -> Option<&T> {
        self.held.as_ref().map(|(_, entry)| entry)
    }

    /// Counts a use. One of two at once may be lost.
    #[inline]
    pub(super) fn note_use(&self) {
        let uses = self.uses.load(Ordering::Relaxed);
        if uses < MOST_USES {
            self.uses.store(uses + 1, Ordering::Relaxed);
        }
    }

    fn uses(&self) -> u8 {
        self.uses.load(Ordering::Relaxed)
    }

    /// Puts an entry in the place of an earlier one, which counts as a use.
    #[inline]
    pub(super) fn replace(&mut self, held: (K, T)) -> Option<(K, T)> {
        self.note_use();
        self.held.replace(held)
    }
}

impl<K: Eq, T> Shard<K, T> {
    #[allow(clippy::cast_precision_loss, reason = "a share is not that exact")]
    pub(super) fn new(limit: u64, expected: usize) -> Self {
        Self {
            slots: Vec::new(),
            index: Index::new(expected),
            weights: Vec::new(),
            free: NONE,
            door: VecDeque::new(),
            ghosts: Ghosts::new(expected),
            hand: 0,
            held: 0,
            weight: 0,
            waiting: 0,
            limit,
            share: DOOR.0,
            step: 1.0 / expected.max(1) as f32,
            expected,
        }
    }

    /// An empty one of the same size.
    pub(super) fn emptied(&self) -> Self {
        Self::new(self.limit, self.expected)
    }

    pub(super) fn len(&self) -> usize {
        self.held
    }

    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    /// The slot of a key.
    #[inline(always)] // As `Index::find`.
    #[allow(clippy::inline_always)]
    pub(super) fn find(&self, hash: u32, key: &K) -> Option<&Slot<K, T>> {
        let at = self.search(hash, key)?;
        self.slots.get(at as usize)
    }

    /// The number of that slot.
    #[inline]
    pub(super) fn search(&self, hash: u32, key: &K) -> Option<u32> {
        self.index.find(hash, |at| {
            let slot = self.slots.get(at as usize);
            slot.and_then(|slot| slot.held.as_ref()).is_some_and(|(other, _)| other == key)
        })
    }

    pub(super) fn remove(&mut self, hash: u32, key: &K) -> Option<(K, T)> {
        let at = self.search(hash, key)?;
        self.take_out(at)
    }

    /// A slot whose entry weighs so much: one of the same weight may take its place, and nothing else changes.
    #[inline]
    pub(super) fn slot_of_weight(&mut self, at: u32, weight: u32) -> Option<&mut Slot<K, T>> {
        if self.weight_of(at) == weight { self.slots.get_mut(at as usize) } else { None }
    }

    /// Puts an entry in, and others out to make room. `there` is where its key is, as [`search`](Shard::search) tells.
    pub(super) fn insert(
        &mut self,
        there: Option<u32>,
        hash: u32,
        held: (K, T),
        weight: u32,
        gone: &mut Gone<K, T>,
    ) {
        if u64::from(weight) > self.limit {
            gone.take(there.and_then(|at| self.take_out(at)));
            gone.take(Some(held));
            gone.evicted += 1;
            return;
        }
        if let Some(at) = there {
            self.replace(at, held, weight, gone);
            while self.weight > self.limit && self.put_one_out(gone) {}
            return;
        }
        let (mut uses, mut place) = (0, Place::Main);
        if self.weight + u64::from(weight) > self.limit {
            let ghost = self.ghosts.take(hash);
            self.learn(ghost);
            self.close_up();
            while self.weight + u64::from(weight) > self.limit && self.put_one_out(gone) {}
            (uses, place) = (ghost.map_or(0, |ghost| (ghost.uses + 1).min(MOST_USES)), Place::Door);
        }
        let slot = Slot { held: Some(held), hash, uses: AtomicU8::new(uses), place };
        let at = self.put(slot);
        self.index.insert(hash, at, |at| slot_hash(&self.slots, at));
        self.held += 1;
        self.weight += u64::from(weight);
        self.set_weight(at, weight);
        if place == Place::Door {
            self.waiting += u64::from(weight);
            self.door.push_back(at);
        }
    }

    fn replace(&mut self, at: u32, held: (K, T), weight: u32, gone: &mut Gone<K, T>) {
        let before = self.weight_of(at);
        let Some(slot) = self.slots.get_mut(at as usize) else { return };
        let waits = slot.place == Place::Door;
        gone.take(slot.replace(held));
        if weight != before {
            let change = |sum: u64| sum - u64::from(before) + u64::from(weight);
            self.weight = change(self.weight);
            if waits {
                self.waiting = change(self.waiting);
            }
            self.set_weight(at, weight);
        }
    }

    /// A miss while there is no room, for a key that went just before or not. The door moves by the size of an entry, whatever the
    /// size of the shard: a number of misses that grows with it moves it all.
    fn learn(&mut self, ghost: Option<Ghost>) {
        let regret = if ghost.is_some_and(|ghost| ghost.latest) { 1.0 } else { 0.0 };
        self.share = (self.share + self.step * (regret - REGRETS)).clamp(DOOR.0, DOOR.1);
    }

    /// Whether there was one to put out.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of 0.01 to 0.3 of the limit, which need not be exact"
    )]
    fn put_one_out(&mut self, gone: &mut Gone<K, T>) -> bool {
        let room = ((self.limit as f32 * self.share) as u64).max(1);
        if self.waiting < room
            && let Some(last) = self.beaten_by(MOST_USES + 1)
        {
            self.evict(last, gone);
            return true;
        }
        while let Some(at) = self.door.pop_front() {
            let Some(slot) = self.slots.get(at as usize) else { continue };
            let uses = slot.uses();
            if slot.place == Place::Left {
                self.make_free(at);
                continue;
            }
            if uses > 0 {
                // A door that is much too wide becomes narrower by letting in who is there.
                if self.waiting > room + room / 4 + self.limit / 200 {
                    self.let_in(at);
                    continue;
                }
                if let Some(last) = self.beaten_by(uses) {
                    self.evict(last, gone);
                    self.let_in(at);
                    return true;
                }
            }
            let hash = slot_hash(&self.slots, at);
            self.evict(at, gone);
            // Its number is no longer at the door.
            self.make_free(at);
            self.ghosts.remember(hash, uses);
            return true;
        }
        let last = self.beaten_by(MOST_USES + 1);
        last.is_some_and(|last| {
            self.evict(last, gone);
            true
        })
    }

    /// The one in the main part that was used least of the next few, if that is less than `uses`.
    fn beaten_by(&mut self, uses: u8) -> Option<u32> {
        let (mut seen, mut at) = (0, self.hand);
        let (mut least, mut last) = (u8::MAX, None);
        // Once round, and a step from the last slot to the first.
        for _ in 0..=self.slots.len() {
            let Some(slot) = self.slots.get_mut(at) else {
                at = 0;
                continue;
            };
            let here = at;
            at += 1;
            if slot.place != Place::Main {
                continue;
            }
            let own = slot.uses.get_mut();
            if *own < least {
                (least, last) = (*own, u32::try_from(here).ok());
            }
            if seen == 0 {
                self.hand = at;
                *own = own.saturating_sub(1);
            }
            seen += 1;
            if least == 0 || seen == WINDOW {
                break;
            }
        }
        last.filter(|_| least < uses)
    }

    /// From the door to the main part.
    fn let_in(&mut self, at: u32) {
        self.waiting -= u64::from(self.weight_of(at));
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.place = Place::Main;
            let uses = slot.uses.get_mut();
            *uses = uses.saturating_sub(1);
        }
    }

    fn evict(&mut self, at: u32, gone: &mut Gone<K, T>) {
        gone.evicted += 1;
        let entry = self.take_out(at);
        gone.take(entry);
    }

    fn take_out(&mut self, at: u32) -> Option<(K, T)> {
        let weight = u64::from(self.weight_of(at));
        let slot = self.slots.get_mut(at as usize)?;
        let entry = slot.held.take()?;
        let (hash, place) = (slot.hash, slot.place);
        self.index.remove(hash, at);
        self.held -= 1;
        self.weight -= weight;
        if place == Place::Door {
            self.waiting -= weight;
            slot.place = Place::Left;
        } else {
            self.make_free(at);
        }
        Some(entry)
    }

    fn make_free(&mut self, at: u32) {
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.place = Place::Free;
            slot.hash = std::mem::replace(&mut self.free, at);
        }
    }

    /// Into a free slot, or a new one.
    fn put(&mut self, slot: Slot<K, T>) -> u32 {
        if let Some(place) = self.slots.get_mut(self.free as usize) {
            let at = std::mem::replace(&mut self.free, place.hash);
            *place = slot;
            return at;
        }
        let length = self.slots.len();
        if length == self.slots.capacity() {
            // Doubled, but not beyond what is expected.
            let left = self.expected.saturating_sub(length);
            self.slots.reserve_exact(if left == 0 { length / 8 + 8 } else { left.min(length.max(16)) });
        }
        self.slots.push(slot);
        u32::try_from(length).unwrap_or(NONE)
    }

    fn weight_of(&self, at: u32) -> u32 {
        self.weights.get(at as usize).copied().unwrap_or(1)
    }

    fn set_weight(&mut self, at: u32, weight: u32) {
        if weight == 1 && self.weights.is_empty() {
            return;
        }
        if self.weights.len() < self.slots.len() {
            self.weights.resize(self.slots.len(), 1);
        }
        if let Some(place) = self.weights.get_mut(at as usize) {
            *place = weight;
        }
    }

    /// Where heavy entries came in place of many light ones, the hand would have a long way.
    fn close_up(&mut self) {
        if self.slots.len() < 64 || self.held > self.slots.len() / 4 {
            return;
        }
        let mut slots = std::mem::take(&mut self.slots);
        let weights = std::mem::take(&mut self.weights);
        let door = std::mem::take(&mut self.door);
        self.index = Index::new(self.expected);
        (self.free, self.hand) = (NONE, 0);
        let everyone = 0..u32::try_from(slots.len()).unwrap_or(NONE);
        for old in door.into_iter().chain(everyone) {
            let Some(slot) = slots.get_mut(old as usize) else { continue };
            let Some(held) = slot.held.take() else { continue };
            let (hash, place) = (slot.hash, slot.place);
            let uses = AtomicU8::new(slot.uses());
            let at = self.put(Slot { held: Some(held), hash, uses, place });
            self.index.insert(hash, at, |at| slot_hash(&self.slots, at));
            self.set_weight(at, weights.get(old as usize).copied().unwrap_or(1));
            if place == Place::Door {
                self.door.push_back(at);
            }
        }
    }
}

impl<K: Clone, T: Clone> Shard<K, T> {
    /// Copies of some entries from a slot on, and where to go on; nothing at the end.
    pub(super) fn copy(&self, from: usize, most: usize) -> Option<(Vec<(K, T)>, usize)> {
        let rest = self.slots.get(from..).filter(|rest| !rest.is_empty())?;
        let some = rest.get(..most).unwrap_or(rest);
        Some((some.iter().filter_map(|slot| slot.held.clone()).collect(), from + some.len()))
    }
}

fn slot_hash<K, T>(slots: &[Slot<K, T>], at: u32) -> u32 {
    slots.get(at as usize).map_or(0, |slot| slot.hash)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)] // Failing is what a test is for.
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    type Tested = Shard<u64, u64>;

    /// Few hashes, so that keys share them.
    fn hash(key: u64) -> u32 {
        u32::try_from(key % 50).unwrap().wrapping_mul(0x0517_cc1b)
    }

    impl Tested {
        fn put_in(&mut self, hash: u32, key: u64, number: u64, weight: u32, gone: &mut Gone<u64, u64>) {
            let there = self.search(hash, &key);
            match there.and_then(|at| self.slot_of_weight(at, weight)) {
                Some(slot) => drop(slot.replace((key, number))),
                None => self.insert(there, hash, (key, number), weight, gone),
            }
        }

        /// Whether all that is kept twice is the same in both places.
        fn check(&self, limit: u64) {
            let live: Vec<usize> =
                (0..self.slots.len()).filter(|at| self.slots[*at].held.is_some()).collect();
            assert_eq!(live.len(), self.held);
            for at in &live {
                let slot = &self.slots[*at];
                let (key, _) = slot.held.as_ref().unwrap();
                assert_eq!(self.search(slot.hash, key), Some(u32::try_from(*at).unwrap()));
                assert!(matches!(slot.place, Place::Main | Place::Door) && slot.uses() <= MOST_USES);
            }
            let weigh = |at: &usize| u64::from(self.weight_of(u32::try_from(*at).unwrap()));
            assert_eq!(live.iter().map(weigh).sum::<u64>(), self.weight);
            assert!(self.weight <= limit);
            let waiting = live.iter().filter(|at| self.slots[**at].place == Place::Door);
            assert_eq!(waiting.map(weigh).sum::<u64>(), self.waiting);
            let at_door: Vec<usize> = self.door.iter().map(|at| *at as usize).collect();
            let of = |places: &[Place]| -> Vec<usize> {
                (0..self.slots.len()).filter(|at| places.contains(&self.slots[*at].place)).collect()
            };
            let mut sorted = at_door.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, of(&[Place::Door, Place::Left]), "each once");
            let (mut free, mut next) = (Vec::new(), self.free);
            while next != NONE {
                free.push(next as usize);
                next = self.slots[next as usize].hash;
            }
            free.sort_unstable();
            assert_eq!(free, of(&[Place::Free]));
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Get(u64),
        Insert(u64, u32),
        Remove(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = || 0_u64..300;
        prop_oneof![
            4 => key().prop_map(Step::Get),
            6 => (key(), prop_oneof![3 => Just(1_u32), 1 => 1_u32..40, 1 => 90_u32..130]).prop_map(|(key, weight)| Step::Insert(key, weight)),
            1 => key().prop_map(Step::Remove),
        ]
    }

    proptest! {
        /// What is there is what was put in last, and never more than there is room for, whatever comes after what.
        #[test]
        fn it_keeps_no_more_than_was_put_in(steps in prop::collection::vec(step(), 0..600), expected in 0_usize..200) {
            let (mut shard, mut model) = (Tested::new(100, expected), HashMap::new());
            for (number, step) in (0_u64..).zip(steps) {
                match step {
                    Step::Get(key) => {
                        let slot = shard.find(hash(key), &key);
                        if let Some(slot) = slot {
                            slot.note_use();
                            prop_assert_eq!(slot.entry(), model.get(&key));
                        }
                    }
                    Step::Insert(key, weight) => {
                        let mut gone = Gone::none();
                        shard.put_in(hash(key), key, number, weight, &mut gone);
                        model.insert(key, number);
                        prop_assert!(weight > 100 || gone.evicted <= 100);
                    }
                    Step::Remove(key) => {
                        let there = shard.find(hash(key), &key).is_some();
                        let gone = shard.remove(hash(key), &key);
                        prop_assert_eq!(gone, model.remove(&key).filter(|_| there).map(|number| (key, number)));
                    }
                }
                shard.check(100);
            }
        }
    }

    #[test]
    fn slots_of_light_entries_are_given_back_when_heavy_ones_come() {
        let mut shard = Tested::new(10_000, 100);
        let mut gone = Gone::none();
        (0..10_000).for_each(|key| shard.put_in(hash(key), key, key, 1, &mut gone));
        assert_eq!((shard.len(), gone.evicted), (10_000, 0));
        (20_000..20_100).for_each(|key| shard.put_in(hash(key), key, key, 1_000, &mut gone));
        shard.check(10_000);
        assert!(shard.slots.len() < 100, "{} slots for {} entries", shard.slots.len(), shard.len());
    }

    /// Keys that go round and round, a little more than there is room for: most of them stay.
    #[test]
    fn a_loop_keeps_most_of_its_keys() {
        let (mut shard, mut gone, mut hits) = (Tested::new(1000, 1000), Gone::none(), 0);
        for request in 0..100_000_u64 {
            let key = request % 1200;
            let hash = u32::try_from(key).unwrap().wrapping_mul(0x9e37_79b1);
            match shard.find(hash, &key) {
                Some(slot) => {
                    slot.note_use();
                    hits += 1;
                }
                None => shard.put_in(hash, key, key, 1, &mut gone),
            }
        }
        assert!(hits > 75_000, "{hits} of 100000, where 83000 could be had");
    }
}
