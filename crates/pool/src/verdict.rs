//! What callers ask of the state, and what it answers and asks to be done.

use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::error::BoxedError;
use crate::status::Closed;
use crate::time::Time;
use crate::waiters::{Priority, Seat};

/// What a caller asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) now: Time,
    /// When the caller came.
    pub(crate) since: Time,
    pub(crate) deadline: Time,
    pub(crate) priority: Priority,
    /// Whether to wait for an object that is in use; one that can be created is waited for in any case.
    pub(crate) wait: bool,
    /// Whether to be served before all others, having been served before and got nothing.
    pub(crate) first: bool,
    pub(crate) by: &'static Location<'static>,
}

/// An object on its way to a caller.
#[derive(Debug)]
pub(crate) struct Lent<T> {
    pub(crate) slot: usize,
    pub(crate) object: T,
    /// Whether it has to pass a check first.
    pub(crate) check: bool,
}

/// How a checkout goes on.
pub(crate) enum Turn<T> {
    Lent(Lent<T>),
    Wait(Arc<Seat<Served<T>>>),
    Refused(Refusal),
}

/// Why a caller gets nothing.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    Full {
        retry_after: Duration,
    },
    ShuttingDown,
    TimedOut,
    /// Creating failed too often, for this reason in the end.
    CircuitOpen {
        retry_after: Duration,
        cause: Arc<BoxedError>,
    },
}

/// What a waiter is served.
pub(crate) type Served<T> = Result<Lent<T>, Refusal>;

/// A guard held for too long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leak {
    pub(crate) held: Duration,
    pub(crate) by: &'static Location<'static>,
}

/// What a change of the state asks to be done, outside of the lock. Mostly it is to wake one waiter, or nothing.
#[derive(Debug)]
#[must_use]
pub(crate) struct Effects<T> {
    pub(crate) wake: Option<Waker>,
    pub(crate) more: Option<Box<More<T>>>,
}

/// What is asked for more rarely.
#[derive(Debug)]
pub(crate) struct More<T> {
    pub(crate) wake: Vec<Waker>,
    /// Objects that are gone, and those of them that are to be closed.
    pub(crate) closed: Vec<(Option<T>, Closed)>,
    /// How many objects to begin to create.
    pub(crate) create: usize,
    /// An idle object to check, and its slot; then others, by [`State::begin_inspection`].
    pub(crate) inspect: Option<(usize, T)>,
    pub(crate) leaks: Vec<Leak>,
    /// Whether there is a deadline before the next time that `maintain` was to be called.
    pub(crate) alarm: bool,
    /// Whether something came to pass that whoever warms up or drains waits for.
    pub(crate) news: bool,
}

impl<T> Default for Effects<T> {
    fn default() -> Self {
        Self { wake: None, more: None }
    }
}

impl<T> Default for More<T> {
    fn default() -> Self {
        Self {
            wake: Vec::new(),
            closed: Vec::new(),
            create: 0,
            inspect: None,
            leaks: Vec::new(),
            alarm: false,
            news: false,
        }
    }
}

impl<T> Effects<T> {
    pub(crate) fn more(&mut self) -> &mut More<T> {
        self.more.get_or_insert_default()
    }

    pub(crate) fn wake(&mut self, waker: Waker) {
        if self.wake.is_none() {
            self.wake = Some(waker);
        } else {
            self.more().wake.push(waker);
        }
    }
}

/// Times in seconds, and how often each.
pub(crate) type Times = Vec<(f64, usize)>;
