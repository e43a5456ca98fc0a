//! Who is within and who waits. No clock, no I/O; threads share it.
//!
//! One word, the gate, holds both numbers. While nobody waits, coming and going are one exchange of it and take no lock.
//! The number of those who wait changes only under the lock of the queue; and while it is not none, so does the other.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde::{Deserialize, Serialize};

use crate::sync::{AtomicU64, Mutex, Ordering, lock};

/// Who goes first, and who is sent away first: all of a higher priority before any of a lower one; within one, first come,
/// first served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Before all others: health checks, people who wait.
    High,
    /// The usual.
    #[default]
    Normal,
    /// When nobody else waits: batches, what can be done later.
    Low,
}

/// Those within in the upper half, those who wait in the lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gate(u64);

impl Gate {
    const ONE_WITHIN: u64 = 1 << 32;

    fn within(self) -> u64 {
        self.0 >> 32
    }

    fn waiting(self) -> u64 {
        self.0 & u64::from(u32::MAX)
    }
}

pub(crate) struct Line {
    gate: AtomicU64,
    limit: AtomicU64,
    /// What each priority may use of the limit, in thousandths.
    shares: [u64; 3],
    waiters: u64,
    queue: Mutex<[VecDeque<Arc<Seat>>; 3]>,
}

/// A place in the queue. Whoever holds the lock of a seat takes no other.
struct Seat(Mutex<Place>);

enum Place {
    Waiting(Waker),
    /// One is within, on this one's behalf.
    Served,
    /// Somebody of a higher priority has the place.
    Displaced,
    /// Taken, or given up.
    Left,
}

impl Seat {
    /// Turns one who waits into `to`, and returns whom to wake.
    fn turn(&self, to: Place) -> Option<Waker> {
        let mut place = lock(&self.0);
        match std::mem::replace(&mut *place, to) {
            Place::Waiting(waker) => Some(waker),
            other => {
                *place = other;
                None
            }
        }
    }
}

/// There is no room, in line neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom;

enum Entry {
    Within,
    NoRoom,
    Wait(Arc<Seat>),
}

impl Line {
    /// For `limit` at once. `shares` are of the priorities, in thousandths.
    pub(crate) fn new(limit: u32, waiters: u32, shares: [u64; 3]) -> Self {
        Self {
            gate: AtomicU64::new(0),
            limit: AtomicU64::new(u64::from(limit.max(1))),
            shares,
            waiters: u64::from(waiters),
            queue: Mutex::new([const { VecDeque::new() }; 3]),
        }
    }

    fn gate(&self) -> Gate {
        Gate(self.gate.load(Ordering::Acquire))
    }

