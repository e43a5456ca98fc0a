//! The news of other nodes.

use std::sync::{Arc, Weak};

use buttress_core::Outcome;
use serde::de::DeserializeOwned;

use super::Shared;
use super::call::emit;
use super::news::{self, Changed};
use crate::cache::{CacheValue, Inner};
use crate::engine::CacheKey;
use crate::sync::lock;
use crate::tally::Count;
use crate::tier::Heard;

/// Hears the news as long as there is a cache for them.
pub(super) fn begin<K: CacheKey + DeserializeOwned, V: CacheValue>(
    inner: &Arc<Inner<K, V>>,
    shared: &Arc<Shared<V>>,
) {
    let ctx = inner.ctx.clone();
    // Four heartbeats in the time that entries are believed without one: two may be late.
    let mut news = shared.tier.listen(shared.config.staleness / 4, ctx.clock.clone());
    let (inner, shared) = (Arc::downgrade(inner), Arc::downgrade(shared));
    ctx.shutdown.clone().spawn(async move {
        loop {
            let heard = tokio::select! {
                heard = news.next() => heard,
                () = ctx.shutdown.stopped() => return,
            };
            let (Some(inner), Some(shared)) = (inner.upgrade(), Weak::upgrade(&shared)) else { return };
            shared.hear(&inner, heard).await;
        }
    });
}

impl<V: CacheValue> Shared<V> {
    async fn hear<K: CacheKey + DeserializeOwned>(&self, inner: &Inner<K, V>, heard: Heard) {
        match heard {
            Heard::Message(bytes) => {
                if let Some((node, changed)) = news::read(&bytes)
                    && node != self.node
                {
                    self.metrics.heard();
                    apply(inner, &changed);
                }
            }
            Heard::Begun => {
                let again = {
                    let mut trust = lock(&self.trust);
                    // Whoever reads from here on hears of every change after it.
                    let again = trust.begin(inner.ctx.clock.now());
                    inner.renew();
                    self.believe(&trust, &*inner.ctx.clock);
                    again
                };
                emit(inner, "cache.news_heard", Outcome::Success, None);
                if again {
                    self.tell_again();
                }
                self.catch_up(inner).await;
            }
            Heard::UpTo(moment) => {
                {
                    let mut trust = lock(&self.trust);
                    trust.hear(moment, inner.ctx.clock.now());
                    self.believe(&trust, &*inner.ctx.clock);
                }
                self.forget_told(moment);
                self.catch_up(inner).await;
            }
            Heard::Lost(why) => {
                lock(&self.trust).lose();
                tracing::warn!(target: "buttress::cache", cache = %inner.name, why, "news of other nodes are lost");
                emit(inner, "cache.news_lost", Outcome::Failure, Some(why));
            }
        }
    }
}

/// Forgets what changed, and what is being loaded of it.
pub(super) fn apply<K: CacheKey + DeserializeOwned, V: CacheValue>(inner: &Inner<K, V>, changed: &Changed) {
    match changed {
        Changed::Name(name) => {
            // What does not read is a key of another type: of another cache in the same namespace.
            let Ok(key) = serde_json::from_str(name) else { return };
            inner.flights.supersede(&key);
            if inner.engine.remove(&key).is_some() {
                inner.tally.note(Count::EvictedInvalidated);
            }
        }
        Changed::Tag(tag) => drop(inner.tags.invalidate(tag)),
    }
}
