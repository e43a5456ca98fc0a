//! A sliding window that knows every request in it.

use std::collections::VecDeque;
use std::time::Duration;

use super::{NEVER, Nanos, Rule, Verdict, left, window};

/// `quota` in any window, exactly: a request counts from when it was admitted until a window later.
///
/// It remembers when each was admitted, those of one time together: up to `quota` times of 16 bytes for each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlidingLog {
    quota: u32,
    window: Nanos,
}

/// What [`SlidingLog`] remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogState {
    /// When something was admitted, and how much; times ascend.
    entries: VecDeque<(Nanos, u32)>,
    /// The sum of it.
    used: u64,
    /// The first entry and the time of the last, so that a refusal, which changes nothing, needs to read no entry: with many keys each
    /// would have to come from memory.
    first: (Nanos, u32),
    newest: Nanos,
}

impl LogState {
    /// The memory it holds beside its own size, in bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<(Nanos, u32)>()
    }

    /// What was admitted first, and last, of what still counted when the state was settled; and how much there is of it.
    #[inline]
    pub(crate) fn span(&self) -> (Nanos, Nanos, u64) {
        (self.first.0, self.newest, self.used)
    }

    /// The ends have changed.
    fn note_ends(&mut self) {
        self.first = self.entries.front().copied().unwrap_or_default();
        self.newest = self.entries.back().map_or(0, |&(at, _)| at);
    }
}

impl SlidingLog {
    /// `quota` in any `window`. A `quota` of zero admits nothing.
    #[must_use]
    pub fn new(quota: u32, per: Duration) -> Self {
        Self { quota, window: window(per) }
    }

    /// What was admitted now counts, and what would be in times to come if the clock had not been set back.
    #[inline]
    fn counts(&self, now: Nanos, at: Nanos) -> bool {
        now.checked_sub(at).is_none_or(|age| age < self.window)
    }

    /// Whether the clock was set back by more than a window.
    #[inline]
    fn is_ahead(&self, now: Nanos, state: &LogState) -> bool {
        state.newest.saturating_sub(now) > self.window
    }

    /// Refuses one more, from no more than a [span](LogState::span): where the quota is used up, to the last one, by what still counts.
    /// Nothing otherwise; then the log has to be asked.
    #[inline]
    pub(crate) fn refuse_one(
        &self,
        now: Nanos,
        (first, newest, used): (Nanos, Nanos, u64),
    ) -> Option<Verdict> {
        let age = now.checked_sub(first)?;
        if used == 0 || used != u64::from(self.quota) || age >= self.window {
            return None;
        }
        // The first is one at least, so one is free when it is gone.
        let (retry_after, reset_after) =
            (self.window - age, newest.saturating_add(self.window).saturating_sub(now));
        Some(Verdict { allowed: false, remaining: 0, retry_after, reset_after })
    }

    /// A small part of the window, in which times may be reckoned that are at most two windows.
    #[inline]
    pub(crate) fn tick(&self) -> Nanos {
        (self.window >> 17) + 1
    }

    /// When enough is forgotten for `cost`.
    fn retry_after(&self, now: Nanos, state: &LogState, mut used: u64, cost: u32) -> Nanos {
        let Some(room) = self.quota.checked_sub(cost) else { return NEVER };
        let gone = |at: Nanos| at.saturating_add(self.window).saturating_sub(now);
        let (first, freed) = state.first;
        if self.counts(now, first) && used.saturating_sub(freed.into()) <= u64::from(room) {
            return gone(first);
        }
        for &(at, cost) in state.entries.iter().skip_while(|(at, _)| !self.counts(now, *at)) {
            used -= u64::from(cost);
            if used <= u64::from(room) {
                return gone(at);
            }
        }
        0
    }
}

impl Rule for SlidingLog {
    type State = LogState;

    #[inline]
    fn settle(&self, now: Nanos, state: &mut LogState) {
        if state.used > 0 && !self.counts(now, state.first.0) {
            while let Some(&(at, cost)) = state.entries.front() {
                if self.counts(now, at) {
                    break;
                }
                state.used -= u64::from(cost);
                state.entries.pop_front();
            }
            state.note_ends();
        }
        // Set back by more than a window: what is there counts from now on.
        if self.is_ahead(now, state) {
            state.entries.clear();
            state.used = u64::from(self.quota);
            state.entries.push_back((now, self.quota));
            state.note_ends();
        }
    }

    #[inline]
    fn peek(&self, now: Nanos, state: &LogState, cost: u32) -> Verdict {
        if self.is_ahead(now, state) {
            let mut settled = state.clone();
            self.settle(now, &mut settled);
            return self.peek(now, &settled, cost);
        }
        let used = if state.used == 0 || self.counts(now, state.first.0) {
            state.used
        } else {
            let past = state.entries.iter().take_while(|(at, _)| !self.counts(now, *at));
            state.used - past.map(|&(_, cost)| u64::from(cost)).sum::<u64>()
        };
        let allowed = used + u64::from(cost) <= u64::from(self.quota);
        let (taken, retry_after) =
            if allowed { (cost, 0) } else { (0, self.retry_after(now, state, used, cost)) };
        let used = used + u64::from(taken);
        let newest = if taken > 0 { state.newest.max(now) } else { state.newest };
        let reset_after = if used == 0 { 0 } else { newest.saturating_add(self.window).saturating_sub(now) };
        Verdict { allowed, remaining: left(self.quota, used), retry_after, reset_after }
    }

    #[inline]
    fn take(&self, now: Nanos, state: &mut LogState, cost: u32) {
        self.settle(now, state);
        if cost == 0 {
            return;
        }
        state.used += u64::from(cost);
        match state.entries.back_mut() {
            // Times ascend, also when the clock was set back.
            Some((at, count)) if *at >= now => *count = count.saturating_add(cost),
            _ => {
                state.entries.push_back((now, cost));
                state.newest = now;
            }
        }
        if state.entries.len() == 1 {
            state.note_ends();
        }
    }

    fn refund(&self, now: Nanos, state: &mut LogState, mut cost: u32) {
        self.settle(now, state);
        while let Some((_, count)) = state.entries.back_mut() {
            let back = cost.min(*count);
            *count -= back;
            cost -= back;
            state.used -= u64::from(back);
            if *count > 0 {
                break;
            }
            state.entries.pop_back();
        }
        state.note_ends();
    }
}
