//! When a server that fails is left alone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Whether something outside is asked: not after so many failures in a row, apart from one trial now and then, until one succeeds.
///
/// It decides and nothing else: no clock, no lock, no waiting. Times are durations since any moment that the owner chooses, the same one
/// for all calls. Threads share it by reference; each call reads one word and changes it at once or not at all. A trial that is never
/// reported, since its caller was dropped, holds nothing up: the next is due one pause after it began.
///
/// This is the least that every client of a server needs. A circuit breaker with rates, slow calls and several trials is in
/// `buttress-resilience`.
///
/// ```
/// use std::time::Duration;
/// use buttress_core::Outage;
///
/// let at = Duration::from_secs;
/// let outage = Outage::new(2, at(10)); // two failures in a row, and then a trial each 10 s
/// assert!(outage.admits(at(0)));
/// assert!(!outage.failed(at(0)) && outage.failed(at(1))); // the second begins it
/// assert!(!outage.admits(at(5)));
/// assert_eq!(outage.left(at(5)), at(6));
/// assert!(outage.admits(at(11))); // the trial,
/// assert!(!outage.admits(at(11))); // and only one
/// assert!(outage.succeeded()); // which ends it
/// assert!(outage.admits(at(11)) && outage.admits(at(11)));
/// ```
#[derive(Debug)]
pub struct Outage {
    /// A [`State`]. It guards no other memory, so no order is asked of it.
    word: AtomicU64,
    failures: u32,
    pause: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many calls in a row have failed.
    Up(u32),
    /// No trial is due before that time, in nanoseconds.
    Down(u64),
}

impl State {
    /// Set in the word of an outage. What is left counts nanoseconds, for 292 years.
    const DOWN: u64 = 1 << 63;

    fn of(word: u64) -> Self {
        if word & Self::DOWN == 0 {
            Self::Up(u32::try_from(word).unwrap_or(u32::MAX))
        } else {
            Self::Down(word & !Self::DOWN)
        }
    }

    fn word(self) -> u64 {
        match self {
            Self::Up(failures) => u64::from(failures),
            Self::Down(until) => until.min(!Self::DOWN) | Self::DOWN,
        }
    }

    /// After a call that failed.
    fn failed(self, now: u64, most: u32, pause: u64) -> Self {
        match self {
            Self::Up(failures) if failures.saturating_add(1) < most => Self::Up(failures + 1),
            // A call from before it began, or a trial, whose pause is counted from its beginning.
            Self::Down(until) if now < until => self,
            Self::Up(_) | Self::Down(_) => Self::Down(now.saturating_add(pause)),
        }
    }
}

impl Outage {
    /// None yet. It begins with `failures` failures in a row (0 counts as 1), and then one trial is due each `pause`.
    #[must_use]
    pub fn new(failures: u32, pause: Duration) -> Self {
        Self { word: AtomicU64::new(State::Up(0).word()), failures: failures.max(1), pause: nanos(pause) }
    }

    /// Whether to make a call. In an outage it says so once each pause, to who asks first.
    #[inline]
    pub fn admits(&self, now: Duration) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        match State::of(word) {
            State::Up(_) => true,
            State::Down(until) => {
                let now = nanos(now);
                let next = State::Down(now.saturating_add(self.pause)).word();
                now >= until
                    && self.word.compare_exchange(word, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            }
        }
    }

    /// A call succeeded. Whether that ended an outage.
    pub fn succeeded(&self) -> bool {
        // Most often nothing has to be written.
        self.word.load(Ordering::Relaxed) != State::Up(0).word()
            && matches!(State::of(self.word.swap(State::Up(0).word(), Ordering::Relaxed)), State::Down(_))
    }

