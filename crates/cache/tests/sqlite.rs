//! The tier in a file: like the one in memory, bounded, and there after a restart.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::time::Duration;

use buttress_cache::codec::Codec;
use buttress_cache::tier::{Heard, Lease, MemoryTier, SqliteTier, Stored, Tier};
use buttress_cache::{Cache, TierConfig, Tiered};
use buttress_connect::sqlite::Sqlite;
use buttress_connect::{Address, ConnectionConfig};
use buttress_core::{Ctx, Elapsed, SharedClock, SystemClock, TestClock, timeout};
use proptest::prelude::*;

const KEEP: Option<Duration> = Some(Duration::from_mins(1));

async fn open(folder: &Path, most: u64, clock: SharedClock) -> SqliteTier {
    let address = Address::sqlite(&folder.join("cache.db"));
    let sqlite = Sqlite::open(&address, &ConnectionConfig::default()).await.unwrap();
    SqliteTier::open(sqlite, most, clock).await.unwrap()
}

async fn names(tier: &SqliteTier, names: &[&str]) -> Vec<bool> {
    let mut there = Vec::new();
    for name in names {
        there.push(tier.get(name).await.unwrap().is_some());
    }
    there
}

#[tokio::test]
async fn the_oldest_goes_for_one_too_many_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let tier = open(folder.path(), 3, clock.shared()).await;
    for name in ["a", "b", "c", "a"] {
        tier.write(name, name.as_bytes(), KEEP, b"").await.unwrap();
    }
    drop(tier);
    let tier = open(folder.path(), 3, clock.shared()).await;
    assert_eq!(tier.lease("d", 1, Duration::from_secs(10), false).await.unwrap(), Lease::Given);
    assert!(tier.fill("d", 1, b"d", KEEP).await.unwrap());
    assert_eq!(names(&tier, &["a", "b", "c", "d"]).await, [true, false, true, true], "b was written first");
    // Removed ones leave room, and so do those past their time, whenever they were written.
    tier.remove("a", b"").await.unwrap();
    tier.write("short", b"", Some(Duration::from_secs(1)), b"").await.unwrap();
    clock.advance(Duration::from_secs(1));
    tier.write("e", b"", KEEP, b"").await.unwrap();
    assert_eq!(names(&tier, &["c", "d", "short", "e"]).await, [true, true, false, true]);
    // With less room than before, the oldest go with the next.
    drop(tier);
    let tier = open(folder.path(), 1, clock.shared()).await;
    tier.write("f", b"", None, b"").await.unwrap();
    assert_eq!(names(&tier, &["c", "d", "e", "f"]).await, [false, false, false, true]);
}

#[tokio::test]
async fn a_lease_of_a_clock_that_was_set_back_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let tier = open(folder.path(), 3, clock.shared()).await;
    let lease = async |token| tier.lease("a", token, Duration::from_secs(10), false).await.unwrap();
    assert_eq!((lease(1).await, lease(2).await), (Lease::Given, Lease::Taken));
    clock.set_wall(std::time::UNIX_EPOCH + Duration::from_secs(1_000));
    assert_eq!((lease(2).await, lease(3).await), (Lease::Given, Lease::Taken));
    assert!(!tier.fill("a", 1, b"", KEEP).await.unwrap(), "its lease is another's");
}

#[tokio::test]
async fn a_restarted_cache_finds_its_values_and_two_processes_hear_of_changes() {
    let folder = tempfile::tempdir().unwrap();
    let node = async || {
        let tier = open(folder.path(), 100, SystemClock::shared()).await;
        let cache = Cache::builder("file").build(&Ctx::default()).unwrap();
        let mut config = TierConfig::default();
        config.staleness = Duration::from_millis(400);
        Tiered::<u64, String>::over(cache, tier, Codec::json("text", 1), config).unwrap()
    };
    let load = async |node: &Tiered<u64, String>, value: &'static str| {
        node.get_or_load(&1, move || async move { Ok::<_, Elapsed>(value.to_owned()) }).await.unwrap()
    };
    let first = node().await;
    assert_eq!(load(&first, "old").await, "old");
    drop(first);
    // Connections of their own, as two processes have them.
    let (one, two) = (node().await, node().await);
    assert_eq!(
        (load(&one, "loaded again").await, load(&two, "loaded again").await),
        ("old".into(), "old".into())
    );
    one.remove(&1).await.unwrap();
    let clock = SystemClock::shared();
    let seen = timeout(&*clock, Duration::from_secs(30), async {
        while load(&two, "new").await != "new" {
            clock.sleep(Duration::from_millis(20)).await;
        }
    });
    seen.await.unwrap();
}

