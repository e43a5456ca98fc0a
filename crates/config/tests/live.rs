//! Reading while others write.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use buttress_config::Live;

#[test]
fn readers_see_whole_values_in_their_order_while_they_change() {
    const CHANGES: u64 = 20_000;
    let live = Live::new((0_u64, [0_u64; 32]));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut reader = live.reader();
                let mut last = 0;
                while !done.load(Ordering::Acquire) {
                    for (number, copies) in [*live.get(), *reader.get()] {
                        assert!(number >= last, "{number} after {last}");
                        assert_eq!(copies, [number; 32], "half of a change");
                        last = number;
                    }
                }
            });
        }
        for number in 1..=CHANGES {
            live.replace((number, [number; 32]));
        }
        done.store(true, Ordering::Release);
    });
    assert_eq!((live.version(), live.get().0), (CHANGES + 1, CHANGES));
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let live = Live::new("old");
    let snapshot = live.get();
    live.replace("new");
    assert_eq!((*snapshot, snapshot.version()), ("old", 1));
    assert_eq!((*live.get(), live.get().version()), ("new", 2));
}

#[test]
fn concurrent_changes_keep_versions_and_values_together() {
    let live = Live::new(1_u64);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    live.replace(0);
                }
            });
        }
    });
    assert_eq!(live.version(), 4001);
}

#[tokio::test]
async fn changes_are_told_and_the_latest_one_is_given() {
    let live = Live::new(0);
    let mut changes = live.subscribe();
    live.replace(1);
    live.replace(2);
    let seen = changes.next().await;
    assert_eq!((*seen, seen.version()), (2, 3));

    let waiting = tokio::spawn(async move { *changes.next().await });
    tokio::task::yield_now().await;
    live.replace(7);
    assert_eq!(waiting.await.unwrap(), 7);
}
