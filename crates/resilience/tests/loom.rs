//! The concurrent cores under loom: every order in which threads can touch them.
//!
//! The cores are compiled here a second time, on loom's atomics and locks instead of std's.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
#![allow(dead_code, unreachable_pub)] // The cores are larger than what these tests use.

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU64, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }
}
#[path = "../src/retry/account.rs"]
mod account;
#[path = "../src/breaker/circuit.rs"]
mod circuit;
#[path = "../src/bulkhead/line.rs"]
mod line;
#[path = "../src/time.rs"]
mod time;
#[path = "../src/breaker/window.rs"]
mod window;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use account::Account;
use buttress_core::Random;
use circuit::{Circuit, Ended, Rules, State};
use line::{Line, Priority};
use loom::future::block_on;
use loom::thread;
use time::Time;
use window::{Mark, Window};

const SECOND: Duration = Duration::from_secs(1);
const NOW: Time = Time(0);

fn later() -> Time {
    NOW.after(10 * SECOND)
}

fn circuit(probes: u32) -> Arc<Circuit> {
    let rules = Rules {
        failed: 500,
        slow: 1000,
        least: 2,
        probes,
        open_first: SECOND,
        open_most: SECOND,
        half_open_most: 100 * SECOND,
    };
    Arc::new(Circuit::new(rules, Window::of_calls(2), Random::new(1)))
}

const FAILED: Ended = Ended::Marked(Mark::new(true, false), None);
const WELL: Ended = Ended::Marked(Mark::WELL, None);

fn fail_once(circuit: &Circuit) -> bool {
    let pass = circuit.pass().or_else(|| circuit.admit(NOW).0.ok());
    let change = pass.and_then(|pass| circuit.ended(pass, FAILED, NOW));
    change.is_some_and(|change| change.to == State::Open)
}

/// A circuit that is open and whose wait is over.
fn waited(probes: u32) -> Arc<Circuit> {
    let circuit = circuit(probes);
    fail_once(&circuit);
    assert!(fail_once(&circuit));
    circuit
}

#[test]
fn calls_that_fail_together_open_a_circuit_once() {
    loom::model(|| {
        let circuit = circuit(1);
        let other = thread::spawn({
            let circuit = Arc::clone(&circuit);
            move || fail_once(&circuit)
        });
        let opened = u32::from(fail_once(&circuit)) + u32::from(other.join().unwrap());
        assert_eq!((opened, circuit.state()), (1, State::Open));
    });
}

#[test]
fn exactly_one_probe_passes_and_closes_the_circuit() {
    loom::model(|| {
        let circuit = waited(1);
        let probe = |circuit: &Circuit| {
            let (pass, _) = circuit.admit(later());
            pass.is_ok_and(|pass| {
                let probes = pass.is_probe();
                circuit.ended(pass, WELL, later());
                probes
            })
        };
        let other = thread::spawn({
            let circuit = Arc::clone(&circuit);
            move || probe(&circuit)
        });
        let probes = u32::from(probe(&circuit)) + u32::from(other.join().unwrap());
        assert_eq!((probes, circuit.state()), (1, State::Closed));
        let totals = circuit.totals(later());
        assert_eq!((totals.failed, totals.slow), (0, 0));
    });
}

#[test]
fn a_probe_that_goes_away_gives_its_place_back() {
    loom::model(|| {
        let circuit = waited(1);
        let other = thread::spawn({
            let circuit = Arc::clone(&circuit);
            move || {
                if let (Ok(pass), _) = circuit.admit(later()) {
                    circuit.ended(pass, Ended::Unknown, later());
                }
            }
        });
        let mine = circuit.admit(later()).0;
        other.join().unwrap();
        if let Ok(pass) = mine {
            assert!(circuit.admit(later()).0.is_err(), "one at a time");
            circuit.ended(pass, Ended::Unknown, later());
        }
        assert!(circuit.admit(later()).0.is_ok());
    });
}

