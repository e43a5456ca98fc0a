//! The layer as clients see it.
#![cfg(feature = "tower")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing expectation fails the test")]

use std::convert::Infallible;
use std::time::Duration;

use buttress_core::{Ctx, TestClock};
use buttress_ratelimit::headers::parse_rate_limit;
use buttress_ratelimit::layer::{Challenge, RateLimitLayer};
use buttress_ratelimit::{Limiter, LimiterConfig, Request};
use http::{Response, StatusCode};
use tower::{Layer, ServiceExt, service_fn};

type HttpRequest = http::Request<String>;

fn caller(request: &HttpRequest) -> Request<'_> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let asked = header("x-user").map_or(Request::new(), Request::user);
    header("x-tier").map_or(asked, |tier| asked.tier(tier))
}

fn request(path: &str, headers: &[(&str, &str)]) -> HttpRequest {
    let builder = http::Request::builder().uri(path);
    headers
        .iter()
        .fold(builder, |builder, (name, value)| builder.header(*name, *value))
        .body(String::new())
        .unwrap()
}

fn limiter(change: impl FnOnce(&mut LimiterConfig)) -> (Limiter, TestClock) {
    let clock = TestClock::new();
    let mut config = LimiterConfig::default();
    change(&mut config);
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    (Limiter::with(&config, &ctx).unwrap(), clock)
}

/// Sends a request through the layer to a service that answers with the status of the header `x-answer`.
async fn send(layer: &RateLimitLayer<String>, request: HttpRequest) -> Response<String> {
    let service = service_fn(async |request: HttpRequest| {
        let status = request
            .headers()
            .get("x-answer")
            .map_or(StatusCode::OK, |status| StatusCode::from_bytes(status.as_bytes()).unwrap());
        Ok::<_, Infallible>(Response::builder().status(status).body("served".to_owned()).unwrap())
    });
    layer.layer(service).oneshot(request).await.unwrap()
}

fn header<'a>(response: &'a Response<String>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn clients_are_told_how_their_limits_stand() {
    let (limiter, _) = limiter(|_| {});
    let layer = RateLimitLayer::new(limiter, caller);
    for left in (0..10).rev() {
        let response = send(&layer, request("/", &[("x-user", "user")])).await;
        assert_eq!((response.status(), &**response.body()), (StatusCode::OK, "served"));
        assert_eq!(header(&response, "x-ratelimit-limit"), Some("10"));
        assert_eq!(header(&response, "x-ratelimit-remaining"), Some(&*left.to_string()));
        let policy = header(&response, "ratelimit-policy");
        assert_eq!(policy, Some("\"free-1m\";q=10;w=60, \"free-1h\";q=100;w=3600"));
        let items = parse_rate_limit(header(&response, "ratelimit").unwrap()).unwrap();
        assert_eq!((items[0].remaining, items[1].remaining), (Some(left), Some(left + 90)));
    }
    let refused = send(&layer, request("/", &[("x-user", "user")])).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(header(&refused, "content-type"), Some("application/json"));
    let wait = header(&refused, "retry-after").unwrap();
    let body =
        format!("{{\"error\":\"rate_limit_exceeded\",\"retry_after\":{wait},\"limit\":10,\"remaining\":0}}");
    assert_eq!(*refused.body(), body);
    let items = parse_rate_limit(header(&refused, "ratelimit").unwrap()).unwrap();
    assert_eq!((items[0].remaining, items[1].remaining), (Some(0), Some(90)), "the refusal cost nothing");
    let pro = send(&layer, request("/", &[("x-user", "user"), ("x-tier", "pro")])).await;
    assert_eq!(header(&pro, "x-ratelimit-limit"), Some("100"));
}

