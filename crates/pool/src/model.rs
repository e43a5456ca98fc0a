//! The state beside a model of it: a million random steps, and after each one everything that is promised.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use buttress_core::ErrorClass;
use proptest::prelude::*;

use crate::error::BoxedError;
use crate::retry::{AfterFailure, RetryRules};
use crate::state::{Rules, State};
use crate::status::Closed;
use crate::time::Time;
use crate::verdict::{Ask, Effects, Lent, Refusal, Served, Turn};
use crate::waiters::{Priority, Seat, Waiters};
use buttress_core::Random;

/// An object is its number: no two are the same.
type Object = u64;

fn rules() -> Rules {
    Rules {
        max: 4,
        min_idle: 1,
        overflow: 2,
        waiters: 8,
        idle: Some(Duration::from_secs(20)),
        max_age: Some(Duration::from_mins(1)),
        max_uses: 50,
        unchecked: Some(2_000_000_000),
        check_every: Some(Duration::from_secs(5)),
        leak_after: Some(Duration::from_secs(30)),
        failures: 3,
        open_for: Duration::from_secs(3),
        retry: RetryRules { first: Duration::from_millis(100), most: Duration::from_secs(1) },
    }
}

/// A caller that waits.
struct Waiting {
    seat: Arc<Seat<Served<Object>>>,
    priority: Priority,
}

/// What drives the state, and what it believes of it.
struct World {
    state: State<Object>,
    random: Random,
    now: Time,
    limit: usize,
    most_before: usize,
    next_object: Object,
    lent: Vec<Lent<Object>>,
    /// Objects taken out to be reset or checked, with their slots.
    busy: Vec<(usize, Object)>,
    inspected: Option<(usize, Object)>,
    /// Creations under way, and those that wait to be tried again.
    creating: usize,
    retrying: usize,
    /// Objects that are being put away.
    closing: usize,
    waiting: BTreeMap<u64, Waiting>,
    /// Numbers of callers in the order in which they have to be served, by priority.
    lines: [Vec<u64>; 3],
    next_caller: u64,
    gone: BTreeSet<Object>,
    served: u64,
    paused: bool,
    closed: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let rules = rules();
        Self {
            limit: rules.max + rules.overflow,
            most_before: 0,
            state: State::new(rules, seed),
            random: Random::new(seed),
            now: Time::ZERO,
            next_object: 0,
            lent: Vec::new(),
            busy: Vec::new(),
            inspected: None,
            creating: 0,
            retrying: 0,
            closing: 0,
            waiting: BTreeMap::new(),
            lines: [const { Vec::new() }; 3],
            next_caller: 0,
            gone: BTreeSet::new(),
            served: 0,
            paused: false,
            closed: false,
        }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn below(&self, bound: usize) -> usize {
        (self.random.fraction() * bound as f64) as usize
    }

    fn line(&mut self, priority: Priority) -> &mut Vec<u64> {
        &mut self.lines[priority as usize]
    }

    fn step(&mut self) {
        let mut effects = Effects::default();
        match self.below(22) {
            0..=4 => self.ask(false, &mut effects),
            5..=8 => self.give_back(&mut effects),
            9 => self.lose(&mut effects),
            10 => self.leave(&mut effects),
            11..=12 => self.create(&mut effects),
            13 => self.fail(&mut effects),
            14 => self.refit(&mut effects),
            15 => self.end_refit(&mut effects),
            16 => self.retry(&mut effects),
            17 => {
                let step = [1, 50, 1_000, 7_000][self.below(4)];
                self.now = self.now.after(Duration::from_millis(step));
                self.state.maintain(self.now, Duration::from_secs(1), &mut effects);
            }
            18 => self.pause_or_resize(&mut effects),
            19 | 20 => self.put_away(&mut effects),
            _ => self.inspect(&mut effects),
        }
        self.note(effects);
        self.poll();
        self.hold();
    }

