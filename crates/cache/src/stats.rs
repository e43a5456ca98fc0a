//! What a cache looks like from outside, and whether it does any good.

use std::collections::VecDeque;

use serde::Serialize;

use crate::tally::{Count, Totals};
use crate::tick::Tick;

/// A cache at one moment. Counts are since it was made, and exact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Requests that got a fresh value.
    pub hits: u64,
    /// Requests that were told at once that there is nothing.
    pub negative: u64,
    /// Requests that got a value past its time.
    pub stale: u64,
    /// Requests for which there was nothing to serve.
    pub misses: u64,
    /// Loads that were done, whatever they brought.
    pub loads: u64,
    /// Loads that failed.
    pub failed: u64,
    /// Loads in the background, of what could still be served.
    pub refreshes: u64,
    /// Callers that waited for the load of another.
    pub joined: u64,
    /// Loads under way.
    pub loading: usize,
    /// Entries that went to make room.
    pub evicted: u64,
    /// Entries there are, those past their time that nobody has met included.
    pub entries: usize,
    /// What they weigh: bytes, or their number.
    pub weight: u64,
    /// Tags known.
    pub tags: usize,
}

impl Stats {
    pub(crate) fn counted(totals: &Totals) -> Self {
        let of = |count| totals.of(count);
        Self {
            hits: of(Count::Hit),
            negative: of(Count::Negative),
            stale: of(Count::Stale),
            misses: of(Count::Miss),
            loads: of(Count::Loaded) + of(Count::LoadedNothing) + of(Count::LoadFailed),
            failed: of(Count::LoadFailed),
            refreshes: of(Count::Refresh),
            joined: of(Count::Joined),
            loading: 0,
            evicted: of(Count::EvictedSize),
            entries: 0,
            weight: 0,
            tags: 0,
        }
    }

    /// The part of the requests that could be served from the cache; 0 of none.
    #[must_use]
    pub fn hit_ratio(&self) -> f64 {
        let served = self.hits + self.negative + self.stale;
        let all = served + self.misses;
        if all == 0 { 0.0 } else { served as f64 / all as f64 }
    }
}

/// The counts of the last while: a few moments, the oldest of them as old as the window or a little older.
#[derive(Debug)]
pub(crate) struct Window {
    moments: VecDeque<(Tick, Totals)>,
    length: u32,
}

/// Moments that are kept; more than one in a sixteenth of the window says nothing new.
const MOMENTS: u32 = 16;

impl Window {
    pub(crate) fn new(length: u32) -> Self {
        Self { moments: VecDeque::from([(Tick::new(0), Totals::default())]), length: length.max(1) }
    }

    pub(crate) fn note(&mut self, now: Tick, totals: Totals) {
        let due = self.moments.back().is_none_or(|(last, _)| now.since(*last) >= self.length / MOMENTS);
        if due {
            self.moments.push_back((now, totals));
        }
        // The second oldest is old enough to do for the oldest.
        while self.moments.get(1).is_some_and(|(second, _)| now.since(*second) >= self.length) {
            self.moments.pop_front();
        }
    }

    /// Requests in the window, and which part of them was served.
    pub(crate) fn ratio(&self, totals: &Totals) -> (u64, f64) {
        let oldest = self.moments.front().map_or_else(Totals::default, |(_, totals)| *totals);
        let since = totals.since(&oldest);
        let requests = since.requests();
        (requests, if requests == 0 { 0.0 } else { since.served() as f64 / requests as f64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Tally;

    #[test]
    fn the_window_forgets_what_is_older_and_stays_small() {
        let (tally, mut window) = (Tally::default(), Window::new(1600));
        for now in 0..10_000_u64 {
            tally.note(if now < 5_000 { Count::Miss } else { Count::Hit });
            window.note(Tick::new(now), tally.totals());
            assert!(window.moments.len() <= 20, "{}", window.moments.len());
        }
        let (requests, ratio) = window.ratio(&tally.totals());
        assert!((1600..=1800).contains(&requests), "{requests}");
        assert!((ratio - 1.0).abs() < 1e-9, "{ratio}");
    }
}