    fn exchange(&self, from: Gate, to: u64) -> bool {
        self.gate.compare_exchange_weak(from.0, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// How many those of a priority may make there be within, at least one.
    fn limit_of(&self, priority: Priority) -> u64 {
        let limit = self.limit.load(Ordering::Relaxed);
        let share = self.shares.get(priority as usize).copied().unwrap_or(1000);
        if share == 1000 { limit } else { (limit * share / 1000).max(1) }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Those within, and those who wait.
    pub(crate) fn numbers(&self) -> (u64, u64) {
        let gate = self.gate();
        (gate.within(), gate.waiting())
    }

    /// Comes in at once, or not.
    #[inline]
    pub(crate) fn try_enter(&self, priority: Priority) -> bool {
        let limit = self.limit_of(priority);
        loop {
            let gate = self.gate();
            if gate.waiting() > 0 || gate.within() >= limit {
                return gate.waiting() > 0 && matches!(self.join(priority, None), Entry::Within);
            }
            if self.exchange(gate, gate.0 + Gate::ONE_WITHIN) {
                return true;
            }
        }
    }

    /// Comes in, in turn.
    pub(crate) fn enter(&self, priority: Priority) -> InLine<'_> {
        InLine { line: self, priority, seat: None }
    }

    /// Comes in, or stands in line if there is a waker.
    #[cold]
    fn join(&self, priority: Priority, waker: Option<&Waker>) -> Entry {
        let mut queue = lock(&self.queue);
        let displaced;
        loop {
            let gate = self.gate();
            // Those who wait may not come in, or they would have; so one who may overtakes nobody.
            if gate.within() < self.limit_of(priority) {
                if self.exchange(gate, gate.0 + Gate::ONE_WITHIN) {
                    return Entry::Within;
                }
                continue;
            }
            if waker.is_none() {
                return Entry::NoRoom;
            }
            if gate.waiting() >= self.waiters {
                // The last of the lowest gives way to one above.
                let below = queue.iter_mut().skip(priority as usize + 1).rev().find_map(VecDeque::pop_back);
                let Some(last) = below else { return Entry::NoRoom };
                displaced = last.turn(Place::Displaced);
                break;
            }
            if self.exchange(gate, gate.0 + 1) {
                displaced = None;
                break;
            }
        }
        let waker = waker.cloned().unwrap_or_else(|| Waker::noop().clone());
        let seat = Arc::new(Seat(Mutex::new(Place::Waiting(waker))));
        if let Some(line) = queue.get_mut(priority as usize) {
            line.push_back(Arc::clone(&seat));
        }
        drop(queue);
        displaced.into_iter().for_each(Waker::wake);
        Entry::Wait(seat)
    }

    /// One goes out; the first who waits and may comes in instead.
    #[inline]
    pub(crate) fn leave(&self) {
        loop {
            let gate = self.gate();
            if gate.waiting() > 0 {
                return self.pass_on();
            }
            if self.exchange(gate, gate.0 - Gate::ONE_WITHIN) {
                return;
            }
        }
    }

    #[cold]
    fn pass_on(&self) {
        let mut queue = lock(&self.queue);
        self.gate.fetch_sub(Gate::ONE_WITHIN, Ordering::AcqRel);
        let next = self.admit_next(&mut queue);
        drop(queue);
        next.into_iter().for_each(Waker::wake);
    }

    /// The first who waits comes in, if his priority may.
    fn admit_next(&self, queue: &mut [VecDeque<Arc<Seat>>; 3]) -> Option<Waker> {
        for (line, priority) in queue.iter_mut().zip([Priority::High, Priority::Normal, Priority::Low]) {
            if line.is_empty() {
                continue;
            }
            let limit = self.limit_of(priority);
            let mut gate = self.gate();
            while gate.within() < limit {
                // One more within, one less who waits. Nobody may come in unasked meanwhile, but the last word is the gate's.
                if self.exchange(gate, gate.0 + Gate::ONE_WITHIN - 1) {
                    return line.pop_front().and_then(|seat| seat.turn(Place::Served));
                }
                gate = self.gate();
            }
        }
        None
    }

    /// Changes the limit, at least one; those who may now come in do. Those within stay.
    pub(crate) fn set_limit(&self, limit: u64) {
        let mut queue = lock(&self.queue);
        self.limit.store(limit.max(1), Ordering::Relaxed);
        let woken: Vec<_> = std::iter::from_fn(|| self.admit_next(&mut queue)).collect();
        drop(queue);
        woken.into_iter().for_each(Waker::wake);
    }

    /// One who stood in line goes away.
    fn give_up(&self, seat: &Arc<Seat>) {
        let mut queue = lock(&self.queue);
        if seat.turn(Place::Left).is_some() {
            for line in queue.iter_mut() {
                line.retain(|other| !Arc::ptr_eq(other, seat));
            }
            self.gate.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        drop(queue);
        let served = matches!(std::mem::replace(&mut *lock(&seat.0), Place::Left), Place::Served);
        if served {
            self.leave();
        }
    }
}

/// One's way in. Dropped at any point it leaves nothing behind.
#[must_use]
pub(crate) struct InLine<'l> {
    line: &'l Line,
    priority: Priority,
    seat: Option<Arc<Seat>>,
}

impl Future for InLine<'_> {
    type Output = Result<(), NoRoom>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(seat) = &this.seat else {
            return match this.line.join(this.priority, Some(cx.waker())) {
                Entry::Within => Poll::Ready(Ok(())),
                Entry::NoRoom => Poll::Ready(Err(NoRoom)),
                Entry::Wait(seat) => {
                    this.seat = Some(seat);
                    Poll::Pending
                }
            };
        };
        let mut place = lock(&seat.0);
        let answer = match &mut *place {
            Place::Waiting(waker) => {
                waker.clone_from(cx.waker());
                return Poll::Pending;
            }
            Place::Served => Ok(()),
            Place::Displaced | Place::Left => Err(NoRoom),
        };
        *place = Place::Left;
        drop(place);
        this.seat = None;
        Poll::Ready(answer)
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if let Some(seat) = &self.seat {
            self.line.give_up(seat);
        }
    }
}
