//! What the workers count.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use crate::error::Result;
use crate::format::Format;
use crate::pipeline::Processed;

/// Documents by `outcome`: `ok`, or the cause of the refusal.
pub const DOCUMENTS_TOTAL: &str = "buttress_docpipeline_documents_total";
/// Seconds that a worker took for a document, by `format`.
pub const DOCUMENT_SECONDS: &str = "buttress_docpipeline_document_seconds";
/// Workers that have a document in hand.
pub const BUSY_WORKERS: &str = "buttress_docpipeline_busy_workers";
/// Documents refused for want of room.
pub const REJECTED_TOTAL: &str = "buttress_docpipeline_rejected_total";

/// Handles, resolved once each.
pub(crate) struct WorkerMetrics {
    busy: Gauge,
    rejected: Counter,
    outcomes: Mutex<BTreeMap<&'static str, Counter>>,
    seconds: BTreeMap<Format, Histogram>,
}

impl WorkerMetrics {
    pub(crate) fn new() -> Self {
        metrics::describe_counter!(DOCUMENTS_TOTAL, "Documents by outcome: ok, or the cause of the refusal.");
        metrics::describe_histogram!(
            DOCUMENT_SECONDS,
            metrics::Unit::Seconds,
            "Time of a worker for a document."
        );
        metrics::describe_gauge!(BUSY_WORKERS, "Workers that have a document in hand.");
        metrics::describe_counter!(REJECTED_TOTAL, "Documents refused for want of room.");
        let histogram = |format: Format| metrics::histogram!(DOCUMENT_SECONDS, "format" => format.as_str());
        Self {
            busy: metrics::gauge!(BUSY_WORKERS),
            rejected: metrics::counter!(REJECTED_TOTAL),
            outcomes: Mutex::default(),
            seconds: Format::ALL.into_iter().map(|format| (format, histogram(format))).collect(),
        }
    }

    /// Counts one busy worker until dropped.
    pub(crate) fn busy(&self) -> Busy<'_> {
        self.busy.increment(1.0);
        Busy(&self.busy)
    }

    pub(crate) fn rejected(&self) {
        self.rejected.increment(1);
    }

    pub(crate) fn done(&self, outcome: &Result<Processed>, took: Duration) {
        let (label, format) = match outcome {
            Ok(processed) => ("ok", Some(processed.document.format)),
            Err(error) => (error.cause(), None),
        };
        let counter = || metrics::counter!(DOCUMENTS_TOTAL, "outcome" => label);
        self.outcomes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(label)
            .or_insert_with(counter)
            .increment(1);
        if let Some(histogram) = format.and_then(|format| self.seconds.get(&format)) {
            histogram.record(took.as_secs_f64());
        }
    }
}

pub(crate) struct Busy<'m>(&'m Gauge);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
