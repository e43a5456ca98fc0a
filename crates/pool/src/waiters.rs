//! Who waits for an object, in the order in which they are served.

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;

use serde::{Deserialize, Serialize};

use crate::sync::{Mutex, PoisonError};
use crate::time::Time;
use crate::verdict::Ask;

/// Who is served first: all of a higher priority before any of a lower one, and within one, first come, first served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Before all others: health checks, people who wait.
    High,
    /// The usual.
    #[default]
    Normal,
    /// When nobody else waits: batches.
    Low,
}

/// A place in the line. Who waits looks at his own seat and needs no other lock.
///
/// Whoever holds the lock of a seat takes no other.
pub(crate) struct Seat<G> {
    deadline: Time,
    /// Whose it is: the place in the program.
    pub(crate) by: &'static Location<'static>,
    /// When he came.
    pub(crate) since: Time,
    place: Mutex<Place<G>>,
}

enum Place<G> {
    Waiting(Waker),
    /// Served, and not yet taken.
    Served(G),
    /// Taken, or given up.
    Left,
}

impl<G> Seat<G> {
    /// Takes what was served; if nothing was, `waker` will be woken.
    pub(crate) fn poll(&self, waker: &Waker) -> Option<G> {
        self.change(|place| match place {
            Place::Waiting(known) => {
                known.clone_from(waker);
                None
            }
            Place::Served(_) | Place::Left => Self::leave(place),
        })
    }

    /// Serves what `grant` makes if one waits here, and returns whom to wake.
    fn serve(&self, grant: impl FnOnce(&Self) -> G) -> Option<Waker> {
        self.change(|place| match std::mem::replace(place, Place::Left) {
            Place::Waiting(waker) => {
                *place = Place::Served(grant(self));
                Some(waker)
            }
            served_or_left => {
                *place = served_or_left;
                None
            }
        })
    }

    fn leave(place: &mut Place<G>) -> Option<G> {
        match std::mem::replace(place, Place::Left) {
            Place::Served(grant) => Some(grant),
            Place::Waiting(_) | Place::Left => None,
        }
    }

    fn waits(&self) -> bool {
        self.change(|place| matches!(place, Place::Waiting(_)))
    }

    fn change<R>(&self, change: impl FnOnce(&mut Place<G>) -> R) -> R {
        change(&mut self.place.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A line for each priority. Those who left stay in it until they are passed over or are more than those who wait.
#[repr(C)]
pub(crate) struct Waiters<G> {
    waiting: usize,
    lines: [VecDeque<Arc<Seat<G>>>; 3],
}

impl<G> Waiters<G> {
    pub(crate) fn new() -> Self {
        Self { lines: [const { VecDeque::new() }; 3], waiting: 0 }
    }

    /// How many wait and are not served.
    pub(crate) fn len(&self) -> usize {
        self.waiting
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Joins the line of the asker's priority: at its end, or as its first, for one who was served before and got nothing.
    pub(crate) fn join(&mut self, ask: &Ask, waker: Waker) -> Arc<Seat<G>> {
        let place = Mutex::new(Place::Waiting(waker));
        let seat = Arc::new(Seat { deadline: ask.deadline, by: ask.by, since: ask.since, place });
        let [high, normal, low] = &mut self.lines;
        let line = match ask.priority {
            Priority::High => high,
            Priority::Normal => normal,
            Priority::Low => low,
        };
        if ask.first {
            line.push_front(Arc::clone(&seat));
        } else {
            line.push_back(Arc::clone(&seat));
        }
        self.waiting += 1;
        seat
    }

    /// Whoever is first leaves the line and gets what `grant` makes for him. Returns whom to wake, or nothing if nobody
    /// waits; then `grant` was not called.
    pub(crate) fn serve(&mut self, mut grant: impl FnMut(&Seat<G>) -> G) -> Option<Waker> {
        while self.waiting > 0 {
            let seat = self.lines.iter_mut().find_map(VecDeque::pop_front)?;
            if let Some(waker) = seat.serve(&mut grant) {
                self.waiting -= 1;
                return Some(waker);
            }
        }
        None
    }

    /// Gives up a seat; returns what it had been served already.
    pub(crate) fn leave(&mut self, seat: &Seat<G>) -> Option<G> {
        if seat.waits() {
            self.waiting -= 1;
        }
        let served = seat.change(Seat::leave);
        if self.seats() > 2 * self.waiting + 16 {
            for line in &mut self.lines {
                line.retain(|seat| seat.waits());
            }
        }
        served
    }

    /// How many are in the lines, those who left included.
    pub(crate) fn seats(&self) -> usize {
        self.lines.iter().map(VecDeque::len).sum()
    }

    /// The first deadline among those who wait. Takes time in proportion to their number.
    pub(crate) fn earliest(&self) -> Time {
        let waiting = self.lines.iter().flatten().filter(|seat| seat.waits());
        waiting.map(|seat| seat.deadline).min().unwrap_or(Time::NEVER)
    }

    /// Gives `grant` to all whose deadline has come, and pushes whom to wake.
    pub(crate) fn expire(&mut self, now: Time, grant: impl Fn() -> G, wake: &mut Vec<Waker>) {
        for seat in self.lines.iter().flatten().filter(|seat| seat.deadline <= now && seat.waits()) {
            self.waiting -= 1;
            wake.extend(seat.serve(|_| grant()));
        }
    }

    /// Wakes all who wait, without serving them.
    pub(crate) fn wake_all(&self) -> Vec<Waker> {
        let waker = |seat: &Arc<Seat<G>>| {
            seat.change(|place| match place {
                Place::Waiting(waker) => Some(waker.clone()),
                Place::Served(_) | Place::Left => None,
            })
        };
        self.lines.iter().flatten().filter_map(waker).collect()
    }
}
