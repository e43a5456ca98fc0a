//! Work that all processors share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;

use crate::Error;

/// How many threads share the work.
pub(crate) fn count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Has as many threads as there are processors take one task after the other, each with what it has begun with, until all are done or one fails.
pub(crate) fn share<T: Sync, S>(
    tasks: &[T],
    begin: impl Fn() -> Result<S, Error> + Sync,
    work: impl Fn(&mut S, &T) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let run = || {
            let mut own = begin()?;
            while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                work(&mut own, task)?;
            }
            Ok(())
        };
        let threads: Vec<_> = (0..count()).map(|_| scope.spawn(run)).collect();
        // All are waited for, also after the first error.
        let ended: Vec<_> = threads.into_iter().map(join).collect();
        ended.into_iter().collect()
    })
}

/// What a thread has ended with.
pub(crate) fn join<S>(thread: ScopedJoinHandle<'_, Result<S, Error>>) -> Result<S, Error> {
    thread.join().unwrap_or_else(|_| Err(panicked()))
}

/// That a thread has ended as none should.
pub(crate) fn panicked() -> Error {
    Error::Internal { problem: "a thread of the repository panicked".to_owned() }
}
