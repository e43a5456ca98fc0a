//! Equal questions at the same time: one is asked, and all get its outcome.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buttress_core::BoxFuture;
use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};

use super::cache::Key;

/// What is under way, by its key. An entry is there as long as somebody waits for it.
#[derive(Clone)]
pub(crate) struct Flights<T: Clone>(Arc<Mutex<Map<T>>>);

type Map<T> = HashMap<Key, (u64, WeakShared<BoxFuture<'static, T>>)>;

impl<T: Clone> std::fmt::Debug for Flights<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flights")
    }
}

impl<T: Clone> Default for Flights<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// The outcome of `work`, or of what is under way under the same key; and whether it was `work`.
    ///
    /// Whoever waits drives it on; when nobody waits any more it is dropped.
    pub(crate) async fn join(&self, key: Key, work: impl Future<Output = T> + Send + 'static) -> (T, bool) {
        let (flight, begun) = self.enter(key, work);
        (flight.await, begun)
    }

    fn enter(
        &self,
        key: Key,
        work: impl Future<Output = T> + Send + 'static,
    ) -> (Shared<BoxFuture<'static, T>>, bool) {
        let mut map = lock(&self.0);
        let before = map.get(&key);
        if let Some(flight) = before.and_then(|(_, flight)| flight.upgrade()) {
            return (flight, false);
        }
        let number = before.map_or(0, |(number, _)| number.wrapping_add(1));
        let gone = Gone { map: Arc::clone(&self.0), key, number };
        let work = async move {
            let _gone = gone;
            work.await
        };
        let flight = work.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            map.insert(key, (number, weak));
        }
        (flight, true)
    }
}

/// Takes the entry out when the work is done or dropped, unless it is another's by now.
struct Gone<T: Clone> {
    map: Arc<Mutex<Map<T>>>,
    key: Key,
    number: u64,
}

impl<T: Clone> Drop for Gone<T> {
    fn drop(&mut self) {
        let mut map = lock(&self.map);
        if map.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            map.remove(&self.key);
        }
    }
}

fn lock<T: Clone>(map: &Mutex<Map<T>>) -> MutexGuard<'_, Map<T>> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}
