//! A worker process: asked for a document by a line of JSON, answers by a line, and is killed when it takes too long.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

/// A worker may need this long for its first answer: some rivals load a hundred modules first.
const START: Duration = Duration::from_mins(2);

/// What it took to read a document.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Reading {
    /// Seconds.
    pub(super) wall: f64,
    /// Seconds, user and system, of all threads and children.
    pub(super) cpu: f64,
    /// Characters of text.
    pub(super) chars: u64,
}

/// A reading, or why there is none.
pub(super) type Outcome = Result<Reading, String>;

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Read(Reading),
    Failed { error: String },
}

/// One engine's worker. It lives as long as it answers; after a crash or a kill the next question starts another.
pub(super) struct Worker<'c> {
    command: Box<dyn Fn() -> Command + 'c>,
    /// What a new worker reads before it is measured.
    warm_up: &'c Path,
    deadline: Duration,
    log: File,
    running: Option<Running>,
}

impl<'c> Worker<'c> {
    pub(super) fn new(
        command: impl Fn() -> Command + 'c,
        warm_up: &'c Path,
        deadline: Duration,
        log: File,
    ) -> Self {
        Self { command: Box::new(command), warm_up, deadline, log, running: None }
    }

    /// Has `path` read, and its text written to `text`.
    pub(super) fn read(&mut self, path: &Path, text: Option<&Path>) -> Result<Outcome> {
        let running = match self.running.take() {
            Some(running) => running,
            None => self.start()?,
        };
        let (outcome, still_running) = running.ask(path, text, self.deadline)?;
        self.running = still_running;
        Ok(outcome)
    }

    fn start(&self) -> Result<Running> {
        let (_, warm) = Running::start((self.command)(), &self.log)?.ask(self.warm_up, None, START)?;
        // One that does not survive the first document may yet read others.
        warm.map_or_else(|| Running::start((self.command)(), &self.log), Ok)
    }
}

/// A process in a group of its own, so that its children go with it.
struct Running {
    child: Child,
    questions: ChildStdin,
    answers: Receiver<String>,
}

impl Running {
    fn start(mut command: Command, log: &File) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone()?)
            .process_group(0)
            .spawn()
            .with_context(|| format!("{} did not start", command.get_program().display()))?;
        let (questions, output) = child.stdin.take().zip(child.stdout.take()).context("piped above")?;
        let (sender, answers) = channel();
        // Ends with the worker's output, or with the receiver.
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Ok(Self { child, questions, answers })
    }

    /// The outcome, and the worker if it can be asked again.
    fn ask(
        mut self,
        path: &Path,
        text: Option<&Path>,
        deadline: Duration,
    ) -> Result<(Outcome, Option<Self>)> {
        let question = serde_json::json!({ "path": path, "text": text });
        // A worker that died since is told apart below: its output has ended.
        let _ = writeln!(self.questions, "{question}").and_then(|()| self.questions.flush());
        match self.answers.recv_timeout(deadline) {
            Ok(line) => {
                let answer = serde_json::from_str(&line).with_context(|| format!("a worker said {line}"))?;
                let outcome = match answer {
                    Answer::Read(Reading { chars: 0, .. }) => Err("no text".to_owned()),
                    Answer::Read(reading) => Ok(reading),
                    Answer::Failed { error } => Err(error),
                };
                Ok((outcome, Some(self)))
            }
            Err(RecvTimeoutError::Timeout) => {
                Ok((Err(format!("killed after {} s", deadline.as_secs())), None))
            }
            Err(RecvTimeoutError::Disconnected) => Ok((Err("the process died".to_owned()), None)),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _already_gone = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _already_reaped = self.child.wait();
    }
}
