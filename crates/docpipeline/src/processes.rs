//! Worker processes, and the threads that feed them.
//!
//! Each worker process has a thread here that writes it a document, waits and reads the answer. The next document is on
//! its way before that answer is taken apart, so a process waits for a wake-up and not for a turn of the runtime.

use std::collections::VecDeque;
use std::io::{BufReader, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SendError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::config::PipelineConfig;
use crate::error::{Error, Result};
use crate::frame::{self, Message};
use crate::pipeline::Processed;
use crate::worker::{self, Hello, Reply, Request, WORKER_VARIABLE, no_answer};
use crate::workers::Place;

/// Worker processes, as many as are needed, up to a bound. They end when this is dropped.
pub(crate) struct Processes(Arc<Crew>);

impl Processes {
    /// At most `count` processes, each replaced after `recycle_after` documents, or once more memory than
    /// `recycle_memory` is in use after one.
    pub(crate) fn new(config: PipelineConfig, count: usize, recycle_after: u64, recycle_memory: u64) -> Self {
        let peak_bytes = AtomicU64::new(0);
        Self(Arc::new(Crew {
            config,
            count,
            recycle_after,
            recycle_memory,
            peak_bytes,
            hands: Mutex::default(),
        }))
    }

    /// The most memory that any process has had in use, in bytes.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.0.peak_bytes.load(Ordering::Relaxed)
    }

    /// Has a document read, after those that came before it. Comes back when a process has begun with it. Dropped at
    /// any time, the document is given up, and its process with it if it had begun.
    ///
    /// # Errors
    ///
    /// When no process can be started.
    pub(crate) async fn start(&self, place: Place, name: Option<&str>, bytes: Bytes) -> Result<Running> {
        let (started, is_started) = oneshot::channel();
        let (done, outcome) = oneshot::channel();
        let request = Request { name: name.map(str::to_owned) };
        self.0.submit(Job { request, bytes, started, done, place })?;
        match is_started.await {
            Ok(hold) => Ok(Running { hold, outcome }),
            Err(_) => Err(match outcome.await {
                Ok(Err(error)) => error,
                _ => no_answer(),
            }),
        }
    }
}

/// A document that a process is reading. Dropped before its end, it takes the process with it.
pub(crate) struct Running {
    hold: Hold,
    outcome: oneshot::Receiver<Result<Processed>>,
}

impl Running {
    pub(crate) async fn outcome(self) -> Result<Processed> {
        let Self { hold, outcome } = self;
        let outcome = outcome.await.unwrap_or_else(|_| Err(no_answer()));
        drop(hold);
        outcome
    }
}

/// A document for a process, and whom to tell.
struct Job {
    request: Request,
    bytes: Bytes,
    started: oneshot::Sender<Hold>,
    done: oneshot::Sender<Result<Processed>>,
    /// What it occupies, until it is done or passed over.
    place: Place,
}

/// What the threads share.
struct Crew {
    config: PipelineConfig,
    count: usize,
    recycle_after: u64,
    recycle_memory: u64,
    peak_bytes: AtomicU64,
    hands: Mutex<Hands>,
}

/// Who is free, and what is to be done: one of the two is empty.
#[derive(Default)]
struct Hands {
    /// Threads without a document, the one that was busy last at the end.
    idle: Vec<Sender<Job>>,
    waiting: VecDeque<Job>,
    threads: usize,
}

impl Crew {
    /// Gives a document to an idle thread, to a new one, or to the first that will be free.
    fn submit(self: &Arc<Self>, mut job: Job) -> Result<()> {
        let mut hands = lock(&self.hands);
        while let Some(idle) = hands.idle.pop() {
            match idle.send(job) {
                Ok(()) => return Ok(()),
                Err(SendError(refused)) => job = refused,
            }
        }
        if hands.threads >= self.count {
            hands.waiting.push_back(job);
            return Ok(());
        }
        let feeder = Feeder { crew: Arc::downgrade(self), process: None };
        thread::Builder::new()
            .name("feeder".to_owned())
            .spawn(move || feeder.run(job))
            .map_err(|error| Error::Broken { problem: format!("no thread for a worker process: {error}") })?;
        hands.threads += 1;
        Ok(())
    }

    fn next(&self) -> Option<Job> {
        lock(&self.hands).waiting.pop_front()
    }

    /// The next document, or else where one will come.
    fn next_or_idle(&self) -> Result<Job, Receiver<Job>> {
        let mut hands = lock(&self.hands);
        hands.waiting.pop_front().ok_or_else(|| {
            let (idle, inbox) = channel();
            hands.idle.push(idle);
            inbox
        })
    }
}

/// A thread and its process.
struct Feeder {
    /// Not held while there is nothing to do, so that the crew can end.
    crew: Weak<Crew>,
    process: Option<Process>,
}

/// A document that was sent to the process.
struct InHand {
    done: oneshot::Sender<Result<Processed>>,
    _place: Place,
}

impl Drop for Feeder {
    fn drop(&mut self) {
        if let Some(crew) = self.crew.upgrade() {
            lock(&crew.hands).threads -= 1;
        }
    }
}

impl Feeder {
    /// Works until the crew is gone.
    fn run(mut self, mut job: Job) {
        loop {
            let Some(crew) = self.crew.upgrade() else { return };
            let inbox = self.feed(job, &crew);
            drop(crew);
            let Ok(next) = inbox.recv() else { return };
            job = next;
        }
    }

