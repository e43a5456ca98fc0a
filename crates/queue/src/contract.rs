//! What every queue promises, as tests: for the back ends here, and for one of your own.
//!
//! ```no_run
//! # async fn open_mine(_: &buttress_queue::QueueConfig) -> buttress_queue::AnyQueue { unimplemented!() }
//! # async fn test() {
//! use buttress_core::Ctx;
//! use buttress_queue::{WorkQueue, contract};
//!
//! contract::holds(async |config| {
//!     let back = open_mine(&config).await;
//!     WorkQueue::over(back, config, &Ctx::default())
//! })
//! .await;
//! # }
//! ```
//!
//! Each case works on a queue of its own name. A case that fails panics and says what was expected. No case asserts how
//! long something takes: what has to happen after a while is waited for.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a broken promise fails the test, and panicking is how a test fails"
)]
#![allow(clippy::disallowed_methods, reason = "the servers under test live in real time")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use buttress_core::{ByteSize, Classify, ErrorClass, Key};
use bytes::Bytes;

use crate::{Error, Failed, Job, Pushed, QueueConfig, WorkQueue};

/// How long anything may take that has to happen. Met in full only by a failure.
const PATIENCE: Duration = Duration::from_mins(1);

/// The lease of the cases: long enough that a slow machine does not lose one by chance.
const LEASE: Duration = Duration::from_secs(1);

/// Runs every case on queues that `open` opens: on each call another handle to the queue of that configuration, whose
/// `url` it fills in.
pub async fn holds(open: impl AsyncFn(QueueConfig) -> WorkQueue) {
    a_key_pushed_twice_is_one_job(&open).await;
    jobs_come_in_the_order_of_their_pushes(&open).await;
    what_is_done_is_never_given_again(&open).await;
    a_lease_that_runs_out_gives_the_job_to_another(&open).await;
    a_lease_that_is_extended_keeps_the_job(&open).await;
    a_failure_that_may_pass_is_tried_again_later(&open).await;
    a_failure_that_will_not_pass_is_a_dead_letter_at_once(&open).await;
    a_job_that_kills_its_workers_is_a_dead_letter(&open).await;
    a_full_queue_refuses(&open).await;
    claimers_never_share_a_job(&open).await;
    a_claimer_that_comes_too_late_goes_empty(&open).await;
    the_figures_add_up(&open).await;
}

/// Pushes, claims and completes, has `crash` kill and restart the server in between, again and again, and looks
/// whether anything acknowledged was lost.
pub async fn survives_crashes(open: impl AsyncFn(QueueConfig) -> WorkQueue, mut crash: impl FnMut()) {
    let config = config("crashes");
    let queue = open(config).await;
    let mut acknowledged = BTreeSet::new();
    let mut done = BTreeSet::new();
    for round in 0..3 {
        for i in 0..30 {
            let name = format!("{round}-{i}");
            eventually("a push is acknowledged", async || {
                queue.push(&key(&name), Bytes::from(name.clone())).await.ok()
            })
            .await;
            acknowledged.insert(name);
        }
        for job in eventually("jobs are claimed", async || queue.claim(10).await.ok()).await {
            if queue.complete(&job).await.is_ok() {
                done.insert(job.key.to_string());
            }
        }
        crash();
    }
    let mut given: BTreeMap<String, u32> = BTreeMap::new();
    eventually("every job is done", async || {
        for job in queue.claim(100).await.ok()? {
            *given.entry(job.key.to_string()).or_default() += 1;
            assert_eq!(job.payload, job.key.as_str(), "a payload changed");
            queue.complete(&job).await.ok()?;
        }
        (queue.stats().await.ok()?.unfinished() == 0).then_some(())
    })
    .await;
    let missing: Vec<_> = acknowledged.difference(&done).filter(|name| !given.contains_key(*name)).collect();
    assert!(missing.is_empty(), "acknowledged and lost: {missing:?}");
    let again: Vec<_> = given.keys().filter(|name| done.contains(*name)).collect();
    assert!(again.is_empty(), "done and given again: {again:?}");
    assert_eq!(queue.stats().await.expect("counted").dead, 0);
}

