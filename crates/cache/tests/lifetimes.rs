//! How long entries live, and what ends them.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use buttress_cache::{Cache, CacheConfig, Error, Lifetime, Terms};
use buttress_core::{ByteSize, Key, Probe, TestClock, Vitality};
use common::{ENGINES, World, seconds, settle};
use proptest::prelude::*;

fn tag(name: &str) -> Key {
    Key::new(name).unwrap()
}

#[test]
fn an_entry_lives_for_its_time_with_each_engine() {
    for engine in ENGINES {
        let world = World::default();
        let cache = world.cache(|builder| builder.engine(engine).ttl(seconds(10)));
        cache.insert(1, "usual".to_owned());
        cache.insert_with(2, "short".to_owned(), Lifetime::of(seconds(2))).unwrap();
        cache.insert_with(3, "unlimited".to_owned(), Lifetime::unlimited()).unwrap();
        world.pass(seconds(1));
        assert_eq!(cache.get(&1).as_deref(), Some("usual"));
        assert_eq!(cache.get(&2).as_deref(), Some("short"));
        world.pass(seconds(1));
        assert_eq!(cache.get(&2), None);
        world.pass(seconds(8));
        assert_eq!((cache.get(&1), cache.len()), (None, 1), "what is found to be over makes room at once");
        world.pass(seconds(100_000));
        assert_eq!(cache.get(&3).as_deref(), Some("unlimited"));
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses), (3, 2), "{stats:?}");
    }
}

#[test]
fn an_idle_entry_goes_and_a_used_one_stays() {
    for engine in ENGINES {
        let world = World::default();
        let cache = world.cache(|builder| builder.engine(engine).ttl(seconds(100)).idle(seconds(10)));
        cache.insert(1, "used".to_owned());
        cache.insert(2, "idle".to_owned());
        cache.insert_with(3, "patient".to_owned(), Lifetime::default().idle(seconds(50))).unwrap();
        for _ in 0..6 {
            world.pass(seconds(6));
            assert!(cache.get(&1).is_some());
        }
        assert_eq!((cache.get(&2), cache.get(&3).is_some()), (None, true));
        world.pass(seconds(9));
        assert!(cache.get(&1).is_some());
        for _ in 0..8 {
            world.pass(seconds(8));
            let _ = cache.get(&1);
        }
        assert_eq!(cache.get(&1), None, "use does not lengthen the time to live");
    }
}

#[test]
fn ten_thousand_entries_of_one_moment_do_not_end_together() {
    let world = World::default();
    let mut config = CacheConfig::default();
    config.ttl = Some(seconds(100));
    config.jitter = 0.2;
    config.capacity = 20_000;
    let cache = world.cache(|builder| builder.config(config));
    (0..10_000).for_each(|key| cache.insert(key, String::new()));
    world.pass(seconds(79));
    let mut left = (0..10_000).filter(|key| cache.get(key).is_some()).count();
    assert_eq!(left, 10_000, "none ends before its time less the jitter");
    world.pass(seconds(1));
    for second in 81..=100 {
        world.pass(seconds(1));
        let now = (0..10_000).filter(|key| cache.get(key).is_some()).count();
        let ended = left - now;
        assert!((300..=700).contains(&ended), "{ended} ended in second {second}; 500 are a twentieth");
        left = now;
    }
    assert_eq!(left, 0, "none lives longer than its time");
}

#[test]
fn an_exact_lifetime_has_no_jitter() {
    let world = World::default();
    let mut config = CacheConfig::default();
    config.jitter = 0.9;
    let cache = world.cache(|builder| builder.config(config));
    for key in 0..100 {
        cache.insert_with(key, String::new(), Lifetime::of(seconds(10)).exactly()).unwrap();
    }
    world.pass(seconds(9));
    assert!((0..100).all(|key| cache.get(&key).is_some()));
}

#[test]
fn removed_and_cleared_is_gone() {
    let world = World::default();
    let cache = world.cache(|builder| builder);
    (0..10).for_each(|key| cache.insert(key, key.to_string()));
    assert_eq!(cache.remove(&1).as_deref(), Some("1"));
    assert_eq!((cache.remove(&1), cache.get(&1), cache.len()), (None, None, 9));
    cache.clear();
    assert!((0..10).all(|key| cache.get(&key).is_none()) && cache.is_empty());
    cache.insert(1, "new".to_owned());
    assert_eq!(cache.get(&1).as_deref(), Some("new"));
    world.pass(seconds(1000));
    assert_eq!(cache.remove(&1), None, "what was past its time is not handed out on its way");
}

