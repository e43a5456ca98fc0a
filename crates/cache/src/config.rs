//! How large a cache is, how long its entries live, and what it does when they are past their time.

use std::time::Duration;

use buttress_core::{ByteSize, Validate, Violations, units};
use serde::{Deserialize, Serialize};

use crate::engine::EngineKind;
use crate::tick::Tick;

/// How large a cache is, how long its entries live, and what it does when they are past their time.
///
/// | field | default | |
/// |---|---|---|
/// | `name` | `"cache"` | in metrics, errors and probes |
/// | `engine` | `"duel"` | or `"quick_cache"`, `"moka"`, `"lru"`: see [`EngineKind`] |
/// | `capacity` | 10000 | entries; with `bytes`, about how many are expected |
/// | `bytes` | – | room for so many bytes instead, as the weigher counts them |
/// | `ttl` | `"5m"` | how long an entry is fresh; none: for ever |
/// | `jitter` | 0.1 | up to this part of its lifetime is taken off each, so that entries do not end together |
/// | `idle` | – | an entry that nobody asked for so long is gone |
/// | `negative` | `"10s"` | how long it is remembered that there is nothing |
/// | `stale` | `"0s"` | for so long after its time a value is served while it is loaded anew in the background |
/// | `fail_safe` | `"0s"` | for so long after its time a value is served when loading it anew failed |
/// | `retry` | `"1s"` | after a load failed for which a value could be served: how long until the next |
/// | `early` | 1.0 | how eagerly values are loaded before their time (the β of `XFetch`); 0: never |
/// | `load_within` | `"30s"` | limit of one load |
/// | `loads` | 1024 | loads at once; a caller whose load would be one more is refused |
/// | `tags` | 10000 | tags in use |
/// | `tags_per_entry` | 8 | tags of one entry |
/// | `sweep` | `"1m"` | within so long what is past its time is found and makes room |
/// | `tick` | `"1s"` | how often metrics are told |
/// | `alert_below` | 0.0 | a hit ratio under this is worth a warning; 0: none is |
/// | `alert_requests` | 1000 | but only of so many requests or more |
/// | `alert_window` | `"1m"` | in the last so long |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CacheConfig {
    /// In metrics, errors and probes.
    pub name: String,
    /// What keeps the entries.
    pub engine: EngineKind,
    /// Entries, or about how many are expected in `bytes`.
    pub capacity: usize,
    /// Room for so many bytes, as the weigher counts them.
    pub bytes: Option<ByteSize>,
    /// How long an entry is fresh.
    #[serde(with = "units::optional_duration")]
    pub ttl: Option<Duration>,
    /// The part of its lifetime that may be taken off.
    pub jitter: f64,
    /// An entry that nobody asked for so long is gone.
    #[serde(with = "units::optional_duration")]
    pub idle: Option<Duration>,
    /// How long it is remembered that there is nothing.
    #[serde(with = "units::duration")]
    pub negative: Duration,
    /// For so long after its time a value is served while it is loaded anew.
    #[serde(with = "units::duration")]
    pub stale: Duration,
    /// For so long after its time a value is served when loading failed.
    #[serde(with = "units::duration")]
    pub fail_safe: Duration,
    /// How long until the next try, when there is something to serve.
    #[serde(with = "units::duration")]
    pub retry: Duration,
    /// How eagerly values are loaded before their time.
    pub early: f64,
    /// Limit of one load.
    #[serde(with = "units::duration")]
    pub load_within: Duration,
    /// Loads at once.
    pub loads: usize,
    /// Tags in use.
    pub tags: usize,
    /// Tags of one entry.
    pub tags_per_entry: usize,
    /// Within so long what is past its time is found.
    #[serde(with = "units::duration")]
    pub sweep: Duration,
    /// How often metrics are told.
    #[serde(with = "units::duration")]
    pub tick: Duration,
    /// A hit ratio under this is worth a warning.
    pub alert_below: f64,
    /// Of so many requests or more.
    pub alert_requests: u64,
    /// In the last so long.
    #[serde(with = "units::duration")]
    pub alert_window: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            name: "cache".to_owned(),
            engine: EngineKind::default(),
            capacity: 10_000,
            bytes: None,
            ttl: Some(Duration::from_mins(5)),
            jitter: 0.1,
            idle: None,
            negative: Duration::from_secs(10),
            stale: Duration::ZERO,
            fail_safe: Duration::ZERO,
            retry: Duration::from_secs(1),
            early: 1.0,
            load_within: Duration::from_secs(30),
            loads: 1024,
            tags: 10_000,
            tags_per_entry: 8,
            sweep: Duration::from_mins(1),
            tick: Duration::from_secs(1),
            alert_below: 0.0,
            alert_requests: 1000,
            alert_window: Duration::from_mins(1),
        }
    }
}