async fn a_key_pushed_twice_is_one_job(open: &impl AsyncFn(QueueConfig) -> WorkQueue) {
    let queue = open(config("twice")).await;
    let one = key("one");
    assert_eq!(push(&queue, &one).await, Pushed::New);
    assert_eq!(push(&queue, &one).await, Pushed::Known, "waiting");
    let job = only(queue.claim(10).await.expect("claimed"));
    assert_eq!((job.key.as_str(), &*job.payload, job.attempt), ("one", &b"one"[..], 1));
    assert_eq!(push(&queue, &one).await, Pushed::Known, "in hand");
    queue.fail(&job, ErrorClass::Invalid, "no").await.expect("failed");
    assert_eq!(push(&queue, &one).await, Pushed::Known, "dead");
    queue.revive(&one).await.expect("revived");
    let job = only(queue.claim(10).await.expect("claimed"));
    queue.complete(&job).await.expect("done");
    assert_eq!(push(&queue, &one).await, Pushed::New, "done and forgotten");
    assert_eq!(queue.stats().await.expect("counted").unfinished(), 1);
}

async fn jobs_come_in_the_order_of_their_pushes(open: &impl AsyncFn(QueueConfig) -> WorkQueue) {
    let (queue, other) = (open(config("order")).await, open(config("other")).await);
    push(&other, &key("elsewhere")).await;
    for name in ["c", "a", "b"] {
        push(&queue, &key(name)).await;
    }
    let jobs = queue.claim(2).await.expect("claimed");
    assert_eq!(names(&jobs), ["c", "a"], "the batch is in order, and no larger than asked for");
    assert_eq!(names(&queue.claim(10).await.expect("claimed")), ["b"], "what is in hand is not given out");
    assert!(queue.claim(10).await.expect("claimed").is_empty(), "queues of other names do not mix");
}

async fn what_is_done_is_never_given_again(open: &impl AsyncFn(QueueConfig) -> WorkQueue) {
    let queue = open(config("done")).await;
    push(&queue, &key("done")).await;
    let job = only(queue.claim(1).await.expect("claimed"));
    queue.complete(&job).await.expect("done");
    tokio::time::sleep(LEASE * 2).await;
    assert!(queue.claim(10).await.expect("claimed").is_empty());
    assert!(queue.dead_letters(10).await.expect("listed").is_empty());
}

async fn a_lease_that_runs_out_gives_the_job_to_another(open: &impl AsyncFn(QueueConfig) -> WorkQueue) {
    let (one, other) = (open(config("lease")).await, open(config("lease")).await);
    push(&one, &key("job")).await;
    let first = only(one.claim(1).await.expect("claimed"));
    let second = only(claim_eventually(&other).await);
    assert_eq!((second.key.as_str(), second.attempt), ("job", 2));
    for outcome in [
        one.complete(&first).await,
        one.release(&first).await,
        one.extend(&mut first.clone()).await,
        one.fail(&first, ErrorClass::Invalid, "late").await.map(drop),
    ] {
        assert!(matches!(outcome, Err(Error::LeaseLost { .. })), "a late word is refused: {outcome:?}");
    }
    other.complete(&second).await.expect("the second one's word counts");
    assert_eq!(one.stats().await.expect("counted").unfinished(), 0);
}

async fn a_lease_that_is_extended_keeps_the_job(open: &impl AsyncFn(QueueConfig) -> WorkQueue) {
    let longer = QueueConfig { lease: LEASE * 3, ..config("extended") };
    let (one, other) = (open(longer.clone()).await, open(longer).await);
    push(&one, &key("long")).await;
    let mut job = only(one.claim(1).await.expect("claimed"));
    let work = async {
        let end = Instant::now() + LEASE * 8;
        while Instant::now() < end {
            assert!(
                other.claim(1).await.expect("claimed").is_empty(),
                "it is given out while it is worked on"
            );
            tokio::time::sleep(LEASE / 4).await;
        }
    };
    one.hold(&mut job, work).await.expect("kept");
    one.complete(&job).await.expect("done");
}

async fn a_failure_that_may_pass_is_tried_again_later(open: &impl AsyncFn(QueueConfig) -> WorkQueue) {
    let queue = open(QueueConfig { retry_first: LEASE, ..config("retry") }).await;
    push(&queue, &key("flaky")).await;
    let job = only(queue.claim(1).await.expect("claimed"));
    let failed = queue.fail(&job, ErrorClass::Unavailable, "later").await.expect("failed");
    assert!(matches!(failed, Failed::Retried { after } if after >= LEASE / 2), "{failed:?}");
    push(&queue, &key("next")).await;
    let next = only(queue.claim(10).await.expect("claimed"));
    assert_eq!(next.key.as_str(), "next", "what waits to be tried again holds up nobody");
    queue.complete(&next).await.expect("done");
    let job = only(claim_eventually(&queue).await);
    assert_eq!((job.key.as_str(), job.attempt), ("flaky", 2));
    queue.release(&job).await.expect("released");
    let job = only(claim_eventually(&queue).await);
    assert_eq!((job.key.as_str(), job.attempt), ("flaky", 3), "handed back");
    let failed = queue.fail(&job, ErrorClass::Timeout, "once too often").await.expect("failed");
    assert_eq!(failed, Failed::Dead, "attempts are used up");
    let letter = only(queue.dead_letters(10).await.expect("listed"));
    assert_eq!(
        (letter.attempts, letter.class.as_str(), letter.reason.as_str()),
        (3, "timeout", "once too often")
    );
}

