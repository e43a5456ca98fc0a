//! A decision on all entries that a request is about: all of them admit it, or nothing is consumed.

use std::time::Duration;

use super::Store;
use super::entry::Entry;
use super::held::Held;
use super::slot::{Logs, Slot};
use super::targets::{Identity, SUBJECTS, Target, Targets};
use crate::algorithm::{Nanos, Verdict};
use crate::decision::{Decision, Outcome, Quota};
use crate::fingerprint::Fingerprint;
use crate::metrics::Metrics;
use crate::penalty::{Penalties, Standing};
use crate::plan::{Part, Plan, Rules, Window};
use crate::view::View;
use crate::{Request, Subject};

/// What is asked of the store.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'p> {
    pub(crate) plan: &'p Plan,
    pub(crate) identity: &'p Identity,
    pub(crate) metrics: &'p Metrics,
    pub(crate) now: Nanos,
    /// Whether what is admitted is consumed; otherwise nothing changes.
    pub(crate) consume: bool,
    /// Whether a refusal is held against the caller.
    pub(crate) blame: bool,
}

impl<'p> Ask<'p> {
    /// The rules of a tier; one that is not there is counted.
    #[inline]
    fn tier(&self, name: Option<&str>) -> &'p Rules {
        let (rules, known) = self.plan.tier(name);
        if !known && self.consume {
            self.metrics.unknown_tier.increment(1);
        }
        rules
    }

    /// Most requests name one subject, whose limits are in one entry: which they are.
    #[inline]
    fn alone<'r>(&self, request: &Request<'r>) -> Option<(Subject<'r>, &'p Part)> {
        let (plan, tier) = (self.plan, self.tier(request.tier));
        if plan.limits_all || (request.route.is_some() && !plan.routes.is_empty()) {
            return None;
        }
        let (subject, rules) = match (request.user, request.api_key, request.ip) {
            (Some(user), None, None) => (Subject::User(user), tier),
            (None, Some(key), None) => (Subject::ApiKey(key), tier),
            (None, None, Some(address)) => (Subject::Ip(address), &plan.anonymous),
            _ => return None,
        };
        match &*rules.parts {
            [part] if rules.at_home => Some((subject, part)),
            _ => None,
        }
    }
}

/// For how many seconds which of the request's subjects were banned for it.
pub(crate) type Bans = [u32; SUBJECTS];

/// Is told of each limit that was looked at.
pub(crate) trait Windows {
    fn note(&mut self, window: &Window, verdict: &Verdict);
}

impl Windows for () {
    #[inline]
    fn note(&mut self, _: &Window, _: &Verdict) {}
}

/// A decision under way, at the time of a shard.
struct Step<'p> {
    ask: Ask<'p>,
    now: Nanos,
    cost: u32,
}

impl Step<'_> {
    /// What stands against an entry, apart from its limits.
    #[inline]
    fn standing(&self, penalties: Option<&Penalties>, entry: &impl Entry) -> Option<Decision> {
        match penalties?.standing(self.now, &entry.penalty()) {
            Standing::Good => None,
            Standing::Banned { lifted_after } => Some(Decision::Banned { retry_after: lifted_after }),
            Standing::Challenged { lifted_after } => Some(Decision::Challenge { retry_after: lifted_after }),
        }
    }

    /// Decides on an entry that no other goes with, and consumes what it admits. Tells for how many seconds the caller is banned.
    #[inline]
    fn decide(
        &self,
        part: &Part,
        entry: &mut impl Entry,
        logs: &mut Logs,
        ban: &mut u32,
        windows: &mut impl Windows,
    ) -> Decision {
        let penalties = self.ask.plan.penalties.as_ref();
        let blamed = penalties.filter(|_| self.ask.blame);
        if let Some(decision) = self.standing(penalties, entry) {
            if matches!(decision, Decision::Challenge { .. }) {
                *ban = blame(blamed, self.now, entry);
            }
            return decision;
        }
        let mut view = View::FREE;
        self.look(part, entry, logs, &mut view, windows);
        if view.allowed {
            self.take(part, entry.slots(), logs);
            return Decision::Admitted(view.quota);
        }
        *ban = blame(blamed, self.now, entry);
        Decision::Limited(view.quota)
    }

    /// What [`decide`](Step::decide) would say. Nothing changes.
    #[inline(never)]
    fn glance(
        &self,
        part: &Part,
        entry: &mut impl Entry,
        logs: &mut Logs,
        windows: &mut impl Windows,
    ) -> Decision {
        self.standing(self.ask.plan.penalties.as_ref(), entry).unwrap_or_else(|| {
            let mut view = View::FREE;
            self.look(part, entry, logs, &mut view, windows);
            if view.allowed { Decision::Admitted(view.quota) } else { Decision::Limited(view.quota) }
        })
    }

    /// What the limits of a part say.
    #[inline]
    fn look(
        &self,
        part: &Part,
        entry: &mut impl Entry,
        logs: &mut Logs,
        view: &mut View,
        windows: &mut impl Windows,
    ) {
        if self.ask.consume {
            entry.reshape(part, logs, &self.ask.plan.shapes);
            self.peek(part, entry.slots(), logs, view, windows);
        } else {
            // Whoever only looks leaves the entry as it is, also when it holds what other limits have counted.
            let mut copy = *entry;
            copy.pretend(part);
            self.peek(part, copy.slots(), logs, view, windows);
        }
    }

    #[inline]
    fn peek(
        &self,
        part: &Part,
        slots: &mut [Slot],
        logs: &mut Logs,
        view: &mut View,
        windows: &mut impl Windows,
    ) {
        for (slot, window) in slots.iter_mut().zip(&part.windows) {
            if let Some(window) = window {
                let verdict = slot.peek(&window.rule, logs, self.now, self.cost);
                view.add(window, &verdict);
                windows.note(window, &verdict);
            }
        }
    }

    #[inline]
    fn take(&self, part: &Part, slots: &mut [Slot], logs: &mut Logs) {
        for (slot, window) in slots.iter_mut().zip(&part.windows) {
            if let Some(window) = window {
                slot.take(&window.rule, logs, self.now, self.cost);
            }
        }
    }
}

