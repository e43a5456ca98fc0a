//! The page for people, and the description of the interface: files, compiled in.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};

/// Nothing from elsewhere, nothing inline. Pictures that need a key are fetched by the page, and shown as its own.
const POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("../../page/index.html")))
        .route("/page/app.js", file("text/javascript; charset=utf-8", include_str!("../../page/app.js")))
        .route("/page/style.css", file("text/css; charset=utf-8", include_str!("../../page/style.css")))
        .route("/openapi.json", file("application/json", include_str!("../../openapi.json")))
}

fn file(kind: &'static str, content: &'static str) -> MethodRouter {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    get(move || std::future::ready((headers, content).into_response()))
}
