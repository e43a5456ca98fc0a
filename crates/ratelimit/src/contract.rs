//! What every limiter promises, wherever its state is, as tests.
//!
//! ```
//! use buttress_core::Ctx;
//! use buttress_ratelimit::{AnyLimiter, contract};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! contract::holds(async |config| AnyLimiter::open(&config, &Ctx::default()).await.unwrap()).await;
//! # }
//! ```
//!
//! Each case has a limiter of its own name. No case asserts how long something takes: what has to happen after a while is waited for.
#![allow(
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "a broken promise fails the test, and panicking is how a test fails"
)]
#![allow(clippy::disallowed_methods, reason = "the servers under test live in real time")]

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use buttress_core::{Ctx, Validate};

use crate::{
    Algorithm, AnyLimiter, Decision, Limit, Limiter, LimiterConfig, PenaltyConfig, Request, RouteConfig,
};

/// Longer than a case.
const LONG: Duration = Duration::from_hours(5_000);

/// Runs every case on limiters that `open` opens: on each call another handle to the limiter of that configuration, whose `shared.url`
/// it fills in.
pub async fn holds(open: impl AsyncFn(LimiterConfig) -> AnyLimiter) {
    for algorithm in Algorithm::ALL {
        nobody_gets_more_than_the_quota(&open, algorithm).await;
        who_comes_back_as_told_is_admitted(&open, algorithm).await;
    }
    what_is_asked_for_at_random_is_decided_as_in_memory(&open).await;
    handles_to_the_same_limiter_share_what_they_should(&open).await;
    bans_grow_and_end(&open).await;
    a_pardon_forgets(&open).await;
    who_waits_is_admitted(&open).await;
}

/// A configuration with a name of its own.
fn config(name: &str, change: impl FnOnce(&mut LimiterConfig)) -> LimiterConfig {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let mut config = LimiterConfig::default();
    change(&mut config);
    config.name = format!("{name}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
        .chars()
        .take(32)
        .collect();
    assert!(config.validate().is_ok(), "{:?}", config.validate());
    config
}

async fn nobody_gets_more_than_the_quota(
    open: &impl AsyncFn(LimiterConfig) -> AnyLimiter,
    algorithm: Algorithm,
) {
    let limits = [Limit::new(40, LONG).algorithm(algorithm), Limit::new(1_000, LONG)];
    let limiter = Arc::new(open(config("quota", |config| *config = LimiterConfig::one(limits))).await);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let limiter = Arc::clone(&limiter);
            tokio::spawn(async move {
                let mut admitted = 0;
                for _ in 0..10 {
                    admitted += u32::from(limiter.check("user").await.is_admitted());
                }
                admitted
            })
        })
        .collect();
    let mut admitted = 0;
    for task in tasks {
        admitted += task.await.unwrap_or_default();
    }
    assert_eq!(admitted, 40, "{algorithm:?}");
    let (_, windows) = limiter.check_in_full("user").await;
    assert_eq!(
        (windows[0].remaining, windows[1].remaining),
        (0, 960),
        "{algorithm:?}: refusals cost nothing"
    );
    limiter.refund(Request::user("user").cost(2)).await;
    for _ in 0..3 {
        assert!(limiter.peek("user").await.is_admitted(), "{algorithm:?}: looking costs nothing");
    }
    assert!(limiter.check(Request::user("user").cost(2)).await.is_admitted());
    assert!(!limiter.check("user").await.is_admitted());
    let too_much = limiter.check(Request::user("user").cost(41)).await;
    assert_eq!((too_much.is_admitted(), too_much.retry_after()), (false, None));
}

async fn who_comes_back_as_told_is_admitted(
    open: &impl AsyncFn(LimiterConfig) -> AnyLimiter,
    algorithm: Algorithm,
) {
    let limit = Limit::new(5, Duration::from_millis(700)).algorithm(algorithm);
    let limiter = open(config("told", |config| *config = LimiterConfig::one(limit))).await;
    let mut waited = 0;
    while waited < 3 {
        let mut decision = limiter.check("user").await;
        if decision.is_admitted() {
            continue;
        }
        // The clock may be a tick behind, also one that comes late; so it may be told more than once to wait a little longer.
        for again in 0.. {
            let Decision::Limited(quota) = decision else { break };
            let wait = quota.retry_after().unwrap_or(LONG);
            assert!(again < 20 && wait <= Duration::from_millis(1_400), "{algorithm:?}: {wait:?}");
            tokio::time::sleep(wait + Duration::from_millis(6)).await;
            decision = limiter.check("user").await;
        }
        assert!(decision.is_admitted(), "{algorithm:?}: {decision:?}");
        waited += 1;
    }
}

