//! One document through all stages.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use buttress_core::{SharedClock, SystemClock};
use serde::{Deserialize, Serialize};

use crate::budget::{Budget, CancelToken};
use crate::config::PipelineConfig;
use crate::document::{Document, Fingerprint, Span, Statistics};
use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractors;
use crate::format::Format;
use crate::stage::{ChunkStage, FingerprintStage, LanguageStage, NormaliseStage, StatisticsStage};

/// A step that works on the document once its text is there: normalise, detect the language, cut chunks, take the
/// fingerprint, or whatever a user adds.
pub trait Stage: Send + Sync + 'static {
    /// A short stable name, for timings and errors: `"chunk"`.
    fn name(&self) -> &'static str;

    /// Works on the document read from `source`.
    ///
    /// # Errors
    ///
    /// A limit, the time, or cancellation; anything else is better a [`Document::warnings`].
    fn apply(&self, document: &mut Document, source: &Source<'_>, budget: &Budget) -> Result<()>;
}

/// A document and how long each stage took on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Processed {
    /// The document.
    pub document: Document,
    /// Wall time of each stage, in order, in microseconds.
    pub timings: Vec<(String, u64)>,
}

/// The stages that a document goes through: detect, extract, and then each [`Stage`] in turn.
///
/// Runs on the calling thread and holds no state between documents, so one pipeline serves any number of threads.
/// A panic in a stage is an [`Error::Panicked`] of that document; what a panic cannot stop (a stack overflow, an
/// allocation that fails) needs a worker process: see [`Workers`](crate::Workers).
pub struct Pipeline {
    config: PipelineConfig,
    extractors: Extractors,
    stages: Vec<Box<dyn Stage>>,
    clock: SharedClock,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stages: Vec<_> = self.stages.iter().map(|stage| stage.name()).collect();
        f.debug_struct("Pipeline")
            .field("config", &self.config)
            .field("stages", &stages)
            .finish_non_exhaustive()
    }
}

impl Pipeline {
    /// The pipeline that `config` describes, with all formats and all stages.
    #[must_use]
    pub fn new(config: PipelineConfig) -> Self {
        Self {
            extractors: Extractors::all(&config),
            stages: vec![
                Box::new(NormaliseStage),
                Box::new(StatisticsStage),
                Box::new(LanguageStage),
                Box::new(ChunkStage(config.chunks.clone())),
                Box::new(FingerprintStage),
            ],
            clock: SystemClock::shared(),
            config,
        }
    }

    /// The same, with other extractors.
    #[must_use]
    pub fn with_extractors(mut self, extractors: Extractors) -> Self {
        self.extractors = extractors;
        self
    }

    /// The same, with no stage at all: the document is what the extractor makes of it.
    ///
    /// For those who want less work done, [`with_stage`](Pipeline::with_stage) adds the stages they choose.
    #[must_use]
    pub fn without_stages(mut self) -> Self {
        self.stages.clear();
        self
    }

    /// The same, with one more stage at the end.
    #[must_use]
    pub fn with_stage(mut self, stage: impl Stage) -> Self {
        self.stages.push(Box::new(stage));
        self
    }

    /// The same, on another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &PipelineConfig {
        &self.config
    }

    /// Takes one document through all stages.
    ///
    /// # Errors
    ///
    /// Why the document is refused; see [`Error`].
    pub fn process(&self, source: &Source<'_>) -> Result<Processed> {
        self.process_cancellable(source, &CancelToken::default())
    }

    /// As [`process`](Pipeline::process), ending early with [`Error::Cancelled`] once `cancel` says so.
    ///
    /// # Errors
    ///
    /// Why the document is refused; see [`Error`].
    pub fn process_cancellable(&self, source: &Source<'_>, cancel: &CancelToken) -> Result<Processed> {
        let budget =
            Budget::open(&self.config.limits, source.bytes.len(), self.clock.clone(), cancel.clone())?;
        let mut timings = Timings { clock: &self.clock, laps: Vec::with_capacity(self.stages.len() + 2) };

        let format = timings.lap("detect", || self.extractors.detect(source))?;
        let mut document = timings.lap("extract", || {
            let mut draft = Draft::new(&budget, &self.extractors);
            self.extractors.extract(format, source, &mut draft)?;
            Ok(finish(format, draft))
        })?;
        for stage in &self.stages {
            timings.lap(stage.name(), || {
                budget.check_time()?;
                stage.apply(&mut document, source, &budget)
            })?;
        }
        Ok(Processed { document, timings: timings.laps })
    }
}

fn finish(format: Format, draft: Draft<'_>) -> Document {
    let ends = draft.page_starts.iter().skip(1).copied().chain([draft.text.len()]);
    let pages: Vec<Span> =
        draft.page_starts.iter().zip(ends).map(|(start, end)| Span { start: *start, end }).collect();
    let mut metadata = draft.metadata;
    if metadata.pages.is_none() && !pages.is_empty() {
        metadata.pages = u32::try_from(pages.len()).ok();
    }
    Document {
        format,
        metadata,
        headings: draft.headings,
        tables: draft.tables,
        pages,
        parts: draft.parts,
        chunks: Vec::new(),
        statistics: Statistics::default(),
        fingerprint: Fingerprint::default(),
        warnings: draft.warnings,
        text: draft.text,
    }
}

struct Timings<'p> {
    clock: &'p SharedClock,
    laps: Vec<(String, u64)>,
}

impl Timings<'_> {
    /// Runs a stage, notes its time, and makes an error of its panic.
    fn lap<T>(&mut self, stage: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = self.clock.now();
        // What a panicking stage leaves half done is dropped with the document.
        let outcome = catch_unwind(AssertUnwindSafe(work));
        let spent: Duration = self.clock.now().saturating_duration_since(start);
        self.laps.push((stage.to_owned(), u64::try_from(spent.as_micros()).unwrap_or(u64::MAX)));
        outcome.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let message = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(Error::Panicked {
                stage: stage.to_owned(),
                message: message.unwrap_or_else(|| "panic without a message".to_owned()),
            })
        })
    }
}
