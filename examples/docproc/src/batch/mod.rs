//! A folder of documents, from beginning to end: read, dispatch, write down.
//!
//! One task owns all state (journal, dead letters, summary) and does nothing that takes long; files are read and
//! documents processed by tasks that it starts, as many as there is room for.

mod dead_letters;
pub(crate) mod inputs;
mod journal;
mod progress;
mod summary;

use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use buttress_core::{Clock, Ctx};
use buttress_docpipeline::{
    Emit, Error, Fingerprint, Finished, Limit, PipelineConfig, Place, Processed, Record, Workers,
    WorkersConfig,
};
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use dead_letters::{DeadLetters, Reason};
use journal::Journal;
use progress::Progress;
pub use summary::{FormatSummary, Summary};

/// How often a document is tried when its worker dies: a worker may also die of something else.
const ATTEMPTS: u32 = 2;

/// Files in hand for each worker: the next ones are read while it works.
const FILES_A_WORKER: usize = 3;

/// What a run needs to know.
#[derive(Debug, Clone)]
pub struct Run {
    /// What comes out of a document.
    pub pipeline: PipelineConfig,
    /// Who reads them.
    pub workers: WorkersConfig,
    /// Whether to show progress on standard error.
    pub progress: bool,
}

impl Run {
    /// Reads every document at or below `paths` into the folder `out`. What an earlier run has done is not done again.
    ///
    /// # Errors
    ///
    /// When the paths cannot be read or `out` cannot be written; a document that cannot be read is no error, it
    /// lands in the dead-letter folder.
    pub async fn process(&self, paths: &[PathBuf], out: &Path, ctx: &Ctx) -> Result<Summary> {
        let (files, passed_over) = inputs::collect(paths, Some(out))?;
        let folder = FolderSink::open(out, &self.pipeline.digest())?;
        if folder.journal.is_foreign_to(&folder.config) {
            bail!(
                "{} holds the results of another configuration; choose another --out, or remove it",
                out.display()
            );
        }
        let files = files.into_iter().map(Input::from).collect();
        let mut summary = self.run(files, folder, ctx).await?;
        summary.passed_over = passed_over.len();
        summary.out = Some(out.to_owned());
        Ok(summary)
    }

    /// Tries every document of the dead-letter folder in `out` again. Those that can be read now leave it.
    ///
    /// # Errors
    ///
    /// As [`process`](Run::process).
    pub async fn retry(&self, out: &Path, ctx: &Ctx) -> Result<Summary> {
        if !out.is_dir() {
            bail!(
                "there is no folder {}; name the --out folder of an earlier `docproc process`",
                out.display()
            );
        }
        let mut folder = FolderSink::open(out, &self.pipeline.digest())?;
        folder.retrying = true;
        let letters = folder.dead_letters.all();
        let inputs = letters
            .into_iter()
            .map(|reason| Input { path: folder.dead_letters.document(&reason), name: reason.name });
        let inputs = inputs.collect();
        let mut summary = self.run(inputs, folder, ctx).await?;
        summary.out = Some(out.to_owned());
        Ok(summary)
    }

    /// Reads every document at or below `paths`, `passes` times, and keeps nothing but the figures.
    ///
    /// # Errors
    ///
    /// When the paths cannot be read.
    pub async fn bench(&self, paths: &[PathBuf], passes: usize, ctx: &Ctx) -> Result<Summary> {
        let (files, passed_over) = inputs::collect(paths, None)?;
        let files: Vec<Input> = files.into_iter().map(Input::from).collect();
        let all = std::iter::repeat_n(files, passes).flatten().collect();
        let mut summary = self.run(all, Discard, ctx).await?;
        summary.passed_over = passed_over.len();
        Ok(summary)
    }

    async fn run(&self, inputs: VecDeque<Input>, sink: impl Sink, ctx: &Ctx) -> Result<Summary> {
        let workers = Workers::new(self.pipeline.clone(), self.workers.clone(), ctx);
        let progress = Progress::new(self.progress, inputs.len());
        let dispatcher = Dispatcher {
            limit: self.pipeline.limits.input_bytes.bytes(),
            config: self.pipeline.digest(),
            summary: Summary::new(inputs.len(), workers.count()),
            in_flight: HashMap::new(),
            tasks: JoinSet::new(),
            workers,
            inputs,
            sink,
            progress,
            ctx: ctx.clone(),
        };
        dispatcher.run().await
    }
}

/// A file to read, and what its document is called in the results.
#[derive(Debug, Clone)]
struct Input {
    path: PathBuf,
    name: String,
}

impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Self {
        Self { name: path.to_string_lossy().into_owned(), path }
    }
}

/// Where a run's results go, and what it knows of earlier ones.
trait Sink: Emit {
    /// What is known of a document before it is read.
    fn known(&self, name: &str, content: &str) -> Result<Known>;

    /// Keeps a failed document.
    fn bury(&mut self, finished: &Finished, error: &Error, document: Option<&[u8]>) -> Result<()>;

