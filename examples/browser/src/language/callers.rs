//! Who waits for an answer: a call that nobody waits for any more is given up.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use buttress_cache::HashedKey;
use tokio::sync::watch;

/// Those who wait, by what they wait for. An entry is there as long as somebody does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Callers(Arc<Mutex<Map>>);

type Map = HashMap<HashedKey, Weak<watch::Sender<()>>>;

/// One who waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    callers: Callers,
    key: HashedKey,
    /// All who wait for the same have it in common. `None` only while this is dropped.
    line: Option<Arc<watch::Sender<()>>>,
    /// Whether nobody waited for the same when this one came.
    pub(crate) is_first: bool,
}

/// Hears that nobody waits any more.
#[derive(Debug)]
pub(crate) struct Left(Option<watch::Receiver<()>>);

impl Callers {
    /// Waits from now on, until what is returned is dropped.
    pub(crate) fn wait_for(&self, key: HashedKey) -> Waiting {
        let mut map = self.lock();
        let waiting = map.get(&key).and_then(Weak::upgrade);
        let is_first = waiting.is_none();
        let line = waiting.unwrap_or_else(|| {
            let line = Arc::new(watch::Sender::new(()));
            map.insert(key, Arc::downgrade(&line));
            line
        });
        Waiting { callers: self.clone(), key, line: Some(line), is_first }
    }

    fn lock(&self) -> MutexGuard<'_, Map> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Tells when this one and all who wait with it have left.
    pub(crate) fn left(&self) -> Left {
        Left(self.line.as_ref().map(|line| line.subscribe()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut map = self.callers.lock();
        // Under the lock, so that of several who leave at once one is the last.
        self.line = None;
        // Others may have come since the last of these left.
        if let Entry::Occupied(entry) = map.entry(self.key)
            && entry.get().strong_count() == 0
        {
            entry.remove();
        }
    }
}

impl Left {
    /// Whether nobody waits any more.
    pub(crate) fn have_all(&self) -> bool {
        self.0.as_ref().is_none_or(|line| line.has_changed().is_err())
    }

    /// Completes when nobody waits any more.
    pub(crate) async fn all(self) {
        let Some(mut line) = self.0 else { return };
        // Nothing is ever sent: it ends with the last of those who could.
        while line.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_last_who_leaves_is_noticed_and_nothing_stays() {
        let callers = Callers::default();
        let (key, other) = (HashedKey::of("a"), HashedKey::of("b"));
        let first = callers.wait_for(key);
        let second = callers.wait_for(key);
        assert!(first.is_first && !second.is_first && callers.wait_for(other).is_first);
        let late = first.left();
        let mut left = std::pin::pin!(first.left().all());
        drop(first);
        assert!(left.as_mut().now_or_never().is_none() && !late.have_all(), "the second is there");
        drop(second);
        assert!(left.now_or_never().is_some() && late.have_all());
        assert!(callers.lock().is_empty());
        assert!(callers.wait_for(key).is_first);
    }
}
