//! What a cache counts. Every metric has the label `cache`, the cache's name. All but the time of loads is told once a tick.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::tally::{Count, Totals};

/// Requests, by `outcome`: `hit`, `negative` (it was known that there is nothing), `stale`, `miss`.
pub const REQUESTS: &str = "buttress_cache_requests_total";
/// Entries put in, loaded or not.
pub const INSERTS: &str = "buttress_cache_inserts_total";
/// Loads, by `outcome`: `value`, `nothing`, `failed`, `refused` (as many as may be were under way).
pub const LOADS: &str = "buttress_cache_loads_total";
/// Loads in the background, of what could still be served.
pub const REFRESHES: &str = "buttress_cache_refreshes_total";
/// Callers that waited for the load of another.
pub const JOINED: &str = "buttress_cache_joined_total";
/// How long loads took.
pub const LOAD_TIME: &str = "buttress_cache_load_seconds";
/// Entries that went, by `reason`: `size`, `expired`, `idle`, `invalidated`, `removed`.
pub const EVICTIONS: &str = "buttress_cache_evictions_total";
/// Entries there are, those past their time that nobody has met included.
pub const ENTRIES: &str = "buttress_cache_entries";
/// What they weigh: bytes, or their number.
pub const WEIGHT: &str = "buttress_cache_weight";
/// What they may weigh.
pub const CAPACITY: &str = "buttress_cache_capacity";
/// Loads under way.
pub const LOADING: &str = "buttress_cache_loading";

/// Calls to the second tier, by `outcome`: `hit`, `miss`, `unreadable`, `done`, `failed`, `skipped` (it was left alone).
pub const TIER_CALLS: &str = "buttress_cache_tier_calls_total";
/// Whether the second tier is used, at the moment: 1, or 0 when it is left alone.
pub const TIER_UP: &str = "buttress_cache_tier_up";
/// News of other nodes.
pub const TIER_NEWS: &str = "buttress_cache_tier_news_total";
/// How often everything was dropped since news were not heard in time.
pub const TIER_LAPSES: &str = "buttress_cache_tier_lapses_total";

/// The label beside that of the cache, and its value.
type Label = Option<(&'static str, &'static str)>;

/// Which count goes to which counter.
const COUNTERS: [(Count, &str, Label); 16] = [
    (Count::Hit, REQUESTS, Some(("outcome", "hit"))),
    (Count::Negative, REQUESTS, Some(("outcome", "negative"))),
    (Count::Stale, REQUESTS, Some(("outcome", "stale"))),
    (Count::Miss, REQUESTS, Some(("outcome", "miss"))),
    (Count::Insert, INSERTS, None),
    (Count::Loaded, LOADS, Some(("outcome", "value"))),
    (Count::LoadedNothing, LOADS, Some(("outcome", "nothing"))),
    (Count::LoadFailed, LOADS, Some(("outcome", "failed"))),
    (Count::LoadRefused, LOADS, Some(("outcome", "refused"))),
    (Count::Refresh, REFRESHES, None),
    (Count::Joined, JOINED, None),
    (Count::EvictedSize, EVICTIONS, Some(("reason", "size"))),
    (Count::EvictedExpired, EVICTIONS, Some(("reason", "expired"))),
    (Count::EvictedIdle, EVICTIONS, Some(("reason", "idle"))),
    (Count::EvictedInvalidated, EVICTIONS, Some(("reason", "invalidated"))),
    (Count::EvictedRemoved, EVICTIONS, Some(("reason", "removed"))),
];

/// Handles, resolved once.
pub(crate) struct Metrics {
    counters: Vec<(Count, Counter)>,
    load_time: Histogram,
    entries: Gauge,
    weight: Gauge,
    capacity: Gauge,
    loading: Gauge,
}