    fn ask(&mut self, first: bool, effects: &mut Effects<Object>) {
        let priority = [Priority::High, Priority::Normal, Priority::Low][self.below(3)];
        let wait = self.below(4) > 0;
        let deadline = self.now.after(Duration::from_millis(self.below(20_000) as u64));
        let ask =
            Ask { now: self.now, since: self.now, deadline, priority, wait, first, by: Location::caller() };
        let idle_before = self.state.status(self.now).idle;
        match self.state.checkout(&ask, Waker::noop(), effects) {
            Turn::Lent(lent) => {
                assert!(!self.paused && !self.closed, "nothing is handed out while paused or closed");
                assert!(self.lines.iter().all(Vec::is_empty), "nobody is overtaken");
                self.take(lent);
            }
            Turn::Wait(seat) => {
                assert!(!self.closed);
                let caller = self.next_caller;
                self.next_caller += 1;
                self.waiting.insert(caller, Waiting { seat, priority });
                if first { self.line(priority).insert(0, caller) } else { self.line(priority).push(caller) }
            }
            Turn::Refused(Refusal::ShuttingDown) => assert!(self.closed),
            Turn::Refused(Refusal::Full { .. }) => assert!(self.paused || idle_before == 0),
            Turn::Refused(Refusal::CircuitOpen { .. }) => assert_eq!(self.state.status(self.now).size, 0),
            Turn::Refused(Refusal::TimedOut) => unreachable!("nobody waited"),
        }
    }

    fn take(&mut self, lent: Lent<Object>) {
        assert!(!self.gone.contains(&lent.object), "an object that is gone is never handed out");
        let twice = self.lent.iter().any(|other| other.object == lent.object || other.slot == lent.slot);
        assert!(!twice, "an object has one user");
        self.served += 1;
        self.lent.push(lent);
    }

    /// Some who hold an object whose check did not pass come back first.
    fn lose(&mut self, effects: &mut Effects<Object>) {
        if self.lent.is_empty() {
            return;
        }
        let lent = self.lent.swap_remove(self.below(self.lent.len()));
        self.gone.insert(lent.object);
        let reason = [Closed::Broken, Closed::Check, Closed::Invalidated, Closed::Detached][self.below(4)];
        self.state.lost(lent.slot, reason, self.now, effects);
        self.closing += usize::from(reason != Closed::Detached);
        if reason == Closed::Check && !self.closed {
            self.note(std::mem::take(effects));
            self.poll();
            self.ask(true, effects);
        }
    }

    fn give_back(&mut self, effects: &mut Effects<Object>) {
        if !self.lent.is_empty() {
            let lent = self.lent.swap_remove(self.below(self.lent.len()));
            if lent.check {
                self.state.passed(lent.slot, self.now);
            }
            self.state.give_back(lent.slot, lent.object, self.now, effects);
            if self.below(4) == 0 {
                // Whoever was served just now may leave before looking.
                self.leave(effects);
            }
        }
    }

    fn leave(&mut self, effects: &mut Effects<Object>) {
        let callers: Vec<u64> = self.waiting.keys().copied().collect();
        if !callers.is_empty() {
            let caller = callers[self.below(callers.len())];
            let waiting = self.waiting.remove(&caller).unwrap();
            self.line(waiting.priority).retain(|other| *other != caller);
            self.state.leave(&waiting.seat, self.now, effects);
        }
    }

    fn create(&mut self, effects: &mut Effects<Object>) {
        if self.creating > 0 {
            self.creating -= 1;
            self.next_object += 1;
            self.state.created(self.next_object, self.now, effects);
        }
    }

    fn fail(&mut self, effects: &mut Effects<Object>) {
        if self.creating > 0 {
            self.creating -= 1;
            let cause = BoxedError { class: ErrorClass::Unavailable, source: "down".into() };
            match self.state.create_failed(cause, self.now, effects) {
                AfterFailure::Retry(_) => self.retrying += 1,
                AfterFailure::Open => {}
            }
        }
    }

    fn retry(&mut self, effects: &mut Effects<Object>) {
        if self.retrying > 0 {
            self.retrying -= 1;
            if self.below(8) == 0 {
                self.state.create_abandoned();
                // Whoever looks after time finds out.
                self.state.maintain(self.now, Duration::from_secs(1), effects);
            } else if self.state.goes_on(self.now) {
                self.creating += 1;
            }
        }
    }

    fn refit(&mut self, _: &mut Effects<Object>) {
        if !self.lent.is_empty() {
            let lent = self.lent.swap_remove(self.below(self.lent.len()));
            self.state.begin_refit(lent.slot, self.now);
            self.busy.push((lent.slot, lent.object));
        }
    }

    fn end_refit(&mut self, effects: &mut Effects<Object>) {
        if !self.busy.is_empty() {
            let (slot, object) = self.busy.swap_remove(self.below(self.busy.len()));
            if self.below(4) == 0 {
                self.gone.insert(object);
                self.state.lost(slot, Closed::Reset, self.now, effects);
                self.closing += 1;
            } else {
                self.state.refitted(slot, object, self.below(2) == 0, self.now, effects);
            }
        }
    }