async fn a_failure_that_will_not_pass_is_a_dead_letter_at_once(
    open: &impl AsyncFn(QueueConfig) -> WorkQueue,
) {
    let queue = open(config("permanent")).await;
    for name in ["bad", "worse"] {
        push(&queue, &key(name)).await;
        let job = only(queue.claim(1).await.expect("claimed"));
        let failed = queue.fail(&job, ErrorClass::Invalid, format!("{name}:\nno \"text\" – none")).await;
        assert_eq!(failed.expect("failed"), Failed::Dead);
    }
    let letters = queue.dead_letters(10).await.expect("listed");
    let told: Vec<_> = letters.iter().map(|letter| (letter.key.as_str(), letter.reason.as_str())).collect();
    assert_eq!(told, [("bad", "bad:\nno \"text\" – none"), ("worse", "worse:\nno \"text\" – none")]);
    assert_eq!(
        queue.dead_letters(1).await.expect("listed"),
        letters.get(..1).expect("two"),
        "the oldest first"
    );

    queue.revive(&key("worse")).await.expect("revived");
    let unknown = queue.revive(&key("worse")).await;
    assert!(matches!(unknown, Err(Error::NoDeadLetter { .. })), "{unknown:?}");
    let job = only(queue.claim(10).await.expect("claimed"));
    assert_eq!(
        (job.key.as_str(), &*job.payload, job.attempt),
        ("worse", &b"worse"[..], 1),
        "as if it were new"
    );
    queue.complete(&job).await.expect("done");
    let stats = queue.stats().await.expect("counted");
    assert_eq!((stats.unfinished(), stats.dead), (0, 1));
}

async fn a_job_that_kills_its_workers_is_a_dead_letter(open: &impl AsyncFn(QueueConfig) -> WorkQueue) {
    let queue = open(QueueConfig { attempts: 2, ..config("poison") }).await;
    push(&queue, &key("poison")).await;
    for attempt in 1..=2 {
        // Whoever claims it says nothing more.
        assert_eq!(only(claim_eventually(&queue).await).attempt, attempt);
    }
    let letter = eventually("it is given up", async || {
        assert!(queue.claim(10).await.expect("claimed").is_empty(), "it is given out a third time");
        queue.dead_letters(10).await.expect("listed").pop()
    })
    .await;
    assert_eq!(
        (letter.key.as_str(), &*letter.payload, letter.class.as_str()),
        ("poison", &b"poison"[..], "internal")
    );
    assert_eq!(queue.stats().await.expect("counted").unfinished(), 0);
}

async fn a_full_queue_refuses(open: &impl AsyncFn(QueueConfig) -> WorkQueue) {
    let queue = open(QueueConfig { depth: 2, payload: ByteSize::kib(1), ..config("full") }).await;
    let refused = |outcome: Result<Pushed, Error>| {
        let error = outcome.expect_err("a push past the bound");
        assert!(matches!(error, Error::Full { .. }), "{error}");
        assert_eq!(error.class(), ErrorClass::Overloaded);
        assert!(error.retry_after().is_some());
    };
    for name in ["one", "two"] {
        assert_eq!(push(&queue, &key(name)).await, Pushed::New);
    }
    refused(queue.push(&key("three"), Bytes::new()).await);
    assert_eq!(push(&queue, &key("two")).await, Pushed::Known, "what is in is in");
    let jobs = queue.claim(2).await.expect("claimed");
    refused(queue.push(&key("three"), Bytes::new()).await); // what is in hand counts
    for job in &jobs {
        queue.fail(job, ErrorClass::Invalid, "no").await.expect("failed");
    }
    refused(queue.push(&key("three"), Bytes::new()).await); // full of dead letters
    queue.revive(&key("one")).await.expect("revived");
    let job = only(queue.claim(2).await.expect("claimed"));
    queue.complete(&job).await.expect("done");
    assert_eq!(push(&queue, &key("three")).await, Pushed::New);
    let large = queue.push(&key("large"), vec![0; 1025].into()).await.expect_err("over the limit");
    assert_eq!(large.class(), ErrorClass::TooLarge);
}

