//! What the pool knows and decides: a state that changes by calls, each told the time. Nothing here waits, creates or
//! closes anything; what is to be done goes into [`Effects`].

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use buttress_core::{Outage, Random, chain};

use crate::error::BoxedError;
use crate::retry::{AfterFailure, RetryRules};
use crate::status::{Closed, ObjectStatus, Standing, Status};
use crate::tally::Tally;
use crate::time::Time;
use crate::verdict::{Ask, Effects, Leak, Lent, Refusal, Served, Times, Turn};
use crate::waiters::{Seat, Waiters};

/// What holds for a pool, from its configuration.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) max: usize,
    pub(crate) min_idle: usize,
    pub(crate) overflow: usize,
    pub(crate) waiters: usize,
    pub(crate) idle: Option<Duration>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) max_uses: u64,
    /// For how many nanoseconds an object may have been idle to be handed out unchecked; `None` to never check.
    pub(crate) unchecked: Option<u64>,
    pub(crate) check_every: Option<Duration>,
    pub(crate) leak_after: Option<Duration>,
    /// Failures in a row to create an object that open the circuit, and for how long.
    pub(crate) failures: u32,
    pub(crate) open_for: Duration,
    pub(crate) retry: RetryRules,
}

/// The share of the maximum age that is drawn for each object, so that those made together do not end together.
const AGE_JITTER: f64 = 0.1;

/// How the maximum of waiters is told to come back, at least and at most.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_millis(10), Duration::from_mins(1));

/// An object's slot. The object lies in it, unless somebody has it.
struct Slot<T> {
    object: Option<T>,
    phase: Phase,
    created: Time,
    expires: Time,
    /// When it was last put down.
    since: Time,
    /// When it was last known to work.
    checked: Time,
    uses: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Free,
    Idle,
    /// Being reset or checked between two callers.
    Busy,
    Lent {
        at: Time,
        by: &'static Location<'static>,
        reported: bool,
    },
}

impl<T> Slot<T> {
    /// Takes the object out, for somebody.
    fn lend(
        &mut self,
        slot: usize,
        now: Time,
        by: &'static Location<'static>,
        rules: &Rules,
        suspect_since: Option<Time>,
    ) -> Lent<T> {
        let Some(object) = self.object.take() else { unreachable!("what is idle lies in its slot") };
        let suspect = suspect_since.is_some_and(|since| self.checked <= since);
        let rested = now.nanos_since(self.since);
        // One that was made or checked at this very moment is not asked again.
        let stale = self.checked < now && rules.unchecked.is_some_and(|longest| rested >= longest);
        self.phase = Phase::Lent { at: now, by, reported: false };
        self.uses += 1;
        Lent { slot, object, check: suspect || stale }
    }
}

/// Everything a pool knows.
///
/// At rest, that is after each call: while it is not paused, nobody waits if an object is idle; and there are as many
/// creations under way as can serve somebody.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[repr(C)]
pub(crate) struct State<T> {
    // What each checkout and return changes comes first, and together.
    waiters: Waiters<Served<T>>,
    lent: usize,
    /// How long an object is held, averaged over the last few.
    hold_nanos: u64,
    waits: Tally,
    holds: Tally,
    /// The one put down last is handed out first, so that those not needed grow old at the front.
    idle: VecDeque<usize>,
    slots: Vec<Slot<T>>,
    /// Slots that are not free.
    live: usize,
    creating: usize,
    /// Objects that left their slots and are being put away.
    closing: usize,
    paused: bool,
    closed: bool,
    /// Whether idle objects are kept ready: from the first use on.
    started: bool,
    inspecting: bool,
    /// What was not checked since may be broken.
    suspect_since: Option<Time>,
    rules: Rules,
    free: Vec<usize>,
    /// Open: no creation. Then half open: one at a time, whose outcome decides.
    outage: Outage,
    cause: Option<Arc<BoxedError>>,
    /// When `maintain` is to be called next.
    alarm: Option<Time>,
    random: Random,
}

impl<T> State<T> {
    pub(crate) fn new(rules: Rules, seed: u64) -> Self {
        Self {
            outage: Outage::new(rules.failures, rules.open_for),
            rules,
            slots: Vec::new(),
            free: Vec::new(),
            idle: VecDeque::new(),
            waiters: Waiters::new(),
            live: 0,
            lent: 0,
            creating: 0,
            closing: 0,
            paused: false,
            closed: false,
            started: false,
            inspecting: false,
            cause: None,
            suspect_since: None,
            alarm: None,
            hold_nanos: 0,
            waits: Tally::new(),
            holds: Tally::new(),
            random: Random::new(seed),
        }
    }