    /// A call failed. Whether that began an outage.
    pub fn failed(&self, now: Duration) -> bool {
        let now = nanos(now);
        let next = |word| Some(State::of(word).failed(now, self.failures, self.pause).word());
        let (Ok(before) | Err(before)) = self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        matches!(State::of(before), State::Up(failures) if failures.saturating_add(1) >= self.failures)
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_on(&self) -> bool {
        matches!(State::of(self.word.load(Ordering::Relaxed)), State::Down(_))
    }

    /// How long until a trial is due; nothing where one is, or where there is no outage. Who sees to it by other means that there is
    /// one trial at a time asks this, and not [`admits`](Outage::admits).
    #[must_use]
    pub fn left(&self, now: Duration) -> Duration {
        match State::of(self.word.load(Ordering::Relaxed)) {
            State::Up(_) => Duration::ZERO,
            State::Down(until) => Duration::from_nanos(until.saturating_sub(nanos(now))),
        }
    }

    /// How many calls in a row have failed, as long as there is no outage.
    #[must_use]
    pub fn failures(&self) -> u32 {
        match State::of(self.word.load(Ordering::Relaxed)) {
            State::Up(failures) => failures,
            State::Down(_) => self.failures,
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Admits,
        Succeeded,
        Failed,
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Admits),
            1 => Just(Step::Succeeded),
            4 => Just(Step::Failed),
            2 => (0..30_u64).prop_map(Step::Wait),
        ];
        proptest::collection::vec(step, 0..60)
    }

    const PAUSE: u64 = 10;

    proptest! {
        /// The model keeps what happened, and looks at all of it.
        #[test]
        fn it_decides_by_what_happened_since_the_last_success(most in 0..4_u32, steps in steps()) {
            let at = Duration::from_nanos;
            let outage = Outage::new(most, at(PAUSE));
            let (mut now, mut failures, mut due) = (0_u64, 0_u32, None::<u64>);
            for step in steps {
                match step {
                    Step::Wait(time) => now += time,
                    Step::Admits => {
                        let expected = due.is_none_or(|due| now >= due);
                        prop_assert_eq!(outage.admits(at(now)), expected);
                        if expected && due.is_some() {
                            due = Some(now + PAUSE);
                        }
                    }
                    Step::Succeeded => {
                        prop_assert_eq!(outage.succeeded(), due.is_some());
                        (failures, due) = (0, None);
                    }
                    Step::Failed => {
                        failures += 1;
                        let begins = due.is_none() && failures >= most.max(1);
                        prop_assert_eq!(outage.failed(at(now)), begins);
                        if begins || due.is_some_and(|due| now >= due) {
                            due = Some(now + PAUSE);
                        }
                    }
                }
                prop_assert_eq!(outage.is_on(), due.is_some());
                prop_assert_eq!(outage.left(at(now)), at(due.map_or(0, |due| due.saturating_sub(now))));
                prop_assert_eq!(outage.failures(), if due.is_some() { most.max(1) } else { failures });
            }
        }

        #[test]
        fn a_word_is_its_state(failures: u32, until in 0..State::DOWN) {
            for state in [State::Up(failures), State::Down(until)] {
                prop_assert_eq!(State::of(state.word()), state);
            }
        }
    }

    #[test]
    fn of_many_threads_one_begins_it_one_tries_and_one_ends_it() {
        let at = Duration::from_nanos;
        for round in 0..100 {
            let outage = Outage::new(8, at(PAUSE));
            // How many of 16 calls on 4 threads were answered with yes.
            let all = |call: &(dyn Fn() -> bool + Sync)| -> usize {
                let thread = || (0..4).filter(|_| call()).count();
                std::thread::scope(|scope| {
                    let threads = [(); 4].map(|()| scope.spawn(thread));
                    threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
                })
            };
            let began = all(&|| outage.failed(at(round)));
            let tried = all(&|| outage.admits(at(round + PAUSE)));
            let ended = all(&|| outage.succeeded());
            assert_eq!([began, tried, ended], [1, 1, 1]);
        }
    }

    #[test]
    fn what_never_ends_is_no_overflow() {
        let outage = Outage::new(1, Duration::MAX);
        assert!(outage.failed(Duration::MAX) && outage.is_on());
        assert!(!outage.admits(Duration::ZERO));
        assert!(outage.admits(Duration::MAX), "no trial is later than the end of time");
    }
}
