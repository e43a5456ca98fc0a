//! Snapshots that this process has written, which a listing may not show yet.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Object;
use crate::store::Listed;

/// How many are remembered, the newest. A listing is late for seconds.
const MOST: usize = 256;

/// Objects that were written, and not deleted since. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Written(Arc<Mutex<VecDeque<Listed>>>);

impl Written {
    pub(super) fn add(&self, object: Object, size: u64) {
        self.with(|all| {
            all.retain(|one| one.object != object);
            all.push_front(Listed { object, size, modified: None });
            all.truncate(MOST);
        });
    }

    pub(super) fn remove(&self, object: Object) {
        self.with(|all| all.retain(|one| one.object != object));
    }

    /// Those that a listing does not show: it is late, or another process has deleted them.
    pub(super) fn missing_in(&self, listed: &[Listed]) -> Vec<Listed> {
        let mut missing = self.with(|all| Vec::from(all.clone()));
        if !missing.is_empty() {
            for Listed { object, .. } in listed {
                missing.retain(|one| one.object != *object);
            }
        }
        missing
    }

    fn with<T>(&self, work: impl FnOnce(&mut VecDeque<Listed>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
