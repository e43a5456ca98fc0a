//! Writes log lines on a thread of its own, so that a stalled terminal or pipe never stalls the application.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Error;

/// A bounded queue of lines in front of a sink. A line that does not fit is dropped and counted.
///
/// The queue is one buffer of bytes that the writing thread swaps for an empty one, so that a line costs one copy and
/// no allocation. The thread ends when the last clone is gone and the buffer is empty.
#[derive(Clone)]
pub(crate) struct LogWriter(Arc<Handle>);

struct Handle(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    capacity: usize,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines in `waiting`.
    lines: u64,
    /// The thread is writing what it took.
    writing: bool,
    closed: bool,
}

impl LogWriter {
    /// Starts the thread. `capacity` bounds the bytes that wait.
    pub(crate) fn start(sink: impl Write + Send + 'static, capacity: usize) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            capacity,
            dropped: AtomicU64::new(0),
        });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer.run(sink))
            .map_err(Error::Thread)?;
        Ok(Self(Arc::new(Handle(shared))))
    }

    /// Puts a line into the queue, or drops and counts it.
    pub(crate) fn write(&self, line: &[u8]) {
        let shared = self.shared();
        let mut state = shared.lock();
        if state.waiting.len().saturating_add(line.len()) > shared.capacity {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        state.lines += 1;
        drop(state);
        if was_empty {
            shared.changed.notify_all();
        }
    }

    /// Waits until what was queued has been written, at most `within`. Says whether it has.
    pub(crate) fn flush(&self, within: Duration) -> bool {
        let shared = self.shared();
        // The operating system's own wait: flushing is about a real device, so simulated time has no say.
        let (_state, timeout) = shared
            .changed
            .wait_timeout_while(shared.lock(), within, |state| state.writing || !state.waiting.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        !timeout.timed_out()
    }

    /// How many lines were dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.shared().dropped.load(Ordering::Relaxed)
    }

    fn shared(&self) -> &Shared {
        &self.0.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut sink: impl Write) {
        let mut batch = Vec::new();
        loop {
            let mut state = self
                .changed
                .wait_while(self.lock(), |state| state.waiting.is_empty() && !state.closed)
                .unwrap_or_else(PoisonError::into_inner);
            if state.waiting.is_empty() {
                return;
            }
            std::mem::swap(&mut state.waiting, &mut batch);
            let lines = std::mem::take(&mut state.lines);
            state.writing = true;
            drop(state);

            // A sink that fails (closed pipe, full disk) costs its lines, which are counted, and never the process.
            if sink.write_all(&batch).and_then(|()| sink.flush()).is_err() {
                self.dropped.fetch_add(lines, Ordering::Relaxed);
            }
            batch.clear();
            self.lock().writing = false;
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests

    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Passes on what is written, and waits for leave before each write.
    struct Stalled {
        leave: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.leave.recv().map_err(std::io::Error::other)?;
            self.written.send(bytes.to_vec()).map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn stalled(capacity: usize) -> (LogWriter, Sender<()>, Receiver<Vec<u8>>) {
        let (allow, leave) = channel();
        let (written, lines) = channel();
        (LogWriter::start(Stalled { leave, written }, capacity).unwrap(), allow, lines)
    }

    #[test]
    fn a_stalled_sink_costs_lines_and_never_time() {
        let (writer, allow, lines) = stalled(20);
        for _ in 0..100 {
            writer.write(b"0123456789");
        }
        assert!(!writer.flush(Duration::from_millis(1)), "nothing can be written yet");
        let dropped = writer.dropped();
        assert!((96..=98).contains(&dropped), "two batches of two lines at most wait: {dropped}");
        for _ in 0..4 {
            allow.send(()).unwrap();
        }
        assert!(writer.flush(Duration::from_secs(10)));
        let kept: usize = lines.try_iter().map(|batch| batch.len() / 10).sum();
        assert_eq!(kept as u64 + dropped, 100, "every line is either written or counted");
    }

    #[test]
    fn what_waits_is_written_after_the_last_handle_is_gone() {
        let (writer, allow, lines) = stalled(100);
        writer.write(b"last words");
        drop(writer);
        allow.send(()).unwrap();
        assert_eq!(lines.recv().unwrap(), b"last words");
        assert!(lines.recv().is_err(), "the thread ends");
    }

    #[test]
    fn lines_that_a_broken_sink_refuses_are_counted() {
        let (writer, allow, _) = stalled(100);
        drop(allow);
        writer.write(b"one");
        assert!(writer.flush(Duration::from_secs(10)));
        assert_eq!(writer.dropped(), 1);
    }
}
