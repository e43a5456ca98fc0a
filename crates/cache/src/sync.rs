//! Locks, and what single flight is made of. A test puts loom's in its place.

use std::sync::PoisonError;

pub(crate) use std::hash::RandomState;
pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard};

/// Locks; no holder of these locks leaves what is behind them half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
