//! Single flight, stale values, early refresh: what becomes of a load, and of those who wait for it.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use buttress_cache::{Cache, CacheConfig, Error, Lifetime, Terms};
use buttress_core::{Classify, Ctx, ErrorClass, Key};
use common::{Broken, World, seconds, settle};
use proptest::prelude::*;
use tokio::sync::{Notify, Semaphore, oneshot};

type Users = Cache<u64, String>;

/// Loads that a test ends when it likes, and counts.
#[derive(Clone, Default)]
struct Source {
    loads: Arc<AtomicUsize>,
    gate: Arc<Notify>,
}

impl Source {
    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    /// Waits for the gate, and gives this answer.
    fn answer(
        &self,
        answer: Result<&'static str, Broken>,
    ) -> impl Future<Output = Result<String, Broken>> + Send + use<> {
        let Self { loads, gate } = self.clone();
        async move {
            loads.fetch_add(1, Ordering::SeqCst);
            gate.notified().await;
            answer.map(str::to_owned)
        }
    }

    /// Gives this answer at once.
    fn now(
        &self,
        answer: Result<&'static str, Broken>,
    ) -> impl Future<Output = Result<String, Broken>> + Send + use<> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        std::future::ready(answer.map(str::to_owned))
    }
}

async fn load(
    cache: &Users,
    key: u64,
    source: &Source,
    answer: Result<&'static str, Broken>,
) -> Result<String, Error> {
    let source = source.clone();
    cache.get_or_load(&key, move || source.now(answer)).await
}

