//! What the tests of a cache share.
#![allow(dead_code, reason = "each test uses a part")]

use std::sync::Arc;
use std::time::Duration;

use buttress_cache::{Builder, Cache, EngineKind};
use buttress_core::{Classify, Ctx, ErrorClass, EventLog, Events, TestClock};

pub(crate) const ENGINES: [EngineKind; 4] =
    [EngineKind::Duel, EngineKind::QuickCache, EngineKind::Moka, EngineKind::Lru];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the source says: {0}")]
pub(crate) struct Broken(pub &'static str);

impl Classify for Broken {
    fn class(&self) -> ErrorClass {
        ErrorClass::Unavailable
    }
}

/// A cache without jitter, on a clock that the test moves.
pub(crate) struct World {
    pub(crate) clock: TestClock,
    pub(crate) events: EventLog,
    pub(crate) ctx: Ctx,
}

impl Default for World {
    fn default() -> Self {
        let (clock, events) = (TestClock::new(), EventLog::default());
        let ctx =
            Ctx { clock: clock.shared(), events: Events::to(Arc::new(events.clone())), ..Ctx::default() };
        Self { clock, events, ctx }
    }
}

impl World {
    pub(crate) fn cache(
        &self,
        set: impl FnOnce(Builder<u64, String>) -> Builder<u64, String>,
    ) -> Cache<u64, String> {
        let mut config = buttress_cache::CacheConfig::default();
        config.name = "test".into();
        config.jitter = 0.0;
        set(Cache::builder("test").config(config)).build(&self.ctx).unwrap()
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

/// Lets everything run that can.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}
