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
pub(super) struct Shard<K, T> {
    index: Index,
    slots: Vec<Slot<K, T>>,
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
}

impl<K: Eq, T> Shard<K, T> {
    pub(super) fn new(limit: u64, expected: usize) -> Self {
        Self {
            index: Index::new(expected),
            slots: Vec::new(),
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
    #[inline]
    pub(super) fn find(&self, hash: u32, key: &K) -> Option<&Slot<K, T>> {
        let at = self.search(hash, key)?;
        self.slots.get(at as usize)
    }

    #[inline]
    fn search(&self, hash: u32, key: &K) -> Option<u32> {
        self.index.find(hash, |at| {
            let slot = self.slots.get(at as usize);
            slot.and_then(|slot| slot.held.as_ref()).is_some_and(|(other, _)| other == key)
        })
    }

    pub(super) fn remove(&mut self, hash: u32, key: &K) -> Option<(K, T)> {
        let at = self.search(hash, key)?;
        self.take_out(at)
    }

    /// Puts an entry in, and others out to make room.
    pub(super) fn insert(&mut self, hash: u32, key: K, entry: T, weight: u32, gone: &mut Gone<K, T>) {
        let there = self.search(hash, &key);
        if u64::from(weight) > self.limit {
            gone.take(there.and_then(|at| self.take_out(at)));
            gone.take(Some((key, entry)));
            gone.evicted += 1;
            return;
        }
        if let Some(at) = there {
            self.replace(at, (key, entry), weight, gone);
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
        let slot = Slot { held: Some((key, entry)), hash, uses: AtomicU8::new(uses), place };
        let at = self.put(slot);
        self.index.insert(hash, at);
        self.held += 1;
        self.weight += u64::from(weight);
        self.set_weight(at, weight);
        if place == Place::Door {
            self.waiting += u64::from(weight);
            self.door.push_back(at);
        }
    }

    fn replace(&mut self, at: u32, entry: (K, T), weight: u32, gone: &mut Gone<K, T>) {
        let before = self.weight_of(at);
        let Some(slot) = self.slots.get_mut(at as usize) else { return };
        slot.note_use();
        let waits = slot.place == Place::Door;
        gone.take(slot.held.replace(entry));
        if weight != before {
            let change = |sum: u64| sum - u64::from(before) + u64::from(weight);
            self.weight = change(self.weight);
            if waits {
                self.waiting = change(self.waiting);
            }
            self.set_weight(at, weight);
        }
    }

    /// A miss while there is no room, for a key that went just before or not.
    #[allow(clippy::cast_precision_loss, reason = "a share is not that exact")]
    fn learn(&mut self, ghost: Option<Ghost>) {
        // By the size of one entry, whatever the size of the shard: a number of misses that grows with it moves it all.
        let step = 1.0 / self.held.max(1) as f32;
        let regret = if ghost.is_some_and(|ghost| ghost.latest) { 1.0 } else { 0.0 };
        self.share = (self.share + step * (regret - REGRETS)).clamp(DOOR.0, DOOR.1);
    }

    /// Whether there was one to put out.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
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
        for _ in 0..self.slots.len() {
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
            self.index.insert(hash, at);
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
