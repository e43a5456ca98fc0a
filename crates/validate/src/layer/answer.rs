//! What a client is told: `application/problem+json` (RFC 9457).

use buttress_core::ErrorClass;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::error::Code;
use crate::json::Problem;

/// Why a request is not served.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: Code,
    pub(super) detail: String,
    /// Of a body in JSON.
    pub(super) problem: Option<Box<Problem>>,
}

#[derive(Serialize)]
struct Answer<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    class: &'static str,
    detail: &'a str,
    code: Code,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Problem],
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), problem: None }
    }

    pub(super) fn json(problem: Problem) -> Self {
        let large = matches!(problem.code, Code::TooLong | Code::TooDeep | Code::TooMany);
        let status = if large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
        let detail = format!("the body {}; {}", problem.message, problem.remedy);
        Self { status, code: problem.code, detail, problem: Some(Box::new(problem)) }
    }

    fn class(&self) -> ErrorClass {
        match self.status {
            StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::URI_TOO_LONG
            | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => ErrorClass::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorClass::Unsupported,
            _ => ErrorClass::Invalid,
        }
    }

    pub(super) fn answer<R: From<String>>(&self) -> Response<R> {
        let answer = Answer {
            r#type: format!("urn:buttress:problem:{}", self.class()),
            title: self.status.canonical_reason().unwrap_or("Refused"),
            status: self.status.as_u16(),
            class: self.class().as_str(),
            detail: &self.detail,
            code: self.code,
            errors: self.problem.as_deref().map(std::slice::from_ref).unwrap_or_default(),
        };
        // A struct of texts and numbers always is JSON.
        let mut response = Response::new(R::from(serde_json::to_string(&answer).unwrap_or_default()));
        *response.status_mut() = self.status;
        let out = response.headers_mut();
        out.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        out.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // The rest of the body is not read: it may be endless.
        out.insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}
