//! The limiter as applications use it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing expectation fails the test"
)]

use std::net::IpAddr;
use std::time::Duration;

use buttress_core::{Classify, Ctx, ErrorClass, EventLog, Events, TestClock};
use buttress_ratelimit::{
    Algorithm, Decision, Limit, Limiter, LimiterConfig, PenaltyConfig, Policy, Request, RouteConfig, Subject,
};

struct Scene {
    clock: TestClock,
    log: EventLog,
    limiter: Limiter,
}

fn scene(change: impl FnOnce(&mut LimiterConfig)) -> Scene {
    let (clock, log) = (TestClock::new(), EventLog::default());
    let mut config = LimiterConfig::default();
    change(&mut config);
    let events = Events::to(std::sync::Arc::new(log.clone()));
    let ctx = Ctx { clock: clock.shared(), events, ..Ctx::default() };
    let limiter = Limiter::with(&config, &ctx).unwrap();
    Scene { clock, log, limiter }
}

impl Scene {
    /// How many of `times` requests are admitted.
    fn admitted<'a>(&self, request: impl Into<Request<'a>> + Copy, times: usize) -> usize {
        (0..times).filter(|_| self.limiter.check(request).is_admitted()).count()
    }

    fn seconds(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn no_penalties(config: &mut LimiterConfig) {
    config.penalties = PenaltyConfig::none();
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_simplest_use_is_one_line() {
    let limiter = Limiter::new(Limit::per_minute(10));
    let admitted = (0..20).filter(|_| limiter.check("user-1").is_admitted()).count();
    assert_eq!(admitted, 10);
    assert!(limiter.check("user-2").is_admitted());
}

#[test]
fn the_tiers_of_the_default_configuration() {
    for (tier, minute, hour) in [("free", 10, 100), ("pro", 100, 1_000), ("enterprise", 1_000, 10_000)] {
        let scene = scene(no_penalties);
        let request = Request::user("user").tier(tier);
        assert_eq!(scene.admitted(request, minute * 2), minute, "{tier} in a minute");
        let mut sum = minute;
        for _ in 0..28 {
            scene.seconds(120);
            sum += scene.admitted(request, minute * 2);
        }
        assert_eq!(sum, hour, "{tier} in an hour");
    }
    let scene = scene(no_penalties);
    assert_eq!(scene.admitted(ip("192.0.2.1"), 100), 50, "anonymous");
    assert_eq!(scene.admitted(ip("192.0.2.2"), 100), 50, "another address");
}

#[test]
fn who_is_refused_is_told_by_which_limit_and_when_to_come_back() {
    let scene = scene(no_penalties);
    let Decision::Admitted(quota) = scene.limiter.check("user") else { panic!("the first is admitted") };
    assert_eq!((quota.limit, quota.remaining, quota.window()), (10, 9, Duration::from_mins(1)));
    assert_eq!(scene.admitted("user", 9), 9);
    let refused = scene.limiter.check("user");
    let quota = refused.quota().unwrap();
    assert_eq!((quota.limit, quota.remaining), (10, 0));
    let wait = refused.retry_after().unwrap();
    assert_eq!(refused.rejection().unwrap().class(), ErrorClass::Throttled);
    assert_eq!(refused.rejection().unwrap().retry_after(), Some(wait));
    scene.clock.advance(wait.saturating_sub(Duration::from_nanos(1)));
    assert!(!scene.limiter.check("user").is_admitted());
    scene.clock.advance(Duration::from_nanos(1));
    assert!(scene.limiter.check("user").is_admitted());
}

#[test]
fn what_one_limit_refuses_consumes_nothing_of_the_others() {
    let policy = Policy::new([
        Limit::per_second(2),
        Limit::per_minute(3).algorithm(Algorithm::SlidingLog),
        Limit::per_hour(100).algorithm(Algorithm::Gcra),
        Limit::per_day(1_000).algorithm(Algorithm::FixedWindow),
    ]);
    let scene = scene(|config| *config = LimiterConfig::one(policy));
    assert_eq!(scene.admitted("user", 50), 2);
    scene.seconds(2);
    assert_eq!(scene.admitted("user", 50), 1);
    let status = scene.limiter.status("user");
    let remaining: Vec<_> = status.windows.iter().map(|window| window.remaining).collect();
    assert_eq!(remaining, [1, 0, 97, 997]);
    let names: Vec<_> = status.windows.iter().map(|window| &*window.name).collect();
    assert_eq!(names, ["default-1s", "default-1m", "default-1h", "default-1d"]);
}

#[test]
fn what_one_subject_is_refused_consumes_nothing_of_the_others() {
    let scene = scene(|config| {
        no_penalties(config);
        config.global = Limit::per_hour(1_000).into();
        config.known_address = Limit::per_minute(12).into();
        config.routes.insert("search".to_owned(), RouteConfig::new(Limit::per_minute(15)));
    });
    let request = |user| Request::user(user).from_ip(ip("192.0.2.1")).route("search");
    assert_eq!(scene.admitted(request("one"), 50), 10, "limited by the user");
    assert_eq!(scene.admitted(request("two"), 50), 2, "limited by the address");
    let elsewhere = Request::user("two").from_ip(ip("192.0.2.2")).route("search");
    assert_eq!(scene.admitted(elsewhere, 50), 3, "limited by the route");
    assert_eq!(scene.admitted(Request::user("two"), 50), 5, "what is left of the user");
    let status = scene.limiter.status(Request::new());
    assert_eq!(status.windows[0].remaining, 1_000 - 20, "all of them");
}

#[test]
fn a_route_may_limit_each_caller_and_cost_more() {
    let scene = scene(|config| {
        no_penalties(config);
        let mut login = RouteConfig::new(Limit::per_minute(3));
        login.each_caller = true;
        config.routes.insert("login".to_owned(), login);
        let mut export = RouteConfig::default();
        export.cost = 4;
        config.routes.insert("export".to_owned(), export);
    });
    for address in ["192.0.2.1", "192.0.2.2"] {
        assert_eq!(scene.admitted(Request::ip(ip(address)).route("login"), 10), 3);
    }
    assert_eq!(scene.admitted(Request::user("user").route("export"), 10), 2);
    assert_eq!(scene.admitted(Request::user("user").route("unknown"), 10), 2);
    scene.limiter.refund(Request::user("user").route("export"));
    assert_eq!(scene.admitted("user", 10), 4);
}

#[test]
fn users_and_keys_of_the_same_text_are_two() {
    let scene = scene(no_penalties);
    assert_eq!(scene.admitted(Request::user("same"), 20), 10);
    assert_eq!(scene.admitted(Request::api_key("same"), 20), 10);
    // Both together: each has all of its quota, and the one with less decides.
    assert_eq!(scene.admitted(Request::user("other").with_key("same"), 20), 0);
}

#[test]
fn addresses_of_a_network_are_one_caller() {
    let scene = scene(no_penalties);
    let addresses: Vec<_> = (0..100).map(|i| ip(&format!("2001:db8::{i:x}"))).collect();
    let admitted = addresses.iter().filter(|address| scene.limiter.check(**address).is_admitted()).count();
    assert_eq!(admitted, 50);
    assert!(scene.limiter.check(ip("2001:db8:0:1::1")).is_admitted());
    assert_eq!(scene.admitted(ip("192.0.2.1"), 30), 30);
    assert_eq!(scene.admitted(ip("::ffff:192.0.2.1"), 30), 20, "the same address in another form");
}

#[test]
fn lists_let_in_and_keep_out() {
    let scene = scene(|config| {
        config.deny = vec!["203.0.113.0/24".parse().unwrap()];
        config.allow = vec!["203.0.113.7".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
    });
    assert_eq!(scene.admitted(ip("10.1.2.3"), 1_000), 1_000);
    assert_eq!(scene.admitted(ip("203.0.113.7"), 1_000), 1_000, "the longest prefix says");
    let denied = scene.limiter.check(Request::user("user").from_ip(ip("203.0.113.8")));
    assert_eq!(denied, Decision::Denied);
    assert_eq!(denied.rejection().unwrap().class(), ErrorClass::Forbidden);
    assert_eq!(scene.limiter.totals().keys, 0, "nothing is remembered of either");
}

#[test]
fn looking_changes_nothing() {
    let scene = scene(|_| {});
    for _ in 0..100 {
        assert!(scene.limiter.peek("user").is_admitted());
    }
    assert_eq!(scene.limiter.totals().keys, 0);
    assert_eq!(scene.admitted("user", 10), 10);
    for _ in 0..100 {
        assert!(matches!(scene.limiter.peek("user"), Decision::Limited(_)));
        let _ = scene.limiter.peek(Request::user("user").tier("pro"));
    }
    let status = scene.limiter.status("user");
    assert_eq!((status.violations, status.windows[1].remaining), (0, 90));
}

#[test]
fn who_changes_the_tier_takes_along_what_was_counted() {
    let scene = scene(no_penalties);
    assert_eq!(scene.admitted("user", 50), 10);
    assert_eq!(scene.admitted(Request::user("user").tier("pro"), 200), 90);
    assert_eq!(scene.admitted(Request::user("user").tier("no such tier"), 200), 0, "the default tier");
}

#[test]
fn what_was_not_needed_goes_back() {
    let scene = scene(no_penalties);
    let eight = Request::user("user").cost(8);
    scene.limiter.reserve(eight).unwrap().settle(3);
    assert_eq!(scene.limiter.status("user").windows[0].remaining, 7);
    drop(scene.limiter.reserve(Request::user("user").cost(7)).unwrap());
    scene.limiter.reserve(Request::user("user").cost(7)).unwrap().keep();
    let refused = scene.limiter.reserve("user").unwrap_err();
    assert!(matches!(refused, Decision::Limited(_)));
    scene.limiter.refund(Request::user("user").cost(u32::MAX));
    assert_eq!(scene.admitted("user", 50), 10, "never more than the quota");
}

#[test]
fn what_costs_more_than_the_quota_is_never_admitted() {
    let scene = scene(no_penalties);
    let refused = scene.limiter.check(Request::user("user").cost(11));
    assert!(matches!(refused, Decision::Limited(_)));
    assert_eq!(refused.retry_after(), None);
    assert_eq!(scene.admitted("user", 50), 10);
}

#[tokio::test]
async fn who_waits_is_admitted_when_there_is_quota() {
    let scene = scene(|_| {});
    assert_eq!(scene.admitted("user", 10), 10);
    let (limiter, clock) = (scene.limiter.clone(), scene.clock.clone());
    let waiting = tokio::spawn(async move { limiter.wait("user", Duration::from_mins(5)).await });
    let mut waited = 0;
    while !waiting.is_finished() {
        clock.advance(Duration::from_secs(1));
        waited += 1;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    assert!(waiting.await.unwrap().is_admitted());
    assert!((1..=120).contains(&waited), "{waited} s");
    assert_eq!(scene.limiter.status("user").violations, 0, "waiting is not held against anybody");
}

#[tokio::test]
async fn who_would_wait_too_long_is_told_at_once() {
    let scene = scene(|_| {});
    assert_eq!(scene.admitted("user", 10), 10);
    let refused = scene.limiter.wait("user", Duration::from_millis(1)).await;
    assert!(matches!(refused, Decision::Limited(_)));
    let never = scene.limiter.wait(Request::user("user").cost(11), Duration::MAX).await;
    assert!(matches!(never, Decision::Limited(_)));
}

#[test]
fn five_refusals_challenge_and_a_pardon_ends_it() {
    let scene = scene(|_| {});
    assert_eq!(scene.admitted("user", 10), 10);
    for _ in 0..5 {
        assert!(matches!(scene.limiter.check("user"), Decision::Limited(_)));
    }
    assert!(matches!(scene.limiter.check("user"), Decision::Challenge { .. }));
    scene.limiter.pardon("user");
    assert!(matches!(scene.limiter.check("user"), Decision::Limited(_)), "what was consumed stays so");
    assert_eq!(scene.log.events()[0].action, "ratelimit.pardon");
}

#[test]
fn who_goes_on_when_challenged_is_banned() {
    let scene = scene(|config| config.penalties.ban_after_violations = 20);
    assert_eq!(scene.admitted("user", 30), 10);
    let banned = scene.limiter.check("user");
    assert_eq!(banned, Decision::Banned { retry_after: Duration::from_hours(1) });
    let event = &scene.log.events()[0];
    assert_eq!((event.action, event.target.as_deref()), ("ratelimit.ban", Some("user user")));
    assert_eq!(event.detail.as_deref(), Some("for 1h: refused requests"));
    assert_eq!(scene.limiter.totals().banned, 1);
    scene.seconds(3_599);
    assert!(matches!(scene.limiter.check("user"), Decision::Banned { .. }), "no longer for trying");
    scene.seconds(1);
    assert!(scene.limiter.check("user").is_admitted());
}

#[test]
fn ten_failures_ban_longer_each_time() {
    let scene = scene(|_| {});
    let request = Request::user("user").from_ip(ip("192.0.2.1"));
    for hours in [1, 2, 4, 8, 16, 24, 24] {
        for _ in 0..9 {
            assert_eq!(scene.limiter.report_failure(request), None);
        }
        let ban = Duration::from_hours(hours);
        assert_eq!(scene.limiter.report_failure(request), Some(ban));
        assert_eq!(scene.limiter.check("user"), Decision::Banned { retry_after: ban });
        assert_eq!(scene.limiter.check(ip("192.0.2.1")), Decision::Banned { retry_after: ban });
        let other = Request::user("other").from_ip(ip("192.0.2.1"));
        assert_eq!(scene.limiter.check(other), Decision::Banned { retry_after: ban }, "by the address");
        scene.clock.advance(ban);
    }
    assert!(scene.limiter.check(request).is_admitted());
    scene.limiter.ban(Subject::ApiKey("stolen"), Duration::from_hours(48));
    assert!(matches!(scene.limiter.check(Request::api_key("stolen")), Decision::Banned { .. }));
    assert_eq!(scene.log.events().last().unwrap().target.as_deref(), Some("API key stol…"));
}

#[test]
fn nobody_is_blamed_for_what_others_used_up() {
    let scene = scene(|config| config.global = Limit::per_minute(5).into());
    assert_eq!(scene.admitted("user", 50), 5);
    assert_eq!(scene.limiter.status("user").violations, 0);
}

#[test]
fn more_keys_than_there_is_room_for_are_forgotten_but_not_the_banned() {
    let scene = scene(|config| config.max_keys = 10_000);
    for i in 0..100 {
        scene.limiter.ban(format!("banned-{i}").as_str(), Duration::from_hours(24));
    }
    for i in 0..200_000 {
        let _ = scene.limiter.check(format!("user-{i}").as_str());
    }
    let totals = scene.limiter.totals();
    assert!(totals.keys <= 10_000, "{} keys", totals.keys);
    assert!(totals.bytes <= 10_000 * 300, "{} bytes", totals.bytes);
    assert_eq!(totals.banned, 100);
}

#[test]
fn a_million_keys_stay_within_their_memory() {
    let scene = scene(|config| config.max_keys = 950_000);
    for i in 0..1_000_000 {
        let _ = scene.limiter.check(format!("user-{i}").as_str());
    }
    let totals = scene.limiter.totals();
    assert!((900_000..=950_000).contains(&totals.keys), "{} keys", totals.keys);
    assert!(totals.bytes <= 950_000 * 300, "{} bytes", totals.bytes);
}

#[test]
fn keys_that_say_nothing_any_more_make_room() {
    let scene = scene(|_| {});
    for i in 0..10_000 {
        let _ = scene.limiter.check(format!("old-{i}").as_str());
    }
    scene.seconds(3 * 3_600);
    for i in 0..5_000 {
        let _ = scene.limiter.check(format!("new-{i}").as_str());
    }
    let keys = scene.limiter.totals().keys;
    assert!(keys < 10_000, "{keys} keys");
    scene.seconds(3 * 3_600);
    for _ in 0..10 {
        scene.limiter.tend();
    }
    assert_eq!(scene.limiter.totals().keys, 0);
}

#[test]
fn threads_never_get_more_than_the_quota() {
    for algorithm in [Algorithm::SlidingCounter, Algorithm::SlidingLog, Algorithm::Gcra] {
        let clock = TestClock::new();
        let mut config =
            LimiterConfig::one([Limit::per_hour(500).algorithm(algorithm), Limit::per_day(10_000)]);
        config.global = Limit::per_hour(1_500).algorithm(algorithm).into();
        let limiter = Limiter::with(&config, &Ctx { clock: clock.shared(), ..Ctx::default() }).unwrap();
        let work = |thread: usize| {
            let limiter = limiter.clone();
            move || {
                let mut admitted = [0; 4];
                for i in 0..4_000 {
                    let user = (i + thread) % 4;
                    admitted[user] += usize::from(limiter.check(["a", "b", "c", "d"][user]).is_admitted());
                }
                admitted
            }
        };
        let threads: Vec<_> = (0..4).map(|thread| std::thread::spawn(work(thread))).collect();
        let mut sums = [0; 4];
        for thread in threads {
            for (sum, admitted) in sums.iter_mut().zip(thread.join().unwrap()) {
                *sum += admitted;
            }
        }
        assert!(sums.iter().all(|sum| *sum <= 500), "{sums:?}");
        assert_eq!(sums.iter().sum::<usize>(), 1_500, "{sums:?}");
    }
}

#[test]
fn requests_that_need_the_same_locks_do_not_wait_for_each_other() {
    let mut config = LimiterConfig::one(Limit::per_hour(1_000_000));
    config.global = Limit::per_hour(u32::MAX).into();
    config.known_address = Limit::per_hour(u32::MAX).into();
    let limiter = Limiter::with(&config, &Ctx::default()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let limiter = &limiter;
            scope.spawn(move || {
                for i in 0..10_000_u32 {
                    let user = format!("user-{}", i.wrapping_mul(thread + 1) % 50);
                    let address = IpAddr::from([192, 0, 2, u8::try_from(i % 50).unwrap()]);
                    assert!(limiter.check(Request::user(&user).from_ip(address)).is_admitted());
                }
            });
        }
    });
}

#[test]
fn a_wrong_configuration_is_told_with_what_would_do() {
    let mut config = LimiterConfig::default();
    config.default_tier = "gold".to_owned();
    config.ipv6_prefix = 0;
    config.max_keys = 0;
    config.anonymous = Limit::per_hour(0).into();
    config.tiers.insert("many".to_owned(), Policy::new([Limit::per_second(1); 5]));
    let error = Limiter::with(&config, &Ctx::default()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid);
    let told = error.to_string();
    for part in [
        "default_tier = \"gold\": must be one of `tiers`: enterprise, free, many, pro",
        "ipv6_prefix = 0",
        "max_keys = 0",
        "anonymous = \"0/1h\": must admit something",
        "tiers.many",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let unknown = toml::from_str::<LimiterConfig>("burst = 3").unwrap_err().to_string();
    assert!(unknown.contains("unknown field `burst`"), "{unknown}");
    let read: LimiterConfig = toml::from_str(&toml::to_string(&LimiterConfig::default()).unwrap()).unwrap();
    assert_eq!(read, LimiterConfig::default());
}

#[test]
fn a_wall_clock_that_is_set_changes_nothing() {
    let scene = scene(no_penalties);
    assert_eq!(scene.admitted("user", 20), 10);
    for hours in [0, 1_000_000] {
        scene.clock.set_wall(std::time::UNIX_EPOCH + Duration::from_hours(hours));
        assert_eq!(scene.admitted("user", 20), 0);
    }
    scene.seconds(120);
    assert_eq!(scene.admitted("user", 20), 10);
}

#[test]
fn nobody_is_rid_of_what_was_counted_by_asking_in_another_way() {
    let scene = scene(|config| {
        no_penalties(config);
        config.known_address = Limit::per_hour(200).algorithm(Algorithm::Gcra).into();
        config.tiers.insert("daily".to_owned(), Limit::per_day(30).into());
    });
    let address = ip("192.0.2.1");
    let (mut anonymous, mut free, mut daily) = (0, 0, 0);
    for _ in 0..100 {
        anonymous += scene.admitted(address, 1);
        free += scene.admitted(Request::user("user").from_ip(address), 1);
        daily += scene.admitted(Request::user("user").tier("daily"), 1);
    }
    assert_eq!((anonymous, free, daily), (50, 10, 30));
}

#[test]
fn penalties_hold_in_every_tier() {
    let scene = scene(|config| {
        config.tiers.insert("daily".to_owned(), Limit::per_day(30).into());
    });
    for _ in 0..10 {
        scene.limiter.report_failure("user");
    }
    assert!(matches!(scene.limiter.check(Request::user("user").tier("daily")), Decision::Banned { .. }));
    let daily = Request::user("other").tier("daily");
    assert_eq!(scene.admitted(daily, 35), 30);
    assert!(matches!(scene.limiter.check(daily), Decision::Challenge { .. }));
    assert!(matches!(scene.limiter.check("other"), Decision::Challenge { .. }));
}

/// Where nothing can be held against anybody, entries are smaller; nobody should notice.
#[test]
fn without_penalties_is_as_with_penalties_that_never_come() {
    for algorithm in
        [Algorithm::SlidingCounter, Algorithm::SlidingLog, Algorithm::Gcra, Algorithm::TokenBucket]
    {
        let clock = TestClock::new();
        let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
        let mut config = LimiterConfig::one(Limit::per_minute(7).algorithm(algorithm));
        config.routes.insert("slow".into(), RouteConfig::new(Limit::per_hour(900).algorithm(algorithm)));
        let small = Limiter::with(&config, &ctx).unwrap();
        config.penalties = PenaltyConfig::default();
        (config.penalties.challenge_after, config.penalties.ban_after_violations) = (0, 0);
        let large = Limiter::with(&config, &ctx).unwrap();
        let mut random = 1_u64;
        for _ in 0..3_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let [key, what, cost, wait] =
                [random >> 60, random >> 56 & 15, random >> 53 & 3, random >> 44 & 511];
            let user = format!("user-{key}");
            let request = Request::user(&user).cost(u32::try_from(cost).unwrap());
            let request = if what == 1 { request.route("slow") } else { request };
            clock.advance(Duration::from_millis(wait * 4));
            let said = [&small, &large].map(|limiter| {
                if what == 0 {
                    limiter.refund(request);
                }
                (limiter.peek(request), limiter.check(request))
            });
            assert_eq!(said[0], said[1]);
        }
        let bytes = [&small, &large].map(|limiter| limiter.totals().bytes);
        assert!(bytes[0] < bytes[1], "{bytes:?}");
    }
}