/// Nothing that is asked for depends on the time here, so the limiter in memory says what has to come.
async fn what_is_asked_for_at_random_is_decided_as_in_memory(
    open: &impl AsyncFn(LimiterConfig) -> AnyLimiter,
) {
    let limits = |first: u32, second: u32, algorithm| {
        [Limit::new(first, LONG).algorithm(algorithm), Limit::new(second, LONG * 2 / 3)]
    };
    let config = config("random", |config| {
        config.tiers.insert("free".to_owned(), limits(30, 50, Algorithm::SlidingLog).into());
        config.tiers.insert("pro".to_owned(), limits(60, 90, Algorithm::SlidingLog).into());
        config.anonymous = Limit::new(20, LONG).algorithm(Algorithm::Gcra).burst(15).into();
        config.known_address = Limit::new(70, LONG).algorithm(Algorithm::TokenBucket).into();
        config.global = Limit::new(300, LONG).algorithm(Algorithm::FixedWindow).into();
        let mut route = RouteConfig::new(Limit::new(25, LONG));
        (route.each_caller, route.cost) = (true, 2);
        config.routes.insert("search".to_owned(), route);
        config.deny = "203.0.113.0/24".parse().into_iter().collect();
        // Times that nobody waits for.
        config.penalties.ban_after_violations = 8;
        config.penalties.forget_violation = Duration::from_hours(2);
        config.penalties.forget_failure = Duration::from_hours(2);
    });
    let reference = Limiter::ready(&config, &Ctx::default());
    let limiter = open(config).await;
    let mut seed = 7_u64;
    let mut below = |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 40).unwrap_or(0) % bound
    };
    let addresses: [IpAddr; 4] =
        [[192, 0, 2, 1], [192, 0, 2, 2], [192, 0, 2, 3], [203, 0, 113, 1]].map(IpAddr::from);
    for round in 0..600 {
        let mut request = match below(4) {
            0 => Request::new(),
            _ => Request::user(["one", "two", "three"][below(3)]).tier(["free", "pro"][below(2)]),
        };
        if below(3) == 0 {
            request = request.from_ip(addresses[below(4)]);
        }
        if below(4) == 0 {
            request = request.with_key(["key", "other"][below(2)]);
        }
        if below(4) == 0 {
            request = request.route("search");
        }
        request = request.cost(u32::try_from(below(4)).unwrap_or(1));
        match below(20) {
            0 => {
                limiter.pardon(request).await;
                reference.pardon(request);
            }
            1 => assert_eq!(
                limiter.report_failure(request).await,
                reference.report_failure(request),
                "{round}"
            ),
            2 => {
                limiter.refund(request).await;
                reference.refund(request);
            }
            3 => same(round, request, limiter.peek(request).await, reference.peek(request)),
            _ => {
                let ((decision, windows), (expected, told)) =
                    (limiter.check_in_full(request).await, reference.check_in_full(request));
                same(round, request, decision, expected);
                let figures = |windows: &[crate::WindowStatus]| {
                    windows
                        .iter()
                        .map(|window| (Arc::clone(&window.name), window.remaining))
                        .collect::<Vec<_>>()
                };
                assert_eq!(figures(&windows), figures(&told), "{round}: {request:?}");
            }
        }
    }
}

fn same(round: usize, request: Request<'_>, decision: Decision, expected: Decision) {
    let figures = |decision: &Decision| {
        (decision.as_str(), decision.quota().map(|quota| (quota.limit, quota.remaining, quota.window())))
    };
    assert_eq!(figures(&decision), figures(&expected), "{round}: {request:?}");
}

async fn handles_to_the_same_limiter_share_what_they_should(
    open: &impl AsyncFn(LimiterConfig) -> AnyLimiter,
) {
    let config = config("shared", |config| *config = LimiterConfig::one(Limit::new(10, LONG)));
    let (one, other) = (open(config.clone()).await, open(config).await);
    let mut admitted = 0;
    for _ in 0..10 {
        admitted += u32::from(one.check("user").await.is_admitted());
        admitted += u32::from(other.check("user").await.is_admitted());
    }
    let expected = if matches!(one, AnyLimiter::Local(_)) { 20 } else { 10 };
    assert_eq!(admitted, expected);
}

async fn bans_grow_and_end(open: &impl AsyncFn(LimiterConfig) -> AnyLimiter) {
    let limiter = open(config("bans", |config| {
        config.penalties.ban = Duration::from_secs(1);
        config.penalties.ban_after_failures = 3;
    }))
    .await;
    for seconds in [1, 2] {
        assert_eq!(limiter.report_failure("user").await, None);
        assert_eq!(limiter.report_failure("user").await, None);
        assert_eq!(limiter.report_failure("user").await, Some(Duration::from_secs(seconds)));
        let banned = limiter.check("user").await;
        let Decision::Banned { retry_after } = banned else { panic!("not banned: {banned:?}") };
        tokio::time::sleep(retry_after + Duration::from_millis(6)).await;
        let mut decision = limiter.check("user").await;
        for _ in 0..20 {
            let Decision::Banned { retry_after } = decision else { break };
            tokio::time::sleep(retry_after).await;
            decision = limiter.check("user").await;
        }
        assert!(decision.is_admitted(), "{decision:?} after {retry_after:?}");
    }
}

async fn a_pardon_forgets(open: &impl AsyncFn(LimiterConfig) -> AnyLimiter) {
    let limits = |config: &mut LimiterConfig| {
        *config =
            LimiterConfig { penalties: PenaltyConfig::default(), ..LimiterConfig::one(Limit::new(1, LONG)) };
    };
    let limiter = open(config("pardon", limits)).await;
    assert!(limiter.check("user").await.is_admitted());
    for _ in 0..5 {
        assert!(matches!(limiter.check("user").await, Decision::Limited(_)));
    }
    assert!(matches!(limiter.check("user").await, Decision::Challenge { .. }));
    limiter.pardon("user").await;
    assert!(matches!(limiter.check("user").await, Decision::Limited(_)));
}

async fn who_waits_is_admitted(open: &impl AsyncFn(LimiterConfig) -> AnyLimiter) {
    let limit = Limit::new(2, Duration::from_millis(300)).algorithm(Algorithm::Gcra);
    let limiter = open(config("wait", |config| *config = LimiterConfig::one(limit))).await;
    for _ in 0..6 {
        assert!(limiter.wait("user", Duration::from_mins(1)).await.is_admitted());
    }
    let impatient = limiter.wait("user", Duration::ZERO).await;
    assert!(matches!(impatient, Decision::Limited(_)), "{impatient:?}");
}
