//! A program and all its children, which end together.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// A program started in a process group of its own, so that it and its children can be signalled as one.
///
/// The group is killed on drop. A guard process kills it also when our process dies without dropping anything: it
/// waits on a pipe that only we hold open.
#[derive(Debug)]
pub struct ProcessGroup {
    child: Child,
    group: Pid,
    guard: Option<Child>,
    name: String,
    log: PathBuf,
}

impl ProcessGroup {
    /// Starts `command`, with both its outputs in the file `log`.
    pub fn spawn(command: &mut Command, log: &Path) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = File::create(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let errors = output.try_clone().expect("a file handle can be doubled");
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} did not start: {error}"));
        let group = Pid::from_child(&child);
        let guard = Command::new("/bin/sh")
            .args(["-c", "cat >/dev/null; kill -KILL \"-$1\" 2>/dev/null", "guard"])
            .arg(group.as_raw_nonzero().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("/bin/sh starts");
        Self { child, group, guard: Some(guard), name, log: log.to_owned() }
    }

    /// The process id of the program, which is also the id of its group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal` to the program and all its children. A group that has ended already is left alone.
    pub fn signal(&self, signal: Signal) {
        let _already_gone = kill_process_group(self.group, signal);
    }

    /// Whether the program, or a child of it, still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        test_kill_process_group(self.group).is_ok()
    }

    /// The program's exit status, if it has ended by itself.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child can be waited for")
    }

    /// Waits until the program has ended. Its children may live on until the group is dropped or killed.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("our own child can be waited for")
    }

    /// Lets the program run for `delay`, then kills it and all its children, as a crash would.
    ///
    /// Returns whether the program still ran at that moment; if it ended earlier nothing was interrupted.
    pub fn kill_after(&mut self, delay: Duration) -> bool {
        std::thread::sleep(delay);
        let interrupted = self.exited().is_none();
        self.kill();
        interrupted
    }

    /// `kill -9` for the program and all its children, at once. Returns when they are gone.
    pub fn kill(&mut self) {
        // The guard goes first: once the program is reaped its number may be given to another process.
        let Some(guard) = self.guard.take() else { return };
        dismiss(guard);
        self.signal(Signal::KILL);
        let _reaped = self.child.wait();
        // Children are reaped by the system, a little later; the folder they write to may go only then.
        for _ in 0..100 {
            if !self.is_alive() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything the program has printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Panics, with what the program printed, if it has ended: nothing is left to wait for.
    pub(crate) fn expect_running(&mut self) {
        if let Some(status) = self.exited() {
            panic!("{} ended early with {status}:\n{}", self.name, self.output());
        }
    }
}

/// Ends a guard, its `cat` included, before it sees its pipe close.
fn dismiss(mut guard: Child) {
    let _already_gone = kill_process_group(Pid::from_child(&guard), Signal::KILL);
    let _reaped = guard.wait();
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}
