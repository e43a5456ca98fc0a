//! How many requests of a caller may be under way at once.

use std::sync::Arc;

use buttress_core::{Rejection, RejectionReason};
use hashbrown::HashTable;

use crate::fingerprint::{Fingerprint, Secret, shard};
use crate::sync::{Mutex, MutexGuard, lock};

const SHARDS: usize = 16;

/// Limits how many requests of one key are under way at once, and of all keys together. Cheap to clone; clones share all counts.
///
/// Only keys with requests under way are remembered, so memory is bounded by `most`. There is no waiting: who has too many is refused.
///
/// ```
/// use buttress_ratelimit::InFlight;
///
/// let uploads = InFlight::new(2, 1_000);
/// let (one, two) = (uploads.begin("user-1")?, uploads.begin("user-1")?);
/// assert!(uploads.begin("user-1").is_err());
/// assert!(uploads.begin("user-2").is_ok());
/// drop(one); // it is done
/// assert!(uploads.begin("user-1").is_ok());
/// # drop(two);
/// # Ok::<(), buttress_core::Rejection>(())
/// ```
#[derive(Clone)]
pub struct InFlight {
    inner: Arc<Inner>,
}

struct Inner {
    each: u32,
    most: usize,
    secret: Secret,
    /// All permits there are.
    all: std::sync::atomic::AtomicUsize,
    shards: [Mutex<HashTable<Count>>; SHARDS],
}

#[derive(Debug, Clone, Copy)]
struct Count {
    print: Fingerprint,
    permits: u32,
}

impl InFlight {
    /// Up to `each` at once of one key, and `most` of all together.
    #[must_use]
    pub fn new(each: u32, most: usize) -> Self {
        let inner = Inner {
            each,
            most,
            secret: Secret::random(),
            all: std::sync::atomic::AtomicUsize::new(0),
            shards: Default::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Begins a request; it ends when the permit is dropped.
    ///
    /// # Errors
    ///
    /// A [`Rejection`]: `RateLimited` if the key has too many under way, `Full` if all together have.
    pub fn begin(&self, key: impl AsRef<[u8]>) -> Result<Permit, Rejection> {
        let print = self.inner.secret.fingerprint(key.as_ref());
        self.inner.take_one()?;
        // From here on the permit gives back what was taken, also if there is none for the key.
        let mut permit = Permit { inner: Arc::clone(&self.inner), print, counted: false };
        let mut table = self.inner.shard(print);
        match table.find_mut(print.place, |count| count.print == print) {
            Some(count) if count.permits < self.inner.each => count.permits += 1,
            None if self.inner.each > 0 => {
                table.insert_unique(print.place, Count { print, permits: 1 }, |count| count.print.place);
            }
            _ => return Err(Rejection::new(RejectionReason::RateLimited)),
        }
        permit.counted = true;
        drop(table);
        Ok(permit)
    }

    /// Requests of a key that are under way.
    #[must_use]
    pub fn of(&self, key: impl AsRef<[u8]>) -> u32 {
        let print = self.inner.secret.fingerprint(key.as_ref());
        self.inner
            .shard(print)
            .find(print.place, |count| count.print == print)
            .map_or(0, |count| count.permits)
    }

    /// Requests of all keys that are under way.
    #[must_use]
    pub fn all(&self) -> usize {
        self.inner.all.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl std::fmt::Debug for InFlight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InFlight({} of {})", self.all(), self.inner.most)
    }
}

impl Inner {
    fn take_one(&self) -> Result<(), Rejection> {
        use std::sync::atomic::Ordering::Relaxed;
        // The counts protect nothing but themselves.
        let taken = self.all.fetch_update(Relaxed, Relaxed, |all| (all < self.most).then_some(all + 1));
        taken.map(|_| ()).map_err(|_| Rejection::new(RejectionReason::Full))
    }

    fn shard(&self, print: Fingerprint) -> MutexGuard<'_, HashTable<Count>> {
        let [first, ..] = &self.shards;
        let shard = self.shards.get(shard(print.place, SHARDS)).unwrap_or(first);
        lock(shard)
    }
}

/// A request under way. It ends when this is dropped.
#[must_use = "dropped at once, the request is over"]
pub struct Permit {
    inner: Arc<Inner>,
    print: Fingerprint,
    counted: bool,
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Permit")
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.counted {
            let mut table = self.inner.shard(self.print);
            if let Ok(mut found) = table.find_entry(self.print.place, |count| count.print == self.print) {
                found.get_mut().permits -= 1;
                if found.get().permits == 0 {
                    found.remove();
                }
            }
        }
        self.inner.all.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]
mod tests {
    use buttress_core::{Classify, ErrorClass};

    use super::*;

    #[test]
    fn no_more_than_allowed_are_under_way_and_nothing_is_left_behind() {
        let limit = InFlight::new(3, 10);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let limit = &limit;
                scope.spawn(move || {
                    let mut permits = Vec::new();
                    for i in 0..5_000_usize {
                        permits.extend(limit.begin(format!("user-{}", (i + thread) % 5)).ok());
                        assert!(limit.all() <= 10);
                        assert!(limit.of("user-0") <= 3);
                        if i % 3 == 0 {
                            permits.clear();
                        }
                    }
                });
            }
        });
        assert_eq!((limit.all(), limit.of("user-0")), (0, 0));
        assert!(limit.inner.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }

    #[test]
    fn who_is_refused_is_told_why() {
        let limit = InFlight::new(1, 2);
        let _held = (limit.begin("one").unwrap(), limit.begin("two").unwrap());
        assert_eq!(limit.begin("three").unwrap_err().class(), ErrorClass::Overloaded);
        let limit = InFlight::new(1, 3);
        let _held = limit.begin("one").unwrap();
        assert_eq!(limit.begin("one").unwrap_err().class(), ErrorClass::Throttled);
        assert_eq!(limit.all(), 1);
    }
}