    /// Repeats the record of a document with the same content under another name.
    fn repeat(&mut self, record: Record) -> Result<()>;

    /// Brings everything to the disk.
    fn finish(&mut self) -> Result<()>;
}

/// What earlier runs left of a document.
enum Known {
    Nothing,
    Done,
    Failed,
    /// The same content was read under another name.
    Elsewhere(Box<Record>),
}

/// Figures only.
struct Discard;

impl Emit for Discard {
    fn emit(&mut self, _: &Finished) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink for Discard {
    fn known(&self, _: &str, _: &str) -> Result<Known> {
        Ok(Known::Nothing)
    }

    fn bury(&mut self, _: &Finished, _: &Error, _: Option<&[u8]>) -> Result<()> {
        Ok(())
    }

    fn repeat(&mut self, _: Record) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A journal and a dead-letter folder.
struct FolderSink {
    journal: Journal,
    dead_letters: DeadLetters,
    config: String,
    /// Whether documents of the dead-letter folder are tried again.
    retrying: bool,
}

impl FolderSink {
    fn open(out: &Path, config: &str) -> Result<Self> {
        std::fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
        let journal = Journal::open(out)?;
        let mut dead_letters = DeadLetters::open(out)?;
        // A run that was killed between writing a retried document down and clearing its dead letter.
        for reason in dead_letters.all() {
            if journal.is_done(&reason.name, &reason.content) {
                dead_letters.remove(&reason.name, &reason.content)?;
            }
        }
        Ok(Self { journal, dead_letters, config: config.to_owned(), retrying: false })
    }
}

impl Emit for FolderSink {
    fn emit(&mut self, finished: &Finished) -> std::io::Result<()> {
        self.repeat(finished.into()).map_err(std::io::Error::other)
    }
}

impl Sink for FolderSink {
    fn known(&self, name: &str, content: &str) -> Result<Known> {
        if self.journal.is_done(name, content) {
            return Ok(Known::Done);
        }
        if !self.retrying && self.dead_letters.reason(name, content, &self.config).is_some() {
            return Ok(Known::Failed);
        }
        let record = self.journal.record_of(content, &self.config)?;
        Ok(record.map_or(Known::Nothing, |record| Known::Elsewhere(Box::new(record))))
    }

    fn bury(&mut self, finished: &Finished, error: &Error, document: Option<&[u8]>) -> Result<()> {
        let before = self.dead_letters.reason(&finished.name, &finished.content, &finished.config);
        let reason = Reason {
            name: finished.name.clone(),
            content: finished.content.clone(),
            config: finished.config.clone(),
            bytes: finished.bytes,
            message: error.to_string(),
            error: error.clone(),
            attempts: before.map_or(0, |reason| reason.attempts) + 1,
            copy: None,
        };
        self.dead_letters.put(reason, document)
    }

    fn repeat(&mut self, record: Record) -> Result<()> {
        self.journal.append(&record)?;
        self.dead_letters.remove(&record.name, &record.content)?;
        // It may have failed before as too large to be read.
        self.dead_letters.remove(&record.name, &unread_content(&record.name, record.bytes))
    }

    fn finish(&mut self) -> Result<()> {
        self.journal.sync()
    }
}

/// What a task comes back with.
enum Step {
    /// A file has been read.
    Loaded(Input, std::io::Result<Loaded>),
    /// A document has been through the pipeline.
    Finished(Box<Finished>, Bytes),
}

enum Loaded {
    Document {
        bytes: Bytes,
        content: String,
        place: Place,
    },
    /// Larger than the limit, so it was not read.
    TooLarge {
        bytes: u64,
    },
}

struct Dispatcher<S> {
    workers: Workers,
    config: String,
    limit: u64,
    inputs: VecDeque<Input>,
    tasks: JoinSet<Step>,
    /// Documents in the pipeline by content, and the names that wait for the same one.
    in_flight: HashMap<String, Vec<String>>,
    sink: S,
    summary: Summary,
    progress: Progress,
    ctx: Ctx,
}

impl<S: Sink> Dispatcher<S> {
    async fn run(mut self) -> Result<Summary> {
        let started = self.ctx.clock.now();
        loop {
            while self.tasks.len() < self.workers.count() * FILES_A_WORKER && !self.ctx.shutdown.is_draining()
            {
                let Some(input) = self.inputs.pop_front() else { break };
                self.load(input);
            }
            let Some(step) = self.tasks.join_next().await else { break };
            match step.context("a task of the run failed")? {
                Step::Loaded(input, loaded) => self.dispatch(input, loaded)?,
                Step::Finished(finished, bytes) => self.write_down(*finished, &bytes)?,
            }
            self.progress.show(&self.summary);
        }
        self.sink.finish()?;
        self.progress.end();
        self.summary.interrupted = !self.inputs.is_empty();
        self.summary.finish(elapsed(&*self.ctx.clock, started), self.workers.peak_memory());
        Ok(self.summary)
    }

    fn load(&mut self, input: Input) {
        let (workers, limit, runtime) = (self.workers.clone(), self.limit, Handle::current());
        self.tasks.spawn_blocking(move || {
            let loaded = read_file(&workers, &input.path, limit, &runtime);
            Step::Loaded(input, loaded)
        });
    }

    fn dispatch(&mut self, input: Input, loaded: std::io::Result<Loaded>) -> Result<()> {
        let (bytes, content, place) = match loaded {
            Ok(Loaded::Document { bytes, content, place }) => (bytes, content, place),
            Ok(Loaded::TooLarge { bytes }) => {
                let content = unread_content(&input.name, bytes);
                let error = Error::OverLimit { limit: Limit::InputBytes, max: self.limit };
                return self.fail_unread(input, content, bytes, &error);
            }
            Err(error) => {
                let content = Fingerprint::of_bytes(input.name.as_bytes());
                let problem = format!("{} cannot be read: {error}", input.path.display());
                return self.fail_unread(input, content, 0, &Error::Broken { problem });
            }
        };
        match self.sink.known(&input.name, &content)? {
            Known::Done => self.summary.already_done += 1,
            Known::Failed => self.summary.already_failed += 1,
            Known::Elsewhere(record) => {
                self.sink.repeat(Record { name: input.name, ..*record })?;
                self.summary.repeated += 1;
            }
            Known::Nothing => {
                if let Some(waiting) = self.in_flight.get_mut(&content) {
                    waiting.push(input.name);
                } else {
                    self.in_flight.insert(content.clone(), Vec::new());
                    self.process(input.name, content, bytes, place);
                }
            }
        }
        Ok(())
    }

    fn process(&mut self, name: String, content: String, bytes: Bytes, place: Place) {
        let (workers, config, clock) = (self.workers.clone(), self.config.clone(), self.ctx.clock.clone());
        self.tasks.spawn(async move {
            let started = clock.now();
            let outcome = attempt(&workers, place, &name, &bytes).await;
            let took = elapsed(&*clock, started);
            let finished = Finished { name, content, config, bytes: bytes.len() as u64, took, outcome };
            Step::Finished(Box::new(finished), bytes)
        });
    }

    fn fail_unread(&mut self, input: Input, content: String, bytes: u64, error: &Error) -> Result<()> {
        if matches!(self.sink.known(&input.name, &content)?, Known::Failed) {
            self.summary.already_failed += 1;
            return Ok(());
        }
        let config = self.config.clone();
        let finished = Finished {
            name: input.name,
            content,
            config,
            bytes,
            took: Duration::ZERO,
            outcome: Err(error.clone()),
        };
        self.summary.failed(error);
        self.sink.bury(&finished, error, None)
    }

    /// A document is counted once it is kept.
    fn write_down(&mut self, mut finished: Finished, bytes: &Bytes) -> Result<()> {
        let waiting = self.in_flight.remove(&finished.content).unwrap_or_default();
        let names = std::iter::once(std::mem::take(&mut finished.name)).chain(waiting);
        for (i, name) in names.enumerate() {
            finished.name = name;
            match &finished.outcome {
                Err(Error::Cancelled) => {}
                Err(error) => {
                    let error = error.clone();
                    self.sink.bury(&finished, &error, Some(bytes))?;
                    self.summary.failed(&error);
                }
                Ok(processed) => {
                    self.sink.emit(&finished).context("cannot keep a result")?;
                    if i == 0 {
                        self.summary.done(&finished, processed);
                    } else {
                        self.summary.repeated += 1;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Has a document read, again if its worker died.
async fn attempt(workers: &Workers, place: Place, name: &str, bytes: &Bytes) -> Result<Processed, Error> {
    let mut outcome = workers.process_in(place, Some(name), bytes.clone()).await;
    for _ in 1..ATTEMPTS {
        if !matches!(outcome, Err(Error::WorkerDied { .. })) {
            break;
        }
        outcome = workers.process(Some(name), bytes.clone()).await;
    }
    outcome
}

/// Reads a file once there is room for it. Blocks its thread.
fn read_file(workers: &Workers, path: &Path, limit: u64, runtime: &Handle) -> std::io::Result<Loaded> {
    let file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    if size > limit {
        return Ok(Loaded::TooLarge { bytes: size });
    }
    let place = runtime.block_on(workers.reserve(usize::try_from(size).unwrap_or(usize::MAX)));
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // A file that grows meanwhile is caught here.
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Ok(Loaded::TooLarge { bytes: bytes.len() as u64 });
    }
    let content = Fingerprint::of_bytes(&bytes);
    Ok(Loaded::Document { bytes: bytes.into(), content, place })
}

/// What stands for the content of a document that is too large to be read: its path and size.
fn unread_content(name: &str, bytes: u64) -> String {
    Fingerprint::of_bytes(format!("{name}\0{bytes}").as_bytes())
}

fn elapsed(clock: &dyn Clock, since: Instant) -> Duration {
    clock.now().saturating_duration_since(since)
}
