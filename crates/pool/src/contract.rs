//! What every [`Engine`] promises, as tests for an engine of your own.
//!
//! ```
//! use buttress_core::Ctx;
//! use buttress_pool::{Pool, contract};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! contract::holds(|items, config| Pool::new(items, config, &Ctx::default())).await;
//! # }
//! ```
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking, and these are tests"
)]
#![allow(clippy::disallowed_methods, reason = "engines of others live in real time")]

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use buttress_core::{Classify, ErrorClass};

use crate::config::{CheckPolicy, PoolConfig};
use crate::engine::Engine;
use crate::error::Error;
use crate::manager::{Condition, Manager};

/// Makes [`Item`]s, and breaks them when a test says so. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Items(Arc<Workshop>);

#[derive(Debug, Default)]
struct Workshop {
    made: AtomicUsize,
    live: AtomicUsize,
    most: AtomicUsize,
    down: AtomicBool,
    /// Those that fail their check.
    dumb: Mutex<HashSet<usize>>,
    /// Those that are worn, though they do not know it.
    worn: Mutex<HashSet<usize>>,
}

/// Something countable.
#[derive(Debug)]
pub struct Item {
    number: usize,
    users: AtomicUsize,
    /// Seen to be broken without asking.
    pub broken: bool,
    /// To be reset.
    pub dirty: bool,
    /// To be closed, though it works.
    pub worn: bool,
    workshop: Arc<Workshop>,
}

impl Item {
    /// Which one it is; no two are the same.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Says that somebody uses it, as long as `work` goes on. Panics if somebody else does.
    pub async fn occupy(&self, work: impl Future<Output = ()>) {
        let user = User(&self.users);
        assert_eq!(user.0.fetch_add(1, Ordering::SeqCst), 0, "an object has one user");
        work.await;
    }
}

/// Is one as long as it lives.
struct User<'a>(&'a AtomicUsize);

impl Drop for User<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.workshop.live.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The workshop makes nothing at the moment, or an item does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("out of order")]
pub struct OutOfOrder;

impl Classify for OutOfOrder {
    fn class(&self) -> ErrorClass {
        ErrorClass::Unavailable
    }
}

impl Items {
    /// How many were made so far.
    #[must_use]
    pub fn made(&self) -> usize {
        self.0.made.load(Ordering::SeqCst)
    }

    /// How many there are.
    #[must_use]
    pub fn live(&self) -> usize {
        self.0.live.load(Ordering::SeqCst)
    }

    /// The most there ever were.
    #[must_use]
    pub fn most(&self) -> usize {
        self.0.most.load(Ordering::SeqCst)
    }

    /// From now on none can be made, or can again.
    pub fn set_down(&self, down: bool) {
        self.0.down.store(down, Ordering::SeqCst);
    }

    /// From now on this one fails its check.
    pub fn strike_dumb(&self, number: usize) {
        locked(&self.0.dumb).insert(number);
    }

    /// From now on this one is worn.
    pub fn wear_out(&self, number: usize) {
        locked(&self.0.worn).insert(number);
    }
}

fn locked(numbers: &Mutex<HashSet<usize>>) -> MutexGuard<'_, HashSet<usize>> {
    numbers.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Manager for Items {
    type Object = Item;
    type Error = OutOfOrder;

    async fn create(&self) -> Result<Item, OutOfOrder> {
        tokio::task::yield_now().await;
        if self.0.down.load(Ordering::SeqCst) {
            return Err(OutOfOrder);
        }
        let live = self.0.live.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(live, Ordering::SeqCst);
        let number = self.0.made.fetch_add(1, Ordering::SeqCst);
        Ok(Item {
            number,
            users: AtomicUsize::new(0),
            broken: false,
            dirty: false,
            worn: false,
            workshop: Arc::clone(&self.0),
        })
    }

    async fn check(&self, item: &mut Item) -> Result<(), OutOfOrder> {
        tokio::task::yield_now().await;
        if locked(&self.0.dumb).contains(&item.number) { Err(OutOfOrder) } else { Ok(()) }
    }

    fn condition(&self, item: &Item) -> Condition {
        match item {
            Item { broken: true, .. } => Condition::Broken,
            Item { worn: true, .. } => Condition::Worn,
            Item { number, .. } if locked(&self.0.worn).contains(number) => Condition::Worn,
            Item { dirty: true, .. } => Condition::Dirty,
            _ => Condition::Good,
        }
    }

    async fn reset(&self, item: &mut Item) -> Result<(), OutOfOrder> {
        tokio::task::yield_now().await;
        item.dirty = false;
        Ok(())
    }
}

