//! What a client is told.

use std::fmt::Write as _;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::headers::{RATE_LIMIT, RATE_LIMIT_POLICY, rate_limit, rate_limit_policy, seconds};
use crate::{Decision, WindowStatus};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Headers of one answer.
pub(super) type Headers = Vec<(HeaderName, HeaderValue)>;

/// The headers that tell how the limits stand; none where none were looked at.
pub(super) fn headers(decision: &Decision, windows: &[WindowStatus]) -> Headers {
    let Some(quota) = decision.quota().filter(|_| !windows.is_empty()) else { return Headers::new() };
    let fields = [
        (HeaderName::from_static(RATE_LIMIT_POLICY), rate_limit_policy(windows)),
        (HeaderName::from_static(RATE_LIMIT), rate_limit(windows)),
    ];
    let text =
        fields.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?)));
    let numbers = [
        (LIMIT, quota.limit.into()),
        (REMAINING, quota.remaining.into()),
        (RESET, seconds(quota.reset_after())),
    ];
    text.chain(numbers.map(|(name, number)| (name, HeaderValue::from(number)))).collect()
}

/// Adds the headers to the answer of a service. What a handler says of limits of its own stays.
pub(super) fn complete<R>(response: &mut Response<R>, headers: Headers) {
    for (name, value) in headers {
        response.headers_mut().entry(name).or_insert(value);
    }
}

/// The answer to a request that is not admitted.
pub(super) fn refusal<R: From<String>>(
    decision: &Decision,
    windows: &[WindowStatus],
    challenge: Option<String>,
) -> Response<R> {
    let (status, error) = match decision {
        Decision::Challenge { .. } => (StatusCode::TOO_MANY_REQUESTS, "challenge_required"),
        Decision::Banned { .. } => (StatusCode::FORBIDDEN, "banned"),
        Decision::Denied => (StatusCode::FORBIDDEN, "denied"),
        Decision::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "rate_limiter_unavailable"),
        _ => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"),
    };
    let retry_after = decision.retry_after().map(|wait| seconds(wait).max(1));
    let mut body = format!("{{\"error\":\"{error}\"");
    // Writing into memory does not fail.
    let _ = match retry_after {
        Some(wait) => write!(body, ",\"retry_after\":{wait}"),
        None => write!(body, ",\"retry_after\":null"),
    };
    if let Some(quota) = decision.quota() {
        let _ = write!(body, ",\"limit\":{},\"remaining\":{}", quota.limit, quota.remaining);
    }
    if let (Decision::Challenge { .. }, Some(place)) = (decision, challenge) {
        body.push_str(",\"challenge\":");
        quote(&mut body, &place);
    }
    body.push('}');
    let mut response = Response::new(R::from(body));
    *response.status_mut() = status;
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    out.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(wait) = retry_after {
        out.insert(RETRY_AFTER, wait.into());
    }
    out.extend(headers(decision, windows));
    response
}

/// A string in JSON.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