    /// Hands out an idle object, or lets the caller wait, or refuses.
    pub(crate) fn checkout(&mut self, ask: &Ask, waker: &Waker, effects: &mut Effects<T>) -> Turn<T> {
        if self.closed {
            return Turn::Refused(Refusal::ShuttingDown);
        }
        // At rest nobody waits while an object is idle, so nobody is passed by.
        while !self.paused
            && let Some(slot) = self.idle.pop_back()
        {
            match self.worn(slot, ask.now) {
                Some(reason) => self.remove(slot, reason, effects),
                None => {
                    if let Some(place) = self.slots.get_mut(slot) {
                        self.lent += 1;
                        self.waits.note(ask.now.nanos_since(ask.since));
                        return Turn::Lent(place.lend(
                            slot,
                            ask.now,
                            ask.by,
                            &self.rules,
                            self.suspect_since,
                        ));
                    }
                }
            }
        }
        if let Some(refusal) = self.refusal(ask) {
            return Turn::Refused(refusal);
        }
        self.started = true;
        let seat = self.waiters.join(ask, waker.clone());
        if self.alarm.is_none_or(|alarm| ask.deadline < alarm) {
            effects.more().alarm = true;
        }
        self.create_wanted(ask.now, effects);
        Turn::Wait(seat)
    }

    /// Why a caller may not even wait.
    fn refusal(&self, ask: &Ask) -> Option<Refusal> {
        if let Some(refusal) = self.circuit(ask.now) {
            return Some(refusal);
        }
        if ask.first {
            return None;
        }
        let limit = self.rules.max + self.rules.overflow;
        let room = limit.saturating_sub(self.all());
        let coming = self.creating + if self.is_open(ask.now) { 0 } else { room };
        let patient = if ask.wait { self.rules.waiters } else { 0 };
        (self.waiters.len() >= coming + patient).then(|| {
            let turns = (self.waiters.len() + 1).div_ceil(limit.max(1));
            let wait = Duration::from_nanos(self.hold_nanos.saturating_mul(turns as u64));
            Refusal::Full { retry_after: wait.clamp(RETRY_AFTER.0, RETRY_AFTER.1) }
        })
    }

    /// The refusal of everybody, if the circuit is open and no object is left that could come back.
    fn circuit(&self, now: Time) -> Option<Refusal> {
        let cause = self.cause.as_ref().filter(|_| self.live == 0 && self.is_open(now))?;
        Some(Refusal::CircuitOpen { retry_after: self.open_for(now), cause: Arc::clone(cause) })
    }

    /// For how long the circuit stays open; nothing if it is closed or half open.
    fn open_for(&self, now: Time) -> Duration {
        self.outage.left(now.since_start())
    }

    fn is_open(&self, now: Time) -> bool {
        !self.open_for(now).is_zero()
    }

    /// Gives up a seat. What it had been served goes to the next.
    pub(crate) fn leave(&mut self, seat: &Seat<Served<T>>, now: Time, effects: &mut Effects<T>) {
        if let Some(Ok(lent)) = self.waiters.leave(seat) {
            self.give_back(lent.slot, lent.object, now, effects);
        }
    }

    /// Takes back an object after use.
    pub(crate) fn give_back(&mut self, slot: usize, object: T, now: Time, effects: &mut Effects<T>) {
        self.end_lease(slot, now);
        if let Some(place) = self.slots.get_mut(slot) {
            place.object = Some(object);
        }
        self.put_down(slot, now, effects);
    }

    /// The object of `slot` is used no longer, but not yet fit for the next caller: the caller of this goes on with it.
    pub(crate) fn begin_refit(&mut self, slot: usize, now: Time) {
        self.end_lease(slot, now);
        if let Some(place) = self.slots.get_mut(slot) {
            place.phase = Phase::Busy;
        }
    }

    /// Takes back an object that was reset or checked; `checked` says whether it was seen to work.
    pub(crate) fn refitted(
        &mut self,
        slot: usize,
        object: T,
        checked: bool,
        now: Time,
        effects: &mut Effects<T>,
    ) {
        if let Some(place) = self.slots.get_mut(slot) {
            place.object = Some(object);
            if checked {
                place.checked = now;
            }
        }
        self.put_down(slot, now, effects);
    }

    /// The object of `slot`, which somebody had, is gone.
    pub(crate) fn lost(&mut self, slot: usize, reason: Closed, now: Time, effects: &mut Effects<T>) {
        self.end_lease(slot, now);
        if reason.is_a_failure() {
            self.suspect_since = Some(now);
        }
        self.remove(slot, reason, effects);
        self.settle(now, effects);
    }

