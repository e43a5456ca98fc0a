//! A process that reads documents for another one, so that a document can take down no more than it.

use std::io::{self, BufReader};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::config::PipelineConfig;
use crate::draft::Source;
use crate::error::{Error, Result};
use crate::frame;
use crate::pipeline::{Pipeline, Processed};

/// Tells a process that it is a worker.
pub(crate) const WORKER_VARIABLE: &str = "BUTTRESS_DOCPIPELINE_WORKER";

/// Parsers recurse as deep as [`Limits::nesting`](crate::Limits) lets them; a stack this large holds that many times
/// over. Untouched pages of it cost nothing.
pub(crate) const STACK_BYTES: usize = 64 << 20;

/// The first message to a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) config: PipelineConfig,
}

/// A document to read; its bytes are the body.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) name: Option<String>,
}

/// What became of it; the text is the body.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) outcome: Result<Processed>,
    /// Memory in use after the document, in bytes; 0 where the system does not tell.
    pub(crate) resident_bytes: u64,
    /// The most memory that the worker has had in use, in bytes.
    pub(crate) peak_bytes: u64,
}

/// Whether this process was started as a worker by [`Workers`](crate::Workers), and `main` should call
/// [`serve_worker`] and return, before it does anything else.
///
/// ```no_run
/// use buttress_docpipeline::{Pipeline, is_worker, serve_worker};
///
/// fn main() -> std::io::Result<()> {
///     if is_worker() {
///         return serve_worker(Pipeline::new);
///     }
///     // … the application
///     Ok(())
/// }
/// ```
#[must_use]
pub fn is_worker() -> bool {
    std::env::var_os(WORKER_VARIABLE).is_some()
}

/// Reads documents from standard input until it ends, and answers on standard output.
///
/// The address space is limited to what is mapped at the start plus [`Limits::memory`](crate::Limits), so a document
/// that asks for more ends this process and no other. When the feeding process dies, standard input ends, and this
/// process with it, even in the middle of a document.
///
/// # Errors
///
/// When standard input or output breaks, or something else than [`Workers`](crate::Workers) feeds it.
pub fn serve_worker(build: impl FnOnce(PipelineConfig) -> Pipeline) -> io::Result<()> {
    outlive_signals_to_stop()?;
    // The panic's message goes to the feeding process as an error of the document.
    std::panic::set_hook(Box::new(|_| {}));
    let mut input = BufReader::with_capacity(1 << 16, io::stdin());
    let Some(hello) = frame::read(&mut input)? else { return Ok(()) };
    let hello: Hello = hello.header()?;
    limit_address_space(hello.config.limits.memory.bytes())?;
    avoid_huge_pages();
    let pipeline = build(hello.config);

    let (watched, at_end) = io::pipe()?;
    let reader =
        std::thread::Builder::new().name("document".to_owned()).stack_size(STACK_BYTES).spawn(move || {
            let outcome = read_documents(&pipeline, &mut input);
            drop(at_end);
            outcome
        })?;
    if wait_for_the_end(&watched)? {
        return reader
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that reads documents panicked")));
    }
    // What it reads is for nobody.
    Ok(())
}

fn read_documents(pipeline: &Pipeline, input: &mut impl io::Read) -> io::Result<()> {
    let mut output = unbuffered_output()?;
    while let Some(message) = frame::read(input)? {
        let request: Request = message.header()?;
        let (reply, text) = answer(pipeline, &request, message.body.into());
        frame::write(&mut output, &reply, text.as_bytes())?;
    }
    Ok(())
}

/// Waits until the other end of standard input is closed, even if something is left to be read in it, or until the
/// thread that reads has dropped its end of `watched`; then it is `true`.
#[cfg(unix)]
fn wait_for_the_end(watched: &io::PipeReader) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, poll};

    let stdin = io::stdin();
    // Asked for nothing, `poll` tells of hang-ups.
    let mut ends = [PollFd::new(&stdin, PollFlags::empty()), PollFd::new(watched, PollFlags::empty())];
    loop {
        match poll(&mut ends, None) {
            Ok(_) => return Ok(ends.iter().skip(1).any(|end| !end.revents().is_empty())),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until the thread that reads has dropped its end of `watched`.
#[cfg(not(unix))]
fn wait_for_the_end(mut watched: &io::PipeReader) -> io::Result<bool> {
    io::copy(&mut watched, &mut io::sink()).map(|_| true)
}

/// Standard output, without the search for ends of lines that Rust's own has.
#[cfg(unix)]
fn unbuffered_output() -> io::Result<std::fs::File> {
    use std::os::fd::AsFd;

    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

#[cfg(not(unix))]
fn unbuffered_output() -> io::Result<io::Stdout> {
    Ok(io::stdout())
}

/// A terminal or a supervisor that stops the application signals all its processes, and means the application: what a
/// worker has in hand is finished, and it ends when its input does.
#[cfg(unix)]
fn outlive_signals_to_stop() -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    let nobody_looks = std::sync::Arc::default();
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, std::sync::Arc::clone(&nobody_looks))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn outlive_signals_to_stop() -> io::Result<()> {
    Ok(())
}

fn answer(pipeline: &Pipeline, request: &Request, bytes: Bytes) -> (Reply, String) {
    let source = Source { name: request.name.as_deref(), bytes };
    let mut outcome = pipeline.process(&source);
    let text = outcome.as_mut().map(|read| std::mem::take(&mut read.document.text)).unwrap_or_default();
    let (resident_bytes, peak_bytes) = memory();
    (Reply { outcome, resident_bytes, peak_bytes }, text)
}

/// Memory in use now and at most so far, as Linux tells it; zeros elsewhere.
pub(crate) fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    (field("VmRSS:").unwrap_or(0), field("VmHWM:").unwrap_or(0))
}

#[cfg(target_os = "linux")]
fn limit_address_space(additional: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let mapped = pages.split(' ').next().and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    let mapped = mapped.saturating_mul(rustix::param::page_size() as u64);
    let wanted = mapped.saturating_add(STACK_BYTES as u64).saturating_add(additional);
    let hard = getrlimit(Resource::As).maximum;
    let current = Some(hard.map_or(wanted, |hard| hard.min(wanted)));
    setrlimit(Resource::As, Rlimit { current, maximum: hard })?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn limit_address_space(_: u64) -> io::Result<()> {
    Ok(())
}

/// Asks the system not to back the memory of this process, and of those that it starts, with huge pages. For programs
/// through which many documents go, first thing in `main`; [`serve_worker`] does it for workers.
///
/// Documents come and go, and allocators give memory back meanwhile. With pages of 2 MiB the system then clears far more
/// memory than is used (a fifth of all time of a worker was that, with mimalloc) and keeps half as much again. Does
/// nothing where there are no huge pages, or on other systems than Linux.
pub fn avoid_huge_pages() {
    #[cfg(target_os = "linux")]
    // A system without huge pages refuses.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Of a document whose worker's thread ended without a word.
pub(crate) fn no_answer() -> Error {
    Error::WorkerDied { how: "its thread ended without an answer".to_owned() }
}

/// What the end of a worker process says about its document.
pub(crate) fn died(status: Option<std::process::ExitStatus>, last_words: &str) -> Error {
    let how = match status {
        Some(status) => status.to_string(),
        None => "it closed its output".to_owned(),
    };
    // What follows the first line is a backtrace, with paths of the machine that built the program.
    let last_words = last_words.trim().lines().next().unwrap_or_default();
    let how = if last_words.is_empty() { how } else { format!("{how}; it said: {last_words}") };
    Error::WorkerDied { how }
}