async fn claimers_never_share_a_job(open: &impl AsyncFn(QueueConfig) -> WorkQueue) {
    const JOBS: usize = 200;
    // A lease that does not run out meanwhile.
    let config = QueueConfig { lease: PATIENCE, ..config("claimers") };
    let mut queues = Vec::new();
    for _ in 0..4 {
        queues.push(open(config.clone()).await);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for queue in queues.clone() {
        tasks.spawn(async move {
            for i in 0..JOBS {
                push(&queue, &key(&format!("job-{i}"))).await; // the same jobs from every side
            }
            Vec::new()
        });
    }
    let taken = Arc::new(AtomicUsize::new(0));
    for queue in queues.iter().chain(&queues) {
        let queue = queue.clone();
        let taken = Arc::clone(&taken);
        tasks.spawn(async move {
            let (mut mine, end) = (Vec::new(), Instant::now() + PATIENCE);
            while taken.load(Ordering::Relaxed) < JOBS && Instant::now() < end {
                let jobs = queue.claim(7).await.expect("claimed");
                taken.fetch_add(jobs.len(), Ordering::Relaxed);
                mine.extend(jobs.into_iter().map(|job| job.key));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            mine
        });
    }
    let taken: Vec<Key> = tasks.join_all().await.into_iter().flatten().collect();
    let distinct: BTreeSet<_> = taken.iter().collect();
    assert_eq!(distinct.len(), taken.len(), "a job was given to two");
    assert_eq!(taken.len(), JOBS, "every job was given out");
}

async fn a_claimer_that_comes_too_late_goes_empty(open: &impl AsyncFn(QueueConfig) -> WorkQueue) {
    const CLAIMERS: usize = 8;
    let queue = open(QueueConfig { lease: PATIENCE, ..config("late") }).await;
    for round in 0..50 {
        push(&queue, &key(&format!("job-{round}"))).await;
        let mut claims = tokio::task::JoinSet::new();
        for _ in 0..CLAIMERS {
            let queue = queue.clone();
            claims.spawn(async move { queue.claim(1).await.expect("claimed").len() });
        }
        let claimed = tokio::time::timeout(PATIENCE, claims.join_all()).await;
        let claimed: usize =
            claimed.expect("a claim comes back also when another was quicker").into_iter().sum();
        assert_eq!(claimed, 1, "one job");
    }
}

async fn the_figures_add_up(open: &impl AsyncFn(QueueConfig) -> WorkQueue) {
    let queue = open(QueueConfig {
        retry_first: PATIENCE,
        retry_most: PATIENCE,
        lease: PATIENCE,
        ..config("figures")
    })
    .await;
    let empty = queue.stats().await.expect("counted");
    assert_eq!((empty.unfinished(), empty.dead, empty.oldest_ready_seconds), (0, 0, 0));
    for name in ["a", "b", "c", "d", "e"] {
        push(&queue, &key(name)).await;
    }
    let jobs = queue.claim(3).await.expect("claimed");
    let [one, two, _three] = jobs.as_slice() else { panic!("three jobs") };
    queue.fail(one, ErrorClass::Unavailable, "later").await.expect("failed");
    queue.fail(two, ErrorClass::Invalid, "never").await.expect("failed");
    let stats = eventually("the oldest job ages", async || {
        let stats = queue.stats().await.expect("counted");
        (stats.oldest_ready_seconds >= 1).then_some(stats)
    })
    .await;
    assert_eq!((stats.ready, stats.leased + stats.delayed, stats.dead), (2, 2, 1), "{stats:?}");
    assert_eq!(stats.unfinished(), 4);
    for job in queue.claim(10).await.expect("claimed") {
        queue.complete(&job).await.expect("done");
    }
    assert_eq!(queue.stats().await.expect("counted").oldest_ready_seconds, 0, "none is ready");
}

fn config(name: &str) -> QueueConfig {
    QueueConfig {
        name: name.to_owned(),
        lease: LEASE,
        attempts: 3,
        retry_first: Duration::from_millis(1),
        poll: Duration::from_millis(10),
        ..QueueConfig::default()
    }
}

fn key(name: &str) -> Key {
    Key::new(name).expect("a short name is a key")
}

async fn push(queue: &WorkQueue, key: &Key) -> Pushed {
    queue.push(key, Bytes::copy_from_slice(key.as_str().as_bytes())).await.expect("pushed")
}

fn names(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.key.as_str()).collect()
}

fn only<T: std::fmt::Debug>(mut several: Vec<T>) -> T {
    assert_eq!(several.len(), 1, "one was expected: {several:?}");
    several.remove(0)
}

async fn claim_eventually(queue: &WorkQueue) -> Vec<Job> {
    eventually("a job is given out", async || {
        let jobs = queue.claim(10).await.expect("claimed");
        (!jobs.is_empty()).then_some(jobs)
    })
    .await
}

async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