    /// The object was seen to work just now.
    pub(crate) fn passed(&mut self, slot: usize, now: Time) {
        if let Some(place) = self.slots.get_mut(slot) {
            place.checked = now;
        }
    }

    /// Takes a new object. Returns whether it closed the circuit.
    pub(crate) fn created(&mut self, object: T, now: Time, effects: &mut Effects<T>) -> bool {
        self.creating -= 1;
        let recovered = self.outage.succeeded();
        self.cause = None;
        let share = 1.0 - AGE_JITTER * self.random.fraction();
        let expires = self.rules.max_age.map_or(Time::NEVER, |age| now.after(age.mul_f64(share)));
        let slot = Slot {
            object: Some(object),
            phase: Phase::Busy,
            created: now,
            expires,
            since: now,
            checked: now,
            uses: 0,
        };
        let index = match self.free.pop() {
            Some(index) => index,
            None => self.slots.len(),
        };
        match self.slots.get_mut(index) {
            Some(place) => *place = slot,
            None => self.slots.push(slot),
        }
        self.live += 1;
        effects.more().news = true;
        self.put_down(index, now, effects);
        self.settle(now, effects);
        recovered
    }

    /// An object could not be created. The creation goes on if it is told to retry, and is over if not.
    pub(crate) fn create_failed(
        &mut self,
        cause: BoxedError,
        now: Time,
        effects: &mut Effects<T>,
    ) -> AfterFailure {
        let cause = Arc::new(cause);
        self.cause = Some(cause);
        self.suspect_since = Some(now);
        effects.more().news = true;
        self.outage.failed(now.since_start());
        if self.outage.is_on() {
            self.creating -= 1;
            self.settle(now, effects);
            return AfterFailure::Open;
        }
        AfterFailure::Retry(self.rules.retry.pause(self.outage.failures(), &self.random))
    }

    /// Whether a creation that is to be tried again still serves anybody; if not, it is over.
    pub(crate) fn goes_on(&mut self, now: Time) -> bool {
        let over = self.closed
            || self.is_open(now)
            || self.needed() < self.creating
            || self.all() > self.rules.max + self.rules.overflow;
        if over {
            self.creating -= 1;
        }
        !over
    }

    /// A creation ended without an outcome: its task was dropped, or there was nobody to carry it out.
    pub(crate) fn create_abandoned(&mut self) {
        self.creating -= 1;
    }

    /// Does what time alone asks for, and returns when to come back.
    pub(crate) fn maintain(&mut self, now: Time, tick: Duration, effects: &mut Effects<T>) -> Time {
        self.waiters.expire(now, || Err(Refusal::TimedOut), &mut effects.more().wake);
        self.reap(now, effects);
        self.find_leaks(now, effects);
        self.settle(now, effects);
        if !self.inspecting {
            let first = self.begin_inspection(now);
            self.inspecting = first.is_some();
            effects.more().inspect = first;
        }
        let next = self.waiters.earliest().min(now.after(tick));
        self.alarm = Some(next);
        next
    }

    /// The inspections that `maintain` asked for are over.
    pub(crate) fn end_inspections(&mut self) {
        self.inspecting = false;
    }

    /// Nobody calls `maintain` any more. Returns whom to wake, so that one of them sees to it.
    pub(crate) fn unattended(&mut self) -> Vec<Waker> {
        self.alarm = None;
        self.waiters.wake_all()
    }

    /// Keeps `min_idle` objects ready from now on.
    pub(crate) fn start(&mut self, now: Time, effects: &mut Effects<T>) {
        self.started = true;
        effects.more().alarm |= self.alarm.is_none();
        self.settle(now, effects);
    }

    /// Hands out nothing until it is resumed; callers wait.
    pub(crate) fn pause(&mut self) {
        self.paused = true;
    }

    pub(crate) fn resume(&mut self, now: Time, effects: &mut Effects<T>) {
        self.paused = false;
        self.settle(now, effects);
    }

    /// Changes how many objects there may be. Those in excess are closed when they are idle.
    pub(crate) fn resize(&mut self, max: usize, now: Time, effects: &mut Effects<T>) {
        self.rules.max = max;
        while self.live > max {
            let Some(slot) = self.idle.pop_front() else { break };
            self.remove(slot, Closed::Surplus, effects);
        }
        self.settle(now, effects);
    }