#[tokio::test]
async fn whoever_is_far_behind_is_told_that_it_lost_some() {
    let folder = tempfile::tempdir().unwrap();
    let clock = SystemClock::shared();
    let tier = open(folder.path(), 3, clock.clone()).await;
    let mut news = tier.listen(Duration::from_mins(10), clock.clone());
    assert_eq!(news.next().await, Heard::Begun);
    let mut late = tier.listen(Duration::from_millis(1), clock.clone());
    assert_eq!(late.next().await, Heard::Begun);
    let file = file_of(folder.path()).await;
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        INSERT INTO cache_news (bytes) SELECT x'01' FROM n";
    file.run(move |connection| connection.execute(many, ())).await.unwrap();
    tier.publish(b"last").await.unwrap();
    assert!(matches!(late.next().await, Heard::Lost(_)));
    assert_eq!(late.next().await, Heard::Begun);
    let kept = file.run(|connection| {
        connection.query_row("SELECT count(*) FROM cache_news", (), |row| row.get::<_, i64>(0))
    });
    assert_eq!(kept.await.unwrap(), 4096);
    assert!(timeout(&*clock, Duration::from_millis(50), news.next()).await.is_err(), "it looks once a beat");
}

async fn file_of(folder: &Path) -> Sqlite {
    Sqlite::open(&Address::sqlite(&folder.join("cache.db")), &ConnectionConfig::default()).await.unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    Get,
    Write(u8, Option<u64>),
    Remove,
    Lease(u64, u64, bool),
    Extend(u64, u64),
    Release(u64),
    Fill(u64, u8, Option<u64>),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let keep = || proptest::option::of(1..500_u64);
    // Tokens of which some are over what SQLite's numbers hold.
    let token = || prop_oneof![Just(1_u64), Just(u64::MAX), Just(1 << 63)];
    prop_oneof![
        4 => Just(Step::Get),
        2 => (any::<u8>(), keep()).prop_map(|(byte, keep)| Step::Write(byte, keep)),
        1 => Just(Step::Remove),
        4 => (token(), 1..500_u64, any::<bool>()).prop_map(|(token, length, anew)| Step::Lease(token, length, anew)),
        2 => (token(), 1..500_u64).prop_map(|(token, length)| Step::Extend(token, length)),
        1 => token().prop_map(Step::Release),
        4 => (token(), any::<u8>(), keep()).prop_map(|(token, byte, keep)| Step::Fill(token, byte, keep)),
        3 => (1..300_u64).prop_map(Step::Pass),
    ]
}

/// What a step brought, whatever it is.
async fn take(tier: &impl Tier, name: &str, step: &Step) -> (Option<Stored>, Option<Lease>, Option<bool>) {
    let millis = Duration::from_millis;
    match *step {
        Step::Get => (tier.get(name).await.unwrap(), None, None),
        Step::Write(byte, keep) => {
            tier.write(name, &[byte], keep.map(millis), b"").await.unwrap();
            (None, None, None)
        }
        Step::Remove => {
            tier.remove(name, b"").await.unwrap();
            (None, None, None)
        }
        Step::Lease(token, length, anew) => {
            (None, Some(tier.lease(name, token, millis(length), anew).await.unwrap()), None)
        }
        Step::Extend(token, length) => {
            (None, None, Some(tier.extend(name, token, millis(length)).await.unwrap()))
        }
        Step::Release(token) => {
            tier.release(name, token).await.unwrap();
            (None, None, None)
        }
        Step::Fill(token, byte, keep) => {
            (None, None, Some(tier.fill(name, token, &[byte], keep.map(millis)).await.unwrap()))
        }
        Step::Pass(_) => (None, None, None),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_answers_as_the_tier_in_memory(steps in proptest::collection::vec((0..2_usize, step()), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let clock = TestClock::new();
            let file = open(folder.path(), 100, clock.shared()).await;
            let memory = MemoryTier::new(clock.shared());
            for (name, step) in steps {
                if let Step::Pass(millis) = step {
                    clock.advance(Duration::from_millis(millis));
                }
                let name = ["a", "b"][name];
                prop_assert_eq!(take(&file, name, &step).await, take(&memory, name, &step).await);
            }
            Ok(())
        })?;
    }
}
