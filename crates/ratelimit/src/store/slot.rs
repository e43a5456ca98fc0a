//! The state of one limit in 16 bytes, read by the rule that wrote it.

use crate::algorithm::{
    BucketState, CounterState, FixedState, GcraState, LogState, Nanos, Rule, SlidingLog, Verdict,
};
use crate::plan::Counted;

/// The state of one limit. A log is elsewhere, and here is which; 0 for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Slot(u64, u64);

/// A state that fits.
trait Fits: Copy {
    fn read(slot: Slot) -> Self;
    fn write(self) -> Slot;
}

/// Two counts in one word.
#[inline]
fn pair(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "one half, then the other")]
fn unpair(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

impl Fits for CounterState {
    #[inline]
    fn read(Slot(start, counts): Slot) -> Self {
        let (previous, current) = unpair(counts);
        Self { start, previous, current }
    }

    #[inline]
    fn write(self) -> Slot {
        Slot(self.start, pair(self.previous, self.current))
    }
}

impl Fits for FixedState {
    #[inline]
    fn read(Slot(start, used): Slot) -> Self {
        Self { start, used: unpair(used).1 }
    }

    #[inline]
    fn write(self) -> Slot {
        Slot(self.start, pair(0, self.used))
    }
}

impl Fits for GcraState {
    #[inline]
    fn read(Slot(idle_at, _): Slot) -> Self {
        Self { idle_at }
    }

    #[inline]
    fn write(self) -> Slot {
        Slot(self.idle_at, 0)
    }
}

impl Fits for BucketState {
    #[inline]
    fn read(Slot(missing, at): Slot) -> Self {
        Self { missing, at }
    }

    #[inline]
    fn write(self) -> Slot {
        Slot(self.missing, self.at)
    }
}

/// A log in a cache line of its own: with many keys, each line of it comes from memory.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Log(LogState);

const _: () = assert!(size_of::<Log>() == 64, "a log is a cache line, without its times");

/// The logs of a shard.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    logs: Vec<Log>,
    free: Vec<usize>,
}

impl Logs {
    fn index(slot: Slot) -> Option<usize> {
        usize::try_from(slot.0).ok()?.checked_sub(1)
    }

    #[inline]
    fn of(&mut self, slot: Slot) -> Option<&mut LogState> {
        self.logs.get_mut(Self::index(slot)?).map(|log| &mut log.0)
    }

    /// The log of a slot, which it is given if it has none.
    fn open(&mut self, slot: &mut Slot) -> Option<&mut LogState> {
        if slot.0 == 0 {
            let index = self.free.pop().unwrap_or_else(|| {
                self.logs.push(Log::default());
                self.logs.len() - 1
            });
            slot.0 = index as u64 + 1;
        }
        self.of(*slot)
    }

    /// Takes the log of a slot that is given up, and its memory.
    fn close(&mut self, slot: Slot) {
        if let Some(log) = self.of(slot) {
            *log = LogState::default();
            self.free.extend(Self::index(slot));
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let own = self.logs.capacity() * size_of::<Log>() + self.free.capacity() * size_of::<usize>();
        self.logs.iter().map(|log| log.0.heap_bytes()).sum::<usize>() + own
    }
}

impl Slot {
    /// What the rule would decide. The state is settled, and nothing consumed.
    #[inline]
    pub(crate) fn peek(&mut self, rule: &Counted, logs: &mut Logs, now: Nanos, cost: u32) -> Verdict {
        match rule {
            Counted::Counter(rule) => self.look(rule, now, cost),
            Counted::Gcra(rule) => self.look(rule, now, cost),
            Counted::Bucket(rule) => self.look(rule, now, cost),
            Counted::Fixed(rule) => self.look(rule, now, cost),
            Counted::Log(rule) => self.look_at_log(rule, logs, now, cost),
        }
    }

    /// Consumes what [`peek`](Slot::peek) has just admitted.
    #[inline]
    pub(crate) fn take(&mut self, rule: &Counted, logs: &mut Logs, now: Nanos, cost: u32) {
        match rule {
            Counted::Counter(rule) => self.update(|state| rule.take(now, state, cost)),
            Counted::Gcra(rule) => self.update(|state| rule.take(now, state, cost)),
            Counted::Bucket(rule) => self.update(|state| rule.take(now, state, cost)),
            Counted::Fixed(rule) => self.update(|state| rule.take(now, state, cost)),
            Counted::Log(rule) => {
                if let Some(log) = logs.open(self) {
                    rule.take(now, log, cost);
                }
            }
        }
    }

    /// Admits a request and consumes its cost, or refuses it and consumes nothing.
    #[inline(always)] // What calls it unlocks in between deciding and telling, so the verdict should need no memory.
    #[allow(clippy::inline_always)]
    pub(crate) fn decide(&mut self, rule: &Counted, logs: &mut Logs, now: Nanos, cost: u32) -> Verdict {
        match rule {
            Counted::Counter(rule) => self.change(rule, now, cost),
            Counted::Gcra(rule) => self.change(rule, now, cost),
            Counted::Bucket(rule) => self.change(rule, now, cost),
            Counted::Fixed(rule) => self.change(rule, now, cost),
            Counted::Log(rule) => {
                let verdict = self.look_at_log(rule, logs, now, cost);
                if verdict.allowed
                    && let Some(log) = logs.open(self)
                {
                    rule.take(now, log, cost);
                }
                verdict
            }
        }
    }

    pub(crate) fn refund(&mut self, rule: &Counted, logs: &mut Logs, now: Nanos, cost: u32) {
        match rule {
            Counted::Counter(rule) => self.update(|state| rule.refund(now, state, cost)),
            Counted::Gcra(rule) => self.update(|state| rule.refund(now, state, cost)),
            Counted::Bucket(rule) => self.update(|state| rule.refund(now, state, cost)),
            Counted::Fixed(rule) => self.update(|state| rule.refund(now, state, cost)),
            Counted::Log(rule) => {
                if let Some(log) = logs.of(*self) {
                    rule.refund(now, log, cost);
                }
            }
        }
    }

    /// Gives up what the rule keeps elsewhere.
    pub(crate) fn close(&mut self, rule: Option<&Counted>, logs: &mut Logs) {
        if let Some(Counted::Log(_)) = rule {
            logs.close(*self);
        }
        *self = Self::default();
    }

    #[inline]
    fn look<R: Rule<State: Fits>>(&mut self, rule: &R, now: Nanos, cost: u32) -> Verdict {
        let mut state = R::State::read(*self);
        rule.settle(now, &mut state);
        *self = state.write();
        rule.peek(now, &state, cost)
    }

    #[inline]
    fn change<R: Rule<State: Fits>>(&mut self, rule: &R, now: Nanos, cost: u32) -> Verdict {
        let mut state = R::State::read(*self);
        let verdict = rule.decide(now, &mut state, cost);
        *self = state.write();
        verdict
    }

    fn look_at_log(&self, rule: &SlidingLog, logs: &mut Logs, now: Nanos, cost: u32) -> Verdict {
        match logs.of(*self) {
            Some(log) => {
                rule.settle(now, log);
                rule.peek(now, log, cost)
            }
            None => rule.peek(now, &LogState::default(), cost),
        }
    }

    #[inline]
    fn update<S: Fits>(&mut self, change: impl FnOnce(&mut S)) {
        let mut state = S::read(*self);
        change(&mut state);
        *self = state.write();
    }
}
