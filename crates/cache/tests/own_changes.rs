//! What a node reads while it changes it itself: it does not hear its own news.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
#[path = "common/tiered.rs"]
mod tiered;

use std::sync::Arc;
use std::time::Duration;

use buttress_cache::tier::{Lease, MemoryTier, News, Stored, Tier, TierError};
use buttress_cache::{Lifetime, Terms};
use buttress_core::{BoxFuture, Key, SharedClock};
use common::{Broken, World, settle};
use tiered::{Node, node, node_with, pass};
use tokio::sync::Semaphore;

type Answer<'a, T> = BoxFuture<'a, Result<T, TierError>>;

/// A tier whose changes wait until they are let through.
#[derive(Clone)]
struct Slow {
    tier: MemoryTier,
    gate: Arc<Semaphore>,
}

impl Slow {
    fn after_gate<'a, T: Send + 'a>(
        &'a self,
        work: impl FnOnce() -> Answer<'a, T> + Send + 'a,
    ) -> Answer<'a, T> {
        Box::pin(async move {
            self.gate.acquire().await.unwrap().forget();
            work().await
        })
    }
}

impl Tier for Slow {
    fn get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Stored>> {
        self.tier.get(name)
    }

    fn lease<'a>(
        &'a self,
        name: &'a str,
        token: u64,
        length: Duration,
        over: Option<&'a [u8]>,
    ) -> Answer<'a, Lease> {
        self.tier.lease(name, token, length, over)
    }

    fn extend<'a>(&'a self, name: &'a str, token: u64, length: Duration) -> Answer<'a, bool> {
        self.tier.extend(name, token, length)
    }

    fn release<'a>(&'a self, name: &'a str, token: u64) -> Answer<'a, ()> {
        self.tier.release(name, token)
    }

    fn fill<'a>(
        &'a self,
        name: &'a str,
        token: u64,
        bytes: &'a [u8],
        keep: Option<Duration>,
    ) -> Answer<'a, bool> {
        self.tier.fill(name, token, bytes, keep)
    }

    fn write<'a>(
        &'a self,
        name: &'a str,
        bytes: &'a [u8],
        keep: Option<Duration>,
        news: &'a [u8],
    ) -> Answer<'a, ()> {
        self.after_gate(move || self.tier.write(name, bytes, keep, news))
    }

    fn remove<'a>(&'a self, name: &'a str, news: &'a [u8]) -> Answer<'a, ()> {
        self.after_gate(move || self.tier.remove(name, news))
    }

    fn mark<'a>(&'a self, tags: &'a [Key], keep: Option<Duration>) -> Answer<'a, Vec<u64>> {
        self.tier.mark(tags, keep)
    }

    fn marks<'a>(&'a self, tags: &'a [Key]) -> Answer<'a, Vec<Option<u64>>> {
        self.tier.marks(tags)
    }

    fn unmark<'a>(&'a self, tag: &'a Key, news: &'a [u8]) -> Answer<'a, ()> {
        self.after_gate(move || self.tier.unmark(tag, news))
    }

    fn publish<'a>(&'a self, news: &'a [u8]) -> Answer<'a, ()> {
        self.tier.publish(news)
    }

    fn listen(&self, beat: Duration, clock: SharedClock) -> Box<dyn News> {
        self.tier.listen(beat, clock)
    }
}

fn slow(world: &World) -> Slow {
    Slow { tier: MemoryTier::new(world.clock.shared()), gate: Arc::new(Semaphore::new(0)) }
}

/// Lets the node hear news, and has it load the value that is changed then.
async fn load_old(node: &Node, terms: impl Into<Terms>) {
    settle().await;
    let load = || async { Ok::<_, Broken>(Some("old".to_owned())) };
    node.get_or_find(&1, terms, load).await.unwrap();
}

fn tagged() -> Terms {
    Terms::default().tag(Key::new("t").unwrap())
}

#[tokio::test]
async fn a_value_read_while_it_is_removed_is_not_kept() {
    let world = World::default();
    let tier = slow(&world);
    let node = node(&world, &tier);
    load_old(&node, Lifetime::default()).await;
    let removing = tokio::spawn({
        let node = node.clone();
        async move { node.remove(&1).await }
    });
    settle().await;
    assert_eq!(node.get(&1).await.unwrap().as_deref(), Some("old"), "nothing has returned yet");
    tier.gate.add_permits(1);
    removing.await.unwrap().unwrap();
    assert_eq!(node.get(&1).await.unwrap(), None);
}

#[tokio::test]
async fn a_value_read_while_its_tag_is_invalidated_is_not_kept() {
    let world = World::default();
    let tier = slow(&world);
    let node = node(&world, &tier);
    load_old(&node, tagged()).await;
    let ending = tokio::spawn({
        let node = node.clone();
        async move { node.invalidate(&Key::new("t").unwrap()).await }
    });
    settle().await;
    assert_eq!(node.get(&1).await.unwrap().as_deref(), Some("old"), "nothing has returned yet");
    tier.gate.add_permits(1);
    ending.await.unwrap().unwrap();
    assert_eq!(node.get(&1).await.unwrap(), None);
}

#[tokio::test]
async fn a_value_read_while_another_is_set_is_not_kept() {
    let world = World::default();
    let tier = slow(&world);
    let node = node_with(&world, &tier, |config| config.capacity = 1000);
    load_old(&node, Lifetime::default()).await;
    let setting = tokio::spawn({
        let node = node.clone();
        async move { node.set(&1, "new".to_owned(), Lifetime::default()).await }
    });
    settle().await;
    // There was no room for the new one, say.
    node.local().clear();
    assert_eq!(node.get(&1).await.unwrap().as_deref(), Some("old"), "nothing has returned yet");
    tier.gate.add_permits(1);
    setting.await.unwrap().unwrap();
    assert_eq!(node.get(&1).await.unwrap().as_deref(), Some("new"));
}

#[tokio::test]
async fn a_value_read_before_a_change_is_told_at_last_is_not_kept() {
    let world = World::default();
    let tier = slow(&world);
    let node = node(&world, &tier);
    load_old(&node, Lifetime::default()).await;
    let removing = tokio::spawn({
        let node = node.clone();
        async move { node.remove(&1).await }
    });
    pass(&world, Duration::from_secs(1)).await;
    removing.await.unwrap().unwrap_err();
    assert_eq!(node.get(&1).await.unwrap().as_deref(), Some("old"), "the change has failed");
    tier.gate.add_permits(100);
    pass(&world, Duration::from_secs(2)).await;
    assert_eq!(node.get(&1).await.unwrap(), None);
}
