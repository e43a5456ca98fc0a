//! Where a queue is, and how it treats its jobs.

use std::path::Path;
use std::time::Duration;

use buttress_connect::{Address, ConnectionConfig};
use buttress_core::{ByteSize, Validate, Violations, units};
use serde::{Deserialize, Serialize};

/// Where a queue is, and how it treats its jobs. All who use a queue use the same `name`, `depth` and `lease`.
///
/// | field | default | |
/// |---|---|---|
/// | `url` | `"sqlite:queue.db"` | `sqlite:…`, `postgres://…`, `redis://…` or `nats://…`; see [`Address`] |
/// | `name` | `"jobs"` | the queue's name; a server holds many |
/// | `depth` | 100000 | jobs that may be unfinished, and as many dead letters; past either, a push is refused |
/// | `payload` | 64KiB | the largest payload |
/// | `lease` | `"1m"` | how long a claimed job is its claimer's; extended while the work goes on |
/// | `attempts` | 5 | how often a job is given out before it is a dead letter |
/// | `retry_first` | `"1s"` | the wait before the second attempt; it doubles with each |
/// | `retry_most` | `"5m"` | the longest wait |
/// | `poll` | `"500ms"` | how often an idle worker looks for a job |
/// | `connection` | | see [`ConnectionConfig`] |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct QueueConfig {
    /// Which back end, and where.
    pub url: Address,
    /// The queue's name; a server holds many.
    pub name: String,
    /// Jobs that may be unfinished, and as many dead letters.
    pub depth: u64,
    /// The largest payload.
    pub payload: ByteSize,
    /// How long a claimed job is its claimer's.
    #[serde(with = "units::duration")]
    pub lease: Duration,
    /// How often a job is given out before it is a dead letter.
    pub attempts: u32,
    /// The wait before the second attempt.
    #[serde(with = "units::duration")]
    pub retry_first: Duration,
    /// The longest wait.
    #[serde(with = "units::duration")]
    pub retry_most: Duration,
    /// How often an idle worker looks for a job.
    #[serde(with = "units::duration")]
    pub poll: Duration,
    /// How the server is spoken to.
    pub connection: ConnectionConfig,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            url: Address::sqlite(Path::new("queue.db")),
            name: "jobs".to_owned(),
            depth: 100_000,
            payload: ByteSize::kib(64),
            lease: Duration::from_mins(1),
            attempts: 5,
            retry_first: Duration::from_secs(1),
            retry_most: Duration::from_mins(5),
            poll: Duration::from_millis(500),
            connection: ConnectionConfig::default(),
        }
    }
}

impl Validate for QueueConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let name = (1..=32).contains(&self.name.len()) && self.name.chars().all(sign);
        let quoted = format!("\"{}\"", self.name);
        wrong.require(name, "name", quoted, "must be 1 to 32 letters, digits, `-` and `_`");
        let depth = (1..=100_000_000).contains(&self.depth);
        wrong.require(depth, "depth", self.depth, "must be 1 to 100000000; 100000 is usual");
        let payload = (1..=512 << 10).contains(&self.payload.bytes());
        wrong.require(
            payload,
            "payload",
            self.payload,
            "must be at most \"512KiB\"; keep what is larger in a blob",
        );
        let lease = (Duration::from_millis(100)..=Duration::from_hours(12)).contains(&self.lease);
        let shown = units::format_duration;
        wrong.require(lease, "lease", shown(self.lease), "must be \"100ms\" to \"12h\"; \"1m\" is usual");
        let attempts = (1..=1000).contains(&self.attempts);
        wrong.require(attempts, "attempts", self.attempts, "must be 1 to 1000; 5 is usual");
        let ordered = self.retry_first <= self.retry_most;
        wrong.require(
            ordered,
            "retry_first",
            shown(self.retry_first),
            "must not be longer than `retry_most`",
        );
        let most = self.retry_most <= Duration::from_hours(24);
        wrong.require(most, "retry_most", shown(self.retry_most), "must be at most \"1d\"; \"5m\" is usual");
        let poll = (Duration::from_millis(10)..=Duration::from_mins(1)).contains(&self.poll);
        wrong.require(poll, "poll", shown(self.poll), "must be \"10ms\" to \"1m\"; \"500ms\" is usual");
        wrong.nest("connection", &self.connection);
        wrong.into_result()
    }
}
