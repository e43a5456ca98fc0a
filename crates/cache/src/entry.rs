//! What an engine keeps for a key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::engine::Weighed;
use crate::freshness::Stamp;
use crate::tags::Seen;
use crate::tick::Tick;

/// A value, or the knowledge that there is none, with its times. As small as may be: there are millions.
#[derive(Debug, Clone)]
pub(crate) struct Entry<V> {
    pub(crate) value: Option<V>,
    /// What few entries have.
    pub(crate) extra: Option<Arc<Extra>>,
    pub(crate) stamp: Stamp,
    pub(crate) weight: u32,
}

/// What only entries with an idle time or tags have.
#[derive(Debug)]
pub(crate) struct Extra {
    /// Gone when it was not used for so many ticks.
    pub(crate) idle: Option<u32>,
    /// When it was used last, as [`Tick::to_bits`].
    pub(crate) used: AtomicU32,
    pub(crate) tags: Seen,
}

impl Extra {
    /// `None` if there is nothing to keep.
    pub(crate) fn of(idle: Option<u32>, tags: Seen, now: Tick) -> Option<Arc<Self>> {
        let needed = idle.is_some() || !tags.is_empty();
        needed.then(|| Arc::new(Self { idle, used: AtomicU32::new(now.to_bits()), tags }))
    }

    pub(crate) fn use_at(&self, now: Tick) {
        self.used.store(now.to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn is_idle(&self, now: Tick) -> bool {
        let used = Tick::from_bits(self.used.load(Ordering::Relaxed));
        self.idle.is_some_and(|idle| now.since(used) >= idle)
    }
}

impl<V> Weighed for Entry<V> {
    #[inline]
    fn weight(&self) -> u64 {
        u64::from(self.weight)
    }
}