/// A caller that waits in a task of its own.
fn ask(
    cache: &Users,
    key: u64,
    source: &Source,
    answer: Result<&'static str, Broken>,
) -> tokio::task::JoinHandle<Result<String, Error>> {
    let (cache, source) = (cache.clone(), source.clone());
    tokio::spawn(async move { cache.get_or_load(&key, move || source.answer(answer)).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_who_ask_at_once_load_once() {
    let cache: Users = Cache::builder("stampede").build(&Ctx::default()).unwrap();
    for key in 0..20 {
        let loads = Arc::new(AtomicUsize::new(0));
        let start = Arc::new(Semaphore::new(0));
        let callers: Vec<_> = (0..1000)
            .map(|_| {
                let (cache, loads, start) = (cache.clone(), Arc::clone(&loads), Arc::clone(&start));
                tokio::spawn(async move {
                    let _go = start.acquire().await.unwrap();
                    let load = move || async move {
                        loads.fetch_add(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        Ok::<_, Broken>("value".to_owned())
                    };
                    cache.get_or_load(&key, load).await.unwrap()
                })
            })
            .collect();
        start.add_permits(1000);
        for caller in callers {
            assert_eq!(caller.await.unwrap(), "value");
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }
    assert_eq!(cache.stats().loads, 20);
}

#[tokio::test]
async fn a_failure_is_that_of_all_who_wait_and_of_nobody_later() {
    let (world, source) = (World::default(), Source::default());
    let cache = world.cache(|builder| builder);
    let callers: Vec<_> = (0..5).map(|_| ask(&cache, 1, &source, Err(Broken("no")))).collect();
    settle().await;
    source.gate.notify_one();
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        assert_eq!(
            (error.class(), buttress_core::chain(&error).ends_with("the source says: no")),
            (ErrorClass::Unavailable, true)
        );
        assert!(
            matches!(error, Error::Load { source, .. } if source.downcast_ref::<Broken>() == Some(&Broken("no")))
        );
    }
    assert_eq!(source.loads(), 1);
    assert_eq!(load(&cache, 1, &source, Ok("yes")).await.unwrap(), "yes");
    assert_eq!((source.loads(), cache.stats().failed), (2, 1));
}

fn panics() -> String {
    panic!("a loader that panics")
}

#[tokio::test]
async fn a_panic_is_told_to_all_who_wait() {
    let world = World::default();
    let cache = world.cache(|builder| builder);
    let (end, ended) = oneshot::channel::<()>();
    let first = {
        let cache = cache.clone();
        let panics = move || async move {
            ended.await.unwrap();
            Ok::<_, Broken>(panics())
        };
        tokio::spawn(async move { cache.get_or_load(&1, panics).await })
    };
    settle().await;
    let source = Source::default();
    let second = ask(&cache, 1, &source, Ok("never asked"));
    settle().await;
    end.send(()).unwrap();
    assert!(matches!(first.await.unwrap(), Err(Error::Panicked { .. })));
    assert!(matches!(second.await.unwrap(), Err(Error::Panicked { .. })));
    assert_eq!((source.loads(), cache.stats().loading), (0, 0));
    assert_eq!(load(&cache, 1, &source, Ok("well")).await.unwrap(), "well");
}

#[tokio::test]
async fn a_load_that_hangs_ends_with_its_limit() {
    let (world, source) = (World::default(), Source::default());
    let mut config = CacheConfig::default();
    config.load_within = seconds(3);
    let cache = world.cache(|builder| builder.config(config));
    let callers = [ask(&cache, 1, &source, Ok("late")), ask(&cache, 1, &source, Ok("late"))];
    settle().await;
    world.pass(seconds(2));
    settle().await;
    assert!(!callers.iter().any(tokio::task::JoinHandle::is_finished));
    world.pass(seconds(1));
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::TimedOut { within, .. } if within == seconds(3)), "{error}");
    }
    assert_eq!(cache.stats().loading, 0);
}

#[tokio::test]
async fn a_caller_that_is_dropped_takes_nothing_from_the_others() {
    let (world, source) = (World::default(), Source::default());
    let cache = world.cache(|builder| builder);
    let first = ask(&cache, 1, &source, Ok("value"));
    settle().await;
    let second = ask(&cache, 1, &source, Ok("of the second"));
    settle().await;
    first.abort();
    settle().await;
    source.gate.notify_one();
    assert_eq!(second.await.unwrap().unwrap(), "value");
    // With nobody left to wait the load goes on too.
    let alone = ask(&cache, 2, &source, Ok("kept"));
    settle().await;
    alone.abort();
    settle().await;
    source.gate.notify_one();
    settle().await;
    assert_eq!((cache.get(&2).as_deref(), source.loads()), (Some("kept"), 2));
}

#[test]
fn when_a_runtime_ends_with_a_load_another_takes_over() {
    let cache: Users = Cache::builder("two-runtimes").build(&Ctx::default()).unwrap();
    let source = Source::default();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (doomed, lasting) = (runtime(), runtime());
    doomed.block_on(async {
        drop(ask(&cache, 1, &source, Ok("lost")));
        settle().await;
    });
    lasting.block_on(async {
        let second = ask(&cache, 1, &source, Ok("of the second"));
        settle().await;
        assert_eq!((source.loads(), cache.stats().joined), (1, 1));
        tokio::task::spawn_blocking(move || drop(doomed)).await.unwrap();
        settle().await;
        assert_eq!(source.loads(), 2);
        source.gate.notify_one();
        assert_eq!(second.await.unwrap().unwrap(), "of the second");
    });
    assert_eq!(cache.stats().loading, 0);
}

#[tokio::test]
async fn loads_at_once_are_bounded() {
    let (world, source) = (World::default(), Source::default());
    let mut config = CacheConfig::default();
    config.loads = 2;
    let cache = world.cache(|builder| builder.config(config));
    let under_way = [ask(&cache, 1, &source, Ok("a")), ask(&cache, 2, &source, Ok("b"))];
    settle().await;
    let joining = ask(&cache, 1, &source, Ok("never asked"));
    settle().await;
    let error = load(&cache, 3, &source, Ok("c")).await.unwrap_err();
    assert_eq!((error.class(), source.loads()), (ErrorClass::Overloaded, 2), "{error}");
    source.gate.notify_waiters();
    for caller in under_way.into_iter().chain([joining]) {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(load(&cache, 3, &source, Ok("c")).await.unwrap(), "c");
}

#[tokio::test]
async fn what_was_loaded_before_a_change_is_not_kept_after_it() {
    type Change = fn(&Users);
    let changes: [(&str, Change, Option<&str>); 4] = [
        ("remove", |cache| drop(cache.remove(&1)), None),
        ("insert", |cache| cache.insert(1, "new".to_owned()), Some("new")),
        ("clear", Cache::clear, None),
        ("invalidate", |cache| cache.invalidate(&Key::new("t").unwrap()), None),
    ];
    for (name, change, left) in changes {
        let (world, source) = (World::default(), Source::default());
        let cache = world.cache(|builder| builder);
        let terms = || Terms::default().tag(Key::new("t").unwrap());
        let old = {
            let (cache, source) = (cache.clone(), source.clone());
            tokio::spawn(async move {
                cache.get_or_load_with(&1, terms(), move || source.answer(Ok("old"))).await
            })
        };
        settle().await;
        change(&cache);
        // Whoever asks after the change does not get what was read before it.
        let later = source.clone();
        let later = cache.get_or_load_with(&1, terms(), move || later.now(Ok("new"))).await;
        assert_eq!(later.unwrap(), "new", "{name}");
        cache.remove(&1);
        change(&cache);
        source.gate.notify_waiters();
        assert_eq!(old.await.unwrap().unwrap(), "old");
        settle().await;
        assert_eq!((cache.get(&1).as_deref(), cache.stats().loading), (left, 0), "{name}");
    }
}

#[tokio::test]
async fn that_there_is_nothing_is_remembered_for_a_while() {
    let (world, source) = (World::default(), Source::default());
    let mut config = CacheConfig::default();
    (config.negative, config.jitter) = (seconds(5), 0.0);
    let cache = world.cache(|builder| builder.config(config));
    let find = async |answer: Option<&'static str>| {
        let source = source.clone();
        let find = move || async move { source.now(Ok("")).await.map(|_| answer.map(str::to_owned)) };
        cache.get_or_find(&1, Lifetime::default(), find).await.unwrap()
    };
    assert_eq!(find(None).await, None);
    assert_eq!(find(Some("now there")).await, None);
    assert_eq!((source.loads(), cache.get(&1), cache.stats().negative), (1, None, 2));
    world.pass(seconds(5));
    assert_eq!(find(Some("now there")).await.as_deref(), Some("now there"));
    // Who needs a value is not content with there being none.
    cache.remove(&1);
    assert_eq!(find(None).await, None);
    assert_eq!(load(&cache, 1, &source, Ok("made")).await.unwrap(), "made");
    assert_eq!(find(None).await.as_deref(), Some("made"));
}

#[tokio::test]
async fn a_stale_value_is_served_while_one_caller_loads() {
    let (world, source) = (World::default(), Source::default());
    let cache = world.cache(|builder| builder.ttl(seconds(10)).stale(seconds(20)));
    load(&cache, 1, &source, Ok("old")).await.unwrap();
    world.pass(seconds(15));
    for _ in 0..3 {
        let waiting = ask(&cache, 1, &source, Ok("new"));
        assert_eq!(waiting.await.unwrap().unwrap(), "old");
    }
    settle().await;
    assert_eq!((source.loads(), cache.stats().refreshes, cache.stats().stale), (2, 1, 3));
    source.gate.notify_one();
    settle().await;
    assert_eq!(cache.get(&1).as_deref(), Some("new"));
    // Past the hard limit nobody gets it.
    world.pass(seconds(30));
    assert_eq!(load(&cache, 1, &source, Ok("newest")).await.unwrap(), "newest");
}

#[tokio::test]
async fn when_loading_fails_the_old_value_is_served_for_a_time() {
    let (world, source) = (World::default(), Source::default());
    let cache = world.cache(|builder| builder.ttl(seconds(10)).fail_safe(seconds(60)));
    load(&cache, 1, &source, Ok("old")).await.unwrap();
    world.pass(seconds(10));
    assert_eq!(cache.get(&1), None, "without a load that failed it is over");
    assert_eq!(load(&cache, 1, &source, Err(Broken("down"))).await.unwrap(), "old");
    // The next second nobody tries.
    assert_eq!(load(&cache, 1, &source, Err(Broken("down"))).await.unwrap(), "old");
    assert_eq!(source.loads(), 2);
    world.pass(seconds(1));
    assert_eq!(load(&cache, 1, &source, Err(Broken("down"))).await.unwrap(), "old");
    assert_eq!(source.loads(), 3);
    world.pass(seconds(58));
    assert_eq!(load(&cache, 1, &source, Err(Broken("down"))).await.unwrap(), "old");
    world.pass(seconds(1));
    load(&cache, 1, &source, Err(Broken("down"))).await.unwrap_err();
    assert_eq!(load(&cache, 1, &source, Ok("new")).await.unwrap(), "new");
}

#[tokio::test]
async fn a_value_that_was_dear_to_load_is_loaded_early() {
    let world = World::default();
    let mut config = CacheConfig::default();
    (config.ttl, config.jitter, config.early) = (Some(seconds(100)), 0.0, 1.0);
    let cache = world.cache(|builder| builder.config(config));
    let slow = |clock: buttress_core::TestClock| async move {
        clock.advance(seconds(1));
        Ok::<_, Broken>("value".to_owned())
    };
    let ask = async || {
        let clock = world.clock.clone();
        cache.get_or_load(&1, move || slow(clock)).await.unwrap()
    };
    ask().await;
    world.pass(seconds(83));
    for _ in 0..100 {
        ask().await;
    }
    assert_eq!(cache.stats().refreshes, 0, "long before its time nobody throws dice");
    world.pass(seconds(15));
    // A second before the end each call loads with a chance of e^-1 or so.
    for _ in 0..100 {
        ask().await;
        settle().await;
    }
    let stats = cache.stats();
    assert_eq!((stats.refreshes, stats.misses), (1, 1), "{stats:?}");
}

#[tokio::test]
async fn a_service_that_stops_ends_its_loads() {
    let (world, source) = (World::default(), Source::default());
    let cache = world.cache(|builder| builder);
    let waiting = ask(&cache, 1, &source, Ok("never"));
    settle().await;
    world.ctx.shutdown.stop();
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }) && error.class() == ErrorClass::Unavailable);
    world.ctx.shutdown.finished().await;
}

