//! Redis in its groups, and its channels, while servers are killed and lines stall.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a failing expectation fails the test"
)]
#![allow(clippy::disallowed_methods, reason = "the servers live in real time")]

use std::time::{Duration, Instant};

use buttress_connect::redis::{MOST_WAITING, Redis, Subscription, Told, client};
use buttress_connect::{ConnectionConfig, Error};
use buttress_core::SystemClock;
use buttress_testkit::{FaultProxy, RedisCluster, RedisSentinel};

/// How long anything may take that has to happen. Met in full only by a failure.
const PATIENCE: Duration = Duration::from_secs(30);
const BEAT: Duration = Duration::from_millis(100);

async fn connect(url: &str) -> Redis {
    let mut config = ConnectionConfig::default();
    config.timeout = Duration::from_secs(2);
    Redis::connect(&url.parse().unwrap(), &config).await.unwrap()
}

async fn set(redis: &Redis, key: &str, value: &str) -> Result<(), Error> {
    redis.query(client::cmd("SET").arg(key).arg(value)).await
}

async fn get(redis: &Redis, key: &str) -> Result<Option<String>, Error> {
    redis.query(client::cmd("GET").arg(key)).await
}

async fn publish(redis: &Redis, payload: &str) {
    let _heard: i64 = redis.query(client::cmd("PUBLISH").arg("news").arg(payload)).await.unwrap();
}

async fn next(news: &mut Subscription) -> Told {
    tokio::time::timeout(PATIENCE, news.next()).await.expect("something is told")
}

/// The next that is not of the kind that comes all the time.
async fn next_news(news: &mut Subscription) -> Told {
    loop {
        match next(news).await {
            Told::Heard(_) => {}
            told => return told,
        }
    }
}

fn message(payload: &str) -> Told {
    Told::Message { channel: "news".to_owned(), payload: payload.as_bytes().to_vec() }
}

#[tokio::test]
async fn a_subscription_tells_every_message_before_it_says_that_it_heard() {
    let server = buttress_testkit::Redis::start();
    let redis = connect(&server.url()).await;
    let mut news = redis.subscribe(["news"], BEAT, SystemClock::shared());
    assert_eq!(next(&mut news).await, Told::Subscribed);
    let mut told = 0;
    for round in 0..5 {
        for number in 0..100 {
            publish(&redis, &format!("{round}/{number}")).await;
        }
        let published = Instant::now();
        loop {
            match next(&mut news).await {
                Told::Heard(up_to) if up_to >= published => break,
                Told::Heard(_) => {}
                other => {
                    assert_eq!(other, message(&format!("{}/{}", told / 100, told % 100)));
                    told += 1;
                }
            }
        }
        assert_eq!(told, (round + 1) * 100);
    }
}

#[tokio::test]
async fn a_subscription_says_when_it_is_lost_and_when_it_is_back() {
    let mut server = buttress_testkit::Redis::start();
    let redis = connect(&server.url()).await;
    let mut news = redis.subscribe(["news"], BEAT, SystemClock::shared());
    assert_eq!(next(&mut news).await, Told::Subscribed);
    server.crash();
    assert!(matches!(next_news(&mut news).await, Told::Lost(_)));
    assert_eq!(next_news(&mut news).await, Told::Subscribed);
    publish_until_taken(&redis, "after").await;
    assert_eq!(next_news(&mut news).await, message("after"));
}

