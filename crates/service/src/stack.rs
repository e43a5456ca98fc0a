//! The layer stack, outermost first:
//! trace > catch-panic > client address > load shed > body limit > deadline > handler.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use buttress_core::{ByteSize, SharedClock};

use crate::client_addr;
use crate::config::ServiceConfig;
use crate::guard::{self, BodyLimit, Gate};
use crate::metrics::RequestMetrics;
use crate::trace::{self, Tracing};

/// Ordinary and long routes, each behind their own limits, and both behind what is common.
pub(crate) fn stack(
    routes: Router,
    long_routes: Router,
    config: &ServiceConfig,
    clock: &SharedClock,
) -> Router {
    let limits = &config.limits;
    let body = |most: ByteSize| BodyLimit { most, idle: limits.body_idle_timeout, clock: clock.clone() };

    // The last layer added is the outermost.
    let routes = routes
        .layer(from_fn_with_state((clock.clone(), limits.deadline), guard::deadline))
        .layer(from_fn_with_state(body(limits.body), guard::limit_body))
        .layer(from_fn_with_state(Gate::new(limits.requests, "ordinary"), guard::load_shed));
    let long_routes = long_routes
        .layer(from_fn_with_state(body(limits.long_body), guard::limit_body))
        .layer(from_fn_with_state(Gate::new(limits.long_requests, "long"), guard::load_shed));

    let tracing = Arc::new(Tracing { clock: clock.clone(), metrics: RequestMetrics::default() });
    routes
        .merge(long_routes)
        .layer(DefaultBodyLimit::disable()) // ours holds for every way to read a body
        .layer(from_fn_with_state(config.proxies.clone(), client_addr::layer))
        .layer(from_fn(guard::catch_panic))
        .layer(from_fn(harden))
        .layer(from_fn_with_state(tracing, trace::layer))
}

/// Headers that every answer should carry, unless a handler has set its own.
async fn harden(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, HeaderValue); 3] = [
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("x-frame-options"), HeaderValue::from_static("DENY")),
    ];
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}
