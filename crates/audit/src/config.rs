//! Where a log is and how much it takes, as an operator writes it.

use std::path::PathBuf;
use std::time::Duration;

use buttress_core::{ByteSize, Validate, Violations, units};
use serde::{Deserialize, Serialize};

use crate::LONGEST_ENTRY;
use crate::segment::LONGEST_FRAME;

/// Where a log is and how much it takes.
///
/// | field | default | |
/// |---|---|---|
/// | `folder` | `"audit"` | the folder of the log; made if it is not there |
/// | `origin` | none | the name in checkpoints, a URL without a scheme; none: one made of the log's id. Taken when the log is made |
/// | `segment` | `"64MiB"` | a file is not begun anew before it is so large |
/// | `entry` | `"64KiB"` | the longest entry, encoded; at most 1 MiB |
/// | `group` | `"4MiB"` | the most that becomes durable at once; at most 16 MiB |
/// | `queue` | `"16MiB"` | entries that wait to be written; see `on_full` |
/// | `on_full` | `"block"` | what [`AuditSink`](crate::AuditSink) does with an event that finds no room: `block`, `spill` |
/// | `spill` | `"256MiB"` | the most that is spilled |
/// | `checkpoint_every` | `"1m"` | how long entries stay without seal and checkpoint |
/// | `checkpoint_entries` | 100000 | how many entries stay without seal and checkpoint |
/// | `keep` | none | how long segments are kept by [`retain`](crate::Log::retain); none: always |
/// | `keep_bytes` | none | how many bytes of segments are kept by it |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AuditConfig {
    /// The folder of the log.
    pub folder: PathBuf,
    /// The name in checkpoints; empty: one made of the log's id.
    pub origin: String,
    /// A file is not begun anew before it is so large.
    pub segment: ByteSize,
    /// The longest entry.
    pub entry: ByteSize,
    /// The most that becomes durable at once.
    pub group: ByteSize,
    /// Entries that wait to be written.
    pub queue: ByteSize,
    /// What a sink does with an event that finds no room.
    pub on_full: OnFull,
    /// The most that is spilled.
    pub spill: ByteSize,
    /// How long entries stay without seal and checkpoint.
    #[serde(with = "units::duration")]
    pub checkpoint_every: Duration,
    /// How many entries stay without seal and checkpoint.
    pub checkpoint_entries: u64,
    /// How long segments are kept.
    #[serde(with = "units::optional_duration")]
    pub keep: Option<Duration>,
    /// How many bytes of segments are kept.
    pub keep_bytes: Option<ByteSize>,
}

/// What a sink does with an event when the queue is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnFull {
    /// The thread that emits it waits until there is room, for as long as the disk is full or fails.
    #[default]
    Block,
    /// It goes to a file of its own, from which it is logged later. An event that finds no room there either is counted, written to the
    /// program's own log, and shown by the probe.
    Spill,
}

impl AuditConfig {
    /// The defaults, in this folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), ..Self::default() }
    }
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("audit"),
            origin: String::new(),
            segment: ByteSize::mib(64),
            entry: ByteSize::kib(64),
            group: ByteSize::mib(4),
            queue: ByteSize::mib(16),
            on_full: OnFull::Block,
            spill: ByteSize::mib(256),
            checkpoint_every: Duration::from_mins(1),
            checkpoint_entries: 100_000,
            keep: None,
            keep_bytes: None,
        }
    }
}

impl Validate for AuditConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let mut within = |field, value: ByteSize, least: u64, most: u64, remedy: &str| {
            wrong.require((least..=most).contains(&value.bytes()), field, value, remedy);
        };
        within(
            "entry",
            self.entry,
            4 << 10,
            LONGEST_ENTRY as u64,
            "must be from 4KiB to 1MiB; 64KiB is usual",
        );
        let group = LONGEST_FRAME as u64 - LONGEST_ENTRY as u64 - 4;
        within("group", self.group, 4 << 10, group, "must be from 4KiB to 14MiB; 4MiB is usual");
        within(
            "queue",
            self.queue,
            self.entry.bytes(),
            1 << 30,
            "must be from one entry to 1GiB; 16MiB is usual",
        );
        within("segment", self.segment, 4 << 10, 1 << 40, "must be from 4KiB to 1TiB; 64MiB is usual");
        within(
            "spill",
            self.spill,
            self.entry.bytes(),
            1 << 40,
            "must be from one entry to 1TiB; 256MiB is usual",
        );
        let every = self.checkpoint_every;
        let sensible = (Duration::from_millis(10)..=Duration::from_hours(24)).contains(&every);
        let shown = units::format_duration(every);
        wrong.require(sensible, "checkpoint_every", shown, "must be from 10ms to 1d; 1m is usual");
        wrong.require(
            self.checkpoint_entries > 0,
            "checkpoint_entries",
            0,
            "must be at least 1; 100000 is usual",
        );
        wrong.require(!self.folder.as_os_str().is_empty(), "folder", "\"\"", "must name a folder");
        wrong.into_result()
    }
}
