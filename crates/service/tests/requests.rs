//! What happens to a request on its way to its handler and back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests

mod common;

use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{Extension, Path};
use axum::http::StatusCode;
use axum::routing::{get, post};
use buttress_core::{ByteSize, ErrorClass, Key};
use buttress_service::{ClientAddr, Problem};
use buttress_telemetry::{RequestId, TraceContext};
use common::{config, run, serve};

#[tokio::test]
async fn a_request_keeps_a_sane_id_and_gets_one_in_place_of_another() {
    let routes =
        Router::new().route("/", get(|Extension(id): Extension<RequestId>| async move { id.to_string() }));
    let service = serve(config(), routes).await;

    let kept =
        service.send("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-request-id: abc-1\r\n\r\n").await;
    assert_eq!((kept.header("x-request-id"), kept.body.as_str()), (Some("abc-1"), "abc-1"));

    let replaced = service
        .send("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-request-id: <script>\r\n\r\n")
        .await;
    assert_eq!(replaced.body.len(), 26);
    assert_eq!(replaced.header("x-content-type-options"), Some("nosniff"));
    service.stop().await.unwrap();
}

#[tokio::test]
async fn the_callers_trace_goes_on() {
    let routes = Router::new()
        .route("/", get(|Extension(trace): Extension<TraceContext>| async move { trace.trace_id() }));
    let service = serve(config(), routes).await;
    let answer = service
        .send(
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n",
        )
        .await;
    assert_eq!(answer.body, "4bf92f3577b34da6a3ce929d0e0e4736");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn every_error_is_a_problem_that_names_its_request() {
    async fn key(Path(text): Path<String>) -> Result<String, Problem> {
        Ok(Key::new(text)?.to_string())
    }
    let routes = Router::new()
        .route("/key/{text}", get(key))
        .route("/custom", get(|| async { Problem::new(ErrorClass::Conflict).detail("taken").with("by", 7) }))
        .route("/json", post(|Json(n): Json<u32>| async move { n.to_string() }))
        .route(
            "/plain",
            get(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "the database is at 10.0.0.1") }),
        );
    let service = serve(config(), routes).await;

    for (answer, status, class) in [
        (service.get("/nowhere").await, 404, "not_found"),
        (
            service.send("DELETE /json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await,
            405,
            "unsupported",
        ),
        (service.get("/key/%01").await, 400, "invalid"),
        (service.get("/custom").await, 409, "conflict"),
        (service.get("/plain").await, 500, "internal"),
        (
            service
                .send("POST /json HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1\r\n\r\n1")
                .await,
            415,
            "unsupported",
        ),
    ] {
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let problem = answer.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["class"], class);
        assert_eq!(
            problem["instance"].as_str().map(str::to_lowercase).as_deref(),
            answer.header("x-request-id")
        );
        assert!(!answer.body.contains("10.0.0.1"), "what a handler says about itself stays inside");
    }
    assert_eq!(service.get("/custom").await.json()["by"], 7);
    let refused = service.send("DELETE /json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!(refused.header("allow"), Some("post"));
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_panic_costs_one_answer() {
    async fn panics() {
        panic!("on purpose")
    }
    let routes = Router::new().route("/panic", get(panics)).route("/", get(|| async { "well" }));
    let service = serve(config(), routes).await;
    let answer = service.get("/panic").await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["class"], "internal");
    assert!(!answer.body.contains("on purpose"));
    assert_eq!(service.get("/").await.body, "well");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_said_or_unsaid() {
    let mut config = config();
    config.limits.body = ByteSize::b(10);
    config.limits.long_body = ByteSize::b(20);
    let service = run(config, |service, _| {
        service
            .routes(Router::new().route("/short", post(|body: String| async { body })))
            .long_routes(Router::new().route("/long", post(|body: String| async { body })))
    })
    .await;
    let said = |path: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let unsaid = |path: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
             {length:x}\r\n{body}\r\n0\r\n\r\n"
        )
    };
    for (request, status) in [
        (said("/short", "0123456789"), 200),
        (said("/short", "0123456789a"), 413),
        (unsaid("/short", "0123456789"), 200),
        (unsaid("/short", "0123456789a"), 413),
        (said("/long", "0123456789a"), 200),
        (said("/long", "0123456789a0123456789"), 413),
    ] {
        let answer = service.send(&request).await;
        assert_eq!(answer.status, status, "{request}");
        if status == 413 {
            assert_eq!(answer.json()["class"], "too_large");
            // What is said is refused before the handler, which cannot name the limit.
            let named = answer.json()["limit"].is_number();
            assert_eq!(named, request.contains("content-length"), "{request}");
        }
    }
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_late_answer_is_a_504_but_not_on_a_long_route() {
    let mut config = config();
    config.limits.deadline = Duration::from_millis(20);
    let service = run(config, |service, ctx| {
        let clock = ctx.clock.clone();
        service
            .routes(Router::new().route("/never", get(|| async { std::future::pending::<()>().await })))
            .long_routes(Router::new().route(
                "/long",
                get(move || async move {
                    clock.sleep(Duration::from_millis(60)).await;
                    "done"
                }),
            ))
    })
    .await;
    let late = service.get("/never").await;
    assert_eq!((late.status, &late.json()["class"]), (504, &"timeout".into()));
    assert_eq!(service.get("/long").await.body, "done");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    let mut config = config();
    config.limits.body_idle_timeout = Duration::from_millis(20);
    let service = serve(config, Router::new().route("/", post(|body: String| async { body }))).await;
    let answer =
        service.send("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5\r\n\r\nab").await;
    assert_eq!(answer.status, 400);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn the_client_is_the_peer_unless_a_trusted_proxy_says_otherwise() {
    let routes = || {
        Router::new().route("/", get(|ClientAddr(address): ClientAddr| async move { address.to_string() }))
    };
    let forwarded =
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-forwarded-for: 6.6.6.6, 198.51.100.7\r\n\r\n";

    let service = serve(config(), routes()).await;
    assert_eq!(service.send(forwarded).await.body, "127.0.0.1");
    service.stop().await.unwrap();

    let mut behind_proxy = config();
    behind_proxy.proxies.trusted = vec!["127.0.0.0/8".parse().unwrap()];
    let service = serve(behind_proxy, routes()).await;
    assert_eq!(service.send(forwarded).await.body, "198.51.100.7");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_never_asks_is_closed() {
    let mut config = config();
    config.limits.header_timeout = Duration::from_millis(50);
    let service = serve(config, Router::new().route("/", get(|| async { "well" }))).await;
    let slow = common::request(service.bound.main, "GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    assert_ne!(slow.status, 200);
    assert_eq!(service.get("/").await.body, "well");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let routes =
        Router::new().route("/documents/{id}", get(|Path(id): Path<u64>| async move { id.to_string() }));
    let service = serve(config(), routes).await;
    for id in 0..3 {
        service.get(&format!("/documents/{id}")).await;
    }
    service.get("/secret-path").await;
    let metrics = service.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = &metrics.body;
    assert!(
        text.contains(
            "buttress_service_requests_total{method=\"GET\",route=\"/documents/{id}\",status=\"2xx\"} 3"
        ),
        "{text}"
    );
    assert!(
        text.contains("buttress_service_request_duration_seconds_bucket{method=\"GET\",route=\"unmatched\"")
    );
    assert!(text.contains("process_resident_memory_bytes"));
    assert!(!text.contains("secret-path"));
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok() && name.starts_with(|c: char| c.is_ascii_lowercase()), "{line}");
    }
    service.stop().await.unwrap();
}
