//! What the tables are locked with. A test puts loom's in its place.

use std::sync::PoisonError;

pub(crate) use std::sync::{Mutex, MutexGuard};

/// Locks. A panic under a lock is a fault of ours; counts may be off by one then, no more.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
