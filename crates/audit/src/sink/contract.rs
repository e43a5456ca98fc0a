//! What every sink keeps, as tests: for those here, and for one of your own.
//!
//! ```no_run
//! # async fn open_mine(_: &str) -> buttress_audit::sink::AnySink { unimplemented!() }
//! # async fn test() {
//! use buttress_audit::sink::contract;
//!
//! contract::holds(async |log| open_mine(log).await).await;
//! contract::notices_another_history(async |log| open_mine(log).await).await;
//! # }
//! ```
//!
//! `open` opens another handle to the copy of the log of that name. A case that fails panics and says what was expected.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a broken promise fails the test, and panicking is how a test fails"
)]

use std::time::{Duration, SystemTime};

use buttress_core::{Outcome, Random};

use super::{Committed, Replica, Searchable};
use crate::query::{Filter, page};
use crate::subject::SubjectId;
use crate::{Entry, Error, Record};

/// Runs every case that all sinks keep.
pub async fn holds<R: Replica>(open: impl AsyncFn(&str) -> R) {
    an_empty_copy_wants_the_first(&open).await;
    what_was_put_is_remembered_by_all(&open).await;
    a_batch_that_comes_again_is_there_once(&open).await;
    a_copy_may_begin_late(&open).await;
}

async fn an_empty_copy_wants_the_first<R: Replica>(open: &impl AsyncFn(&str) -> R) {
    let sink = open("empty").await;
    assert_eq!(next(&sink).await, 0);
    sink.put(&[]).await.expect("nothing is put easily");
    assert_eq!(next(&sink).await, 0);
}

async fn what_was_put_is_remembered_by_all<R: Replica>(open: &impl AsyncFn(&str) -> R) {
    let sink = open("put").await;
    let all = history(1, 0..25);
    for (batch, end) in all.chunks(10).zip([10, 20, 25]) {
        sink.put(batch).await.expect("a batch is put");
        assert_eq!(next(&sink).await, end);
    }
    drop(sink);
    assert_eq!(next(&open("put").await).await, 25, "another handle knows it too");
}

async fn a_batch_that_comes_again_is_there_once<R: Replica>(open: &impl AsyncFn(&str) -> R) {
    let all = history(2, 0..30);
    let part = |from: usize, to: usize| all.get(from..to).expect("it is there");
    let sink = open("again").await;
    sink.put(part(0, 20)).await.expect("a batch is put");
    sink.put(part(0, 20)).await.expect("the same batch is put");
    sink.put(part(5, 15)).await.expect("a part of it is put");
    drop(sink);
    let sink = open("again").await;
    assert_eq!(next(&sink).await, 20);
    sink.put(part(10, 30)).await.expect("a batch is put of which a part is known");
    assert_eq!(next(&sink).await, 30);
}

async fn a_copy_may_begin_late<R: Replica>(open: &impl AsyncFn(&str) -> R) {
    let sink = open("late").await;
    sink.put(&history(3, 1000..1010)).await.expect("a batch is put");
    drop(sink);
    assert_eq!(next(&open("late").await).await, 1010, "what retention dropped is not waited for");
}

/// Sinks that keep what they got compare it: an entry that was rewritten is noticed, and nothing is written beside.
pub async fn notices_another_history<R: Replica>(open: impl AsyncFn(&str) -> R) {
    let sink = open("diverged").await;
    sink.put(&history(4, 0..10)).await.expect("a batch is put");
    let mut forged = history(4, 0..15);
    let place = forged.get_mut(7).expect("it is there");
    let mut record = place.record.clone();
    record.entry.actor = Some("somebody else".to_owned());
    *place = Committed::encode(record).expect("an entry is encoded");
    match sink.put(&forged).await {
        Err(Error::Diverged { sequence: 7 }) => {}
        other => panic!("the rewritten entry 7 was not noticed: {other:?}"),
    }
    drop(sink);
    let sink = open("diverged").await;
    assert_eq!(next(&sink).await, 10, "nothing was written");
    sink.put(&history(4, 0..15)).await.expect("the true history goes on");
}

