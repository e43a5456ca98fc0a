//! What a cache does in the background: find what is past its time, and tell the metrics.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::cache::{CacheValue, Inner};
use crate::engine::CacheKey;

/// Entries looked at between two pauses: some ten microseconds of work.
const STEP: usize = 256;

impl<K: CacheKey, V: CacheValue> Inner<K, V> {
    /// Starts the background tasks, once there is a runtime for them.
    pub(crate) fn tend(self: &Arc<Self>) {
        if self.tended.load(Ordering::Relaxed) || Handle::try_current().is_err() {
            return;
        }
        if !self.tended.swap(true, Ordering::Relaxed) {
            let (teller, sweeper) = (Arc::downgrade(self), Arc::downgrade(self));
            self.ctx.shutdown.spawn(tell(teller));
            self.ctx.shutdown.spawn(sweep(sweeper));
        }
    }

    /// Waits, unless the service stops meanwhile.
    async fn pause(self: Arc<Self>, pause: Duration) -> bool {
        let ctx = self.ctx.clone();
        // The cache may be dropped while this waits.
        drop(self);
        tokio::select! {
            () = ctx.clock.sleep(pause) => true,
            () = ctx.shutdown.stopped() => false,
        }
    }
}

async fn tell<K: CacheKey, V: CacheValue>(cache: Weak<Inner<K, V>>) {
    while let Some(inner) = cache.upgrade() {
        inner.tell();
        let tick = inner.config.tick;
        if !inner.pause(tick).await {
            break;
        }
    }
    // What was counted since the last tick is not lost with the service.
    if let Some(inner) = cache.upgrade() {
        inner.tell();
    }
}

/// Goes round all entries, a few at a time, so that once in each `sweep` every entry is looked at.
async fn sweep<K: CacheKey, V: CacheValue>(cache: Weak<Inner<K, V>>) {
    while let Some(inner) = cache.upgrade() {
        let whole = inner.config.sweep;
        let steps = u32::try_from(inner.engine.len() / STEP + 1).unwrap_or(u32::MAX);
        let pause = (whole / steps).max(Duration::from_millis(1));
        if !round(inner, pause).await {
            break;
        }
    }
}

/// One round, each step after a pause.
async fn round<K: CacheKey, V: CacheValue>(inner: Arc<Inner<K, V>>, pause: Duration) -> bool {
    let mut entries = inner.engine.iter();
    loop {
        tokio::select! {
            () = inner.ctx.clock.sleep(pause) => {}
            () = inner.ctx.shutdown.stopped() => return false,
        }
        // Only this task still has the cache.
        if Arc::strong_count(&inner) == 1 {
            return false;
        }
        let now = inner.now();
        for _ in 0..STEP {
            let Some((key, entry)) = entries.next() else { return true };
            if let Err(reason) = inner.stands(&entry, now) {
                inner.put_out(&key, now, reason);
            }
        }
    }
}