    /// Feeds the process while there are documents. Gives where the next one will come.
    fn feed(&mut self, mut job: Job, crew: &Crew) -> Receiver<Job> {
        loop {
            let mut in_hand = self.begin(job, crew);
            while let Some(InHand { done, .. }) = in_hand.take() {
                let reply = self.receive();
                // The process goes on while its answer is taken apart.
                if reply.is_ok() {
                    in_hand = crew.next().and_then(|next| self.begin(next, crew));
                }
                // Nobody may wait for it any longer.
                let _ = done.send(reply.and_then(|message| self.take_apart(message, crew)));
            }
            match crew.next_or_idle() {
                Ok(next) => job = next,
                Err(inbox) => return inbox,
            }
        }
    }

    /// Sends a document to the process, unless it was given up before.
    fn begin(&mut self, job: Job, crew: &Crew) -> Option<InHand> {
        let Job { request, bytes, started, done, place } = job;
        let process = match self.process.take().filter(|process| !process.is_spent(crew)) {
            Some(process) => Ok(process),
            None => Process::start(&crew.config),
        };
        let process = match process {
            Ok(process) => self.process.insert(process),
            Err(error) => {
                let _ = done.send(Err(error));
                return None;
            }
        };
        let ticket = process.take_up();
        if let Err(hold) = started.send(Hold { gate: Arc::clone(&process.gate), ticket }) {
            lock(&process.gate).current = None;
            drop(hold);
            return None;
        }
        if frame::write(&mut process.input, &request, &bytes).is_err() {
            let _ = done.send(Err(self.post_mortem()));
            return None;
        }
        Some(InHand { done, _place: place })
    }

    fn receive(&mut self) -> Result<Message> {
        let message = self.process.as_mut().and_then(Process::receive);
        message.ok_or_else(|| self.post_mortem())
    }

    fn take_apart(&mut self, message: Message, crew: &Crew) -> Result<Processed> {
        let senseless =
            |problem: String| Error::WorkerDied { how: format!("its answer makes no sense: {problem}") };
        let reply: Reply = message.header().map_err(|error| senseless(error.to_string()))?;
        crew.peak_bytes.fetch_max(reply.peak_bytes, Ordering::Relaxed);
        if let Some(process) = &mut self.process {
            process.resident_bytes = reply.resident_bytes;
        }
        let mut processed = reply.outcome?;
        processed.document.text =
            String::from_utf8(message.body).map_err(|error| senseless(error.to_string()))?;
        Ok(processed)
    }

    /// Why a process that broke off did so.
    fn post_mortem(&mut self) -> Error {
        let Some(process) = self.process.take() else { return no_answer() };
        let (status, errors) = {
            let child = &mut lock(&process.gate).child;
            // Whatever broke the pipe, the process is of no more use.
            let _ = child.kill();
            (child.wait().ok(), child.stderr.take())
        };
        let mut last_words = Vec::new();
        if let Some(errors) = errors {
            // It is dead, so its pipe ends; a pipe holds at most 64 KiB.
            let _ = errors.take(4096).read_to_end(&mut last_words);
        }
        worker::died(status, &String::from_utf8_lossy(&last_words))
    }
}

/// A worker process and the pipes to it. Killed when dropped.
struct Process {
    gate: Arc<Mutex<Gate>>,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    documents: u64,
    /// Memory in use after the last document whose answer was taken apart.
    resident_bytes: u64,
}

/// Whose the process is at the moment.
struct Gate {
    child: Child,
    /// The ticket of the document that it reads.
    current: Option<u64>,
    /// Whether it was killed for the sake of a document.
    killed: bool,
}

/// The right to kill a process, as long as it reads a certain document. Used when dropped.
struct Hold {
    gate: Arc<Mutex<Gate>>,
    ticket: u64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut gate = lock(&self.gate);
        if gate.current == Some(self.ticket) {
            gate.killed = true;
            // It may have ended by itself.
            let _ = gate.child.kill();
        }
    }
}

impl Process {
    /// Starts this very program as a worker.
    fn start(config: &PipelineConfig) -> Result<Self> {
        let broken = |problem: String| Error::Broken {
            problem: format!(
                "a worker process does not start: {problem}; `isolation = \"thread\"` needs none"
            ),
        };
        let program = std::env::current_exe().map_err(|error| broken(error.to_string()))?;
        let mut child = Command::new(program)
            .env(WORKER_VARIABLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| broken(error.to_string()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let gate = Arc::new(Mutex::new(Gate { child, current: None, killed: false }));
        let (Some(input), Some(output)) = (input, output) else {
            return Err(broken("it has no pipes".to_owned()));
        };
        let output = BufReader::with_capacity(1 << 16, output);
        let mut process = Self { gate, input, output, documents: 0, resident_bytes: 0 };
        let hello = Hello { config: config.clone() };
        frame::write(&mut process.input, &hello, &[]).map_err(|error| broken(error.to_string()))?;
        Ok(process)
    }

    fn is_spent(&self, crew: &Crew) -> bool {
        self.documents >= crew.recycle_after || self.resident_bytes > crew.recycle_memory
    }

    /// Counts a document, and lets its holder kill the process from now on.
    fn take_up(&mut self) -> u64 {
        self.documents += 1;
        lock(&self.gate).current = Some(self.documents);
        self.documents
    }

    /// Reads the answer; `None` if the process ended or was killed.
    fn receive(&mut self) -> Option<Message> {
        let message = frame::read(&mut self.output).ok().flatten();
        let mut gate = lock(&self.gate);
        gate.current = None;
        message.filter(|_| !gate.killed)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = &mut lock(&self.gate).child;
        // Both do nothing where it was waited for.
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