#[tokio::test]
async fn futures_dropped_at_any_poll_leave_nothing_behind() {
    let (world, source) = (World::default(), Source::default());
    let cache = world.cache(|builder| builder);
    for polls in 0..30 {
        let load = {
            let source = source.clone();
            move || source.answer(Ok("value"))
        };
        let mut waiting = Box::pin(cache.get_or_load(&1, load));
        for _ in 0..polls % 4 {
            std::future::poll_fn(|cx| {
                let _ = waiting.as_mut().poll(cx);
                Poll::Ready(())
            })
            .await;
            tokio::task::yield_now().await;
        }
        drop(waiting);
        source.gate.notify_waiters();
        settle().await;
        assert_eq!(cache.stats().loading, 0);
        cache.remove(&1);
    }
    let waiting = ask(&cache, 1, &source, Ok("value"));
    settle().await;
    source.gate.notify_waiters();
    assert_eq!(waiting.await.unwrap().unwrap(), "value");
}

#[derive(Debug, Clone)]
enum Step {
    Ask(u64),
    /// A caller goes.
    Drop(usize),
    /// The load of a key ends, with a value or an error.
    End(u64, bool),
    Remove(u64),
    Insert(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..3_u64;
    prop_oneof![
        5 => key.clone().prop_map(Step::Ask),
        2 => (0..20_usize).prop_map(Step::Drop),
        4 => (key.clone(), any::<bool>()).prop_map(|(key, well)| Step::End(key, well)),
        1 => key.clone().prop_map(Step::Remove),
        1 => key.prop_map(Step::Insert),
    ]
}

/// The loads under way, by number: which key, and how each is told to end.
#[derive(Default)]
struct Loads {
    begun: u64,
    open: Vec<(u64, u64, oneshot::Sender<bool>)>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Against a model that knows for each key the value there is and the load that later callers join.
    #[test]
    fn any_interleaving_loads_once_and_leaves_nobody_waiting(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::default();
            let cache = world.cache(|builder| builder);
            let loads = Arc::new(std::sync::Mutex::new(Loads::default()));
            // Who waits, and for which load.
            let mut waiting: Vec<(u64, tokio::task::JoinHandle<Result<String, Error>>)> = Vec::new();
            let mut values = std::collections::HashMap::<u64, String>::new();
            let mut joined = std::collections::HashMap::<u64, u64>::new();
            let mut expected = 0;
            for step in steps {
                match step {
                    Step::Ask(key) => {
                        let (cache, loads_of_task) = (cache.clone(), Arc::clone(&loads));
                        let asked = tokio::spawn(async move {
                            let load = move || async move {
                                let (end, ended) = oneshot::channel();
                                let number = {
                                    let mut loads = loads_of_task.lock().unwrap();
                                    loads.begun += 1;
                                    let number = loads.begun;
                                    loads.open.push((number, key, end));
                                    number
                                };
                                if ended.await.unwrap() { Ok(number.to_string()) } else { Err(Broken("no")) }
                            };
                            cache.get_or_load(&key, load).await
                        });
                        settle().await;
                        let begun = loads.lock().unwrap().begun;
                        match (values.get(&key), joined.get(&key)) {
                            (Some(value), _) => prop_assert_eq!(&asked.await.unwrap().unwrap(), value),
                            (None, Some(number)) => waiting.push((*number, asked)),
                            (None, None) => {
                                expected += 1;
                                joined.insert(key, begun);
                                waiting.push((begun, asked));
                            }
                        }
                        prop_assert_eq!(begun, expected, "loads were begun");
                    }
                    Step::Drop(at) => {
                        if let Some((_, caller)) = waiting.get(at) {
                            caller.abort();
                            waiting.remove(at);
                        }
                    }
                    Step::End(key, well) => {
                        let ended = {
                            let mut loads = loads.lock().unwrap();
                            let at = loads.open.iter().position(|(_, of, _)| *of == key);
                            at.map(|at| loads.open.remove(at))
                        };
                        let Some((number, _, end)) = ended else { continue };
                        end.send(well).unwrap();
                        settle().await;
                        if joined.get(&key) == Some(&number) {
                            joined.remove(&key);
                            if well {
                                values.insert(key, number.to_string());
                            }
                        }
                        for (_, caller) in waiting.extract_if(.., |(of, _)| *of == number) {
                            prop_assert!(caller.is_finished(), "nobody waits for a load that has ended");
                            prop_assert_eq!(caller.await.unwrap().ok(), well.then(|| number.to_string()));
                        }
                    }
                    Step::Remove(key) => {
                        cache.remove(&key);
                        values.remove(&key);
                        joined.remove(&key);
                    }
                    Step::Insert(key) => {
                        cache.insert(key, "inserted".to_owned());
                        values.insert(key, "inserted".to_owned());
                        joined.remove(&key);
                    }
                }
                settle().await;
                for key in 0..3 {
                    prop_assert_eq!(cache.get(&key), values.get(&key).cloned());
                }
                prop_assert_eq!(cache.stats().loading, loads.lock().unwrap().open.len());
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_call_is_not_many_times_as_large_as_its_load() {
    let cache = Cache::<u64, u64>::builder("large").build(&Ctx::default()).unwrap();
    let burden = [1_u8; 16 << 10];
    let call = cache.get_or_load(&1, move || async move { Ok::<_, Broken>(u64::from(burden[1])) });
    // The load itself, and once more on its way to the heap.
    let size = size_of_val(&call);
    assert!(size < 2 * size_of_val(&burden) + 2048, "{size} bytes");
    assert_eq!(Box::pin(call).await.unwrap(), 1);
}
