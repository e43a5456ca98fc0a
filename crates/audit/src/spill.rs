//! Events that found no room in the queue: in a file, in their order, until there is room.
//!
//! While anything is in the file, what comes goes there too, so that order is kept. The file begins with 16 bytes of name and 8 of where
//! the first event is that is not in the log yet; an event is its length (4), the first eight bytes of the SHA-256 of its bytes, and these. It is not
//! synced: it is for a moment's burst and for a disk that fails, and outlives the process, not the power.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::Error;
use crate::disk::{Disk, DiskFile};
use crate::entry::LONGEST_ENTRY;
use crate::log::Shared;
use crate::merkle::Hash;

const NAME: &[u8; 16] = b"buttress-spill 1";
const START: usize = 24;
const PREFIX: usize = 12;
/// The offset of the first event.
const FIRST: u64 = START as u64;
/// So many events are brought back at once.
const CHUNK: usize = 256;
const RETRY: Duration = Duration::from_secs(1);

/// Whether an event is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spilled {
    Yes,
    No,
}

#[derive(Debug)]
pub(crate) struct Spill {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    most: u64,
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    file: Option<Box<dyn DiskFile>>,
    /// Before it, all is in the log.
    head: u64,
    tail: u64,
}

impl Spill {
    /// With what the last process left in the file.
    pub(crate) fn open(disk: Arc<dyn Disk>, path: PathBuf, most: u64) -> Result<Self, Error> {
        let mut state = State { file: None, head: FIRST, tail: FIRST };
        if let Ok(file) = File::open(&path) {
            let mut start = [0; START];
            if file.read_exact_at(&mut start, 0).is_ok()
                && let Some((name, head)) = start.split_first_chunk::<16>()
                && let Some(head) = head.first_chunk()
                && name == NAME
            {
                state.head = u64::from_be_bytes(*head).max(FIRST);
                state.tail = state.head;
                while let Some(event) = read(&file, state.tail) {
                    state.tail += (PREFIX + event.len()) as u64;
                }
                if state.tail > state.head {
                    state.file = Some(disk.open(&path).map_err(Error::disk("open", &path))?);
                }
            }
        }
        Ok(Self { disk, path, most, state: Mutex::new(state), filled: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that wait.
    pub(crate) fn backlog(&self) -> u64 {
        let state = self.state();
        state.tail - state.head
    }

    /// Puts an event into the queue if nothing waits before it and there is room, or into the file.
    pub(crate) fn put(
        &self,
        bytes: Vec<u8>,
        queue: impl FnOnce(Vec<u8>) -> Result<(), Vec<u8>>,
    ) -> Result<Spilled, Error> {
        let mut state = self.state();
        let bytes = if state.tail == state.head {
            match queue(bytes) {
                Ok(()) => return Ok(Spilled::No),
                Err(bytes) => bytes,
            }
        } else {
            bytes
        };
        let size = (PREFIX + bytes.len()) as u64;
        if state.tail - FIRST + size > self.most {
            let full = std::io::Error::new(
                std::io::ErrorKind::StorageFull,
                "the spill file is as large as it may be",
            );
            return Err(Error::disk("spill to", &self.path)(full));
        }
        let told = |error| Error::disk("spill to", &self.path)(error);
        if state.file.is_none() {
            let file = self.disk.create(&self.path).map_err(told)?;
            file.write_at(&[&NAME[..], &FIRST.to_be_bytes()].concat(), 0).map_err(told)?;
            (state.file, state.head, state.tail) = (Some(file), FIRST, FIRST);
        }
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let record = [&length.to_be_bytes()[..], &check(&bytes), &bytes].concat();
        let tail = state.tail;
        let Some(file) = &state.file else { return Err(Error::Closed) };
        file.write_at(&record, tail).map_err(told)?;
        state.tail += size;
        drop(state);
        self.filled.notify_one();
        Ok(Spilled::Yes)
    }

    /// The first events that wait, each with where the next is.
    fn chunk(&self) -> Option<Vec<(Vec<u8>, u64)>> {
        let (head, tail) = {
            let state = self.state();
            (state.head, state.tail)
        };
        let file = File::open(&self.path).ok()?;
        let (mut at, mut events) = (head, Vec::new());
        while at < tail && events.len() < CHUNK {
            let event = read(&file, at)?;
            at += (PREFIX + event.len()) as u64;
            events.push((event, at));
        }
        Some(events)
    }

    /// All before `head` is in the log.
    fn done_to(&self, head: u64) {
        let mut state = self.state();
        state.head = head;
        if let Some(file) = &state.file {
            // Where this fails, a crash makes some be logged twice, which is allowed.
            let _ = file.write_at(&head.to_be_bytes(), 16);
        }
        if state.head == state.tail {
            (state.file, state.head, state.tail) = (None, FIRST, FIRST);
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn check(bytes: &[u8]) -> [u8; 8] {
    Hash::of(&[bytes]).start()
}

/// The event there, if there is a whole one.
fn read(file: &File, at: u64) -> Option<Vec<u8>> {
    let mut start = [0; PREFIX];
    file.read_exact_at(&mut start, at).ok()?;
    let (length, sum) = start.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    if length > LONGEST_ENTRY {
        return None;
    }
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, at + PREFIX as u64).ok()?;
    (check(&bytes) == *sum).then_some(bytes)
}

/// Brings back what was spilled, until the log is closed.
pub(crate) async fn drain(shared: Arc<Shared>) {
    let mut done = shared.done.subscribe();
    loop {
        if shared.spill.backlog() == 0 {
            tokio::select! {
                () = shared.spill.filled.notified() => {}
                _ = done.wait_for(|done| *done) => return,
            }
        }
        let reading = Arc::clone(&shared);
        let chunk = tokio::task::spawn_blocking(move || reading.spill.chunk()).await;
        let whole = match chunk {
            Ok(Some(events)) => log_all(&shared, events).await,
            Ok(None) | Err(_) => false,
        };
        if !whole {
            tokio::select! {
                () = shared.ctx.clock.sleep(RETRY) => {}
                _ = done.wait_for(|done| *done) => return,
            }
        }
    }
}

/// Whether all are in the log. Those before the first that is not are done with.
async fn log_all(shared: &Shared, events: Vec<(Vec<u8>, u64)>) -> bool {
    let mut answers = Vec::with_capacity(events.len());
    for (bytes, next) in events {
        let (reply, answer) = oneshot::channel();
        if shared.queue.push(bytes, reply).await.is_err() {
            break;
        }
        answers.push((answer, next));
    }
    let (mut whole, mut done) = (!answers.is_empty(), None);
    for (answer, next) in answers {
        whole &= matches!(answer.await, Ok(Ok(_)));
        done = if whole { Some(next) } else { done };
    }
    if let Some(done) = done {
        shared.spill.done_to(done);
    }
    whole
}
