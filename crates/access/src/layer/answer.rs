//! What a client is told whose request does not pass.

use buttress_core::{Classify, ErrorClass};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

use crate::Error;

/// Why a request does not pass, as far as its sender may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    Missing,
    Several,
    Refused,
    Unavailable,
}

impl Problem {
    /// A credential that is refused is refused: why is for logs.
    pub(super) fn of(error: &Error) -> Self {
        match error.class() {
            ErrorClass::Unauthenticated => Self::Refused,
            _ => Self::Unavailable,
        }
    }

    pub(super) fn response<R: From<String>>(self, realm: &str) -> Response<R> {
        let (status, code, title) = match self {
            Self::Missing => (StatusCode::UNAUTHORIZED, "credential_required", "A credential is required"),
            Self::Refused => {
                (StatusCode::UNAUTHORIZED, "invalid_credential", "The credential is not accepted")
            }
            Self::Several => (StatusCode::BAD_REQUEST, "several_credentials", "Send one credential"),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "authentication_unavailable",
                "Credentials cannot be checked now",
            ),
        };
        // RFC 6750, section 3: without a credential no error is told.
        let challenge = match self {
            Self::Missing => Some(format!("Bearer realm=\"{realm}\"")),
            Self::Refused => Some(format!("Bearer realm=\"{realm}\", error=\"invalid_token\"")),
            Self::Several => Some(format!("Bearer realm=\"{realm}\", error=\"invalid_request\"")),
            Self::Unavailable => None,
        };
        let number = status.as_u16();
        let body = format!(r#"{{"type":"about:blank","title":"{title}","status":{number},"code":"{code}"}}"#);
        let mut response = Response::new(R::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
