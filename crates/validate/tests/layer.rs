//! The layer as clients see it.
#![cfg(feature = "tower")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a failing expectation fails the test"
)]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use buttress_core::{Ctx, EventLog};
use buttress_validate::layer::{LimitedBody, RequestLimits, RequestLimitsLayer};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::{Layer, ServiceExt, service_fn};

fn limits(text: &str) -> RequestLimits {
    serde_json::from_str(text).unwrap()
}

/// A body that counts the frames that were asked for.
struct Frames {
    left: VecDeque<&'static str>,
    sent: Arc<AtomicUsize>,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.left.pop_front();
        self.sent.fetch_add(usize::from(next.is_some()), Ordering::Relaxed);
        Poll::Ready(next.map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
    }
}

/// Sends a request, in frames, to a service that reads its body and answers 200 or, as services do with broken bodies, 500.
async fn send(limits: &RequestLimits, request: Request<Vec<&'static str>>) -> (StatusCode, Value) {
    let (status, body, _) = send_counted(limits, request).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

async fn send_counted(
    limits: &RequestLimits,
    request: Request<Vec<&'static str>>,
) -> (StatusCode, String, usize) {
    let sent = Arc::new(AtomicUsize::new(0));
    let request = request.map(|frames| Frames { left: frames.into(), sent: Arc::clone(&sent) });
    let service = service_fn(async |request: Request<LimitedBody<Frames>>| {
        let status = match request.into_body().collect().await {
            Ok(_) => StatusCode::OK,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Ok::<_, Infallible>(Response::builder().status(status).body("served".to_owned()).unwrap())
    });
    let layer = RequestLimitsLayer::new(limits.clone(), &Ctx::default()).unwrap();
    let response = layer.layer(service).oneshot(request).await.unwrap();
    (response.status(), response.into_body(), sent.load(Ordering::Relaxed))
}

fn post(media_type: &str, frames: Vec<&'static str>) -> Request<Vec<&'static str>> {
    Request::post("/x").header("content-type", media_type).body(frames).unwrap()
}

#[tokio::test]
async fn json_is_judged_while_it_streams() {
    let limits = limits(r#"{"json": {"depth": 4, "bytes": "1KiB"}}"#);
    let served = send(&limits, post("application/json", vec!["{\"a\": [1", "2, 3]", "}"])).await;
    assert_eq!(served, (StatusCode::OK, Value::from("served")));
    let many = std::iter::repeat_n("[", 1000).collect();
    let (status, body, sent) =
        send_counted(&limits, post("application/vnd.api+json; charset=utf-8", many)).await;
    assert_eq!((status, sent), (StatusCode::PAYLOAD_TOO_LARGE, 5), "the fifth bracket ended it");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body["code"], &body["errors"][0]["pointer"], &body["status"]),
        (&"too_deep".into(), &"/0/0/0/0".into(), &413.into())
    );
    let (status, body) = send(&limits, post("application/json", vec!["{\"a\": 1, ", "\"a\": 2}"])).await;
    assert_eq!((status, &body["errors"][0]["pointer"]), (StatusCode::BAD_REQUEST, &"/a".into()));
    let (status, body) = send(&limits, post("application/json", vec!["{\"a\": 1"])).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::BAD_REQUEST, &"syntax".into()),
        "an end that is too early"
    );
    assert_eq!(
        send(&limits, post("application/json", vec![])).await.0,
        StatusCode::OK,
        "whether it must be there, the service knows"
    );
    assert_eq!(send(&limits, post("text/plain", vec!["[[[[[[[["])).await.0, StatusCode::OK);
}

#[tokio::test]
async fn sizes_go_by_media_type() {
    let limits =
        limits(r#"{"body_bytes": "4B", "body_by_type": {"text/csv": "8B"}, "json": {"bytes": "6B"}}"#);
    for (media_type, body, status) in [
        ("text/plain", "1234", 200),
        ("text/plain", "12345", 413),
        ("Text/CSV; header=present", "12345678", 200),
        ("text/csv", "123456789", 413),
        ("application/json", "[1, 2]", 200),
        ("application/json", "[1, 22]", 413),
    ] {
        assert_eq!(
            send(&limits, post(media_type, vec![body])).await.0.as_u16(),
            status,
            "{media_type} {body}"
        );
        let (head, tail) = body.split_at(2);
        assert_eq!(
            send(&limits, post(media_type, vec![head, tail])).await.0.as_u16(),
            status,
            "{media_type} {body} in two"
        );
    }
    // A length that is stated is enough to refuse.
    let stated = Request::post("/x").header("content-length", "5").body(vec!["12345"]).unwrap();
    let (status, _, sent) = send_counted(&limits, stated).await;
    assert_eq!((status.as_u16(), sent), (413, 0));
}

#[tokio::test]
async fn heads_are_judged_first() {
    let limits = limits(
        r#"{"uri_bytes": "10B", "headers": 3, "header_bytes": "100B", "only_types": ["application/json"]}"#,
    );
    let get = |uri: &str| Request::get(uri);
    let status =
        async |request: http::request::Builder| send(&limits, request.body(vec![]).unwrap()).await.0.as_u16();
    assert_eq!(status(get("/345678901")).await, 200);
    assert_eq!(status(get("/34567890?2")).await, 414);
    assert_eq!(status(get("/").header("a", "1").header("a", "2").header("b", "3")).await, 200);
    assert_eq!(
        status(get("/").header("a", "1").header("a", "2").header("b", "3").header("c", "4")).await,
        431
    );
    assert_eq!(status(get("/").header("a", "x".repeat(99))).await, 200);
    assert_eq!(status(get("/").header("a", "x".repeat(100))).await, 431);
    assert_eq!(status(Request::post("/").header("content-type", "text/xml")).await, 415);
    let two = Request::post("/").header("content-type", "a/b").header("content-type", "application/json");
    assert_eq!(status(two).await, 400);
    let squeezed =
        Request::post("/").header("content-type", "application/json").header("content-encoding", "br");
    assert_eq!(status(squeezed).await, 415);
}

#[tokio::test]
async fn a_refusal_is_told() {
    let log = Arc::new(EventLog::default());
    let ctx = Ctx { events: buttress_core::Events::to(log.clone()), ..Ctx::default() };
    let layer = RequestLimitsLayer::new(limits(r#"{"body_bytes": "1B"}"#), &ctx).unwrap();
    let service = service_fn(async |request: Request<LimitedBody<Full<Bytes>>>| {
        let _ = request.into_body().collect().await;
        Ok::<_, Infallible>(Response::new("served".to_owned()))
    });
    let request =
        Request::post("/").header("content-type", "text/hunter2").body(Full::from("hunter2")).unwrap();
    let response = layer.layer(service).oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let events = format!("{:?}", log.events());
    assert!(events.contains("request.refuse") && events.contains("413 too_long"), "{events}");
    assert!(!events.contains("hunter2"));
}

#[test]
fn a_configuration_is_checked() {
    for wrong in [
        r#"{"headers": 0}"#,
        r#"{"json": {"depth": 0}}"#,
        r#"{"only_types": ["JSON"]}"#,
        r#"{"body_by_type": {"Text/csv": "1B"}}"#,
    ] {
        assert!(RequestLimitsLayer::new(limits(wrong), &Ctx::default()).is_err(), "{wrong}");
    }
}
