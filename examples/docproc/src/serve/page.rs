//! The page for people: four files, compiled in.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};

/// Nothing from elsewhere, nothing inline.
const POLICY: &str = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("../../page/index.html")))
        .route("/app.js", file("text/javascript; charset=utf-8", include_str!("../../page/app.js")))
        .route("/icon.svg", file("image/svg+xml", include_str!("../../page/icon.svg")))
        .route("/style.css", file("text/css; charset=utf-8", include_str!("../../page/style.css")))
}

fn file(kind: &'static str, content: &'static str) -> MethodRouter {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    get(move || std::future::ready((headers, content).into_response()))
}
