//! What a circuit breaker decides. No clock, no I/O; threads share it.
//!
//! ```text
//!            enough calls, too many failed or slow
//!   closed ----------------------------------------> open
//!     ^                                              |  ^
//!     | all probes went well            its wait is  |  | a probe failed, or was slow;
//!     |                                         over v  | the next wait is longer
//!     +--------------------------------------- half open
//! ```
//!
//! One word, the gate, says which it is. While it says closed, nobody takes the lock of the book.

use std::time::Duration;

use super::window::{Mark, Totals, Window};
use crate::sync::{AtomicU64, Mutex, Ordering, lock};
use crate::time::Time;
use buttress_core::Random;

/// Whether calls are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// All are.
    Closed,
    /// Some, as probes.
    HalfOpen,
    /// None, for a while.
    Open,
    /// None, because somebody said so.
    ForcedOpen,
    /// All, because somebody said so; nothing is counted.
    ForcedClosed,
}

impl State {
    pub(crate) const ALL: [Self; 5] =
        [Self::Closed, Self::HalfOpen, Self::Open, Self::ForcedOpen, Self::ForcedClosed];

    /// The state as a metric label: `"half_open"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
        }
    }
}

/// A state and how often it has changed, so that the outcome of a call from before a change is known as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gate(u64);

impl Gate {
    const STATE: u64 = 7;

    fn state(self) -> State {
        match self.0 & Self::STATE {
            0 => State::Closed,
            1 => State::HalfOpen,
            2 => State::Open,
            3 => State::ForcedOpen,
            _ => State::ForcedClosed,
        }
    }

    fn next(self, state: State) -> Self {
        Self((self.0 & !Self::STATE).wrapping_add(Self::STATE + 1) | state as u64)
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// The share of calls that may fail, in thousandths; the circuit opens when it is reached.
    pub(crate) failed: u64,
    /// The share of calls that may be slow.
    pub(crate) slow: u64,
    /// Calls below which nothing is decided.
    pub(crate) least: u64,
    pub(crate) probes: u32,
    pub(crate) open_first: Duration,
    pub(crate) open_most: Duration,
    /// How long the probes may take altogether.
    pub(crate) half_open_most: Duration,
}

/// A call that was let through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass(Gate);

impl Pass {
    pub(crate) fn is_probe(self) -> bool {
        self.0.state() == State::HalfOpen
    }
}

/// How a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Marked(Mark, Option<Duration>),
    /// It says nothing about the callee: the caller went away.
    Unknown,
}

/// A change of state, for those who are to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) from: State,
    pub(crate) to: State,
    /// What the window held, where that was the reason.
    pub(crate) totals: Totals,
    /// For how long it opened.
    pub(crate) wait: Duration,
}

/// What is known beside the gate.
#[derive(Debug)]
struct Book {
    /// Openings in a row.
    openings: u32,
    /// Since when the present state is.
    since: Time,
    open_until: Time,
    /// Probes under way.
    out: u32,
    /// Probes that went well.
    passed: u32,
}

pub(crate) struct Circuit {
    gate: AtomicU64,
    window: Window,
    rules: Rules,
    random: Random,
    book: Mutex<Book>,
}

impl Circuit {
    pub(crate) fn new(rules: Rules, window: Window, random: Random) -> Self {
        let book = Book { openings: 0, since: Time(0), open_until: Time(0), out: 0, passed: 0 };
        Self { gate: AtomicU64::new(0), window, rules, random, book: Mutex::new(book) }
    }

    fn gate(&self) -> Gate {
        Gate(self.gate.load(Ordering::Acquire))
    }

    pub(crate) fn state(&self) -> State {
        self.gate().state()
    }

    pub(crate) fn totals(&self, now: Time) -> Totals {
        self.window.totals(|| now)
    }

    /// Lets a call through a circuit that is closed: all that most calls need, and no more than one look at the gate.
    #[inline]
    pub(crate) fn pass(&self) -> Option<Pass> {
        let gate = self.gate();
        matches!(gate.state(), State::Closed | State::ForcedClosed).then_some(Pass(gate))
    }

    /// Lets a call through, or says when to come back.
    #[cold]
    pub(crate) fn admit(&self, now: Time) -> (Result<Pass, Option<Duration>>, Option<Change>) {
        let mut book = lock(&self.book);
        let gate = self.gate();
        match gate.state() {
            State::Closed | State::ForcedClosed => (Ok(Pass(gate)), None),
            State::ForcedOpen => (Err(None), None),
            State::Open if now < book.open_until => (Err(Some(book.open_until.since(now))), None),
            State::Open => {
                let change = self.turn(&mut book, State::HalfOpen, now);
                book.out = 1;
                (Ok(Pass(self.gate())), Some(change))
            }
            State::HalfOpen if book.out + book.passed < self.rules.probes => {
                book.out += 1;
                (Ok(Pass(gate)), None)
            }
            State::HalfOpen if now.since(book.since) >= self.rules.half_open_most => {
                // Probes that never end must not keep it so for ever.
                let change = self.open(&mut book, Totals::default(), None, now);
                (Err(Some(change.wait)), Some(change))
            }
            State::HalfOpen => (Err(Some(self.rules.open_first)), None),
        }
    }