    fn inspect(&mut self, effects: &mut Effects<Object>) {
        let Some((slot, object)) = self.inspected.take() else { return };
        if self.below(4) == 0 {
            self.gone.insert(object);
            self.state.lost(slot, Closed::Check, self.now, effects);
            self.closing += 1;
        } else {
            self.state.refitted(slot, object, true, self.now, effects);
        }
        self.inspected = self.state.begin_inspection(self.now);
        if self.inspected.is_none() {
            self.state.end_inspections();
        }
    }

    fn put_away(&mut self, effects: &mut Effects<Object>) {
        if self.closing > 0 {
            self.closing -= 1;
            self.state.put_away(self.now, effects);
        }
    }

    fn pause_or_resize(&mut self, effects: &mut Effects<Object>) {
        match self.below(4) {
            0 => {
                self.paused = true;
                self.state.pause();
            }
            1 | 2 => {
                self.paused = false;
                self.state.resume(self.now, effects);
            }
            _ => {
                let max = 1 + self.below(6);
                self.limit = max + rules().overflow;
                self.state.resize(max, self.now, effects);
            }
        }
    }

    /// Takes note of what the state asks for.
    fn note(&mut self, effects: Effects<Object>) {
        let Some(more) = effects.more else { return };
        for object in more.closed.into_iter().filter_map(|(object, _)| object) {
            self.gone.insert(object);
            self.closing += 1;
        }
        self.creating += more.create;
        if let Some(inspect) = more.inspect {
            assert!(self.inspected.replace(inspect).is_none(), "one inspection at a time");
        }
    }

    /// Every caller looks whether it was served. Those that were are the first of their lines, in order.
    fn poll(&mut self) {
        let mut served: Vec<(u64, Priority, Served<Object>)> = Vec::new();
        for (caller, waiting) in &self.waiting {
            if let Some(outcome) = waiting.seat.poll(Waker::noop()) {
                served.push((*caller, waiting.priority, outcome));
            }
        }
        let objects: BTreeSet<u64> =
            served.iter().filter(|(_, _, outcome)| outcome.is_ok()).map(|(caller, ..)| *caller).collect();
        let refused: BTreeSet<u64> =
            served.iter().filter(|(_, _, outcome)| outcome.is_err()).map(|(caller, ..)| *caller).collect();
        for line in &mut self.lines {
            line.retain(|caller| !refused.contains(caller));
        }
        // Whoever got an object: all before them in their own line, and all of higher lines, got one too.
        let order: Vec<u64> = self.lines.concat();
        let first: BTreeSet<u64> = order.iter().take(objects.len()).copied().collect();
        assert_eq!(objects, first, "callers are served in order");
        for (caller, priority, outcome) in served {
            self.waiting.remove(&caller);
            self.line(priority).retain(|other| *other != caller);
            if let Ok(lent) = outcome {
                assert!(!self.paused, "nobody is served while paused");
                self.take(lent);
            }
        }
    }

    /// What holds at any time.
    fn hold(&mut self) {
        let status = self.state.status(self.now);
        assert_eq!(status.in_use, self.lent.len());
        assert_eq!(status.waiting, self.waiting.len());
        assert_eq!(status.creating, self.creating + self.retrying);
        let inspected = usize::from(self.inspected.is_some());
        assert_eq!(
            status.size,
            status.idle + self.lent.len() + self.busy.len() + inspected,
            "no slot is lost"
        );
        assert_eq!(status.closing, self.closing);
        let all = status.size + status.creating + status.closing;
        assert!(all <= self.limit || all <= self.most_before, "{all} objects where {} may be", self.limit);
        self.most_before = all;
        if !self.paused && status.idle > 0 {
            assert_eq!(status.waiting, 0, "nobody waits while an object is idle");
        }
        let room = self.limit.saturating_sub(all);
        if !self.paused && status.circuit_open_for.is_none() && status.last_error.is_none() {
            assert!(room == 0 || status.creating >= status.waiting, "whoever waits is created for");
        }
    }

