//! Counting for a nanosecond: what a cache counts on every call, folded into the metrics once a tick.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sync::lock;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// A fresh value was served.
    Hit,
    /// It was known that there is nothing.
    Negative,
    /// A value past its time was served.
    Stale,
    /// There was nothing to serve.
    Miss,
    Insert,
    Loaded,
    LoadedNothing,
    LoadFailed,
    /// Loads for values that could still be served.
    Refresh,
    /// Loads that were not begun: as many as may were under way.
    LoadRefused,
    /// Callers that waited for the load of another.
    Joined,
    EvictedSize,
    EvictedExpired,
    EvictedIdle,
    EvictedInvalidated,
    EvictedRemoved,
}

pub(crate) const COUNTS: usize = 16;

/// Threads that have a stripe of their own. Those beyond share one.
const STRIPES: usize = 32;

/// The counts of one thread, in two cache lines that no other thread writes to.
#[repr(align(128))]
struct Stripe([AtomicU64; COUNTS]);

impl Stripe {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; COUNTS])
    }
}

/// Exact counts. Adding takes no locked instruction for as many threads as there are stripes.
pub(crate) struct Tally {
    stripes: [Stripe; STRIPES],
    shared: Stripe,
}

impl Tally {
    #[inline]
    pub(crate) fn note(&self, count: Count) {
        self.add(count, 1);
    }

    #[inline]
    pub(crate) fn add(&self, count: Count, number: u64) {
        // Without a destructor, reading it is one instruction.
        if !self.add_own(AT.get(), count, number) {
            self.add_apart(count, number);
        }
    }

    /// Whether there is such a stripe.
    #[inline]
    fn add_own(&self, at: usize, count: Count, number: u64) -> bool {
        let own = self.stripes.get(at).and_then(|stripe| stripe.0.get(count as usize));
        // Nobody else writes here, so reading and writing need not be one step.
        own.map(|own| own.store(own.load(Ordering::Relaxed) + number, Ordering::Relaxed)).is_some()
    }

    /// By a thread that has no number yet, or shares the last stripe.
    #[cold]
    fn add_apart(&self, count: Count, number: u64) {
        let at = if AT.get() == UNKNOWN { take_number() } else { STRIPES };
        if !self.add_own(at, count, number)
            && let Some(shared) = self.shared.0.get(count as usize)
        {
            shared.fetch_add(number, Ordering::Relaxed);
        }
    }

    /// The counts so far, in the order of [`Count`].
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for stripe in self.stripes.iter().chain([&self.shared]) {
            for (total, count) in totals.0.iter_mut().zip(&stripe.0) {
                *total += count.load(Ordering::Relaxed);
            }
        }
        totals
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self { stripes: [const { Stripe::new() }; STRIPES], shared: Stripe::new() }
    }
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tally({:?})", self.totals().0)
    }
}

/// All counts at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals([u64; COUNTS]);

impl Totals {
    pub(crate) fn of(&self, count: Count) -> u64 {
        self.0.get(count as usize).copied().unwrap_or(0)
    }

    /// What was served, in whatever state.
    pub(crate) fn served(&self) -> u64 {
        [Count::Hit, Count::Negative, Count::Stale].map(|count| self.of(count)).iter().sum()
    }

    /// What was asked for.
    pub(crate) fn requests(&self) -> u64 {
        self.served() + self.of(Count::Miss)
    }

    /// What was counted since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let mut since = *self;
        since.0.iter_mut().zip(earlier.0).for_each(|(now, then)| *now = now.wrapping_sub(then));
        since
    }
}

/// The number of a thread, given back when it ends. The lock orders the last count of one owner before the first of
/// the next.
struct Slot(usize);

struct Numbers {
    free: Vec<usize>,
    next: usize,
}

static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers { free: Vec::new(), next: 0 });

/// A thread that has not been given a number.
const UNKNOWN: usize = usize::MAX;

thread_local! {
    static AT: Cell<usize> = const { Cell::new(UNKNOWN) };
    static SLOT: Slot = Slot::take();
}

/// Gives the thread its number. One that ends already shares the last stripe.
#[cold]
fn take_number() -> usize {
    let at = SLOT.try_with(|slot| slot.0).unwrap_or(STRIPES);
    AT.set(at);
    at
}

impl Slot {
    fn take() -> Self {
        let mut numbers = lock(&NUMBERS);
        if let Some(number) = numbers.free.pop() {
            return Self(number);
        }
        let number = numbers.next.min(STRIPES);
        numbers.next = (number + 1).min(STRIPES);
        Self(number)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // What is counted from here on must not be counted in the stripe of another.
        AT.set(STRIPES);
        if self.0 < STRIPES {
            lock(&NUMBERS).free.push(self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_threads_lose_no_count() {
        let tally = Tally::default();
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..STRIPES + 8 {
                    scope.spawn(|| (0..1000).for_each(|_| tally.note(Count::Miss)));
                }
            });
        }
        let expected = 3 * (STRIPES as u64 + 8) * 1000;
        assert_eq!(tally.totals().of(Count::Miss), expected);
        assert_eq!(tally.totals().of(Count::Hit), 0);
    }
}
