//! One filter, whoever answers: the log, which passes over segments, and a database that follows it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

use std::time::{Duration, SystemTime};

use buttress_audit::query::{Filter, find, page, parse_time};
use buttress_audit::sink::{Follower, FollowerConfig, Searchable, SqliteSink, contract};
use buttress_audit::{AuditConfig, Log, Record};
use buttress_connect::{Address, ConnectionConfig};
use buttress_core::{ByteSize, Ctx, Random};

#[tokio::test]
async fn the_log_and_the_database_that_follows_it_give_the_same_answers() {
    let there = tempfile::tempdir().unwrap();
    let ctx = Ctx::default();
    let mut config = AuditConfig::new(there.path().join("log"));
    config.segment = ByteSize::kib(4);
    let (log, _seed) = Log::create(&config, &ctx).await.unwrap();
    let address = Address::sqlite(&there.path().join("audit.db"));
    let sink = SqliteSink::open(&address, &ConnectionConfig::default(), "log").await.unwrap();
    let mut quick = FollowerConfig::default();
    quick.poll = Duration::from_millis(5);
    quick.batch_bytes = ByteSize::kib(8);
    let follower = Follower::start("sqlite", log.clone(), sink.clone(), &quick, &ctx).unwrap();

    let all = contract::history(11, 0..200);
    for committed in &all {
        log.append(&committed.record.entry).await.unwrap();
    }
    for _ in 0..6000 {
        if follower.standing().next == Some(200) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(follower.standing().behind, 0, "{:?}", follower.standing());

    let reader = log.reader().unwrap();
    assert!(reader.segments().unwrap().len() > 5, "there is something to pass over");
    let records: Vec<Record> = reader.read(0).unwrap().map(|found| found.unwrap().0).collect();
    let random = Random::new(3);
    for _ in 0..120 {
        let filter = contract::filter(&random, &all);
        let most = 1 + usize::try_from(random.number() % 20).unwrap();
        let model: Vec<&Record> = records.iter().filter(|record| filter.matches(record)).collect();
        let found: Vec<Record> = find(&reader, &filter).unwrap().map(|found| found.unwrap().0).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), model, "{filter:?}");
        let read =
            page(find(&reader, &filter).unwrap().map(|found| found.map(|(record, _)| record)), &filter, most)
                .unwrap();
        assert_eq!(sink.search(&filter, most).await.unwrap(), read, "{filter:?}, at most {most}");
        assert_eq!(read.next, model.get(most).map(|record| record.sequence));
    }
    ctx.shutdown.stop();
    ctx.shutdown.finished().await;
}

#[tokio::test]
async fn pages_lead_through_all_that_fits() {
    let all = contract::history(12, 0..100);
    let mut filter = Filter { action: Some("secret".to_owned()), ..Filter::default() };
    let records = || all.iter().map(|committed| Ok(committed.record.clone()));
    let whole = page(records(), &filter, 1000).unwrap();
    assert!(whole.next.is_none() && whole.records.len() > 20);
    let mut found = Vec::new();
    loop {
        let next = page(records(), &filter, 7).unwrap();
        assert!(next.records.len() <= 7);
        found.extend(next.records);
        let Some(next) = next.next else { break };
        filter.first = next;
    }
    assert_eq!(found, whole.records);
}

#[test]
fn times_are_read_as_people_give_them() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    assert_eq!(parse_time("2023-11-14T22:13:20Z", now), Some(now));
    assert_eq!(parse_time("2h", now), Some(now - Duration::from_hours(2)));
    assert_eq!(parse_time("2023-11-14", now), Some(now - Duration::from_secs(22 * 3600 + 13 * 60 + 20)));
    assert_eq!(parse_time("soon", now), None);
}