    /// Everybody leaves, everything works again: then every object can be had.
    fn wind_down(&mut self) {
        let mut effects = Effects::default();
        self.paused = false;
        self.state.resume(self.now, &mut effects);
        self.note(effects);
        self.poll();
        for _ in 0..1_000 {
            let mut effects = Effects::default();
            self.leave(&mut effects);
            self.give_back(&mut effects);
            self.end_refit(&mut effects);
            self.inspect(&mut effects);
            self.put_away(&mut effects);
            self.create(&mut effects);
            self.retry(&mut effects);
            self.note(effects);
            self.poll();
            self.hold();
        }
        // Past the time that the circuit may be open.
        self.now = self.now.after(Duration::from_secs(10));
        let max = self.state.status(self.now).max;
        for _ in 0..100 {
            let mut effects = Effects::default();
            if self.lent.len() < max && self.waiting.is_empty() {
                let ask = Ask {
                    now: self.now,
                    since: self.now,
                    deadline: self.now.after(Duration::from_mins(1)),
                    priority: Priority::Normal,
                    wait: true,
                    first: false,
                    by: Location::caller(),
                };
                match self.state.checkout(&ask, Waker::noop(), &mut effects) {
                    Turn::Lent(lent) => self.take(lent),
                    Turn::Wait(seat) => {
                        self.waiting.insert(self.next_caller, Waiting { seat, priority: Priority::Normal });
                        let caller = self.next_caller;
                        self.line(Priority::Normal).push(caller);
                        self.next_caller += 1;
                    }
                    Turn::Refused(refusal) => panic!("{refusal:?}"),
                }
            }
            self.put_away(&mut effects);
            self.create(&mut effects);
            self.inspect(&mut effects);
            self.note(effects);
            self.poll();
        }
        assert_eq!(self.lent.len(), max, "every object can be had: {:?}", self.state.status(self.now));
    }
}

fn run(seed: u64, steps: usize) -> u64 {
    let mut world = World::new(seed);
    for _ in 0..steps {
        world.step();
    }
    world.wind_down();
    world.served
}

#[test]
fn a_million_random_steps_keep_every_promise() {
    let served: u64 = (0..100).map(|seed| run(seed, 10_000)).sum();
    assert!(served > 100_000, "the steps do something: {served} objects handed out");
}

proptest! {
    #[test]
    fn any_interleaving_keeps_every_promise(seed: u64, steps in 0_usize..3_000) {
        run(seed, steps);
    }
}

#[test]
fn a_closed_pool_hands_out_nothing_and_closes_what_comes_back() {
    let mut world = World::new(7);
    for _ in 0..500 {
        world.step();
    }
    let mut effects = Effects::default();
    world.state.close(&mut effects);
    world.closed = true;
    world.note(effects);
    world.poll();
    assert!(world.waiting.is_empty(), "whoever waited was told");
    while !world.lent.is_empty() || !world.busy.is_empty() || world.inspected.is_some() {
        let mut effects = Effects::default();
        world.give_back(&mut effects);
        world.end_refit(&mut effects);
        world.inspect(&mut effects);
        world.ask(false, &mut effects);
        world.note(effects);
    }
    assert_eq!(world.state.status(world.now).size, 0);
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn ask(priority: Priority, first: bool) -> Ask {
    let by = Location::caller();
    Ask { now: Time::ZERO, since: Time::ZERO, deadline: Time::NEVER, priority, wait: true, first, by }
}

#[test]
fn whoever_looked_last_is_woken() {
    let mut waiters = Waiters::<u32>::new();
    let (before, after) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let seat = waiters.join(&ask(Priority::Normal, false), Arc::clone(&before).into());
    assert_eq!(seat.poll(&Arc::clone(&after).into()), None);
    waiters.serve(|_| 7).unwrap().wake();
    assert_eq!((before.0.load(Ordering::Relaxed), after.0.load(Ordering::Relaxed)), (0, 1));
    assert_eq!(seat.poll(Waker::noop()), Some(7));
}

#[test]
fn lines_are_served_by_priority_and_those_who_left_are_forgotten() {
    let mut waiters = Waiters::<u32>::new();
    let mut join = |priority, first| waiters.join(&ask(priority, first), Waker::noop().clone());
    let (low, normal) = (join(Priority::Low, false), join(Priority::Normal, false));
    let (again, high) = (join(Priority::Normal, true), join(Priority::High, false));
    for number in 0..3 {
        waiters.serve(|_| number).unwrap();
    }
    let seats = [&high, &again, &normal, &low].map(|seat| seat.poll(Waker::noop()));
    assert_eq!(seats, [Some(0), Some(1), Some(2), None]);
    for _ in 0..10_000 {
        let seat = waiters.join(&ask(Priority::Normal, false), Waker::noop().clone());
        assert_eq!(waiters.leave(&seat), None);
    }
    assert_eq!(waiters.len(), 1);
    assert!(waiters.seats() < 32, "those who left take no room");
}
