//! What a client is told whose request does not pass.

use buttress_core::{Classify, ErrorClass};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Response, StatusCode};

use crate::Error;
use crate::problem::problem;

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
        let mut response = match self {
            Self::Missing => unauthenticated("credential_required"),
            Self::Refused => unauthenticated("invalid_credential"),
            Self::Several => problem(StatusCode::BAD_REQUEST, ErrorClass::Invalid, "several_credentials"),
            Self::Unavailable => {
                let (status, class) = (StatusCode::SERVICE_UNAVAILABLE, ErrorClass::Unavailable);
                problem(status, class, "authentication_unavailable")
            }
        };
        // RFC 6750, section 3: without a credential no error is told.
        let challenge = match self {
            Self::Missing => Some(format!("Bearer realm=\"{realm}\"")),
            Self::Refused => Some(format!("Bearer realm=\"{realm}\", error=\"invalid_token\"")),
            Self::Several => Some(format!("Bearer realm=\"{realm}\", error=\"invalid_request\"")),
            Self::Unavailable => None,
        };
        if let Some(challenge) = challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

fn unauthenticated<R: From<String>>(code: &'static str) -> Response<R> {
    problem(StatusCode::UNAUTHORIZED, ErrorClass::Unauthenticated, code)
}