#[tokio::test]
async fn who_waits_as_long_as_told_is_served() {
    let (limiter, clock) = limiter(|_| {});
    let layer = RateLimitLayer::new(limiter, caller);
    loop {
        let response = send(&layer, request("/", &[("x-user", "user")])).await;
        if let Some(wait) = header(&response, "retry-after") {
            clock.advance(Duration::from_secs(wait.parse().unwrap()));
            break;
        }
    }
    assert_eq!(send(&layer, request("/", &[("x-user", "user")])).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn probes_are_never_limited() {
    let (limiter, _) = limiter(|config| config.global = buttress_ratelimit::Limit::per_hour(1).into());
    let layer = RateLimitLayer::new(limiter.clone(), caller);
    for _ in 0..10 {
        let response = send(&layer, request("/readyz", &[])).await;
        assert_eq!((response.status(), header(&response, "ratelimit")), (StatusCode::OK, None));
    }
    assert_eq!(send(&layer, request("/", &[])).await.status(), StatusCode::OK);
    assert_eq!(send(&layer, request("/", &[])).await.status(), StatusCode::TOO_MANY_REQUESTS);
    let layer = RateLimitLayer::new(limiter, caller).never_limit(["/"]);
    assert_eq!(send(&layer, request("/", &[])).await.status(), StatusCode::OK);
}

struct Captcha;

impl Challenge<String> for Captcha {
    fn is_met(&self, request: &HttpRequest) -> bool {
        request.headers().get("x-captcha").is_some_and(|answer| answer == "42")
    }

    fn location(&self) -> Option<String> {
        Some("/captcha?\"".to_owned())
    }
}

#[tokio::test]
async fn a_challenge_that_is_met_is_a_pardon() {
    let (limiter, clock) = limiter(|_| {});
    let layer = RateLimitLayer::new(limiter, caller).challenge(Captcha);
    for _ in 0..15 {
        send(&layer, request("/", &[("x-user", "user")])).await;
    }
    clock.advance(Duration::from_millis(1));
    let challenged = send(&layer, request("/", &[("x-user", "user"), ("x-captcha", "41")])).await;
    assert_eq!(challenged.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(challenged.body().starts_with("{\"error\":\"challenge_required\",\"retry_after\":"));
    assert!(challenged.body().ends_with(",\"challenge\":\"/captcha?\\\"\"}"), "{}", challenged.body());
    let met = send(&layer, request("/", &[("x-user", "user"), ("x-captcha", "42")])).await;
    assert!(met.body().contains("rate_limit_exceeded"), "no longer challenged, but still over the limit");
}

#[tokio::test]
async fn failures_are_held_against_the_caller() {
    let (limiter, _) = limiter(|_| {});
    let layer = RateLimitLayer::new(limiter, caller).failures(|status| status == StatusCode::UNAUTHORIZED);
    let tier = ("x-tier", "pro");
    for _ in 0..10 {
        let response = send(&layer, request("/", &[("x-user", "user"), tier, ("x-answer", "401")])).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
    let banned = send(&layer, request("/", &[("x-user", "user"), tier])).await;
    assert_eq!(banned.status(), StatusCode::FORBIDDEN);
    assert_eq!(header(&banned, "retry-after"), Some("3600"));
    assert_eq!(*banned.body(), "{\"error\":\"banned\",\"retry_after\":3600}");
    assert_eq!(send(&layer, request("/", &[("x-user", "other"), tier])).await.status(), StatusCode::OK);
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_limiter_is_asked_before_the_service() {
    let server = buttress_testkit::Redis::start();
    let mut config = LimiterConfig::default();
    config.shared.url = Some(server.url().parse().unwrap());
    config.shared.within = Duration::from_secs(20);
    // Whichever of two layers is asked: they are two processes, as it were.
    let mut layers = Vec::new();
    for _ in 0..2 {
        let limiter = buttress_ratelimit::AnyLimiter::open(&config, &Ctx::default()).await.unwrap();
        let layer = RateLimitLayer::new(limiter, caller).challenge(Captcha);
        layers.push(layer.failures(|status| status == StatusCode::UNAUTHORIZED));
    }
    let mut served = 0;
    for i in 0..15 {
        let response = send(&layers[i % 2], request("/", &[("x-user", "user")])).await;
        served += usize::from(response.status() == StatusCode::OK);
        assert!(header(&response, "ratelimit").is_some());
    }
    assert!((10..=11).contains(&served), "{served}");
    let challenged = send(&layers[0], request("/", &[("x-user", "user")])).await;
    assert!(
        challenged.body().contains("rate_limit_exceeded") || challenged.body().contains("challenge_required")
    );
    let met = send(&layers[1], request("/", &[("x-user", "user"), ("x-captcha", "42")])).await;
    assert!(!met.body().contains("challenge_required"), "{}", met.body());
    for i in 0..10 {
        send(&layers[i % 2], request("/", &[("x-user", "bad"), ("x-tier", "pro"), ("x-answer", "401")]))
            .await;
    }
    let banned = send(&layers[0], request("/", &[("x-user", "bad"), ("x-tier", "pro")])).await;
    assert_eq!(banned.status(), StatusCode::FORBIDDEN);
}
