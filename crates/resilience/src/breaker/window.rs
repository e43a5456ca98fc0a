//! What the last calls came to: all of them, those that failed, those that were slow. Threads note without a lock.
//!
//! A call that went well costs one atomic addition here, and in a window of time a look at the clock. What is noted while
//! another thread clears or turns the window may fall to the wrong side of the turn.

use std::time::Duration;

use crate::sync::{AtomicU8, AtomicU64, Mutex, Ordering, lock};
use crate::time::{Time, nanos};

/// How one call went: a set of [`FAILED`](Mark::FAILED) and [`SLOW`](Mark::SLOW).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u8);

impl Mark {
    pub(crate) const WELL: Self = Self(0);
    pub(crate) const FAILED: u8 = 1;
    pub(crate) const SLOW: u8 = 2;

    pub(crate) const fn new(failed: bool, slow: bool) -> Self {
        Self(if failed { Self::FAILED } else { 0 } | if slow { Self::SLOW } else { 0 })
    }

    pub(crate) fn is_well(self) -> bool {
        self == Self::WELL
    }

    /// As an addition to a [`Trouble`].
    fn weight(self) -> u64 {
        u64::from(self.0 & Self::FAILED) << 32 | u64::from(self.0 & Self::SLOW != 0)
    }
}

/// What a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(crate) slow: u64,
}

/// Failed calls in the upper half, slow ones in the lower. Each half begins at a bias, so that a subtraction that
/// overtakes its addition does not borrow from the other half.
struct Trouble(AtomicU64);

const BIAS: u64 = 1 << 31;

impl Trouble {
    fn new() -> Self {
        Self(AtomicU64::new(BIAS << 32 | BIAS))
    }

    fn change(&self, from: Mark, to: Mark) {
        self.0.fetch_add(to.weight().wrapping_sub(from.weight()), Ordering::Relaxed);
    }

    fn clear(&self) {
        self.0.store(BIAS << 32 | BIAS, Ordering::Relaxed);
    }

    /// Failed and slow.
    fn read(&self) -> (u64, u64) {
        let both = self.0.load(Ordering::Relaxed);
        ((both >> 32).saturating_sub(BIAS), (both & u64::from(u32::MAX)).saturating_sub(BIAS))
    }
}

pub(crate) enum Window {
    Calls(Ring),
    Time(Buckets),
}

impl Window {
    /// The last so many calls, at least one.
    pub(crate) fn of_calls(calls: u32) -> Self {
        Self::Calls(Ring::new(calls.max(1)))
    }

    /// The last so long, to a tenth.
    pub(crate) fn of_time(length: Duration) -> Self {
        Self::Time(Buckets::new(length))
    }

    pub(crate) fn note(&self, mark: Mark, now: impl FnOnce() -> Time) {
        match self {
            Self::Calls(ring) => ring.note(mark),
            Self::Time(buckets) => buckets.note(mark, now()),
        }
    }

    pub(crate) fn totals(&self, now: impl FnOnce() -> Time) -> Totals {
        match self {
            Self::Calls(ring) => ring.totals(),
            Self::Time(buckets) => buckets.totals(now()),
        }
    }

    pub(crate) fn clear(&self) {
        match self {
            Self::Calls(ring) => ring.clear(),
            Self::Time(buckets) => buckets.clear(),
        }
    }
}

/// The marks of the last calls.
pub(crate) struct Ring {
    /// Calls noted since the ring was cleared.
    noted: AtomicU64,
    trouble: Trouble,
    /// A call that went well and one that never was look the same.
    marks: Box<[AtomicU8]>,
    /// For a remainder without a division: 2^64 / length, rounded up (Lemire, Kaser and Kurz, 2019).
    inverse: u64,
}

