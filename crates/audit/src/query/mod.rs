//! Finding entries: one [`Filter`], which means the same to the log and to the databases that follow it.
//!
//! ```
//! use buttress_audit::query::{Filter, page};
//! # use buttress_audit::Record;
//! # fn records_from(first: u64) -> Vec<Result<Record, buttress_audit::Error>> { Vec::new() }
//! let filter = Filter { action: Some("secret.".to_owned()), actor: Some("ada".to_owned()), ..Filter::default() };
//! let mut first = 0;
//! loop {
//!     let found = page(records_from(first), &filter, 100)?;
//!     for record in &found.records {
//!         assert!(record.entry.action.starts_with("secret."));
//!     }
//!     let Some(next) = found.next else { break };
//!     first = next;
//! }
//! # Ok::<(), buttress_audit::Error>(())
//! ```

mod find;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) mod sql;

use std::time::SystemTime;

use buttress_core::{Outcome, units};

pub use self::find::{Found, find};
use crate::subject::SubjectId;
use crate::{Entry, Error, Record, Value, time};

/// What is looked for: all that is given has to fit. Texts are compared as they are written in the log, so that a field
/// that was sealed for a subject is found by [`subject`](Filter::subject) alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Who did it.
    pub actor: Option<String>,
    /// How the action begins: `"secret."` for all that was done to secrets.
    pub action: Option<String>,
    /// What it was done to.
    pub target: Option<String>,
    /// Whose data it was.
    pub tenant: Option<String>,
    /// The request it belongs to.
    pub request_id: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// For whom a field was sealed.
    pub subject: Option<SubjectId>,
    /// Happened then or later, by the clock of the one who told.
    pub since: Option<SystemTime>,
    /// Happened before then, by the clock of the one who told.
    pub until: Option<SystemTime>,
    /// The first sequence that is looked at.
    pub first: u64,
    /// The sequence after the last that is looked at; to the end, if not given.
    pub end: Option<u64>,
}

/// Some of what was found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// In the order of the log.
    pub records: Vec<Record>,
    /// Where to look on: as [`Filter::first`] of the next look. `None` when all was seen.
    pub next: Option<u64>,
}

impl Filter {
    /// Whether it fits.
    pub fn matches(&self, record: &Record) -> bool {
        let entry = &record.entry;
        let same = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        record.sequence >= self.first
            && self.end.is_none_or(|end| record.sequence < end)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
            && self.outcome.is_none_or(|outcome| entry.outcome == outcome)
            && self.action.as_ref().is_none_or(|prefix| entry.action.starts_with(prefix.as_str()))
            && same(&self.actor, &entry.actor)
            && same(&self.target, &entry.target)
            && same(&self.tenant, &entry.tenant)
            && same(&self.request_id, &entry.request_id)
            && self.subject.is_none_or(|subject| subjects_of(entry).contains(&subject))
    }

    /// Whether entries of these sequences (from, and up to without it) that happened between these times (both with
    /// it) could fit: a segment that says no need not be read.
    pub fn may_match(&self, sequences: (u64, u64), times: (SystemTime, SystemTime)) -> bool {
        sequences.1 > self.first
            && self.end.is_none_or(|end| sequences.0 < end)
            && self.since.is_none_or(|since| times.1 >= since)
            && self.until.is_none_or(|until| times.0 < until)
    }
}

/// The first `most` of `records`, which come in order, that fit. Reads no further than it has to.
///
/// # Errors
///
/// The first of `records`.
pub fn page(
    records: impl IntoIterator<Item = Result<Record, Error>>,
    filter: &Filter,
    most: usize,
) -> Result<Page, Error> {
    let mut found = Page { records: Vec::new(), next: None };
    for record in records {
        let record = record?;
        if filter.end.is_some_and(|end| record.sequence >= end) {
            break;
        }
        if filter.matches(&record) {
            if found.records.len() >= most.max(1) {
                found.next = Some(record.sequence);
                break;
            }
            found.records.push(record);
        }
    }
    Ok(found)
}

/// A time as people give it: `2026-11-22T08:00:00Z`, with any offset; `2026-11-22`, which is its beginning in UTC; or how
/// long before `now`: `2h`, `7d`.
pub fn parse_time(text: &str, now: SystemTime) -> Option<SystemTime> {
    time::parse(text).or_else(|| now.checked_sub(units::parse_duration(text).ok()?))
}

/// For whom fields of an entry were sealed, each once, in the order of their ids.
pub fn subjects_of(entry: &Entry) -> Vec<SubjectId> {
    let texts = [&entry.actor, &entry.target, &entry.detail].into_iter().flatten();
    let data = entry.data.values().filter_map(|value| match value {
        Value::Text(text) => Some(text),
        _ => None,
    });
    let mut subjects: Vec<SubjectId> = texts.chain(data).filter_map(|text| SubjectId::of(text)).collect();
    subjects.sort_unstable();
    subjects.dedup();
    subjects
}