/// A database gives the answers that the log gives, whatever is asked.
pub async fn answers_as_the_log_does<S: Searchable>(open: impl AsyncFn(&str) -> S) {
    let sink = open("answers").await;
    let other = open("others").await;
    let all = history(5, 0..400);
    for batch in all.chunks(150) {
        sink.put(batch).await.expect("a batch is put");
    }
    other.put(&history(6, 0..100)).await.expect("another log's batch is put");
    let random = Random::new(7);
    for _ in 0..400 {
        let filter = filter(&random, &all);
        let most = 1 + pick(&random, 30);
        let records = all.iter().map(|committed| Ok(committed.record.clone()));
        let expected = page(records, &filter, most).expect("all are there");
        let found = sink.search(&filter, most).await.expect("a search is answered");
        assert_eq!(found, expected, "{filter:?}, at most {most}");
    }
}

/// Entries that are hard on a database: signs that quote, match anything or are 0, long texts, many writing systems.
#[must_use]
pub fn history(seed: u64, sequences: std::ops::Range<u64>) -> Vec<Committed> {
    sequences
        .map(|sequence| {
            let random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(sequence));
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + sequence);
            // Clocks step back now and then, and who tells may tell late.
            let recorded = at + Duration::from_millis(random.number() % 30_000);
            let at = at - Duration::from_millis(random.number() % 30_000);
            let mut entry = Entry::new(at, one(&random, ACTIONS), one(&random, &OUTCOMES));
            entry.actor = maybe(&random, &texts());
            entry.target = maybe(&random, &texts());
            entry.tenant = maybe(&random, &texts());
            entry.request_id = maybe(&random, &texts());
            entry.detail = maybe(&random, &texts());
            if let Some(text) = maybe(&random, &texts()) {
                entry = entry.with("text", text).with("number", 7);
            }
            let record = Record { sequence, recorded, ticks: Duration::from_nanos(sequence), entry };
            Committed::encode(record).expect("an entry is encoded")
        })
        .collect()
}

const ACTIONS: &[&str] =
    &["secret.read", "secret.write", "secretive.act", "Secret.read", "user.login", "", "%", "_", "s\0t"];
const OUTCOMES: [Outcome; 3] = [Outcome::Success, Outcome::Failure, Outcome::Denied];

fn texts() -> Vec<String> {
    let sealed = |id: &str| format!("~sealed:1:{}:AAAA", id.repeat(16));
    let long = "x".repeat(5000);
    let fixed = [
        "ada",
        "Ada",
        "bob",
        "",
        "a\0b",
        "a\u{fffd}b",
        "O'Brien",
        "100%",
        "a_b",
        "ä",
        "a\u{308}",
        "日本",
        "\u{1f980}",
    ];
    let mut all: Vec<String> = fixed.map(str::to_owned).to_vec();
    all.extend([sealed("0a"), sealed("0b"), format!("{long}1"), format!("{long}2")]);
    all
}

/// A question, of which some entries of `all` fit often enough.
pub fn filter(random: &Random, all: &[Committed]) -> Filter {
    let time = |random: &Random| {
        one(random, &all.iter().map(|committed| committed.record.entry.at).collect::<Vec<_>>())
    };
    let rarely = |random: &Random| pick(random, 4) == 0;
    let number = |random: &Random| pick(random, 450) as u64;
    let text = |random: &Random| rarely(random).then(|| one(random, &texts()));
    Filter {
        actor: text(random),
        target: text(random),
        tenant: text(random),
        request_id: text(random),
        action: rarely(random)
            .then(|| one(random, &["secret.", "secret", "S", "%", "_", "s\0", "", "user.login"]).to_owned()),
        outcome: rarely(random).then(|| one(random, &OUTCOMES)),
        subject: rarely(random)
            .then(|| SubjectId::parse(&one(random, &["0a", "0b", "0c"]).repeat(16)))
            .flatten(),
        since: rarely(random).then(|| time(random)),
        until: rarely(random).then(|| time(random)),
        first: if rarely(random) { number(random) } else { 0 },
        end: rarely(random).then(|| number(random)),
    }
}

fn maybe(random: &Random, of: &[String]) -> Option<String> {
    (pick(random, 3) > 0).then(|| one(random, of))
}

fn one<T: Clone>(random: &Random, of: &[T]) -> T {
    of.get(pick(random, of.len())).cloned().expect("there are some")
}

fn pick(random: &Random, below: usize) -> usize {
    usize::try_from(random.number() % below as u64).unwrap_or(0)
}

async fn next(sink: &impl Replica) -> u64 {
    sink.next().await.expect("the sink says where it stands")
}
