//! The state of one limit in 16 bytes, read by the rule that wrote it.

use crate::algorithm::{
    BucketState, CounterState, FixedState, GcraState, LogState, Nanos, Rule, SlidingLog, Verdict,
};
use crate::plan::Counted;

/// The state of one limit. A log is elsewhere, and here is its [gist](Gist).
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

/// What a slot holds of a log: which it is, and what a refusal has to know of it. Callers that are refused come often, and with many
/// keys the log itself would have to come from memory.
#[derive(Debug, Clone, Copy, Default)]
struct Gist {
    /// One more than the index of the log; 0 for none.
    log: u64,
    /// How much was admitted; 0 where nothing is told of it.
    used: u64,
    /// From the first time to the last, in ticks of the rule, rounded up.
    ticks: u64,
    first: Nanos,
}

/// Bits for `used` and for `ticks` each.
const BITS: u32 = 18;
const MASK: u64 = (1 << BITS) - 1;
/// Logs in one shard at most, so that an index fits beside both.
pub(super) const MOST_LOGS: usize = 1 << (u64::BITS - 2 * BITS - 1);

impl Fits for Gist {
    #[inline]
    fn read(Slot(word, first): Slot) -> Self {
        Self { log: word >> (2 * BITS), used: word >> BITS & MASK, ticks: word & MASK, first }
    }

    #[inline]
    fn write(self) -> Slot {
        Slot(self.log << (2 * BITS) | self.used << BITS | self.ticks, self.first)
    }
}

impl Gist {
    #[inline]
    fn of(slot: u64, rule: &SlidingLog, log: &LogState) -> Self {
        let (first, newest, used) = log.span();
        let ticks = newest.saturating_sub(first).div_ceil(rule.tick());
        let fits = used <= MASK && ticks <= MASK;
        Self { log: slot, used: if fits { used } else { 0 }, ticks: if fits { ticks } else { 0 }, first }
    }

    #[inline]
    fn index(self) -> Option<usize> {
        usize::try_from(self.log).ok()?.checked_sub(1)
    }

    #[inline]
    fn refuse_one(self, rule: &SlidingLog, now: Nanos) -> Option<Verdict> {
        rule.refuse_one(now, (self.first, self.first.saturating_add(self.ticks * rule.tick()), self.used))
    }
}

impl Logs {
    #[inline]
    fn of(&mut self, gist: Gist) -> Option<&mut LogState> {
        self.logs.get_mut(gist.index()?).map(|log| &mut log.0)
    }

    /// A log that nobody has.
    fn open(&mut self) -> Gist {
        let index = self.free.pop().unwrap_or_else(|| {
            self.logs.push(Log::default());
            self.logs.len() - 1
        });
        Gist { log: index as u64 + 1, ..Gist::default() }
    }

    /// Takes the log of a slot that is given up, and its memory.
    fn close(&mut self, gist: Gist) {
        if let Some(log) = self.of(gist) {
            *log = LogState::default();
            self.free.extend(gist.index());
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
            Counted::Log(rule) => self.add_to_log(rule, logs, now, cost),
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
                if verdict.allowed {
                    self.add_to_log(rule, logs, now, cost);
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
                self.with_log(rule, logs, |log| rule.refund(now, log, cost));
            }
        }
    }

    /// Gives up what the rule keeps elsewhere.
    pub(crate) fn close(&mut self, rule: Option<&Counted>, logs: &mut Logs) {
        if let Some(Counted::Log(_)) = rule {
            logs.close(Gist::read(*self));
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

    #[inline]
    fn look_at_log(&mut self, rule: &SlidingLog, logs: &mut Logs, now: Nanos, cost: u32) -> Verdict {
        if cost == 1
            && let Some(refused) = Gist::read(*self).refuse_one(rule, now)
        {
            return refused;
        }
        self.ask_log(rule, logs, now, cost)
    }

    #[inline(never)]
    fn ask_log(&mut self, rule: &SlidingLog, logs: &mut Logs, now: Nanos, cost: u32) -> Verdict {
        let look = |log: &mut LogState| {
            rule.settle(now, log);
            rule.peek(now, log, cost)
        };
        self.with_log(rule, logs, look).unwrap_or_else(|| rule.peek(now, &LogState::default(), cost))
    }

    #[inline(never)]
    fn add_to_log(&mut self, rule: &SlidingLog, logs: &mut Logs, now: Nanos, cost: u32) {
        if Gist::read(*self).log == 0 {
            *self = logs.open().write();
        }
        self.with_log(rule, logs, |log| rule.take(now, log, cost));
    }

    /// Does something with the log, if there is one.
    #[inline]
    fn with_log<T>(
        &mut self,
        rule: &SlidingLog,
        logs: &mut Logs,
        work: impl FnOnce(&mut LogState) -> T,
    ) -> Option<T> {
        let gist = Gist::read(*self);
        let log = logs.of(gist)?;
        let done = work(log);
        *self = Gist::of(gist.log, rule, log).write();
        Some(done)
    }

    #[inline]
    fn update<S: Fits>(&mut self, change: impl FnOnce(&mut S)) {
        let mut state = S::read(*self);
        change(&mut state);
        *self = state.write();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whether or not the log is asked, what is said is what the log says; when all of it is over, to a tick.
        #[test]
        fn a_slot_says_what_its_log_says(
            quotas in (0..5_u32, 0..5_u32),
            window in prop_oneof![Just(3_u64), Just(1_000_003), Just(86_400_000_000_000)],
            steps in proptest::collection::vec((0..9_u64, -1..3_i32, any::<bool>()), 0..60),
        ) {
            let of = |quota| SlidingLog::new(quota, Duration::from_nanos(window));
            let (low, high) = (of(quotas.0), of(quotas.1));
            let (mut slot, mut logs, mut state) = (Slot::default(), Logs::default(), LogState::default());
            let mut now = 1_000_000_000_000_000;
            for (gap, cost, which) in steps {
                now += gap * window / 8;
                // Two tiers of the same window.
                let rule = if which { low } else { high };
                let counted = Counted::Log(rule);
                let Ok(cost) = u32::try_from(cost) else {
                    slot.refund(&counted, &mut logs, now, 1);
                    rule.refund(now, &mut state, 1);
                    continue;
                };
                let looked = slot.peek(&counted, &mut logs, now, cost);
                let (said, expected) =
                    (slot.decide(&counted, &mut logs, now, cost), rule.decide(now, &mut state, cost));
                prop_assert!(said.reset_after >= expected.reset_after);
                prop_assert!(said.reset_after <= expected.reset_after + rule.tick());
                prop_assert_eq!(Verdict { reset_after: expected.reset_after, ..said }, expected);
                prop_assert_eq!(Verdict { reset_after: expected.reset_after, ..looked }, expected);
            }
        }

        #[test]
        fn a_gist_is_read_as_it_was_written(log in 0..1_u64 << 28, used in 0..=MASK, ticks in 0..=MASK, first: u64) {
            let read = Gist::read(Gist { log, used, ticks, first }.write());
            prop_assert_eq!((read.log, read.used, read.ticks, read.first), (log, used, ticks, first));
        }
    }
}