#[test]
fn a_tag_ends_its_entries_and_no_others() {
    let world = World::default();
    let cache = world.cache(|builder| builder);
    for key in 0..100 {
        let terms = Terms::default().tag(tag(if key % 2 == 0 { "even" } else { "odd" })).tag(tag("all"));
        cache.insert_with(key, key.to_string(), terms).unwrap();
    }
    cache.insert(1000, "untagged".to_owned());
    cache.invalidate(&tag("even"));
    assert!((0..100).all(|key| cache.get(&key).is_some() == (key % 2 == 1)));
    cache.insert_with(2, "again".to_owned(), Terms::default().tag(tag("even"))).unwrap();
    assert!(cache.get(&2).is_some(), "what comes later is not meant");
    cache.invalidate(&tag("all"));
    assert!((0..100).all(|key| cache.get(&key).is_some() == (key == 2)));
    assert!(cache.get(&1000).is_some());
    cache.invalidate(&tag("never seen"));
}

#[test]
fn tags_are_bounded() {
    let world = World::default();
    let mut config = CacheConfig::default();
    (config.tags, config.tags_per_entry, config.capacity) = (3, 2, 100);
    let cache = world.cache(|builder| builder.config(config));
    cache.insert(1, "earlier".to_owned());
    let many = Terms::default().tags(["a", "b", "c"].map(tag));
    let error = cache.insert_with(1, "refused".to_owned(), many).unwrap_err();
    assert!(matches!(error, Error::Tags { .. }), "{error}");
    assert_eq!(cache.get(&1), None, "neither the refused value nor the one before it");
    for key in 0..3_u64 {
        cache.insert_with(key, String::new(), Terms::default().tag(tag(&format!("t{key}")))).unwrap();
    }
    let fourth = || cache.insert_with(9, String::new(), Terms::default().tag(tag("t9")));
    fourth().unwrap_err();
    cache.remove(&0);
    fourth().unwrap();
    assert_eq!(cache.stats().tags, 3);
}

#[test]
fn bytes_are_bounded_and_counted() {
    for engine in ENGINES {
        let world = World::default();
        let cache = world.cache(|builder| {
            builder.engine(engine).capacity(1000).bytes(ByteSize::mib(1), |_, value| value.capacity())
        });
        for key in 0..20_000 {
            cache.insert(key, "x".repeat(usize::try_from(key % 2000).unwrap()));
        }
        let weight = cache.weight();
        assert!((500_000..=1_200_000).contains(&weight), "{weight} bytes of 1048576 with {engine:?}");
        let overhead = {
            cache.clear();
            cache.insert(1, String::new());
            cache.weight()
        };
        assert!((60..=200).contains(&overhead), "{overhead} bytes for an entry");
    }
}

#[tokio::test]
async fn the_sweep_frees_what_nobody_asks_for() {
    for engine in ENGINES {
        let world = World::default();
        let mut config = CacheConfig::default();
        (config.capacity, config.sweep) = (5000, seconds(10));
        let cache = world.cache(|builder| builder.config(config).engine(engine).ttl(seconds(20)));
        (0..3000).for_each(|key| cache.insert(key, String::new()));
        cache.insert_with(9999, String::new(), Lifetime::unlimited()).unwrap();
        for key in 4000..4100 {
            cache.insert_with(key, String::new(), Terms::from(Lifetime::unlimited()).tag(tag("t"))).unwrap();
        }
        cache.invalidate(&tag("t"));
        for _ in 0..25 {
            world.pass(seconds(1));
            settle().await;
        }
        for _ in 0..25 {
            world.pass(seconds(1));
            settle().await;
        }
        assert_eq!(cache.len(), 1, "{engine:?}");
        assert_eq!((cache.stats().misses, cache.weight()), (0, 1));
    }
}

#[tokio::test]
async fn the_background_ends_with_the_cache_and_with_the_service() {
    let world = World::default();
    let (one, other) = (world.cache(|builder| builder), world.cache(|builder| builder));
    settle().await;
    assert_eq!(world.ctx.shutdown.tasks(), 4);
    drop(one);
    for _ in 0..2 {
        world.pass(seconds(100));
        settle().await;
    }
    assert_eq!(world.ctx.shutdown.tasks(), 2);
    world.ctx.shutdown.stop();
    world.ctx.shutdown.finished().await;
    other.insert(1, "still works".to_owned());
    assert!(other.get(&1).is_some());
}

#[test]
fn steps_of_the_time_of_day_change_nothing() {
    let world = World::default();
    let cache = world.cache(|builder| builder.ttl(seconds(10)));
    cache.insert(1, String::new());
    world.clock.set_wall(std::time::SystemTime::UNIX_EPOCH);
    assert!(cache.get(&1).is_some());
    world.clock.set_wall(std::time::SystemTime::UNIX_EPOCH + seconds(1 << 33));
    assert!(cache.get(&1).is_some());
    world.pass(seconds(10));
    assert!(cache.get(&1).is_none());
}

