//! Filling a cache before it is asked.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use buttress_core::Classify;
use tokio::sync::Semaphore;

use crate::Cache;
use crate::cache::CacheValue;
use crate::engine::CacheKey;

/// What [`Cache::warm`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warmed {
    /// Keys that have a value now.
    pub loaded: usize,
    /// Keys whose load failed.
    pub failed: usize,
}

impl<K: CacheKey, V: CacheValue> Cache<K, V> {
    /// Loads these keys, `at_once` at a time, and returns when all are done. Keys that have a value are not loaded. A load that
    /// fails is counted, and ends nothing; when the service stops, no more are begun.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn warm<F, R, E>(&self, keys: impl IntoIterator<Item = K>, at_once: usize, load: F) -> Warmed
    where
        F: Fn(&K) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<V, E>> + Send + 'static,
        E: Classify + std::error::Error + Send + Sync + 'static,
    {
        let at_once = u32::try_from(at_once.clamp(1, 1 << 20)).unwrap_or(1);
        let places = Arc::new(Semaphore::new(at_once as usize));
        let counts = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        for key in keys {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            if self.0.ctx.shutdown.is_draining() {
                break;
            }
            let (cache, load, counts) = (self.clone(), load.clone(), Arc::clone(&counts));
            self.0.ctx.shutdown.spawn(async move {
                let wanted = key.clone();
                match cache.get_or_load(&wanted, move || async move { load(&key).await }).await {
                    Ok(_) => counts.0.fetch_add(1, Ordering::Relaxed),
                    Err(error) => {
                        tracing::debug!(target: "buttress::cache", cache = %cache.0.name, %error, "a key was not warmed");
                        counts.1.fetch_add(1, Ordering::Relaxed)
                    }
                };
                drop(place);
            });
        }
        // All places are free when all are done.
        let _all = places.acquire_many(at_once).await;
        Warmed { loaded: counts.0.load(Ordering::Relaxed), failed: counts.1.load(Ordering::Relaxed) }
    }
}
