//! What a run came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use buttress_core::ByteSize;
use buttress_docpipeline::{Error, Finished, Processed};
use serde::Serialize;

/// The figures of one format.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FormatSummary {
    /// Documents read.
    pub documents: usize,
    /// Their size.
    pub bytes: u64,
    /// Characters of text out of them.
    pub characters: u64,
    /// The middle one of their times.
    pub p50_milliseconds: f64,
    /// The time that one in a hundred exceeds.
    pub p99_milliseconds: f64,
    #[serde(skip)]
    microseconds: Vec<u32>,
}

impl FormatSummary {
    fn add(&mut self, bytes: u64, characters: usize, took: Duration) {
        self.documents += 1;
        self.bytes += bytes;
        self.characters += characters as u64;
        self.microseconds.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    fn finish(&mut self) {
        self.microseconds.sort_unstable();
        self.p50_milliseconds = percentile(&self.microseconds, 50);
        self.p99_milliseconds = percentile(&self.microseconds, 99);
    }
}

/// The nearest-rank percentile of sorted microseconds, in milliseconds; 0 where there are none.
fn percentile(sorted: &[u32], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    f64::from(sorted.get(rank - 1).copied().unwrap_or(0)) / 1000.0
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Files found.
    pub found: usize,
    /// All documents read by this run.
    pub all: FormatSummary,
    /// The same by format.
    pub formats: BTreeMap<String, FormatSummary>,
    /// Documents with the content of one that was read under another name: repeated, not read again.
    pub repeated: usize,
    /// Documents that an earlier run had read.
    pub already_done: usize,
    /// Documents that failed in an earlier run with the same configuration.
    pub already_failed: usize,
    /// Documents that failed in this run, by cause.
    pub failures: BTreeMap<String, usize>,
    /// Links, hidden entries and special files that were passed over.
    pub passed_over: usize,
    /// Whether the run was asked to stop before the end.
    pub interrupted: bool,
    /// Workers.
    pub workers: usize,
    /// Wall time of the run.
    pub seconds: f64,
    /// Documents read in a minute.
    pub documents_per_minute: f64,
    /// The most memory that one worker had in use.
    pub peak_worker_bytes: u64,
    /// The most memory that this process had in use.
    pub peak_process_bytes: u64,
    /// Where the results are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<PathBuf>,
}

impl Summary {
    pub(crate) fn new(found: usize, workers: usize) -> Self {
        Self {
            found,
            workers,
            all: FormatSummary::default(),
            formats: BTreeMap::new(),
            repeated: 0,
            already_done: 0,
            already_failed: 0,
            failures: BTreeMap::new(),
            passed_over: 0,
            interrupted: false,
            seconds: 0.0,
            documents_per_minute: 0.0,
            peak_worker_bytes: 0,
            peak_process_bytes: 0,
            out: None,
        }
    }

    pub(crate) fn done(&mut self, finished: &Finished, processed: &Processed) {
        // The time on the document itself: how long it waited for a worker says nothing of it.
        let took = Duration::from_micros(processed.timings.iter().map(|(_, micros)| micros).sum());
        let bytes = finished.bytes;
        let characters = processed.document.statistics.characters;
        self.all.add(bytes, characters, took);
        self.formats.entry(processed.document.format.to_string()).or_default().add(bytes, characters, took);
    }

    pub(crate) fn failed(&mut self, error: &Error) {
        let cause = match error {
            Error::OverLimit { limit, .. } => format!("over_limit:{}", limit.as_str()),
            other => other.cause().to_owned(),
        };
        *self.failures.entry(cause).or_default() += 1;
    }

    /// Documents that failed in this run.
    #[must_use]
    pub fn failed_total(&self) -> usize {
        self.failures.values().sum()
    }

    /// Documents that are done with, one way or another.
    pub(crate) fn settled(&self) -> usize {
        self.all.documents + self.repeated + self.already_done + self.already_failed + self.failed_total()
    }

    pub(crate) fn finish(&mut self, took: Duration, peak_worker: ByteSize) {
        self.all.finish();
        self.formats.values_mut().for_each(FormatSummary::finish);
        self.seconds = took.as_secs_f64();
        self.documents_per_minute = self.all.documents as f64 / self.seconds.max(1e-6) * 60.0;
        self.peak_worker_bytes = peak_worker.bytes();
        self.peak_process_bytes = peak_of_this_process();
    }
}

/// The most memory that this process has had in use, as Linux tells it; 0 elsewhere.
fn peak_of_this_process() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} documents read in {:.1} s ({} a minute) by {} worker{}",
            grouped(self.all.documents as u64),
            self.seconds,
            rate(self.documents_per_minute),
            self.workers,
            if self.workers == 1 { "" } else { "s" },
        )?;
        if self.all.documents > 0 {
            writeln!(
                f,
                "\n  {:<10} {:>9} {:>12} {:>14} {:>9} {:>9}",
                "format", "documents", "size", "characters", "p50 ms", "p99 ms"
            )?;
            let rows =
                self.formats.iter().map(|(name, row)| (name.as_str(), row)).chain([("all", &self.all)]);
            for (name, row) in rows {
                writeln!(
                    f,
                    "  {name:<10} {:>9} {:>12} {:>14} {:>9.1} {:>9.1}",
                    grouped(row.documents as u64),
                    ByteSize::b(row.bytes).human(),
                    grouped(row.characters),
                    row.p50_milliseconds,
                    row.p99_milliseconds,
                )?;
            }
        }
        writeln!(f)?;
        let failures: Vec<_> =
            self.failures.iter().map(|(cause, count)| format!("{cause} {count}")).collect();
        let failures = if failures.is_empty() { "none".to_owned() } else { failures.join(", ") };
        writeln!(f, "  failed       {failures}")?;
        for (label, count) in [
            ("repeated", self.repeated),
            ("done before", self.already_done),
            ("failed before", self.already_failed),
            ("passed over", self.passed_over),
        ] {
            if count > 0 {
                writeln!(f, "  {label:<12} {}", grouped(count as u64))?;
            }
        }
        writeln!(
            f,
            "  peak memory  {} in a worker, {} in this process",
            ByteSize::b(self.peak_worker_bytes).human(),
            ByteSize::b(self.peak_process_bytes).human()
        )?;
        if let Some(out) = &self.out {
            writeln!(f, "  results      {}", out.join("documents.jsonl").display())?;
            if self.failed_total() + self.already_failed > 0 {
                writeln!(
                    f,
                    "  dead letters {} (each with its reason; `docproc retry --out {}` tries them again)",
                    out.join("dead-letter").display(),
                    out.display()
                )?;
            }
        }
        if self.interrupted {
            writeln!(f, "\nStopped before the end. The same command goes on where this run stopped.")?;
        }
        Ok(())
    }
}

/// Three digits are as many as mean something.
fn rate(per_minute: f64) -> String {
    // Not negative, and far below the largest integer.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = per_minute.round() as u64;
    grouped(whole)
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
