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

/// Which count goes to which counter.
const COUNTERS: [(Count, &str, Option<(&str, &str)>); 16] = [
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
            let counter = match label {
                Some((label, value)) => counter!(name, "cache" => cache.to_owned(), label => value),
                None => counter!(name, "cache" => cache.to_owned()),
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