/// Holds a refusal against a caller. Returns for how many seconds it is banned.
#[cold]
fn blame(penalties: Option<&Penalties>, now: Nanos, entry: &mut impl Entry) -> u32 {
    let Some(penalties) = penalties else { return 0 };
    let mut state = entry.penalty();
    let ban = penalties.violation(now, &mut state);
    entry.set_penalty(state);
    in_seconds(ban)
}

fn in_seconds(ban: Option<Duration>) -> u32 {
    ban.map_or(0, |ban| u32::try_from(ban.as_secs()).unwrap_or(u32::MAX))
}

impl<E: Entry> Store<E> {
    /// Decides, for a request that is not exempt.
    #[inline]
    pub(crate) fn decide(
        &self,
        ask: Ask<'_>,
        request: &Request<'_>,
        bans: &mut Bans,
        windows: &mut impl Windows,
    ) -> Decision {
        let Some((subject, part)) = ask.alone(request) else {
            return self.decide_many(ask, request, bans, windows);
        };
        let print = ask.identity.subject(subject, ask.plan);
        match &part.windows {
            [Some(window), None] if ask.consume && ask.plan.penalties.is_none() => {
                self.decide_limit(ask, print, part, window, request.cost, windows)
            }
            _ => self.decide_entry(ask, print, part, request.cost, bans, windows),
        }
    }

    /// Decides on one limit and nothing else. What is told of it is put together when the lock is free again.
    #[inline]
    fn decide_limit(
        &self,
        ask: Ask<'_>,
        print: Fingerprint,
        part: &Part,
        window: &Window,
        cost: u32,
        windows: &mut impl Windows,
    ) -> Decision {
        let Some(mut shard) = self.lock(self.index(print.place)) else { return Decision::FREE };
        let now = shard.at(ask.now);
        let verdict = shard.enter(print, now, self.rulebook(ask.plan), |entry, logs| {
            entry.reshape(part, logs, &ask.plan.shapes);
            entry.first().decide(&window.rule, logs, now, cost)
        });
        shard.count(if verdict.allowed { Outcome::Admitted } else { Outcome::Limited }, ask.metrics, now);
        drop(shard);
        windows.note(window, &verdict);
        let quota = Quota::of(window, &verdict);
        if verdict.allowed { Decision::Admitted(quota) } else { Decision::Limited(quota) }
    }

    /// Decides on one entry.
    #[inline]
    fn decide_entry(
        &self,
        ask: Ask<'_>,
        print: Fingerprint,
        part: &Part,
        cost: u32,
        bans: &mut Bans,
        windows: &mut impl Windows,
    ) -> Decision {
        let Some(mut shard) = self.lock(self.index(print.place)) else { return Decision::FREE };
        let now = shard.at(ask.now);
        let (step, book) = (Step { ask, now, cost }, self.rulebook(ask.plan));
        if !ask.consume {
            return shard
                .touch(print, now, book, false, |entry, logs| step.glance(part, entry, logs, windows));
        }
        let [ban, ..] = bans;
        let decision =
            shard.enter(print, now, book, |entry, logs| step.decide(part, entry, logs, ban, windows));
        shard.count(decision.outcome(), ask.metrics, now);
        decision
    }

