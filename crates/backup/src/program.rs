//! Other people's programs: found, run with a limit, and ended with all that they started.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use buttress_core::Ctx;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use crate::Error;
use crate::source::{failed, refused};

/// How much is kept of what a program complains of: the end, where the reason stands.
const MOST_COMPLAINT: usize = 4 << 10;

/// How much a program may answer.
const MOST_ANSWER: usize = 1 << 20;

/// Where a program is: in `folder` if one is given; else in the `places` (in which `*` is any one folder, of which the last by number is
/// taken), else on the search path.
///
/// `of` asks for it, and `package` of Debian brings it.
pub(crate) fn find(
    of: &str,
    name: &str,
    folder: Option<&Path>,
    places: &[&str],
    package: &str,
) -> Result<PathBuf, Error> {
    let found = match folder {
        Some(folder) => Some(folder.join(name)).filter(|path| path.is_file()),
        None => in_places(places, name).or_else(|| on_search_path(name)),
    };
    found.ok_or_else(|| {
        let looked = folder.map_or_else(
            || format!("on the search path and in {}", places.join(", ")),
            |folder| format!("in {}", folder.display()),
        );
        let remedy = "install Debian's package";
        refused(
            of,
            format!(
                "the program `{name}` is not {looked}; {remedy} `{package}`, or set `programs` to its folder"
            ),
        )
    })
}

fn in_places(places: &[&str], name: &str) -> Option<PathBuf> {
    places.iter().find_map(|place| match place.split_once('*') {
        None => Some(Path::new(place).join(name)).filter(|path| path.is_file()),
        Some((before, after)) => {
            let folders = Path::new(before).read_dir().ok()?;
            let programs = folders.flatten().map(|folder| {
                // Versions by number: 9 comes before 15.
                let version = folder.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
                (version, folder.path().join(after.trim_matches('/')).join(name))
            });
            programs.filter(|(_, path)| path.is_file()).max().map(|(_, path)| path)
        }
    })
}

fn on_search_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A program that has ended by itself.
#[derive(Debug)]
pub(crate) struct Ended {
    /// How.
    pub(crate) status: ExitStatus,
    /// All that it answered.
    pub(crate) answer: String,
    /// The end of what it complained of.
    pub(crate) complaint: String,
}

/// What a program complained of.
#[derive(Debug, thiserror::Error)]
#[error("it said: {0}")]
pub(crate) struct Complaint(String);

/// Runs a program to its end, in a process group of its own. The group is killed when `limit` has passed, when the shutdown says stop, and
/// when this is dropped.
///
/// # Errors
///
/// [`Error::Timeout`], [`Error::Stopped`]; [`Error::Source`] of `of` when it does not start or answers more than a MiB. How it ended
/// is for the caller to judge.
pub(crate) async fn run(of: &str, command: Command, limit: Duration, ctx: &Ctx) -> Result<Ended, Error> {
    let name = name(&command);
    let mut running = Running::start(of, command)?;
    tokio::select! {
        ended = running.end(of, &name, ctx) => ended,
        () = ctx.clock.sleep(limit) => {
            running.kill().await;
            Err(Error::Timeout { what: format!("{of}: `{name}`"), limit })
        }
        () = ctx.shutdown.stopped() => {
            running.kill().await;
            Err(Error::Stopped)
        }
    }
}

/// As [`run`], and ended well; what it answered.
///
/// # Errors
///
/// As [`run`], and [`Error::Source`] with the program's complaint when it failed.
pub(crate) async fn run_well(
    of: &str,
    command: Command,
    limit: Duration,
    ctx: &Ctx,
) -> Result<String, Error> {
    let name = name(&command);
    let ended = run(of, command, limit, ctx).await?;
    if ended.status.success() { Ok(ended.answer) } else { Err(ended.failure(of, &name)) }
}

impl Ended {
    /// That it ended badly.
    pub(crate) fn failure(self, of: &str, name: &str) -> Error {
        let problem = format!("`{name}` ended with {}", self.status);
        let said = if self.complaint.is_empty() { self.answer } else { self.complaint };
        let said = said.trim();
        if said.is_empty() { refused(of, problem) } else { failed(of, problem, Complaint(tail(said))) }
    }
}

fn tail(text: &str) -> String {
    let start = text.len().saturating_sub(MOST_COMPLAINT);
    let start = (start..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    text.get(start..).unwrap_or_default().to_owned()
}

fn name(command: &Command) -> String {
    let program = Path::new(command.as_std().get_program());
    program.file_name().unwrap_or(OsStr::new("")).to_string_lossy().into_owned()
}

/// A program and its children.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it, in a process group of its own, with nothing to read.
    pub(crate) fn start(of: &str, mut command: Command) -> Result<Self, Error> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        // Messages are read by people here, and some by us.
        command.env("LC_ALL", "C");
        let child = command.spawn();
        child.map(Self).map_err(|error| failed(of, format!("`{}` does not start", name(&command)), error))
    }

    /// Waits for the end, and reads meanwhile.
    pub(crate) async fn end(&mut self, of: &str, name: &str, ctx: &Ctx) -> Result<Ended, Error> {
        let (stdout, stderr) = (self.0.stdout.take(), self.0.stderr.take());
        let (mut answer, mut complaint) = (Vec::new(), Vec::new());
        let mut overflowed = false;
        let reading = async {
            let answering = read(stdout, |piece| {
                overflowed |= answer.len() + piece.len() > MOST_ANSWER;
                if !overflowed {
                    answer.extend_from_slice(piece);
                }
            });
            let complaining = read(stderr, |piece| {
                complaint.extend_from_slice(piece);
                complaint.drain(..complaint.len().saturating_sub(MOST_COMPLAINT));
            });
            tokio::try_join!(answering, complaining).map(|_| ())
        };
        let child = &mut self.0;
        let both = async {
            let mut reading = std::pin::pin!(reading);
            let status = tokio::select! {
                read = &mut reading => {
                    read?;
                    return child.wait().await;
                }
                status = child.wait() => status?,
            };
            // What it wrote is in the pipes. A child that it left behind may hold them open, and is not waited for.
            let _ = buttress_core::timeout(&*ctx.clock, Duration::from_millis(200), reading).await;
            Ok::<_, io::Error>(status)
        };
        let status = both.await.map_err(|error| failed(of, format!("`{name}` cannot be watched"), error))?;
        if overflowed {
            return Err(refused(of, format!("`{name}` answered more than {MOST_ANSWER} bytes")));
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Ended { status, answer: text(&answer), complaint: text(&complaint) })
    }

    /// Sends a signal to it and its children, if it has not ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = id {
            // The group is gone where all have ended by themselves.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Waits until it has ended.
    pub(crate) async fn wait(&mut self) {
        // Only a child that was waited for already cannot be.
        let _ = self.0.wait().await;
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut buffer = vec![0; 16 << 10];
    loop {
        match pipe.read(&mut buffer).await? {
            0 => return Ok(()),
            read => take(buffer.get(..read).unwrap_or_default()),
        }
    }
}
