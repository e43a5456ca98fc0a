//! A value that changes while others read it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache, Guard};
use tokio::sync::watch;

/// A value that is replaced as a whole while any number of threads read it. Clones share it.
///
/// No reader ever waits, and none ever sees half of a change.
///
/// ```
/// use buttress_config::Live;
///
/// let pages = Live::new(10);
/// let mut reader = pages.reader(); // one for each thread or task that reads often
/// assert_eq!((*pages.get(), *reader.get()), (10, 10));
///
/// assert_eq!(pages.replace(20), 2);
/// assert_eq!((*pages.get(), *reader.get()), (20, 20));
/// ```
pub struct Live<T>(Arc<Shared<T>>);

struct Shared<T> {
    current: ArcSwap<Versioned<T>>,
    changes: watch::Sender<u64>,
}

struct Versioned<T> {
    version: u64,
    value: T,
}

impl<T> Live<T> {
    /// Starts with `value` as version 1.
    pub fn new(value: T) -> Self {
        let current = ArcSwap::from_pointee(Versioned { version: 1, value });
        Self(Arc::new(Shared { current, changes: watch::Sender::new(1) }))
    }

    /// The value as it is now; it stays the same for as long as the snapshot is held. Some nanoseconds.
    ///
    /// Many snapshots held at once on one thread cost a little more each; for keeping one over a long time, take a
    /// [`Reader`].
    pub fn get(&self) -> Snapshot<T> {
        Snapshot(self.0.current.load())
    }

    /// A handle that remembers the value, so that reading it again costs about a nanosecond. It keeps the old value
    /// in memory until it is read next.
    pub fn reader(&self) -> Reader<T> {
        Reader(Cache::new(Current(self.0.clone())))
    }

    /// Replaces the value, and tells everybody who asked. Gives the new version.
    pub fn replace(&self, value: T) -> u64 {
        let mut version = 0;
        // Inside of the notification's own lock, so that versions and values come in the same order.
        self.0.changes.send_modify(|last| {
            *last += 1;
            version = *last;
            self.0.current.store(Arc::new(Versioned { version, value }));
        });
        version
    }

    /// How many values there have been.
    pub fn version(&self) -> u64 {
        self.0.current.load().version
    }

    /// Tells of every change from now on.
    pub fn subscribe(&self) -> Changes<T> {
        Changes { live: self.clone(), seen: self.0.changes.subscribe() }
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: fmt::Debug> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.0.current.load();
        f.debug_struct("Live").field("version", &current.version).field("value", &current.value).finish()
    }
}

/// A [`Live`] value as it was at one moment.
pub struct Snapshot<T>(Guard<Arc<Versioned<T>>>);

impl<T> Snapshot<T> {
    /// Which version of the value it is, counted from 1.
    pub fn version(&self) -> u64 {
        self.0.version
    }
}

impl<T> Deref for Snapshot<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Snapshot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Reads a [`Live`] value often: one for each thread or task, because reading takes `&mut self`.
pub struct Reader<T>(Cache<Current<T>, Arc<Versioned<T>>>);

impl<T> Reader<T> {
    /// The value as it is now.
    pub fn get(&mut self) -> &T {
        &self.0.load().value
    }
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// Leads the cache of a reader to where the value is.
struct Current<T>(Arc<Shared<T>>);

impl<T> Deref for Current<T> {
    type Target = ArcSwap<Versioned<T>>;

    fn deref(&self) -> &Self::Target {
        &self.0.current
    }
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Waits for changes of a [`Live`] value.
pub struct Changes<T> {
    live: Live<T>,
    seen: watch::Receiver<u64>,
}

impl<T> Changes<T> {
    /// Completes once there is a value that this handle has not given yet, with the latest one. Changes that come
    /// faster than they are asked for are given as one. Safe to drop at any time.
    pub async fn next(&mut self) -> Snapshot<T> {
        // Fails only when the sender is gone, and `live` holds it.
        let _ = self.seen.changed().await;
        self.live.get()
    }
}

impl<T> fmt::Debug for Changes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("version", &*self.seen.borrow()).finish_non_exhaustive()
    }
}