/// Less than two ticks cannot be told from nothing.
const SHORTEST: Duration = Duration::from_millis(20);

impl Validate for CacheConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let name = (1..=64).contains(&self.name.len()) && self.name.chars().all(sign);
        let quoted = format!("\"{}\"", self.name);
        wrong.require(name, "name", quoted, "must be 1 to 64 letters, digits, `-` and `_`");
        let room = 1..=1_000_000_000;
        wrong.require(
            room.contains(&self.capacity),
            "capacity",
            self.capacity,
            "must be 1 to 1000000000; 10000 is usual",
        );
        let bytes = self.bytes.unwrap_or(ByteSize::mib(1));
        wrong.require(
            (1 << 10..1 << 50).contains(&bytes.bytes()),
            "bytes",
            bytes,
            "must be \"1KiB\" to \"1PiB\"; leave it out to count entries",
        );
        let fraction = (0.0..=0.9).contains(&self.jitter);
        wrong.require(fraction, "jitter", self.jitter, "must be 0.0 to 0.9; 0.1 is usual");
        let eager = (0.0..=100.0).contains(&self.early);
        wrong.require(eager, "early", self.early, "must be 0.0 to 100.0; 1.0 is usual");
        let ratio = (0.0..=1.0).contains(&self.alert_below);
        wrong.require(ratio, "alert_below", self.alert_below, "must be 0.0 to 1.0; 0.0 never warns");
        wrong.require(
            (1..=1_000_000).contains(&self.loads),
            "loads",
            self.loads,
            "must be 1 to 1000000; 1024 is usual",
        );
        wrong.require(self.tags <= 10_000_000, "tags", self.tags, "must be at most 10000000; 10000 is usual");
        let few = self.tags_per_entry <= 64;
        wrong.require(few, "tags_per_entry", self.tags_per_entry, "must be at most 64; 8 is usual");
        self.check_times(&mut wrong);
        wrong.into_result()
    }
}

impl CacheConfig {
    fn check_times(&self, wrong: &mut Violations) {
        let shown = units::format_duration;
        let usual = Self::default();
        for (field, value) in [("ttl", self.ttl), ("idle", self.idle)] {
            let value = value.unwrap_or(Tick::LONGEST);
            let holds = (SHORTEST..=Tick::LONGEST).contains(&value);
            wrong.require(
                holds,
                field,
                shown(value),
                "must be \"20ms\" to \"180d\"; leave it out for no limit",
            );
        }
        for (field, value, least, usual) in [
            ("negative", self.negative, Duration::ZERO, usual.negative),
            ("stale", self.stale, Duration::ZERO, usual.stale),
            ("fail_safe", self.fail_safe, Duration::ZERO, usual.fail_safe),
            ("retry", self.retry, SHORTEST, usual.retry),
            ("load_within", self.load_within, Duration::from_millis(1), usual.load_within),
            ("sweep", self.sweep, SHORTEST, usual.sweep),
            ("tick", self.tick, SHORTEST, usual.tick),
            ("alert_window", self.alert_window, SHORTEST, usual.alert_window),
        ] {
            let holds = (least..=Tick::LONGEST).contains(&value);
            let remedy = format!("must be \"{}\" to \"180d\"; \"{}\" is usual", shown(least), shown(usual));
            wrong.require(holds, field, shown(value), remedy);
        }
        let age = self.ttl.unwrap_or_default() + self.stale.max(self.fail_safe);
        let remedy = "`ttl`, and `stale` or `fail_safe` after it, must be at most \"180d\" together";
        wrong.require(age <= Tick::LONGEST, "ttl", shown(age), remedy);
    }
}