    /// Closes what is idle, refuses whoever waits or comes, and closes what comes back.
    pub(crate) fn close(&mut self, effects: &mut Effects<T>) {
        self.closed = true;
        while let Some(slot) = self.idle.pop_front() {
            self.remove(slot, Closed::Shutdown, effects);
        }
        self.refuse_all(&Refusal::ShuttingDown, effects);
        effects.more().news = true;
    }

    /// How long callers waited and held their objects, since this was asked last: seconds, and how many.
    pub(crate) fn take_times(&mut self) -> (Times, Times) {
        (self.waits.take(), self.holds.take())
    }

    /// An object was put away: there is room for another.
    pub(crate) fn put_away(&mut self, now: Time, effects: &mut Effects<T>) {
        self.closing -= 1;
        effects.more().news = true;
        self.settle(now, effects);
    }

    pub(crate) fn status(&self, now: Time) -> Status {
        Status {
            max: self.rules.max,
            size: self.live,
            idle: self.idle.len(),
            in_use: self.lent,
            creating: self.creating,
            closing: self.closing,
            waiting: self.waiters.len(),
            paused: self.paused,
            closed: self.closed,
            circuit_open_for: Some(self.open_for(now)).filter(|left| !left.is_zero()),
            last_error: self.cause.as_ref().map(|cause| chain(&*cause.source)),
        }
    }

    pub(crate) fn min_idle(&self) -> usize {
        self.rules.min_idle.min(self.rules.max)
    }

    /// Why creating fails at the moment.
    pub(crate) fn cause(&self) -> Option<Arc<BoxedError>> {
        self.cause.clone()
    }

    /// Every object there is.
    pub(crate) fn objects(&self, now: Time) -> Vec<ObjectStatus> {
        let status = |slot: &Slot<T>| {
            let standing = match slot.phase {
                Phase::Free => return None,
                Phase::Idle => Standing::Idle { since: now.since(slot.since) },
                Phase::Busy => Standing::Checking,
                Phase::Lent { at, by, .. } => Standing::InUse { since: now.since(at), by: by.to_string() },
            };
            Some(ObjectStatus { age: now.since(slot.created), uses: slot.uses, standing })
        };
        self.slots.iter().filter_map(status).collect()
    }

    /// Every object that takes room: those on their way in and out included.
    fn all(&self) -> usize {
        self.live + self.creating + self.closing
    }

    /// Why an object may not be handed out any more.
    fn worn(&self, slot: usize, now: Time) -> Option<Closed> {
        let slot = self.slots.get(slot)?;
        let rules = &self.rules;
        if slot.expires <= now {
            Some(Closed::Age)
        } else if rules.max_uses > 0 && slot.uses >= rules.max_uses {
            Some(Closed::Uses)
        } else {
            None
        }
    }

    /// The object of `slot` is lent no longer, if it was.
    fn end_lease(&mut self, slot: usize, now: Time) {
        let Some(place) = self.slots.get_mut(slot) else { return };
        let Phase::Lent { at, .. } = place.phase else { return };
        place.phase = Phase::Busy;
        self.lent -= 1;
        let held = now.nanos_since(at);
        self.hold_nanos = self.hold_nanos - self.hold_nanos / 8 + held / 8;
        self.holds.note(held);
    }

    /// Puts an object that lies in its slot where it is needed: with the first who waits, among the idle, or away.
    fn put_down(&mut self, slot: usize, now: Time, effects: &mut Effects<T>) {
        let limit = self.rules.max + if self.waiters.is_empty() { 0 } else { self.rules.overflow };
        let reason = if self.closed {
            Some(Closed::Shutdown)
        } else if self.live > limit {
            Some(Closed::Surplus)
        } else {
            self.worn(slot, now)
        };
        if let Some(reason) = reason {
            self.remove(slot, reason, effects);
            self.settle(now, effects);
            return;
        }
        if let Some(place) = self.slots.get_mut(slot) {
            place.phase = Phase::Idle;
            place.since = now;
        }
        if self.paused || !self.serve(slot, now, effects) {
            self.idle.push_back(slot);
        }
    }

    /// Gives the object of `slot` to the first who waits, if anybody does.
    fn serve(&mut self, slot: usize, now: Time, effects: &mut Effects<T>) -> bool {
        let Self { slots, waiters, .. } = self;
        let Some(place) = slots.get_mut(slot) else { return false };
        let (rules, suspect_since, waits) = (&self.rules, self.suspect_since, &mut self.waits);
        let served = waiters.serve(|seat| {
            waits.note(now.nanos_since(seat.since));
            Ok(place.lend(slot, now, seat.by, rules, suspect_since))
        });
        self.lent += usize::from(served.is_some());
        let is_served = served.is_some();
        if let Some(waker) = served {
            effects.wake(waker);
        }
        is_served
    }

