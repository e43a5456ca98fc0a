//! Nodes that share a tier: one load for all, no old values, and what happens without the tier.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;
#[path = "common/tiered.rs"]
mod tiered;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use buttress_cache::codec::{Codec, Record};
use buttress_cache::tier::{MemoryTier, Tier};
use buttress_cache::{Error, Lifetime, Terms, TierConfig};
use buttress_core::{Key, Probe, Vitality};
use common::{Broken, World, seconds, settle};
use tiered::{codec, load, node, node_with, pass};
use tokio::sync::Notify;

#[tokio::test]
async fn what_one_node_loaded_the_others_find() {
    let (world, loads) = (World::default(), Arc::default());
    let tier = MemoryTier::new(world.clock.shared());
    let (one, two) = (node(&world, &tier), node(&world, &tier));
    settle().await;
    assert_eq!(load(&one, 1, &loads, "first").await, "first");
    pass(&world, seconds(60)).await;
    assert_eq!(load(&two, 1, &loads, "second").await, "first");
    assert_eq!(two.get(&1).await.unwrap().as_deref(), Some("first"));
    assert_eq!((loads.load(Ordering::SeqCst), two.get(&2).await.unwrap()), (1, None));
    // Both end together: the second knows how much of its life was over.
    pass(&world, seconds(40)).await;
    assert_eq!((one.get(&1).await.unwrap(), two.get(&1).await.unwrap()), (None, None));
}

