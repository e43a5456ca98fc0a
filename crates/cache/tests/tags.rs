//! Values with tags in a tier: shared by all nodes, and ended on all.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;
#[path = "common/tiered.rs"]
mod tiered;

use std::sync::Arc;
use std::time::Duration;

use buttress_cache::tier::{MemoryTier, Tier};
use buttress_cache::{Error, Terms};
use buttress_core::Key;
use common::{Broken, World, seconds, settle};
use proptest::prelude::*;
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

/// What happens in a step of the simulation.
#[derive(Debug, Clone)]
enum Step {
    /// A node asks for a key; by its loader, or without one.
    Ask(usize, u64, bool),
    /// What has this tag changes where it comes from, and a node invalidates the tag.
    Change(usize, usize),
    /// The tier loses a mark by itself.
    Lose(usize),
    Down(bool),
    /// Half-seconds.
    Pass(u64),
}

const TAGS: [&str; 3] = ["a", "b", "c"];
/// The tags of each key.
const TAGS_OF: [&[usize]; 4] = [&[0], &[1], &[0, 1], &[1, 2]];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_usize, 0..4_u64, any::<bool>()).prop_map(|(node, key, load)| Step::Ask(node, key, load)),
        3 => (0..3_usize, 0..3_usize).prop_map(|(node, tag)| Step::Change(node, tag)),
        1 => (0..3_usize).prop_map(Step::Lose),
        1 => any::<bool>().prop_map(Step::Down),
        2 => (1..8_u64).prop_map(Step::Pass),
    ]
}

/// Three nodes, four keys, three tags: once an invalidation has returned, nobody is served what was before it, its own node at once
/// and the others when they have had the time to hear of it.
async fn play(steps: &[Step]) -> Result<(), TestCaseError> {
    let world = World::default();
    let tier = MemoryTier::new(world.clock.shared());
    let nodes = [node(&world, &tier), node(&world, &tier), node(&world, &tier)];
    settle().await;
    let (mut versions, mut down) = ([0_u64; 4], false);
    // For each node and key: the oldest version that it may serve.
    let mut least = [[0_u64; 4]; 3];
    for step in steps {
        match step {
            Step::Ask(at, key, loads) => {
                let (node, at_key) = (&nodes[*at], usize::try_from(*key).unwrap());
                let version = versions[at_key];
                let terms = Terms::default().tags(TAGS_OF[at_key].iter().map(|at| tag(TAGS[*at])));
                let load = move || async move { Ok::<_, Broken>(Some(version.to_string())) };
                let value = match loads {
                    true => node.get_or_find(key, terms, load).await.unwrap(),
                    false => node.get(key).await.unwrap(),
                };
                prop_assert!(value.is_some() || !loads);
                let served = value.map(|value| value.parse::<u64>().unwrap());
                let least = least[*at][at_key];
                prop_assert!(
                    served.is_none_or(|served| served >= least),
                    "{:?} served, {} is told",
                    served,
                    least
                );
            }
            Step::Change(at, changed) => {
                for key in 0..4 {
                    versions[key] += u64::from(TAGS_OF[key].contains(changed));
                }
                let told = nodes[*at].invalidate(&tag(TAGS[*changed])).await;
                prop_assert_eq!(told.is_err(), down);
                settle().await;
                if told.is_ok() {
                    // News are heard at once here, and so is who cannot hear them.
                    least = [versions; 3];
                }
            }
            // What is told with it is no news of anybody.
            Step::Lose(lost) => drop(tier.unmark(&tag(TAGS[*lost]), b"").await),
            Step::Down(now) => {
                tier.set_down(*now);
                down = *now;
                // Longer than it takes to find out, to lose faith, and to tell what could not be told.
                pass(&world, seconds(6)).await;
                if !down {
                    least = [versions; 3];
                }
            }
            Step::Pass(halves) => pass(&world, Duration::from_millis(500 * halves)).await,
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn nothing_is_served_that_a_tag_has_ended(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(&steps))?;
    }
}