    /// Decides on all entries of the request together. All shards are locked that they are in.
    #[inline(never)]
    fn decide_many(
        &self,
        ask: Ask<'_>,
        request: &Request<'_>,
        bans: &mut Bans,
        windows: &mut impl Windows,
    ) -> Decision {
        let targets = Targets::of(request, ask.plan, ask.identity);
        let mut locked = self.lock_all(&targets);
        let now = locked.at(ask.now);
        let step = Step { ask, now, cost: ask.plan.cost(request, request.cost) };
        let decision = self.decide_locked(&step, &targets, &mut locked, bans, windows);
        if ask.consume
            && let Some(shard) = locked.first()
        {
            shard.count(decision.outcome(), ask.metrics, now);
        }
        decision
    }

    fn decide_locked(
        &self,
        step: &Step<'_>,
        targets: &Targets<'_>,
        locked: &mut Held<'_, E>,
        bans: &mut Bans,
        windows: &mut impl Windows,
    ) -> Decision {
        let (plan, book, consume) = (step.ask.plan, self.rulebook(step.ask.plan), step.ask.consume);
        let penalties = plan.penalties.as_ref();
        let blamed = penalties.filter(|_| step.ask.blame);
        let mut hold_against = |locked: &mut Held<'_, E>, subjects: [bool; SUBJECTS]| {
            for target in targets.iter().filter(|target| target.keeps_penalty && target.is_of(subjects)) {
                let ban = locked
                    .touch(self, target, step.now, book, consume, |entry, _| blame(blamed, step.now, entry));
                if let Some(place) = target.subject.and_then(|subject| bans.get_mut(usize::from(subject))) {
                    *place = ban;
                }
            }
        };
        // The worst that stands against any of the subjects: a ban, the longer one, or a challenge.
        let (mut against, mut challenged) = (None, [false; SUBJECTS]);
        for target in targets.iter().filter(|target| target.keeps_penalty) {
            let standing = locked
                .touch(self, target, step.now, book, consume, |entry, _| step.standing(penalties, entry));
            if let Some(standing) = standing {
                mark(&mut challenged, target, matches!(standing, Decision::Challenge { .. }));
                against = Some(worse(against, standing));
            }
        }
        if let Some(decision) = against {
            if matches!(decision, Decision::Challenge { .. }) {
                hold_against(locked, challenged);
            }
            return decision;
        }
        let (mut view, mut refused) = (View::FREE, [false; SUBJECTS]);
        for target in targets.iter() {
            let mut own = View::FREE;
            locked.touch(self, target, step.now, book, consume, |entry, logs| {
                step.look(target.part, entry, logs, &mut own, &mut Both(&mut view, windows));
            });
            mark(&mut refused, target, !own.allowed);
        }
        if !view.allowed {
            hold_against(locked, refused);
            return Decision::Limited(view.quota);
        }
        if consume {
            for target in targets.iter() {
                locked.touch(self, target, step.now, book, true, |entry, logs| {
                    // It is as it was, unless room had to be made for another of the same request.
                    entry.reshape(target.part, logs, book.shapes);
                    step.take(target.part, entry.slots(), logs);
                });
            }
        }
        Decision::Admitted(view.quota)
    }

    /// Gives back what a request has consumed.
    pub(crate) fn refund(&self, ask: Ask<'_>, request: &Request<'_>, cost: u32) {
        let targets = Targets::of(request, ask.plan, ask.identity);
        let cost = ask.plan.cost(request, cost);
        let mut locked = self.lock_all(&targets);
        let now = locked.at(ask.now);
        for target in targets.iter() {
            let Some(shard) = locked.shard(self.index(target.print.place)) else { continue };
            shard.with(target.print, |entry, logs| {
                if entry.shape() == target.part.shape {
                    for (slot, window) in entry.slots().iter_mut().zip(&target.part.windows) {
                        if let Some(window) = window {
                            slot.refund(&window.rule, logs, now, cost);
                        }
                    }
                }
            });
        }
    }
}

impl Decision {
    /// Where nothing limits.
    const FREE: Self = Self::Admitted(Quota::UNLIMITED);
}

impl Target<'_> {
    fn is_of(&self, subjects: [bool; SUBJECTS]) -> bool {
        let subject = self.subject.and_then(|subject| subjects.get(usize::from(subject)));
        subject.is_some_and(|marked| *marked)
    }
}

fn mark(subjects: &mut [bool; SUBJECTS], target: &Target<'_>, marked: bool) {
    if let Some(place) = target.subject.and_then(|subject| subjects.get_mut(usize::from(subject))) {
        *place |= marked;
    }
}

fn worse(known: Option<Decision>, other: Decision) -> Decision {
    let rank = |decision: &Decision| (matches!(decision, Decision::Banned { .. }), decision.retry_after());
    match known {
        Some(known) if rank(&known) >= rank(&other) => known,
        _ => other,
    }
}

/// The view of one target, and that of all.
struct Both<'a, W>(&'a mut View, &'a mut W);

impl<W: Windows> Windows for Both<'_, W> {
    fn note(&mut self, window: &Window, verdict: &Verdict) {
        self.0.add(window, verdict);
        self.1.note(window, verdict);
    }
}
