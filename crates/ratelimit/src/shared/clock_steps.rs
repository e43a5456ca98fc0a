//! The script beside the rules in memory, on a server whose clock is set forward and back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing expectation fails the test")]

use std::time::Duration;

use buttress_connect::ConnectionConfig;
use buttress_connect::redis::Redis;
use buttress_connect::redis::client::Script;
use buttress_core::{Ctx, Random};

use super::call::{Call, Operation};
use crate::algorithm::{Algorithm, FixedWindow, Gcra, Rule, SlidingCounter, SlidingLog};
use crate::{Limit, Limiter, LimiterConfig, Request};

const QUOTA: u32 = 12;
const WINDOW: Duration = Duration::from_mins(1);
const MICROS: u64 = 60_000_000;

/// Asks both at the same times, which go back and forth, and compares each answer.
async fn compare<R: Rule>(redis: &Redis, algorithm: Algorithm, rule: &R) {
    let mut config = LimiterConfig::one(Limit::new(QUOTA, WINDOW).algorithm(algorithm));
    config.penalties.enabled = false;
    let limiter = Limiter::with(&config, &Ctx::default()).unwrap();
    // The test says what time it is.
    let script = include_str!("decide.lua").replace("redis.call('TIME')", "{ARGV[#ARGV - 1], ARGV[#ARGV]}");
    let script = Script::new(&script);
    let (mut state, random) = (R::State::default(), Random::new(7));
    let mut now = 1_700_000_000_000_000_u64;
    let mut allowed = [0, 0];
    for step in 0..2_000 {
        let far = random.number() % (3 * MICROS);
        match random.number() % 40 {
            0 => now -= far,
            1 => now += far,
            2 => now -= far / 1_000,
            _ => now += random.number() % (MICROS / 10),
        }
        let cost = u32::try_from(random.number() % 4).unwrap();
        let call = Call::of(&Request::user("user").cost(cost), &limiter.inner.plan);
        let mut invocation = call.prepare(
            &script,
            &format!("{{{algorithm:?}}}:"),
            Operation::Check,
            &config.penalties,
            None,
            None,
        );
        invocation.arg(now / 1_000_000).arg(now % 1_000_000);
        let numbers: Vec<i64> = redis.invoke(&invocation).await.unwrap();
        let verdict = rule.decide(now * 1_000, &mut state, cost);
        let answer = call.read(&numbers).unwrap();
        assert_eq!(
            answer.decision.is_admitted(),
            verdict.allowed,
            "{algorithm:?} {step}: {numbers:?} {verdict:?}"
        );
        let window = answer.windows.first().unwrap();
        if !verdict.allowed {
            // Rounded up to a microsecond.
            let [told, exact] = [window.retry_after, verdict.retry_after()].map(Option::unwrap);
            assert!(
                exact <= told && told <= exact + Duration::from_micros(1),
                "{algorithm:?} {step}: {told:?} {exact:?}"
            );
        }
        assert_eq!(window.remaining, verdict.remaining, "{algorithm:?} {step}: {numbers:?} {verdict:?}");
        allowed[usize::from(verdict.allowed)] += 1;
    }
    assert!(allowed.iter().all(|count| *count > 100), "both are often: {allowed:?}");
}

#[tokio::test]
async fn the_script_decides_as_the_rules_do_when_the_clock_is_set() {
    let server = buttress_testkit::Redis::start();
    let address = server.url().parse().unwrap();
    let redis = &Redis::connect(&address, &ConnectionConfig::default()).await.unwrap();
    compare(redis, Algorithm::SlidingCounter, &SlidingCounter::new(QUOTA, WINDOW)).await;
    compare(redis, Algorithm::SlidingLog, &SlidingLog::new(QUOTA, WINDOW)).await;
    compare(redis, Algorithm::Gcra, &Gcra::new(QUOTA, WINDOW, QUOTA)).await;
    // The script counts it as GCRA, which differs only where the clock was set back: it refuses for longer.
    compare(redis, Algorithm::TokenBucket, &Gcra::new(QUOTA, WINDOW, QUOTA)).await;
    compare(redis, Algorithm::FixedWindow, &FixedWindow::new(QUOTA, WINDOW)).await;
}
