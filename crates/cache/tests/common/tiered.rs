//! Nodes over a tier, on a clock that the test moves.
#![allow(dead_code, reason = "each test uses a part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use buttress_cache::codec::Codec;
use buttress_cache::tier::Tier;
use buttress_cache::{Cache, CacheConfig, TierConfig, Tiered};

use crate::common::{Broken, World, seconds, settle};

pub(crate) type Node = Tiered<u64, String>;

pub(crate) fn codec() -> Codec<String> {
    Codec::json("text", 1)
}

pub(crate) fn node(world: &World, tier: &(impl Tier + Clone)) -> Node {
    node_with(world, tier, |_| {})
}

pub(crate) fn node_with(
    world: &World,
    tier: &(impl Tier + Clone),
    set: impl FnOnce(&mut CacheConfig),
) -> Node {
    let mut config = CacheConfig::default();
    (config.jitter, config.ttl) = (0.0, Some(seconds(100)));
    set(&mut config);
    let cache = Cache::builder("node").config(config).build(&world.ctx).unwrap();
    Tiered::over(cache, tier.clone(), codec(), TierConfig::default()).unwrap()
}

/// Lets time pass in steps in which heartbeats come.
pub(crate) async fn pass(world: &World, time: Duration) {
    for _ in 0..time.as_millis() / 250 {
        world.pass(Duration::from_millis(250));
        settle().await;
    }
}

pub(crate) async fn load(node: &Node, key: u64, loads: &Arc<AtomicUsize>, value: &'static str) -> String {
    let loads = Arc::clone(loads);
    let load = move || async move {
        loads.fetch_add(1, Ordering::SeqCst);
        Ok::<_, Broken>(value.to_owned())
    };
    node.get_or_load(&key, load).await.unwrap()
}
