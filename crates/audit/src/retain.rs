//! Retention: whole segments are dropped from the front, and an entry says so. Their hashes stay, so that proofs still hold.

use std::time::SystemTime;

use buttress_core::Outcome;

use crate::log::Shared;
use crate::{Entry, Error, Log, SegmentInfo, Value};

/// The action of the entry that says what was dropped.
pub const RETAIN: &str = "audit.retain";

/// What retention did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Retained {
    /// How many segments were dropped.
    pub segments: u64,
    /// The sequence of the first entry that is kept.
    pub first: u64,
}

/// The number of the first segment that is kept, if the entry says that others were dropped.
pub(crate) fn kept_from(entry: &Entry) -> Option<u64> {
    if entry.action != RETAIN || entry.outcome != Outcome::Success {
        return None;
    }
    match entry.data.get("segment") {
        Some(Value::Int(number)) => u64::try_from(*number).ok(),
        _ => None,
    }
}

impl Log {
    /// Drops segments that are older than `keep`, and the oldest while all are over `keep_bytes`; without either, none. The segment that
    /// is written to and the one before it are never dropped.
    ///
    /// That it happens is an entry of its own ([`RETAIN`]), sealed and signed before the first file is gone. Their hashes stay: 64 bytes
    /// an entry.
    pub async fn retain(&self) -> Result<Retained, Error> {
        let shared = self.shared();
        let segments = self.reader()?.segments()?;
        let drop = expired(shared, &segments);
        let Some(kept) = segments.get(drop).filter(|_| drop > 0) else {
            return Ok(Retained { segments: 0, first: segments.first().map_or(0, |segment| segment.first) });
        };
        let number = |value: u64| Value::Int(i64::try_from(value).unwrap_or(i64::MAX));
        let entry = Entry::new(shared.ctx.clock.wall(), RETAIN, Outcome::Success)
            .actor("audit")
            .with("first", number(kept.first))
            .with("segment", number(kept.number));
        self.append(&entry).await?;
        self.checkpoint().await?;
        let layout = shared.layout.clone();
        let gone: Vec<u64> = segments.iter().take(drop).map(|segment| segment.number).collect();
        let removing = tokio::task::spawn_blocking(move || {
            // From the oldest on: a crash leaves no hole.
            for number in gone {
                let path = layout.segment(number);
                std::fs::remove_file(&path).map_err(Error::disk("remove", &path))?;
            }
            Ok::<(), Error>(())
        });
        removing.await.map_err(|_| Error::Closed)??;
        shared.metrics.dropped.increment(drop as u64);
        Ok(Retained { segments: drop as u64, first: kept.first })
    }
}

/// How many from the front.
fn expired(shared: &Shared, segments: &[SegmentInfo]) -> usize {
    let config = &shared.config;
    let oldest = config.keep.and_then(|keep| shared.ctx.clock.wall().checked_sub(keep));
    let mut bytes: u64 = segments.iter().filter_map(|segment| segment.bytes).sum();
    let droppable = segments.len().saturating_sub(2);
    let mut over = |segment: &SegmentInfo| {
        let old = |(_, latest): (SystemTime, SystemTime)| oldest.is_some_and(|oldest| latest < oldest);
        let much = config.keep_bytes.is_some_and(|most| bytes > most.bytes());
        let over = much || segment.times.is_some_and(old);
        bytes = bytes.saturating_sub(segment.bytes.unwrap_or(0));
        over
    };
    segments.iter().take(droppable).take_while(|segment| over(segment)).count()
}
