//! A run of the program: a process group with limits, watched until it is done or its time is up.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::{MOST_TEXT_BYTES, Picture, Unread, failed};
use crate::budget::Budget;
use crate::config::OcrConfig;
use crate::worker::WORKER_VARIABLE;

/// How long the watch sleeps at most: the deadline and the cancel token are looked at so often.
const WATCH: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// What is kept of what the program complains of.
const MOST_COMPLAINT_BYTES: usize = 4 << 10;

/// What the program makes of a picture within `time`.
pub(super) fn run(
    picture: &Picture<'_>,
    config: &OcrConfig,
    time: Duration,
    budget: &Budget,
) -> Result<Vec<u8>, Unread> {
    let mut running = Running::start(picture, config).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Unread::Missing(config.program.clone()),
        _ => failed(config, format!("does not start: {error}")),
    })?;
    running.limit(config, time);
    let broken = |error: io::Error| failed(config, format!("cannot be watched: {error}"));

    let mut input = Outlet::new(running.child.stdin.take(), &picture.file).map_err(broken)?;
    let mut text = Inlet::new(running.child.stdout.take(), MOST_TEXT_BYTES).map_err(broken)?;
    let mut complaint = Inlet::new(running.child.stderr.take(), MOST_COMPLAINT_BYTES).map_err(broken)?;
    let end = budget.remaining().saturating_sub(time);
    loop {
        budget.check_time()?;
        if budget.remaining() <= end {
            return Err(Unread::Slow(time));
        }
        // Asked before the pipes are read: what it wrote is in them by then.
        let ended = running.has_ended().map_err(broken)?;
        input.write();
        text.read().map_err(broken)?;
        complaint.read().map_err(broken)?;
        if text.overflowed {
            return Err(failed(config, format!("wrote more than {MOST_TEXT_BYTES} bytes of text")));
        }
        if ended {
            break;
        }
        let pipes = input.poll().into_iter().chain(text.poll()).chain(complaint.poll());
        match poll(&mut pipes.collect::<Vec<_>>(), Some(&WATCH)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(broken(error.into())),
        }
    }
    let status = running.child.wait().map_err(broken)?;
    if status.success() {
        return Ok(text.bytes);
    }
    let complaint = String::from_utf8_lossy(&complaint.bytes);
    let complaint = complaint.lines().map(str::trim).find(|line| !line.is_empty());
    let said = complaint.map(|line| format!("; it said: {line}")).unwrap_or_default();
    Err(failed(config, format!("ended with {status}{said}")))
}

/// The program, killed with all that it started when this is dropped.
struct Running {
    child: Child,
}

impl Running {
    fn start(picture: &Picture<'_>, config: &OcrConfig) -> io::Result<Self> {
        let mut command = Command::new(&config.program);
        command.args(["stdin", "stdout", "-l", &config.languages]);
        command.args(["--dpi", &picture.pixels_per_inch.to_string()]);
        // What was turned on the page is looked at for which way up it is, which takes half as long again.
        command.args(["--psm", if picture.upright { "3" } else { "1" }]);
        command.args(["-c", "page_separator="]);
        // A core for each worker is a core for each of their programs.
        command.env("OMP_THREAD_LIMIT", "1").env_remove(WORKER_VARIABLE);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command.spawn().map(|child| Self { child })
    }

    /// Gives the program limits of its own in place of those that a worker process hands down. That of its processor
    /// time ends it even when nobody is left to kill it.
    #[cfg(target_os = "linux")]
    fn limit(&self, config: &OcrConfig, time: Duration) {
        use rustix::process::{Resource, Rlimit, getrlimit, prlimit};

        let limits = [(Resource::As, config.memory.bytes()), (Resource::Cpu, time.as_secs() + 1)];
        for (resource, wanted) in limits {
            let most = getrlimit(resource).maximum.map_or(wanted, |hard| hard.min(wanted));
            // It fails only where the program is gone already.
            let _ = prlimit(Some(self.pid()), resource, Rlimit { current: Some(most), maximum: Some(most) });
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn limit(&self, _: &OcrConfig, _: Duration) {}

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Whether the program has ended. It is not reaped: until then its number, and so its group's, is no other's.
    fn has_ended(&self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(waitid(WaitId::Pid(self.pid()), options)?.is_some())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The group is gone when the program has been reaped and has left nothing behind.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// The picture on its way to the program.
struct Outlet<'a> {
    pipe: Option<ChildStdin>,
    rest: &'a [u8],
}

impl<'a> Outlet<'a> {
    fn new(pipe: Option<ChildStdin>, bytes: &'a [u8]) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            ioctl_fionbio(pipe, true)?;
        }
        Ok(Self { pipe, rest: bytes })
    }

    /// Writes as much as the pipe takes, and closes it after the last byte.
    fn write(&mut self) {
        while let Some(pipe) = self.pipe.as_mut().filter(|_| !self.rest.is_empty()) {
            match pipe.write(self.rest) {
                Ok(written) => self.rest = self.rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The program reads no more; its status will tell why.
                Err(_) => break,
            }
        }
        self.pipe = None;
    }

    fn poll(&self) -> Option<PollFd<'_>> {
        self.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::OUT))
    }
}

/// What the program writes, up to a bound; what is beyond it is read and forgotten.
struct Inlet<R> {
    pipe: Option<R>,
    bytes: Vec<u8>,
    most: usize,
    overflowed: bool,
}

impl<R: Read + AsFd> Inlet<R> {
    fn new(pipe: Option<R>, most: usize) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            ioctl_fionbio(pipe, true)?;
        }
        Ok(Self { pipe, bytes: Vec::new(), most, overflowed: false })
    }

    /// Reads what is there, at most a full pipe of it, so that an endless writer does not hold the watch up.
    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        for _ in 0..64 {
            let Some(pipe) = &mut self.pipe else { return Ok(()) };
            let piece = match pipe.read(&mut buffer) {
                Ok(0) => {
                    self.pipe = None;
                    return Ok(());
                }
                Ok(read) => buffer.get(..read).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let room = self.most - self.bytes.len();
            self.overflowed |= piece.len() > room;
            self.bytes.extend_from_slice(piece.get(..room).unwrap_or(piece));
        }
        Ok(())
    }

    fn poll(&self) -> Option<PollFd<'_>> {
        self.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN))
    }
}