    /// Notes a call that went well; `false` if it was a probe, which is not noted here.
    #[inline]
    pub(crate) fn went_well(&self, pass: Pass, now: impl FnOnce() -> Time) -> bool {
        if pass.0.state() == State::Closed && self.gate() == pass.0 {
            self.window.note(Mark::WELL, now);
        }
        !pass.is_probe()
    }

    /// Notes how a call went that had been let through.
    #[cold]
    pub(crate) fn ended(&self, pass: Pass, how: Ended, now: Time) -> Option<Change> {
        if pass.is_probe() {
            return self.probed(pass, how, now);
        }
        let Ended::Marked(mark, retry_after) = how else { return None };
        // What is of a time before the last change does not count, and nothing does while it is forced.
        if pass.0.state() != State::Closed || self.gate() != pass.0 {
            return None;
        }
        self.window.note(mark, || now);
        // What goes well never opens a circuit.
        if mark.is_well() { None } else { self.judge(pass, retry_after, now) }
    }

    fn judge(&self, pass: Pass, retry_after: Option<Duration>, now: Time) -> Option<Change> {
        let totals = self.window.totals(|| now);
        let Totals { calls, failed, slow } = totals;
        let too_many = failed * 1000 >= calls * self.rules.failed || slow * 1000 >= calls * self.rules.slow;
        if calls < self.rules.least || !too_many {
            return None;
        }
        let mut book = lock(&self.book);
        (self.gate() == pass.0).then(|| self.open(&mut book, totals, retry_after, now))
    }

    fn probed(&self, pass: Pass, how: Ended, now: Time) -> Option<Change> {
        let mut book = lock(&self.book);
        if self.gate() != pass.0 {
            return None;
        }
        book.out -= 1;
        match how {
            Ended::Unknown => None,
            Ended::Marked(Mark::WELL, _) => {
                book.passed += 1;
                (book.passed >= self.rules.probes).then(|| {
                    book.openings = 0;
                    self.turn(&mut book, State::Closed, now)
                })
            }
            Ended::Marked(_, retry_after) => Some(self.open(&mut book, Totals::default(), retry_after, now)),
        }
    }

    /// Opens, for longer each time in a row, and at least for as long as the callee asked for.
    fn open(&self, book: &mut Book, totals: Totals, retry_after: Option<Duration>, now: Time) -> Change {
        let doubled = self.rules.open_first.saturating_mul(1 << book.openings.min(20));
        // Up to a fifth earlier, so that many callers do not knock at once.
        let wait = doubled.min(self.rules.open_most).mul_f64(1.0 - 0.2 * self.random.fraction());
        let asked = retry_after.unwrap_or_default().min(self.rules.open_most);
        self.open_for(book, totals, wait.max(asked), now)
    }

    fn open_for(&self, book: &mut Book, totals: Totals, wait: Duration, now: Time) -> Change {
        book.openings = book.openings.saturating_add(1);
        book.open_until = now.after(wait);
        Change { totals, wait, ..self.turn(book, State::Open, now) }
    }

    fn turn(&self, book: &mut Book, to: State, now: Time) -> Change {
        let gate = self.gate();
        if to == State::Closed {
            self.window.clear();
        }
        (book.since, book.out, book.passed) = (now, 0, 0);
        self.gate.store(gate.next(to).0, Ordering::Release);
        Change { from: gate.state(), to, totals: Totals::default(), wait: Duration::ZERO }
    }

    /// Sets a state from outside. `Closed` begins anew.
    pub(crate) fn set(&self, to: State, now: Time) -> Option<Change> {
        let mut book = lock(&self.book);
        book.openings = 0;
        (self.state() != to).then(|| self.turn(&mut book, to, now))
    }

    /// Opens because another breaker of the same callee did, unless it is open or forced.
    pub(crate) fn follow(&self, wait: Duration, now: Time) -> Option<Change> {
        let mut book = lock(&self.book);
        let follows = matches!(self.state(), State::Closed | State::HalfOpen);
        let wait = wait.min(self.rules.open_most);
        follows.then(|| self.open_for(&mut book, Totals::default(), wait, now))
    }
}