/// Runs the whole contract on engines that `make` makes. Must be called inside of a tokio runtime.
///
/// # Panics
///
/// When a promise is broken.
pub async fn holds<E: Engine<Items>>(make: impl Fn(Items, PoolConfig) -> Result<E, Error>) {
    let engine = |max: usize, wait: Duration| {
        let items = Items::default();
        let config = PoolConfig {
            max,
            wait,
            check: CheckPolicy::Always,
            retry_first: Duration::from_millis(1),
            failures: 1,
            open_for: Duration::from_millis(1),
            ..PoolConfig::default()
        };
        let engine = make(items.clone(), config).expect("the configuration is good");
        (items, Arc::new(engine))
    };
    let patient = Duration::from_secs(20);
    objects_have_one_user_and_a_bound(engine(3, patient)).await;
    what_comes_back_is_handed_out_again(engine(2, patient)).await;
    the_broken_is_not_handed_out(engine(2, patient)).await;
    the_dirty_is_reset(engine(1, patient)).await;
    dropped_futures_leak_nothing(engine(2, patient)).await;
    past_its_deadline_a_caller_is_told(engine(1, Duration::from_millis(30))).await;
    failures_to_create_are_told_and_pass(engine(1, Duration::from_millis(500))).await;
}

type Made<E> = (Items, Arc<E>);

async fn take<E: Engine<Items>>(engine: &E) -> E::Guard {
    engine.get().await.expect("an object can be had")
}

/// Time for what an engine does in the background.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

async fn objects_have_one_user_and_a_bound<E: Engine<Items>>((items, engine): Made<E>) {
    let tasks: Vec<_> = (0..24)
        .map(|_| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move {
                for _ in 0..20 {
                    take(&*engine).await.occupy(tokio::task::yield_now()).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no promise was broken");
    }
    assert!(items.most() <= 3, "{} objects where 3 may be", items.most());
}

async fn what_comes_back_is_handed_out_again<E: Engine<Items>>((items, engine): Made<E>) {
    let number = take(&*engine).await.number();
    a_while().await;
    assert_eq!(take(&*engine).await.number(), number);
    assert_eq!((items.made(), engine.status().size), (1, 1));
}

async fn the_broken_is_not_handed_out<E: Engine<Items>>((items, engine): Made<E>) {
    let mut seen = take(&*engine).await;
    let broken = seen.number();
    seen.broken = true;
    drop(seen);
    a_while().await;
    let dumb = take(&*engine).await.number();
    assert_ne!(dumb, broken, "one known to be broken");
    items.strike_dumb(dumb);
    a_while().await;
    assert_ne!(take(&*engine).await.number(), dumb, "one that does not pass its check");
}

async fn the_dirty_is_reset<E: Engine<Items>>((_, engine): Made<E>) {
    take(&*engine).await.dirty = true;
    assert!(!take(&*engine).await.dirty);
}

async fn dropped_futures_leak_nothing<E: Engine<Items>>((_, engine): Made<E>) {
    for held in [false, true] {
        let guards = if held { vec![take(&*engine).await, take(&*engine).await] } else { Vec::new() };
        for polls in 0..50 {
            let mut getting = pin!(engine.get());
            for _ in 0..polls % 5 {
                let polled = getting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                if polled.is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        drop(guards);
    }
    let both = (take(&*engine).await, take(&*engine).await);
    assert_ne!(both.0.number(), both.1.number());
}

async fn past_its_deadline_a_caller_is_told<E: Engine<Items>>((_, engine): Made<E>) {
    let held = take(&*engine).await;
    let error = engine.get().await.err().expect("there is nothing to be had");
    assert_eq!(error.class(), ErrorClass::Timeout, "{error}");
    drop(held);
    let _ = take(&*engine).await;
}

async fn failures_to_create_are_told_and_pass<E: Engine<Items>>((items, engine): Made<E>) {
    items.set_down(true);
    for _ in 0..3 {
        let error = engine.get().await.err().expect("nothing can be made");
        assert!(error.class().is_transient(), "{error}");
    }
    items.set_down(false);
    a_while().await;
    let _ = take(&*engine).await;
}