#[test]
fn a_late_failure_does_not_spoil_a_closed_circuit() {
    loom::model(|| {
        let circuit = circuit(1);
        let late = circuit.admit(NOW).0.unwrap();
        fail_once(&circuit);
        assert!(fail_once(&circuit));
        let other = thread::spawn({
            let circuit = Arc::clone(&circuit);
            move || circuit.ended(late, FAILED, later())
        });
        let probe = circuit.admit(later()).0.unwrap();
        circuit.ended(probe, WELL, later());
        assert_eq!(other.join().unwrap(), None);
        assert_eq!((circuit.state(), circuit.totals(later()).calls), (State::Closed, 0));
    });
}

#[test]
fn a_late_success_does_not_spoil_a_closed_circuit() {
    loom::model(|| {
        let circuit = circuit(1);
        let late = circuit.pass().unwrap();
        fail_once(&circuit);
        assert!(fail_once(&circuit));
        let other = thread::spawn({
            let circuit = Arc::clone(&circuit);
            move || circuit.went_well(late, later)
        });
        let probe = circuit.admit(later()).0.unwrap();
        assert!(!circuit.went_well(probe, later));
        circuit.ended(probe, WELL, later());
        assert!(other.join().unwrap());
        let totals = circuit.totals(later());
        assert_eq!((totals.calls, totals.failed, totals.slow), (0, 0, 0));
    });
}

#[test]
fn counts_agree_with_the_marks_in_the_end() {
    loom::model(|| {
        let window = Arc::new(Window::of_calls(1));
        let other = thread::spawn({
            let window = Arc::clone(&window);
            move || window.note(Mark::new(true, true), || NOW)
        });
        window.note(Mark::new(true, false), || NOW);
        other.join().unwrap();
        assert_eq!(window.totals(|| NOW).failed, 1);
        window.note(Mark::WELL, || NOW);
        let totals = window.totals(|| NOW);
        assert_eq!((totals.calls, totals.failed, totals.slow), (1, 0, 0));
    });
}

#[test]
fn a_retry_is_paid_for_once() {
    loom::model(|| {
        let account = Arc::new(Account::new(500, 1, 1));
        let other = thread::spawn({
            let account = Arc::clone(&account);
            move || {
                account.deposit();
                account.withdraw(NOW.after(SECOND / 2))
            }
        });
        account.deposit();
        let mine = account.withdraw(NOW.after(SECOND / 2));
        let both = u32::from(mine) + u32::from(other.join().unwrap());
        // One that was saved, two halves for calls, a half for the time: at most two. What is full takes no more in.
        assert!((1..=2).contains(&both), "{both}");
    });
}

fn line(limit: u32) -> Arc<Line> {
    Arc::new(Line::new(limit, 8, [1000; 3]))
}

fn use_once(line: &Line) {
    block_on(line.enter(Priority::Normal)).unwrap();
    line.leave();
}

/// Asks, and goes away before or after being let in.
fn ask_and_leave(line: &Line) {
    let mut entering = std::pin::pin!(line.enter(Priority::Normal));
    if let Poll::Ready(Ok(())) = entering.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        line.leave();
    }
}

#[test]
fn two_callers_and_one_place() {
    loom::model(|| {
        let line = line(1);
        let other = thread::spawn({
            let line = Arc::clone(&line);
            move || use_once(&line)
        });
        if line.try_enter(Priority::Normal) {
            line.leave();
        }
        use_once(&line);
        other.join().unwrap();
        assert_eq!(line.numbers(), (0, 0));
    });
}

#[test]
fn one_who_leaves_while_being_let_in_keeps_nothing() {
    // Three threads take an hour in every order; in every order with at most three preemptions, a second.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let line = line(1);
        assert!(line.try_enter(Priority::Normal));
        let leaving = thread::spawn({
            let line = Arc::clone(&line);
            move || ask_and_leave(&line)
        });
        let waiting = thread::spawn({
            let line = Arc::clone(&line);
            move || use_once(&line)
        });
        line.leave();
        leaving.join().unwrap();
        waiting.join().unwrap();
        assert_eq!(line.numbers(), (0, 0));
    });
}

#[test]
fn a_raised_limit_lets_in_who_waits() {
    loom::model(|| {
        let line = line(1);
        assert!(line.try_enter(Priority::Normal));
        let waiting = thread::spawn({
            let line = Arc::clone(&line);
            move || use_once(&line)
        });
        line.set_limit(2);
        waiting.join().unwrap();
        assert_eq!(line.numbers(), (1, 0));
    });
}