    fn remove(&mut self, slot: usize, reason: Closed, effects: &mut Effects<T>) {
        let Some(place) = self.slots.get_mut(slot) else { return };
        place.phase = Phase::Free;
        let more = effects.more();
        more.closed.push((place.object.take(), reason));
        more.news |= self.closed;
        self.free.push(slot);
        self.live -= 1;
        self.closing += usize::from(reason != Closed::Detached);
    }

    fn refuse_all(&mut self, refusal: &Refusal, effects: &mut Effects<T>) {
        while let Some(waker) = self.waiters.serve(|_| Err(refusal.clone())) {
            effects.wake(waker);
        }
    }

    /// Brings the state to rest.
    fn settle(&mut self, now: Time, effects: &mut Effects<T>) {
        while !self.paused && !self.waiters.is_empty() {
            let Some(slot) = self.idle.pop_back() else { break };
            match self.worn(slot, now) {
                Some(reason) => self.remove(slot, reason, effects),
                None => {
                    self.serve(slot, now, effects);
                }
            }
        }
        if let Some(refusal) = self.circuit(now) {
            self.refuse_all(&refusal, effects);
        }
        self.create_wanted(now, effects);
    }

    fn create_wanted(&mut self, now: Time, effects: &mut Effects<T>) {
        let wanted = self.wanted(now);
        self.creating += wanted;
        if wanted > 0 {
            effects.more().create += wanted;
        }
    }

    /// How many creations to begin.
    fn wanted(&self, now: Time) -> usize {
        if self.closed || self.is_open(now) {
            return 0;
        }
        let room = |limit: usize| limit.saturating_sub(self.all());
        let waiting = if self.paused { 0 } else { self.waiters.len() };
        let for_waiters =
            waiting.saturating_sub(self.creating).min(room(self.rules.max + self.rules.overflow));
        let for_stock = self.needed().saturating_sub(self.creating).min(room(self.rules.max));
        if self.outage.is_on() {
            // One tries, whether it is needed or not: how else would anybody know.
            return usize::from(self.creating == 0 && room(self.rules.max) > 0);
        }
        for_waiters.max(for_stock)
    }

    /// How many objects more would be of use.
    fn needed(&self) -> usize {
        let waiting = if self.paused { 0 } else { self.waiters.len() };
        let stock = if self.started { self.rules.min_idle.saturating_sub(self.idle.len()) } else { 0 };
        waiting + stock
    }

    /// Closes what was idle for too long, beyond those that are kept ready, and what is too old or too many.
    fn reap(&mut self, now: Time, effects: &mut Effects<T>) {
        let mut kept = VecDeque::with_capacity(self.idle.len());
        while let Some(slot) = self.idle.pop_front() {
            let rested = self.slots.get(slot).map(|place| now.since(place.since));
            let unused = self.rules.idle.is_some_and(|longest| rested >= Some(longest));
            let ready = kept.len() + self.idle.len();
            let reason = if self.live > self.rules.max {
                Some(Closed::Surplus)
            } else if unused && ready >= self.rules.min_idle {
                Some(Closed::Idle)
            } else {
                self.worn(slot, now)
            };
            match reason {
                Some(reason) => self.remove(slot, reason, effects),
                None => kept.push_back(slot),
            }
        }
        self.idle = kept;
    }

    fn find_leaks(&mut self, now: Time, effects: &mut Effects<T>) {
        let Some(threshold) = self.rules.leak_after else { return };
        for slot in &mut self.slots {
            if let Phase::Lent { at, by, reported: reported @ false } = &mut slot.phase {
                let held = now.since(*at);
                if held >= threshold {
                    *reported = true;
                    effects.more().leaks.push(Leak { held, by });
                }
            }
        }
    }

    /// Takes the idle object that most needs a check, if one does; one at a time, so that the others stay at hand.
    pub(crate) fn begin_inspection(&mut self, now: Time) -> Option<(usize, T)> {
        let every = self.rules.check_every.filter(|_| !self.paused)?;
        let due = |slot: &usize| {
            self.slots.get(*slot).is_some_and(|place| {
                now.since(place.checked) >= every
                    || self.suspect_since.is_some_and(|since| place.checked <= since)
            })
        };
        let at = self.idle.iter().position(due)?;
        let index = self.idle.remove(at)?;
        let place = self.slots.get_mut(index)?;
        place.phase = Phase::Busy;
        Some((index, place.object.take()?))
    }
}
