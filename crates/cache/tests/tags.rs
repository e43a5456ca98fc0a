//! Values with tags in a tier: shared by all nodes, and ended on all.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;
#[path = "common/tiered.rs"]
mod tiered;

use std::sync::Arc;

use buttress_cache::tier::{MemoryTier, Tier};
use buttress_cache::{Error, Terms};
use buttress_core::Key;
use common::{Broken, World, seconds, settle};
use tiered::{Node, load, node, node_with, pass};
use tokio::sync::Notify;

fn tag(name: &str) -> Key {
    Key::new(name).unwrap()
}

/// What `load` would bring as this value, with tags.
async fn load_tagged(node: &Node, key: u64, tags: &[&str], value: &'static str) -> String {
    let terms = Terms::default().tags(tags.iter().map(|name| tag(name)));
    let found = move || async move { Ok::<_, Broken>(Some(value.to_owned())) };
    node.get_or_find(&key, terms, found).await.unwrap().unwrap()
}

#[tokio::test]
async fn values_with_tags_are_shared_until_one_of_the_tags_is_invalidated() {
    let (world, loads) = (World::default(), Arc::default());
    let tier = MemoryTier::new(world.clock.shared());
    let nodes = [node(&world, &tier), node(&world, &tier), node(&world, &tier)];
    settle().await;
    assert_eq!(load_tagged(&nodes[0], 1, &["a", "b"], "first").await, "first");
    nodes[0].set(&2, "set".to_owned(), Terms::default().tag(tag("b"))).await.unwrap();
    load(&nodes[0], 3, &loads, "untagged").await;
    assert_eq!(load_tagged(&nodes[1], 1, &["a", "b"], "second").await, "first");
    // Who does not know of the tags gets them with the value.
    assert_eq!(nodes[2].get(&1).await.unwrap().as_deref(), Some("first"));
    assert_eq!(nodes[2].get(&2).await.unwrap().as_deref(), Some("set"));
    nodes[1].invalidate(&tag("b")).await.unwrap();
    settle().await;
    for node in &nodes {
        assert_eq!((node.get(&1).await.unwrap(), node.get(&2).await.unwrap()), (None, None));
        assert_eq!(load(node, 3, &loads, "never asked").await, "untagged");
    }
    // A node that comes later finds nothing of before in the tier either, and shares what comes after.
    let late = self::node(&world, &tier);
    settle().await;
    assert_eq!(late.get(&1).await.unwrap(), None);
    assert_eq!(load_tagged(&late, 1, &["a", "b"], "third").await, "third");
    assert_eq!(load_tagged(&nodes[0], 1, &["a", "b"], "fourth").await, "third");
    assert_eq!(late.get(&2).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_loaded_while_its_tag_is_invalidated_reaches_neither_node_nor_tier() {
    let world = World::default();
    let tier = MemoryTier::new(world.clock.shared());
    let (reader, writer) = (node(&world, &tier), node(&world, &tier));
    settle().await;
    let gate = Arc::new(Notify::new());
    let waiting = {
        let (reader, gate) = (reader.clone(), Arc::clone(&gate));
        let find = move || async move {
            gate.notified().await;
            Ok::<_, Broken>(Some("old".to_owned()))
        };
        tokio::spawn(async move { reader.get_or_find(&1, Terms::default().tag(tag("t")), find).await })
    };
    settle().await;
    writer.invalidate(&tag("t")).await.unwrap();
    gate.notify_one();
    assert_eq!(waiting.await.unwrap().unwrap().as_deref(), Some("old"));
    assert!(tier.get("1").await.unwrap().is_none());
    assert_eq!(load_tagged(&reader, 1, &["t"], "new").await, "new");
    assert_eq!(load_tagged(&writer, 1, &["t"], "newer").await, "new");
}

#[tokio::test]
async fn a_tag_that_was_invalidated_without_the_tier_is_ended_there_later() {
    let world = World::default();
    let tier = MemoryTier::new(world.clock.shared());
    let (one, two) = (node(&world, &tier), node(&world, &tier));
    settle().await;
    load_tagged(&one, 1, &["t"], "old").await;
    tier.set_down(true);
    one.invalidate(&tag("t")).await.unwrap_err();
    assert_eq!(load_tagged(&one, 1, &["t"], "by itself").await, "by itself");
    pass(&world, seconds(3)).await;
    assert_eq!(
        load_tagged(&two, 1, &["t"], "new").await,
        "new",
        "nobody heard it, and nobody believes what is old"
    );
    tier.set_down(false);
    pass(&world, seconds(5)).await;
    assert_eq!(node(&world, &tier).get(&1).await.unwrap(), None);
    assert_eq!(load_tagged(&one, 1, &["t"], "shared").await, "shared");
    assert_eq!(load_tagged(&two, 1, &["t"], "never asked").await, "shared");
}

#[tokio::test]
async fn more_tags_than_a_node_has_room_for_are_served_and_not_kept() {
    let world = World::default();
    let tier = MemoryTier::new(world.clock.shared());
    let (one, two) = (node(&world, &tier), node_with(&world, &tier, |config| config.tags = 1));
    settle().await;
    load_tagged(&one, 1, &["a", "b"], "value").await;
    assert_eq!(two.get(&1).await.unwrap().as_deref(), Some("value"));
    assert_eq!(two.local().len(), 0);
    // What a node cannot keep is not left as it was elsewhere.
    let terms = || Terms::default().tags([tag("a"), tag("b")]);
    assert!(matches!(two.set(&1, "new".to_owned(), terms()).await, Err(Error::Tags { .. })));
    settle().await;
    assert_eq!((one.get(&1).await.unwrap(), two.get(&1).await.unwrap()), (None, None));
}
