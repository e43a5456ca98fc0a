//! The browser's processes, from their start until none is left.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use buttress_core::{Ctx, SharedClock, timeout};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::config::ChromiumConfig;
use super::connection::Connection;
use super::error::{Error, Result};
use super::leftovers::Note;
use super::stderr::LastWords;
use super::{processes, program};

/// Moves the pipes to where the browser expects them. The shell replaces itself, so its number is the browser's.
const MOVE_PIPES: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null"#;
/// How long killed processes may take to end. Only the kernel can hold them longer.
const END_WITHIN: Duration = Duration::from_secs(20);
/// How long what an ended browser printed may take to be read.
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// How often it is looked whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A running browser's group of processes.
#[derive(Debug)]
pub(super) struct Process {
    group: i32,
    shared: Arc<Shared>,
    finished: watch::Receiver<bool>,
    folder: PathBuf,
}

#[derive(Debug, Default)]
struct Shared {
    /// No process is left: the group's number may belong to somebody else from now on.
    over: Mutex<bool>,
    /// Somebody wants the group to end.
    wanted: Notify,
}

impl Shared {
    /// Kills the group, unless its number may be another's already.
    fn kill(&self, group: i32) {
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        if !*over {
            processes::kill(group);
        }
    }
}

impl Process {
    /// Starts a browser, and a task that clears up after it.
    pub(super) fn start(
        config: &ChromiumConfig,
        program: &Path,
        proxy: Option<SocketAddr>,
        ctx: &Ctx,
    ) -> Result<(Self, Connection, LastWords)> {
        let temporary = std::env::temp_dir();
        let folder = tempfile::Builder::new().prefix("browser-").tempdir();
        let folder = folder.map_err(Error::system("make a folder in", temporary))?;
        let profile = program::profile_argument(&folder.path().join("profile"));
        let note = config.leftovers.as_deref().map(|journal| Note::write(journal, &profile, folder.path()));
        let mut note = note.transpose()?;
        let mut child = Command::new("/bin/sh")
            .args(["-c", MOVE_PIPES, "sh"])
            .arg(program)
            .args(program::arguments(config, program, &profile, proxy))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::system("start", program))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        if let Some(note) = &mut note {
            note.started(group)?;
        }
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            // Dropping the child kills it. Pipes that were asked for are always there.
            return Err(Error::Launch { program: program.to_owned(), words: String::new() });
        };
        let words = LastWords::default();
        let listener = tokio::spawn(words.clone().listen(stderr));
        let connection = Connection::open(stdin, stdout, words.clone(), ctx.clock.clone());
        let shared = Arc::new(Shared::default());
        let (finish, finished) = watch::channel(false);
        let path = folder.path().to_owned();
        let keeper =
            Keeper { group, child, listener, folder: Some(folder), note, shared: shared.clone(), finish };
        ctx.shutdown.spawn(keeper.run(connection.clone(), ctx.clone()));
        Ok((Self { group, shared, finished, folder: path }, connection, words))
    }

    pub(super) fn group(&self) -> i32 {
        self.group
    }

    /// The browser's own folder, removed when its processes are gone.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// `kill -9` for all processes, at once.
    pub(super) fn kill(&self) {
        self.shared.kill(self.group);
        self.shared.wanted.notify_one();
    }

    /// Completes when no process is left and everything is cleared up.
    pub(super) async fn finished(&self) {
        // Fails only when the keeper was dropped with its runtime, and then nobody is left to wait for.
        let _ = self.finished.clone().wait_for(|finished| *finished).await;
    }
}

/// Owns what must go when the browser goes.
struct Keeper {
    group: i32,
    child: Child,
    listener: JoinHandle<()>,
    /// Taken when there is nothing left to wait for.
    folder: Option<TempDir>,
    note: Option<Note>,
    shared: Arc<Shared>,
    finish: watch::Sender<bool>,
}

impl Keeper {
    async fn run(mut self, connection: Connection, ctx: Ctx) {
        tokio::select! {
            () = connection.ended() => {}
            () = self.shared.wanted.notified() => {}
            () = ctx.shutdown.stopped() => {}
        }
        drop(connection);
        if self.ends(&ctx.clock).await {
            // Until here the leader was not waited for, so its number, the group's name, could not be given away.
            *self.shared.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
            let _reaped = self.child.wait().await;
            // Whoever asks why the browser ended is told all of its last words.
            let _ = timeout(&*ctx.clock, HEARD_WITHIN, &mut self.listener).await;
            let (folder, note) = (self.folder.take(), self.note.take());
            let cleared = tokio::task::spawn_blocking(move || {
                let removed = folder.map_or(Ok(()), TempDir::close);
                if let Some(note) = note {
                    note.remove();
                }
                removed
            });
            if let Ok(Err(error)) = cleared.await {
                tracing::warn!(%error, "the browser's folder could not be removed");
            }
        } else {
            tracing::warn!(group = self.group, "processes of a killed browser do not end");
        }
        self.finish.send_replace(true);
    }

    /// Kills the group until nobody is left in it; a process may be born while its parent is killed.
    async fn ends(&self, clock: &SharedClock) -> bool {
        let deadline = clock.now() + END_WITHIN;
        loop {
            self.shared.kill(self.group);
            if processes::members(self.group).is_empty() {
                return true;
            }
            if clock.now() >= deadline {
                return false;
            }
            clock.sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Keeper {
    /// A runtime that ends drops the task wherever it is.
    fn drop(&mut self) {
        self.shared.kill(self.group);
    }
}
