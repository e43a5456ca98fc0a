//! The routes for whoever runs the service: probes and metrics. They stand outside the limits of the service, so that a
//! service that sheds load is not restarted for it.

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use buttress_health::{Group, Health, Report};
use buttress_telemetry::Telemetry;

/// The text format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn router(health: Health, telemetry: Telemetry) -> Router {
    let group = |group| get(move |State(health): State<Health>| async move { answer(&health.report(group)) });
    Router::new()
        .route("/livez", group(Group::Live))
        .route("/readyz", group(Group::Ready))
        .route("/startupz", group(Group::Startup))
        .route("/healthz", group(Group::All))
        .with_state(health)
        .route("/metrics", get(metrics).with_state(telemetry))
}

fn answer(report: &Report) -> Response {
    let status = if report.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // Serialising strings into memory does not fail.
    let body = serde_json::to_vec(report).unwrap_or_default();
    let headers = [(CONTENT_TYPE, Report::MEDIA_TYPE), (CACHE_CONTROL, "no-store")];
    (status, headers, body).into_response()
}

async fn metrics(State(telemetry): State<Telemetry>) -> Response {
    // Rendering many series takes milliseconds, and reads files.
    match tokio::task::spawn_blocking(move || telemetry.metrics_text()).await {
        Ok(text) => ([(CONTENT_TYPE, HeaderValue::from_static(METRICS))], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
