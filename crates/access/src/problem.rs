//! What a caller is told that is refused.

use buttress_core::ErrorClass;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

/// A problem (RFC 9457) with a code of a closed set, and nothing of why that is so.
pub(crate) fn problem<R: From<String>>(
    status: StatusCode,
    class: ErrorClass,
    code: &'static str,
) -> Response<R> {
    let title = status.canonical_reason().unwrap_or("Error");
    // All of them are words without quotes.
    let body = format!(
        "{{\"type\":\"urn:buttress:problem:{class}\",\"title\":\"{title}\",\"status\":{},\"class\":\"{class}\",\"code\":\"{code}\"}}",
        status.as_u16()
    );
    let mut response = Response::new(R::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 403, and why in one word.
pub(crate) fn forbidden<R: From<String>>(code: &'static str) -> Response<R> {
    problem(StatusCode::FORBIDDEN, ErrorClass::Forbidden, code)
}
