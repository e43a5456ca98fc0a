//! Errors as `application/problem+json` (RFC 9457), and the one table from [`ErrorClass`] to HTTP status.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use buttress_core::{Classify, ErrorClass, chain};
use buttress_telemetry::RequestId;
use http_body_util::BodyExt;
use serde::ser::{Serialize, SerializeMap, Serializer};

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The longest plain error body that is taken over as a problem's detail.
const MAX_PLAIN: u64 = 4096;

/// What went wrong, for whoever asked.
///
/// Every error that knows its class turns into one, so that handlers can use `?`:
///
/// ```
/// use buttress_core::{ErrorClass, KeyError, Key};
/// use buttress_service::Problem;
///
/// async fn handler() -> Result<String, Problem> {
///     let key = Key::new("tenant-42")?; // 400 if it is none
///     Err(Problem::new(ErrorClass::NotFound).detail("no such tenant").with("tenant", key.as_str()))
/// }
/// ```
///
/// The text of an error that is no affair of the caller's (`internal`, `corrupt`, `unavailable`) goes to the log, and
/// the answer names the request to look for there.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    class: ErrorClass,
    status: StatusCode,
    detail: Option<String>,
    instance: Option<String>,
    retry_after: Option<Duration>,
    members: serde_json::Map<String, serde_json::Value>,
}

impl Problem {
    /// A problem of this class, with the status that belongs to it.
    #[must_use]
    pub fn new(class: ErrorClass) -> Self {
        Self {
            class,
            status: status_of(class),
            detail: None,
            instance: None,
            retry_after: None,
            members: serde_json::Map::new(),
        }
    }

    /// Says what was wrong with this request, and what would do.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Answers with another status than that of the class.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Says when it makes sense to try again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds a member of one's own to the object. The standard members win over one of the same name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    /// The class.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// The HTTP status.
    #[must_use]
    pub fn status_code(&self) -> StatusCode {
        self.status
    }

    fn to_body(&self) -> Body {
        // Serialising strings and numbers into memory does not fail.
        Body::from(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// The one table from class to status.
#[must_use]
pub fn status_of(class: ErrorClass) -> StatusCode {
    match class {
        ErrorClass::Invalid => StatusCode::BAD_REQUEST,
        ErrorClass::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorClass::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorClass::NotFound => StatusCode::NOT_FOUND,
        ErrorClass::Conflict => StatusCode::CONFLICT,
        ErrorClass::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorClass::Forbidden => StatusCode::FORBIDDEN,
        ErrorClass::Throttled => StatusCode::TOO_MANY_REQUESTS,
        ErrorClass::Overloaded | ErrorClass::Unavailable | ErrorClass::Cancelled => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorClass::Timeout => StatusCode::GATEWAY_TIMEOUT,
        // `Internal`, `Corrupt`, and classes that this version does not know.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The class of an error that only has a status: one of the router's or an extractor's.
fn class_of(status: StatusCode) -> ErrorClass {
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => ErrorClass::NotFound,
        StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::URI_TOO_LONG
        | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => ErrorClass::TooLarge,
        StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::NOT_ACCEPTABLE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::NOT_IMPLEMENTED => ErrorClass::Unsupported,
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => ErrorClass::Conflict,
        StatusCode::UNAUTHORIZED => ErrorClass::Unauthenticated,
        StatusCode::FORBIDDEN => ErrorClass::Forbidden,
        StatusCode::TOO_MANY_REQUESTS => ErrorClass::Throttled,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ErrorClass::Timeout,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY => ErrorClass::Unavailable,
        status if status.is_server_error() => ErrorClass::Internal,
        _ => ErrorClass::Invalid,
    }
}

impl<E: Classify + std::error::Error> From<E> for Problem {
    fn from(error: E) -> Self {
        let class = error.class();
        let mut problem = Self::new(class);
        problem.retry_after = error.retry_after();
        if matches!(class, ErrorClass::Internal | ErrorClass::Corrupt | ErrorClass::Unavailable) {
            tracing::error!(target: "buttress::service", error = chain(&error), class = class.as_str(), "request failed");
            return problem;
        }
        problem.detail(error.to_string())
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        const STANDARD: [&str; 7] = ["type", "title", "status", "detail", "instance", "class", "retry_after"];
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("type", &format_args!("urn:buttress:problem:{}", self.class))?;
        map.serialize_entry("title", self.status.canonical_reason().unwrap_or("Error"))?;
        map.serialize_entry("status", &self.status.as_u16())?;
        map.serialize_entry("class", self.class.as_str())?;
        if let Some(detail) = &self.detail {
            map.serialize_entry("detail", detail)?;
        }
        if let Some(instance) = &self.instance {
            map.serialize_entry("instance", instance)?;
        }
        if let Some(wait) = self.retry_after {
            map.serialize_entry("retry_after", &whole_seconds(wait))?;
        }
        for (name, value) in self.members.iter().filter(|(name, _)| !STANDARD.contains(&name.as_str())) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.to_body()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, MEDIA_TYPE);
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        // The request is named on the way out, by the layer that knows it.
        response.extensions_mut().insert(self);
        response
    }
}

/// Rounded up: a client that comes a fraction early is refused again.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Gives a problem the name of its request, and makes a problem of an error that has no body or a plain one, as those
/// of the router and the extractors.
pub(crate) async fn finish(mut response: Response, id: &RequestId) -> Response {
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if is_plain_error(&response) => {
            let status = response.status();
            let problem = Problem::new(class_of(status)).status(status);
            let body =
                std::mem::take(response.body_mut()).collect().await.map(http_body_util::Collected::to_bytes);
            match body.as_deref().map(String::from_utf8_lossy) {
                Ok(text) if !text.is_empty() && status.is_client_error() => problem.detail(text),
                Ok(text) if !text.is_empty() => {
                    tracing::error!(target: "buttress::service", error = &*text, "request failed");
                    problem
                }
                _ => problem,
            }
        }
        None => return response,
    };
    let problem = Problem { instance: Some(id.to_string()), ..problem };
    *response.body_mut() = problem.to_body();
    response.headers_mut().remove(CONTENT_LENGTH);
    response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
    response
}

fn is_plain_error(response: &Response) -> bool {
    let status = response.status();
    let plain =
        response.headers().get(CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let short = response.body().size_hint().exact().is_some_and(|size| size <= MAX_PLAIN);
    (status.is_client_error() || status.is_server_error()) && plain && short
}
