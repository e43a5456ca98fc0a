//! The inner layers, which keep one request from harming the others: load shed, body limits, deadline, panics.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use buttress_core::{BoxFuture, ByteSize, ErrorClass, Rejection, RejectionReason, SharedClock, timeout};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::Limited;
use hyper::body::{Frame, SizeHint};
use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::BoxError;
use crate::metrics::{IN_FLIGHT, PANICS, SHED};
use crate::problem::Problem;

/// Turns a panic of a handler into a 500; the process and the connection go on.
pub(crate) async fn catch_panic(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            counter!(PANICS).increment(1);
            tracing::error!(target: "buttress::service", panic = message(&*panic), "the handler panicked");
            Problem::new(ErrorClass::Internal).into_response()
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}

/// How many requests of one kind may be in flight.
pub(crate) struct Gate {
    permits: Arc<Semaphore>,
    in_flight: Gauge,
    shed: Counter,
}

impl Gate {
    /// `routes` names the kind in the metrics.
    pub(crate) fn new(most: usize, routes: &'static str) -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(most)),
            in_flight: gauge!(IN_FLIGHT, "routes" => routes),
            shed: counter!(SHED, "routes" => routes),
        })
    }

    fn enter(&self) -> Result<Pass, Rejection> {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            self.shed.increment(1);
            return Err(Rejection::new(RejectionReason::Full).after(Duration::from_secs(1)));
        };
        self.in_flight.increment(1.0);
        Ok(Pass { _permit: permit, in_flight: self.in_flight.clone() })
    }
}

/// The right to be in flight.
struct Pass {
    _permit: OwnedSemaphorePermit,
    in_flight: Gauge,
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.in_flight.decrement(1.0);
    }
}

/// Refuses requests when too many are in flight. One is in flight until its answer has been sent whole.
pub(crate) async fn load_shed(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    match gate.enter() {
        Ok(pass) => next.run(request).await.map(|body| Body::new(Held { body, _pass: pass })),
        Err(rejection) => Problem::from(rejection).into_response(),
    }
}

/// A body that keeps its request in flight.
struct Held {
    body: Body,
    _pass: Pass,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How large a body may be, and how long it may pause.
#[derive(Clone)]
pub(crate) struct BodyLimit {
    pub(crate) most: ByteSize,
    pub(crate) idle: Duration,
    pub(crate) clock: SharedClock,
}

/// Refuses a body that says it is too large, and breaks off one that turns out to be, or that stalls.
pub(crate) async fn limit_body(State(limit): State<BodyLimit>, request: Request, next: Next) -> Response {
    let said =
        request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|bytes| bytes > limit.most.bytes()) {
        let detail = format!("the body is over the limit of {}", limit.most);
        return Problem::new(ErrorClass::TooLarge)
            .detail(detail)
            .with("limit", limit.most.bytes())
            .into_response();
    }
    let request = request.map(|body| {
        let body = Limited::new(body, limit.most.as_usize());
        Body::new(Impatient { body: Box::pin(body), limit, alarm: None })
    });
    next.run(request).await
}

/// A body that fails when the next piece does not come in time.
struct Impatient {
    body: Pin<Box<Limited<Body>>>,
    limit: BodyLimit,
    /// Set while a piece is waited for.
    alarm: Option<BoxFuture<'static, ()>>,
}

/// The sender of a request's body stopped sending.
#[derive(Debug, thiserror::Error)]
#[error("the body paused for longer than {}", buttress_core::units::format_duration(*.0))]
struct Stalled(Duration);

impl HttpBody for Impatient {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = this.body.as_mut().poll_frame(cx) {
            this.alarm = None;
            return Poll::Ready(frame);
        }
        let idle = this.limit.idle;
        let clock = &this.limit.clock;
        let alarm = this.alarm.get_or_insert_with(|| clock.sleep(idle));
        alarm.as_mut().poll(cx).map(|()| Some(Err(Stalled(idle).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Answers in the handler's place when it takes too long; the handler is dropped.
pub(crate) async fn deadline(
    State((clock, limit)): State<(SharedClock, Duration)>,
    request: Request,
    next: Next,
) -> Response {
    match timeout(&*clock, limit, next.run(request)).await {
        Ok(response) => response,
        Err(elapsed) => Problem::from(elapsed).into_response(),
    }
}