impl Metrics {
    pub(crate) fn new(cache: &str) -> Self {
        describe_counter!(REQUESTS, "Requests, by outcome: hit, negative, stale, miss");
        describe_counter!(INSERTS, "Entries put in");
        describe_counter!(LOADS, "Loads, by outcome: value, nothing, failed, refused");
        describe_counter!(REFRESHES, "Loads in the background, of what could still be served");
        describe_counter!(JOINED, "Callers that waited for the load of another");
        describe_histogram!(LOAD_TIME, "Seconds that loads took");
        describe_counter!(EVICTIONS, "Entries that went, by reason");
        describe_gauge!(ENTRIES, "Entries there are");
        describe_gauge!(WEIGHT, "What the entries weigh: bytes, or their number");
        describe_gauge!(CAPACITY, "What the entries may weigh");
        describe_gauge!(LOADING, "Loads under way");
        let level = |name: &'static str| gauge!(name, "cache" => cache.to_owned());
        let counters = COUNTERS.map(|(count, name, label)| {
            let counter = if let Some((label, value)) = label {
                counter!(name, "cache" => cache.to_owned(), label => value)
            } else {
                counter!(name, "cache" => cache.to_owned())
            };
            (count, counter)
        });
        Self {
            counters: counters.into(),
            load_time: histogram!(LOAD_TIME, "cache" => cache.to_owned()),
            entries: level(ENTRIES),
            weight: level(WEIGHT),
            capacity: level(CAPACITY),
            loading: level(LOADING),
        }
    }

    /// Tells what was counted so far.
    pub(crate) fn counted(&self, totals: &Totals) {
        self.counters.iter().for_each(|(count, counter)| counter.absolute(totals.of(*count)));
    }

    pub(crate) fn level(&self, entries: usize, weight: u64, capacity: u64, loading: usize) {
        self.entries.set(entries as f64);
        self.weight.set(weight as f64);
        self.capacity.set(capacity as f64);
        self.loading.set(loading as f64);
    }

    pub(crate) fn loaded(&self, took: Duration) {
        self.load_time.record(took.as_secs_f64());
    }
}

/// What is counted of a second tier.
#[cfg(feature = "codec")]
pub(crate) struct TierMetrics {
    calls: [Counter; TIER_OUTCOMES.len()],
    up: Gauge,
    news: Counter,
    lapses: Counter,
}

/// How a call to the tier ended.
#[cfg(feature = "codec")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TierOutcome {
    Hit,
    Miss,
    Unreadable,
    Done,
    Failed,
    Skipped,
}

#[cfg(feature = "codec")]
const TIER_OUTCOMES: [&str; 6] = ["hit", "miss", "unreadable", "done", "failed", "skipped"];

#[cfg(feature = "codec")]
impl TierMetrics {
    pub(crate) fn new(cache: &str) -> Self {
        describe_counter!(TIER_CALLS, "Calls to the second tier, by outcome");
        describe_gauge!(TIER_UP, "Whether the second tier is used: 1, or 0 when it is left alone");
        describe_counter!(TIER_NEWS, "News of other nodes");
        describe_counter!(TIER_LAPSES, "How often everything was dropped since news were not heard in time");
        let up = gauge!(TIER_UP, "cache" => cache.to_owned());
        up.set(1.0);
        Self {
            calls: TIER_OUTCOMES
                .map(|outcome| counter!(TIER_CALLS, "cache" => cache.to_owned(), "outcome" => outcome)),
            up,
            news: counter!(TIER_NEWS, "cache" => cache.to_owned()),
            lapses: counter!(TIER_LAPSES, "cache" => cache.to_owned()),
        }
    }

    pub(crate) fn called(&self, outcome: TierOutcome) {
        if let Some(counter) = self.calls.get(outcome as usize) {
            counter.increment(1);
        }
    }

    pub(crate) fn up(&self, up: bool) {
        self.up.set(f64::from(u8::from(up)));
    }

    pub(crate) fn heard(&self) {
        self.news.increment(1);
    }

    pub(crate) fn lapsed(&self) {
        self.lapses.increment(1);
    }
}