async fn publish_until_taken(redis: &Redis, payload: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        match redis.query::<i64>(client::cmd("PUBLISH").arg("news").arg(payload)).await {
            Ok(1) => return,
            _ => assert!(Instant::now() < end, "nobody heard it"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_line_that_stalls_is_noticed_and_no_moment_is_heard_meanwhile() {
    let server = buttress_testkit::Redis::start();
    let direct = connect(&server.url()).await;
    let proxy = FaultProxy::to(server.addr());
    let redis = connect(&format!("redis://{}", proxy.addr())).await;
    let mut news = redis.subscribe(["news"], BEAT, SystemClock::shared());
    assert_eq!(next(&mut news).await, Told::Subscribed);
    proxy.stall();
    let stalled = Instant::now();
    publish(&direct, "unheard").await;
    loop {
        match next(&mut news).await {
            Told::Heard(up_to) => assert!(up_to < stalled, "nothing came through"),
            told => {
                assert!(matches!(told, Told::Lost(_)), "{told:?}");
                break;
            }
        }
    }
    proxy.pass();
    assert_eq!(next_news(&mut news).await, Told::Subscribed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_nobody_takes_are_a_loss_that_is_told() {
    let server = buttress_testkit::Redis::start();
    let redis = connect(&server.url()).await;
    let mut news = redis.subscribe(["news"], Duration::from_mins(1), SystemClock::shared());
    assert_eq!(next(&mut news).await, Told::Subscribed);
    let end = Instant::now() + PATIENCE;
    let lost = 'published: loop {
        assert!(Instant::now() < end, "nothing was lost");
        let mut all = client::pipe();
        for number in 0..2 * MOST_WAITING {
            all.cmd("PUBLISH").arg("news").arg(number).ignore();
        }
        redis.pipe::<()>(&all).await.unwrap();
        // The connection reads on while nobody takes.
        tokio::time::sleep(Duration::from_millis(300)).await;
        for _ in 0..2 * MOST_WAITING {
            match next(&mut news).await {
                Told::Message { .. } => {}
                other => break 'published other,
            }
        }
    };
    assert!(matches!(lost, Told::Lost(_)), "{lost:?}");
    assert_eq!(next(&mut news).await, Told::Subscribed);
}

#[tokio::test]
async fn a_new_master_is_found_by_its_sentinel() {
    let mut group = RedisSentinel::start();
    let redis = connect(&group.url()).await;
    let mut news = redis.subscribe(["news"], BEAT, SystemClock::shared());
    assert_eq!(next(&mut news).await, Told::Subscribed);
    set(&redis, "a", "1").await.unwrap();
    assert_eq!(redis.query::<i64>(client::cmd("WAIT").arg(1).arg(5000)).await.unwrap(), 1);

    tokio::task::spawn_blocking(move || {
        group.fail_over();
        group
    })
    .await
    .map(|group| async move {
        let end = Instant::now() + PATIENCE;
        while let Err(error) = set(&redis, "b", "2").await {
            assert!(Instant::now() < end, "{error}");
        }
        assert_eq!(get(&redis, "a").await.unwrap().as_deref(), Some("1"));
        assert!(matches!(next_news(&mut news).await, Told::Lost(_)));
        assert_eq!(next_news(&mut news).await, Told::Subscribed);
        publish_until_taken(&redis, "new").await;
        assert_eq!(next_news(&mut news).await, message("new"));
        drop(group);
    })
    .unwrap()
    .await;
}

/// Callers have less patience than an answer may take, so nobody sees that none comes.
#[tokio::test]
async fn a_connection_that_says_nothing_is_made_anew() {
    let server = buttress_testkit::Redis::start();
    let proxy = FaultProxy::to(server.addr());
    let redis = connect(&format!("redis://{}", proxy.addr())).await;
    set(&redis, "a", "1").await.unwrap();
    proxy.strand();
    let begun = Instant::now();
    loop {
        let asked = tokio::time::timeout(Duration::from_millis(50), get(&redis, "a")).await;
        if matches!(&asked, Ok(Ok(Some(value))) if value == "1") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{asked:?}");
    }
}

#[tokio::test]
async fn a_server_that_was_away_is_found_again() {
    let mut server = buttress_testkit::Redis::durable();
    let redis = connect(&server.url()).await;
    set(&redis, "a", "1").await.unwrap();
    for _ in 0..3 {
        server.process().kill();
        assert!(get(&redis, "a").await.is_err());
        server.crash();
        let begun = Instant::now();
        while get(&redis, "a").await.ok().flatten().as_deref() != Some("1") {
            assert!(begun.elapsed() < PATIENCE);
        }
    }
}

#[tokio::test]
async fn a_cluster_is_one_redis() {
    let group = tokio::task::spawn_blocking(RedisCluster::start).await.unwrap();
    let redis = connect(&group.url()).await;
    for number in 0..100 {
        let (key, value) = (format!("key-{number}"), number.to_string());
        set(&redis, &key, &value).await.unwrap();
        assert_eq!(get(&redis, &key).await.unwrap(), Some(value));
    }
    let mut all = client::pipe();
    for number in 0..100 {
        all.cmd("INCRBY").arg(format!("{{one-slot}}{}", number % 10)).arg(number);
    }
    assert_eq!(redis.pipe::<Vec<i64>>(&all).await.unwrap().len(), 100);

    let script = client::Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    for slot in 0..20 {
        let counted: i64 = redis.invoke(script.key(format!("{{tenant-{slot}}}:n")).arg(5)).await.unwrap();
        assert_eq!(counted, 5);
    }
    let mut news = redis.subscribe(["news"], BEAT, SystemClock::shared());
    assert_eq!(next(&mut news).await, Told::Subscribed);
    // Whichever node takes it, all hear it.
    for number in 0..10 {
        publish(&redis, &number.to_string()).await;
        assert_eq!(next_news(&mut news).await, message(&number.to_string()));
    }
}

#[tokio::test]
async fn an_address_that_names_no_master_is_refused_before_anything_is_connected() {
    let address = "redis+sentinel://127.0.0.1:1".parse().unwrap();
    let error = Redis::connect(&address, &ConnectionConfig::default()).await.unwrap_err();
    assert!(error.to_string().contains("?master=NAME"), "{error}");
}
