//! The outermost layer: names the request, measures it, and tells the log how it ended.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use buttress_core::SharedClock;
use buttress_telemetry::{RequestId, TraceContext};
use tracing::Instrument;

use crate::metrics::RequestMetrics;
use crate::problem;

const REQUEST_ID: &str = "x-request-id";
const TRACEPARENT: &str = "traceparent";

/// The route of a request that no route matches. Its path is the caller's choice, so it is no label.
const UNMATCHED: &str = "unmatched";

/// What the layer needs.
pub(crate) struct Tracing {
    pub(crate) clock: SharedClock,
    pub(crate) metrics: RequestMetrics,
}

pub(crate) async fn layer(State(tracing): State<Arc<Tracing>>, mut request: Request, next: Next) -> Response {
    let start = tracing.clock.now();
    let id = header(&request, REQUEST_ID)
        .and_then(RequestId::parse)
        .unwrap_or_else(|| RequestId::generate(tracing.clock.wall()));
    let trace = TraceContext::from_header(header(&request, TRACEPARENT));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    let span = tracing::info_span!(
        target: "buttress::service",
        "request",
        request_id = id.as_str(),
        trace_id = trace.trace_id(),
        method = method.as_str(),
        route,
        client = tracing::field::Empty,
    );
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(trace);

    async {
        let response = next.run(request).await;
        let mut response = problem::finish(response, &id).await;
        if let Ok(value) = HeaderValue::from_str(id.as_str()) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        let status = response.status();
        let took = tracing.clock.now().saturating_duration_since(start);
        tracing.metrics.answered(&method, route, status, took);
        let (status, took_ms) = (status.as_u16(), took.as_secs_f64() * 1e3);
        if status >= 500 {
            tracing::warn!(target: "buttress::service", status, took_ms, "answered");
        } else {
            tracing::info!(target: "buttress::service", status, took_ms, "answered");
        }
        response
    }
    .instrument(span)
    .await
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}
