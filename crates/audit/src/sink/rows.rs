//! What the SQL sinks share: an entry as a row, and a search that goes on until its page is full.

use crate::merkle::leaf_hash;
use crate::query::sql::{nanos, outcome_name, signed, subjects, text};
use crate::query::{Filter, Page};
use crate::sink::Committed;
use crate::{Error, Record, json};

/// The columns of an entry. A text of SQL cannot hold the sign 0: another stands in its place.
pub(super) struct Row {
    pub(super) sequence: i64,
    pub(super) recorded: i64,
    pub(super) at: i64,
    pub(super) action: String,
    pub(super) outcome: &'static str,
    pub(super) actor: Option<String>,
    pub(super) target: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) detail: Option<String>,
    pub(super) subjects: Option<String>,
    pub(super) data: Option<String>,
    pub(super) leaf: Vec<u8>,
    pub(super) bytes: Vec<u8>,
}

impl Row {
    pub(super) fn of(committed: &Committed) -> Self {
        let Record { sequence, recorded, entry, .. } = &committed.record;
        let column = |from: &Option<String>| from.as_deref().map(text);
        Self {
            sequence: signed(*sequence),
            recorded: nanos(*recorded),
            at: nanos(entry.at),
            action: text(&entry.action),
            outcome: outcome_name(entry.outcome),
            actor: column(&entry.actor),
            target: column(&entry.target),
            tenant: column(&entry.tenant),
            request_id: column(&entry.request_id),
            detail: entry.detail.as_ref().map(|detail| detail.replace('\0', "\u{fffd}")),
            subjects: subjects(entry),
            data: (!entry.data.is_empty()).then(|| json::map(&entry.data).to_string()),
            leaf: committed.leaf.0.to_vec(),
            bytes: committed.bytes.clone(),
        }
    }
}

/// Collects a page from rows that may fit.
pub(super) struct Gather {
    filter: Filter,
    most: usize,
    found: Vec<Record>,
    next: Option<u64>,
    done: bool,
}

impl Gather {
    pub(super) fn new(filter: Filter, most: usize) -> Self {
        Self { filter, most: most.clamp(1, 10_000), found: Vec::new(), next: None, done: false }
    }

    /// What to ask for next: rows that fit, and how many at most.
    pub(super) fn ask(&self) -> Option<(Filter, usize)> {
        (!self.done).then(|| (self.filter.clone(), self.most + 1 - self.found.len()))
    }

    /// Takes the rows (leaf and bytes) that came for a question for `asked`.
    pub(super) fn take(&mut self, rows: Vec<(Vec<u8>, Vec<u8>)>, asked: usize) -> Result<(), Error> {
        self.done = rows.len() < asked;
        for (leaf, bytes) in rows {
            if leaf_hash(&bytes).0 != leaf.as_slice() {
                return Err(Error::malformed("a row's bytes do not have the row's hash"));
            }
            let record = Record::decode(&bytes)?;
            self.filter.first = record.sequence.saturating_add(1);
            // The question began at `first`; what it answered lies there or later.
            let fits = Filter { first: 0, ..self.filter.clone() }.matches(&record);
            if fits && self.found.len() == self.most {
                self.next = Some(record.sequence);
                self.done = true;
            } else if fits {
                self.found.push(record);
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Page {
        Page { records: self.found, next: self.next }
    }
}