#[tokio::test]
async fn a_poor_hit_ratio_is_told_when_there_were_requests_enough() {
    let world = World::default();
    let mut config = CacheConfig::default();
    (config.alert_below, config.alert_requests, config.alert_window) = (0.5, 100, seconds(10));
    let cache = world.cache(|builder| builder.config(config));
    cache.insert(1, String::new());
    let ask = async |hits: u64, misses: u64| {
        (0..hits).for_each(|_| drop(cache.get(&1)));
        (0..misses).for_each(|_| drop(cache.get(&2)));
        world.pass(seconds(1));
        settle().await;
        cache.check().await
    };
    assert_eq!(ask(0, 99).await, Vitality::Pass);
    assert!(matches!(ask(10, 10).await, Vitality::Warn(told) if told.contains("hit ratio is 0.08")));
    assert_eq!(ask(1000, 0).await, Vitality::Pass);
    for _ in 0..15 {
        ask(0, 0).await;
    }
    assert!(matches!(ask(40, 60).await, Vitality::Warn(_)), "what is older than the window does not count");
}

#[test]
fn a_wrong_configuration_says_what_would_do() {
    let refused = |set: &dyn Fn(&mut CacheConfig)| {
        let mut config = CacheConfig::default();
        set(&mut config);
        let built = Cache::<u64, u64>::builder("x").config(config).build(&buttress_core::Ctx::default());
        built.unwrap_err().to_string()
    };
    for (told, set) in [
        (
            "name = \"a b\": must be 1 to 64 letters",
            &(|config: &mut CacheConfig| config.name = "a b".into()) as &dyn Fn(&mut CacheConfig),
        ),
        ("capacity = 0: must be 1", &|config| config.capacity = 0),
        ("jitter = NaN: must be 0.0 to 0.9", &|config| config.jitter = f64::NAN),
        ("ttl = 1ms: must be \"20ms\"", &|config| config.ttl = Some(std::time::Duration::from_millis(1))),
        ("ttl = 181d", &|config| (config.ttl, config.stale) = (Some(seconds(180 * 86400)), seconds(86400))),
        ("bytes = 1MiB: room in bytes and a weigher go together", &|config| {
            config.bytes = Some(ByteSize::mib(1));
        }),
        ("loads = 0: must be", &|config| config.loads = 0),
    ] {
        let error = refused(set);
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_configuration_reads_from_text_and_refuses_unknown_fields() {
    let config: CacheConfig =
        serde_json::from_str(r#"{"name": "users", "engine": "moka", "ttl": "90s", "bytes": "64MiB"}"#)
            .unwrap();
    assert_eq!((config.ttl, config.capacity), (Some(seconds(90)), 10_000));
    let back: CacheConfig = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
    assert_eq!(back, config);
    assert!(serde_json::from_str::<CacheConfig>(r#"{"tll": "90s"}"#).is_err());
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u64, u64),
    Get(u64),
    Remove(u64),
    Tag(u64, u8),
    Invalidate(u8),
    Clear,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..8_u64;
    prop_oneof![
        (key.clone(), 1..60_u64).prop_map(|(key, ttl)| Step::Insert(key, ttl)),
        key.clone().prop_map(Step::Get),
        key.clone().prop_map(Step::Get),
        key.clone().prop_map(Step::Remove),
        (key, 0..3_u8).prop_map(|(key, tag)| Step::Tag(key, tag)),
        (0..3_u8).prop_map(Step::Invalidate),
        Just(Step::Clear),
        (1..30_u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Against a list of what is there, with its end and its tag.
    #[test]
    fn any_steps_do_what_a_plain_map_does(steps in prop::collection::vec(step(), 1..80), engine in 0..3_usize) {
        let clock = TestClock::new();
        let world = World { ctx: buttress_core::Ctx { clock: clock.shared(), ..Default::default() }, clock, ..World::default() };
        let cache = world.cache(|builder| builder.engine(*ENGINES.get(engine).unwrap()).ttl(seconds(40)));
        let mut model = std::collections::HashMap::<u64, (String, u64, Option<u8>)>::new();
        let (mut now, mut number) = (0, 0);
        for step in steps {
            number += 1;
            match step {
                Step::Insert(key, ttl) => {
                    cache.insert_with(key, format!("{number}"), Lifetime::of(seconds(ttl))).unwrap();
                    model.insert(key, (format!("{number}"), now + ttl, None));
                }
                Step::Tag(key, name) => {
                    cache.insert_with(key, format!("{number}"), Terms::default().tag(tag(&name.to_string()))).unwrap();
                    model.insert(key, (format!("{number}"), now + 40, Some(name)));
                }
                Step::Get(key) => {
                    let expected = model.get(&key).filter(|(_, end, _)| *end > now).map(|(value, ..)| value.clone());
                    prop_assert_eq!(cache.get(&key), expected);
                }
                Step::Remove(key) => {
                    let expected = model.remove(&key).filter(|(_, end, _)| *end > now).map(|(value, ..)| value);
                    prop_assert_eq!(cache.remove(&key), expected);
                }
                Step::Invalidate(name) => {
                    cache.invalidate(&tag(&name.to_string()));
                    model.retain(|_, (_, _, tag)| *tag != Some(name));
                }
                Step::Clear => {
                    cache.clear();
                    model.clear();
                }
                Step::Pass(time) => {
                    world.pass(seconds(time));
                    now += time;
                }
            }
        }
    }
}