impl Ring {
    fn new(length: u32) -> Self {
        let marks = (0..length).map(|_| AtomicU8::new(0)).collect();
        let inverse = (u64::MAX / u64::from(length)).wrapping_add(1);
        Self { noted: AtomicU64::new(0), trouble: Trouble::new(), marks, inverse }
    }

    fn place(&self, number: u64) -> usize {
        let low = self.inverse.wrapping_mul(number & u64::from(u32::MAX));
        usize::try_from((u128::from(low) * self.marks.len() as u128) >> 64).unwrap_or(0)
    }

    fn note(&self, mark: Mark) {
        let number = self.noted.fetch_add(1, Ordering::Relaxed);
        let Some(place) = self.marks.get(self.place(number)) else { return };
        // Mostly all goes well, and nothing has to be written.
        if place.load(Ordering::Relaxed) == mark.0 {
            return;
        }
        let before = place.swap(mark.0, Ordering::Relaxed);
        self.trouble.change(Mark(before), mark);
    }

    fn totals(&self) -> Totals {
        let calls = self.noted.load(Ordering::Relaxed).min(self.marks.len() as u64);
        let (failed, slow) = self.trouble.read();
        Totals { calls, failed, slow }
    }

    fn clear(&self) {
        self.noted.store(0, Ordering::Relaxed);
        for place in &self.marks {
            let before = place.swap(0, Ordering::Relaxed);
            self.trouble.change(Mark(before), Mark::WELL);
        }
    }
}

/// Parts into which a window of time is divided.
const PARTS: usize = 10;

/// Sums of calls by when they ended.
pub(crate) struct Buckets {
    /// The length of a bucket in nanoseconds.
    length: u64,
    /// The number of the newest bucket since the beginning.
    newest: AtomicU64,
    /// Held to begin a new bucket.
    turning: Mutex<()>,
    sums: [Bucket; PARTS],
}

struct Bucket {
    calls: AtomicU64,
    trouble: Trouble,
}

impl Bucket {
    fn clear(&self) {
        self.calls.store(0, Ordering::Relaxed);
        self.trouble.clear();
    }
}

impl Buckets {
    fn new(length: Duration) -> Self {
        Self {
            length: (nanos(length) / PARTS as u64).max(1),
            newest: AtomicU64::new(0),
            turning: Mutex::new(()),
            sums: std::array::from_fn(|_| Bucket { calls: AtomicU64::new(0), trouble: Trouble::new() }),
        }
    }

    fn bucket(&self, number: u64) -> Option<&Bucket> {
        self.sums.get(usize::try_from(number % PARTS as u64).unwrap_or(0))
    }

    /// Clears the buckets that have become too old, and returns the newest.
    fn turn(&self, now: Time) -> u64 {
        let number = now.0 / self.length;
        let newest = self.newest.load(Ordering::Acquire);
        if number <= newest {
            return newest;
        }
        let _turning = lock(&self.turning);
        let newest = self.newest.load(Ordering::Acquire);
        if number <= newest {
            return newest;
        }
        for old in (newest + 1..=number).rev().take(PARTS) {
            if let Some(bucket) = self.bucket(old) {
                bucket.clear();
            }
        }
        self.newest.store(number, Ordering::Release);
        number
    }

    fn note(&self, mark: Mark, now: Time) {
        let Some(bucket) = self.bucket(self.turn(now)) else { return };
        bucket.calls.fetch_add(1, Ordering::Relaxed);
        if !mark.is_well() {
            bucket.trouble.change(Mark::WELL, mark);
        }
    }

    fn totals(&self, now: Time) -> Totals {
        self.turn(now);
        self.sums.iter().fold(Totals::default(), |sum, bucket| {
            let (failed, slow) = bucket.trouble.read();
            Totals {
                calls: sum.calls + bucket.calls.load(Ordering::Relaxed),
                failed: sum.failed + failed,
                slow: sum.slow + slow,
            }
        })
    }

    fn clear(&self) {
        self.sums.iter().for_each(Bucket::clear);
    }
}
