//! What several back ends need.
#![cfg_attr(
    not(all(feature = "nats", feature = "postgres", feature = "redis", feature = "sqlite")),
    allow(dead_code, reason = "no back end needs all of it")
)]

use std::time::Duration;

use buttress_core::{Clock, Key, Rejection, RejectionReason};

use crate::{Error, QueueConfig, Stats};

/// A stored key; it was checked when it was pushed.
pub(super) fn key(text: &str) -> Result<Key, Error> {
    Key::new(text).map_err(|error| Error::Corrupt { problem: format!("its key: {error}") })
}

/// The figures of a table: ready, leased, delayed, dead, and the age of the oldest ready job in milliseconds.
pub(super) fn stats([ready, leased, delayed, dead, oldest]: [i64; 5]) -> Stats {
    Stats::new(unsigned(ready), unsigned(leased), unsigned(delayed), unsigned(dead), unsigned(oldest))
}

/// Databases count with a sign, and what is counted has none.
pub(super) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The refusal of a back end that holds as many as `depth` allows.
pub(super) fn full(config: &QueueConfig, of: &str) -> Error {
    Error::Full {
        queue: config.name.clone(),
        full: format!("{} {of}; raise `depth`, or let workers catch up", config.depth),
        rejection: Rejection::new(RejectionReason::Full).after(Duration::from_secs(1)),
    }
}

/// Time of day in milliseconds since 1970, as back ends keep it.
pub(super) fn wall_ms(clock: &dyn Clock) -> i64 {
    let since = clock.wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