#[tokio::test]
async fn a_change_is_seen_by_all_nodes() {
    let (world, loads) = (World::default(), Arc::default());
    let tier = MemoryTier::new(world.clock.shared());
    let nodes = [node(&world, &tier), node(&world, &tier), node(&world, &tier)];
    settle().await;
    for node in &nodes {
        load(node, 1, &loads, "old").await;
    }
    nodes[0].set(&1, "new".to_owned(), Lifetime::default()).await.unwrap();
    settle().await;
    for node in &nodes {
        assert_eq!(load(node, 1, &loads, "never asked").await, "new");
    }
    nodes[1].remove(&1).await.unwrap();
    settle().await;
    for node in &nodes {
        assert_eq!(node.get(&1).await.unwrap(), None);
    }
    // With a tag: ended on all nodes.
    let tag = || Key::new("t").unwrap();
    for node in &nodes {
        let found = || async { Ok::<_, Broken>(Some("tagged".to_owned())) };
        node.get_or_find(&2, Terms::default().tag(tag()), found).await.unwrap();
    }
    nodes[2].invalidate(&tag()).await.unwrap();
    settle().await;
    for node in &nodes {
        assert_eq!(node.get(&2).await.unwrap(), None);
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn nodes_wait_for_the_one_that_loads() {
    let world = World::default();
    let tier = MemoryTier::new(world.clock.shared());
    let (gate, loads) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let mut callers = Vec::new();
    let nodes: Vec<_> = (0..4).map(|_| node(&world, &tier)).collect();
    settle().await;
    for caller in 0..200 {
        let (node, gate, loads) = (nodes[caller % 4].clone(), Arc::clone(&gate), Arc::clone(&loads));
        callers.push(tokio::spawn(async move {
            let load = move || async move {
                loads.fetch_add(1, Ordering::SeqCst);
                gate.notified().await;
                Ok::<_, Broken>("value".to_owned())
            };
            node.get_or_load(&1, load).await.unwrap()
        }));
    }
    // Longer than a lease: it is extended.
    pass(&world, seconds(25)).await;
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    gate.notify_one();
    pass(&world, seconds(1)).await;
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "value");
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_node_that_dies_while_it_loads_is_outlived() {
    let (world, loads) = (World::default(), Arc::default());
    let tier = MemoryTier::new(world.clock.shared());
    let survivor = node(&world, &tier);
    settle().await;
    // The dead one: it has the lease, and will do nothing more.
    tier.lease("1", 7, TierConfig::default().lease, None).await.unwrap();
    let waiting = {
        let (node, loads) = (survivor.clone(), Arc::clone(&loads));
        tokio::spawn(async move { load(&node, 1, &loads, "value").await })
    };
    pass(&world, seconds(9)).await;
    assert_eq!((waiting.is_finished(), loads.load(Ordering::SeqCst)), (false, 0));
    pass(&world, seconds(2)).await;
    assert_eq!(waiting.await.unwrap(), "value");
}

#[tokio::test]
async fn a_loader_that_fails_gives_its_place_to_the_next() {
    let (world, loads) = (World::default(), Arc::default());
    let tier = MemoryTier::new(world.clock.shared());
    let (one, two) = (node(&world, &tier), node(&world, &tier));
    settle().await;
    one.get_or_load(&1, || async { Err(Broken("no")) }).await.unwrap_err();
    settle().await;
    assert_eq!(load(&two, 1, &loads, "value").await, "value");
}

#[tokio::test]
async fn what_was_read_before_a_change_reaches_neither_node_nor_tier() {
    let (world, loads) = (World::default(), Arc::default());
    let tier = MemoryTier::new(world.clock.shared());
    let (reader, writer) = (node(&world, &tier), node(&world, &tier));
    settle().await;
    let gate = Arc::new(Notify::new());
    let waiting = {
        let (reader, gate) = (reader.clone(), Arc::clone(&gate));
        let load = move || async move {
            gate.notified().await;
            Ok::<_, Broken>("old".to_owned())
        };
        tokio::spawn(async move { reader.get_or_load(&1, load).await.unwrap() })
    };
    settle().await;
    writer.remove(&1).await.unwrap();
    settle().await;
    gate.notify_one();
    assert_eq!(waiting.await.unwrap(), "old", "who asked before the change may be told what was before it");
    settle().await;
    assert!(tier.get("1").await.unwrap().is_none());
    assert_eq!(load(&reader, 1, &loads, "new").await, "new");
    assert_eq!(load(&writer, 1, &loads, "newer").await, "new");
}

#[tokio::test]
async fn without_the_tier_nodes_go_on_and_nothing_old_is_served() {
    let (world, loads) = (World::default(), Arc::new(AtomicUsize::new(0)));
    let tier = MemoryTier::new(world.clock.shared());
    let node = node(&world, &tier);
    settle().await;
    assert_eq!(load(&node, 1, &loads, "old").await, "old");
    pass(&world, seconds(5)).await;
    assert_eq!(node.check().await, Vitality::Pass);
    tier.set_down(true);
    // For a moment what is here is good.
    pass(&world, seconds(1)).await;
    assert_eq!(load(&node, 1, &loads, "newer").await, "old");
    pass(&world, seconds(2)).await;
    assert_eq!(load(&node, 1, &loads, "newer").await, "newer");
    assert_eq!(load(&node, 1, &loads, "newest").await, "newer", "and kept for a moment");
    pass(&world, seconds(3)).await;
    assert_eq!(load(&node, 1, &loads, "newest").await, "newest");
    for key in 10..20 {
        load(&node, key, &loads, "value").await;
    }
    assert!(matches!(node.check().await, Vitality::Warn(_)));
    let error = node.remove(&1).await.unwrap_err();
    assert!(matches!(error, Error::Tier { .. }), "{error}");
    tier.set_down(false);
    pass(&world, seconds(5)).await;
    let _ = node.get(&1000).await.unwrap();
    assert_eq!(node.check().await, Vitality::Pass);
    let before = loads.load(Ordering::SeqCst);
    load(&node, 2, &loads, "kept again").await;
    pass(&world, seconds(50)).await;
    load(&node, 2, &loads, "never asked").await;
    assert_eq!(loads.load(Ordering::SeqCst), before + 1);
    let actions: Vec<_> = world.events.events().iter().map(|event| event.action).collect();
    for action in ["cache.news_lost", "cache.tier_lost", "cache.tier_back", "cache.news_heard"] {
        assert!(actions.contains(&action), "{action} of {actions:?}");
    }
}

#[tokio::test]
async fn a_change_that_could_not_be_told_is_told_later() {
    let (world, loads) = (World::default(), Arc::default());
    let tier = MemoryTier::new(world.clock.shared());
    let (one, two) = (node(&world, &tier), node(&world, &tier));
    settle().await;
    load(&one, 1, &loads, "old").await;
    load(&two, 1, &loads, "old").await;
    tier.set_down(true);
    one.remove(&1).await.unwrap_err();
    one.set(&2, "unheard".to_owned(), Lifetime::default()).await.unwrap_err();
    tier.set_down(false);
    pass(&world, seconds(5)).await;
    assert!(tier.get("1").await.unwrap().is_none());
    assert_eq!(load(&two, 1, &loads, "new").await, "new");
}

#[tokio::test]
async fn what_does_not_read_in_the_tier_is_a_miss_and_written_over() {
    let (world, loads) = (World::default(), Arc::default());
    let tier = MemoryTier::new(world.clock.shared());
    let node = node(&world, &tier);
    settle().await;
    let record = Record::new("of another schema".to_owned(), std::time::SystemTime::UNIX_EPOCH, seconds(60));
    let changed = Codec::json("text", 2).encode(b"2", &record).unwrap();
    let moved = codec().encode(b"9", &record).unwrap();
    for (key, bytes) in [(1, b"poison".to_vec()), (2, changed), (3, moved)] {
        let name = key.to_string();
        tier.write(&name, &bytes, Some(seconds(100)), b"").await.unwrap();
        assert_eq!(node.get(&key).await.unwrap(), None);
        assert_eq!(load(&node, key, &loads, "loaded").await, "loaded");
        let stored = tier.get(&name).await.unwrap().unwrap();
        assert_eq!(codec().decode(name.as_bytes(), &stored.bytes).unwrap().value.as_deref(), Some("loaded"));
    }
}

#[tokio::test]
async fn a_refresh_brings_something_newer_than_what_the_tier_has() {
    let (world, loads) = (World::default(), Arc::new(AtomicUsize::new(0)));
    let tier = MemoryTier::new(world.clock.shared());
    let node = node_with(&world, &tier, |config| config.stale = seconds(50));
    let other = node_with(&world, &tier, |config| config.stale = seconds(50));
    settle().await;
    load(&node, 1, &loads, "old").await;
    load(&other, 1, &loads, "old").await;
    pass(&world, seconds(120)).await;
    assert_eq!(load(&node, 1, &loads, "new").await, "old");
    settle().await;
    assert_eq!(load(&node, 1, &loads, "never asked").await, "new");
    assert_eq!(load(&other, 1, &loads, "never asked").await, "old");
    settle().await;
    assert_eq!(load(&other, 1, &loads, "never asked").await, "new");
    assert_eq!(loads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_fleet_remembers_that_there_is_nothing() {
    let (world, asked) = (World::default(), Arc::new(AtomicUsize::new(0)));
    let tier = MemoryTier::new(world.clock.shared());
    let nodes = [node(&world, &tier), node(&world, &tier)];
    settle().await;
    for node in &nodes {
        let asked = Arc::clone(&asked);
        let find = move || async move {
            asked.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Broken>(None::<String>)
        };
        assert_eq!(node.get_or_find(&1, Lifetime::default(), find).await.unwrap(), None);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // Who needs a value loads one all the same.
    assert_eq!(load(&nodes[1], 1, &asked, "made").await, "made");
    assert_eq!(load(&nodes[1], 1, &asked, "never asked").await, "made");
}

#[tokio::test]
async fn who_looks_only_does_not_answer_for_who_loads() {
    let (world, loads) = (World::default(), Arc::default());
    let node = node(&world, &MemoryTier::new(world.clock.shared()));
    settle().await;
    let find = || async { Ok::<_, Broken>(Some("found".to_owned())) };
    let (looked, found, loaded) = tokio::join!(
        node.get(&1),
        node.get_or_find(&1, Lifetime::default(), find),
        load(&node, 2, &loads, "loaded")
    );
    assert_eq!(
        (looked.unwrap(), found.unwrap().as_deref(), loaded.as_str()),
        (None, Some("found"), "loaded")
    );
}
