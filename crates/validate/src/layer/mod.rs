//! Limits in front of an HTTP service: a [`tower_layer::Layer`].
//!
//! Path, headers, media type and stated length are judged before the service is called. The body is judged as it streams: its size by its
//! media type, and JSON by its shape, so a body of brackets is refused at the first that is too deep, with nothing built from it.
//!
//! ```
//! use buttress_core::Ctx;
//! use buttress_validate::layer::{RequestLimits, RequestLimitsLayer};
//!
//! let limits: RequestLimits = serde_json::from_str(r#"{"body_by_type": {"multipart/form-data": "16MiB"}, "json": {"depth": 8}}"#)?;
//! let layer = RequestLimitsLayer::new(limits, &Ctx::default())?;
//! # let _ = layer;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It stands inside of what decompresses: JSON that is still compressed is refused, since its shape cannot be seen. A service that acts on the
//! beginning of a body has acted when the end is found to be wrong; most read all of it first.

mod answer;
mod body;
mod config;

use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use buttress_core::{BoxFuture, Ctx, Event, Outcome, Validate};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Request, Response, StatusCode};
use tower_service::Service;

use self::answer::Refusal;
use self::body::too_large;
use self::config::is_json;
use crate::error::{Code, Error, Result};
use crate::json::JsonLimiter;
use crate::metrics::Refusals;

pub use self::body::{LimitedBody, Refused};
pub use self::config::RequestLimits;

/// Holds requests to [`RequestLimits`]. What is past one is answered here, with `application/problem+json`; it is counted
/// (`place="requests"`), and told as the event `request.refuse`.
#[derive(Debug, Clone)]
pub struct RequestLimitsLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: RequestLimits,
    ctx: Ctx,
    refusals: Refusals,
}

impl RequestLimitsLayer {
    /// A layer with these limits.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when a field is out of its range.
    pub fn new(limits: RequestLimits, ctx: &Ctx) -> Result<Self> {
        limits.validate().map_err(Error::Config)?;
        Ok(Self {
            shared: Arc::new(Shared { limits, ctx: ctx.clone(), refusals: Refusals::new("requests") }),
        })
    }
}

impl<S> tower_layer::Layer<S> for RequestLimitsLayer {
    type Service = RequestLimited<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestLimited { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service with limits in front of it.
#[derive(Debug, Clone)]
pub struct RequestLimited<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, B, R> Service<Request<B>> for RequestLimited<S>
where
    S: Service<Request<LimitedBody<B>>, Response = Response<R>, Error: Send, Future: Send + 'static>,
    R: From<String> + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        let judged = match shared.judge(request.uri(), request.headers()) {
            Ok(judged) => judged,
            Err(refusal) => return Box::pin(async move { Ok(shared.refuse(&refusal)) }),
        };
        let refused = Arc::new(OnceLock::new());
        let json = judged.json.then(|| JsonLimiter::new(shared.limits.json.clone()));
        let request = request.map(|body| LimitedBody::new(body, judged.most, json, Arc::clone(&refused)));
        let served = self.inner.call(request);
        Box::pin(async move {
            let served = served.await;
            match refused.get() {
                Some(refusal) => Ok(shared.refuse(refusal)),
                None => served,
            }
        })
    }
}

/// What the head of a request says of its body.
struct Judged {
    most: u64,
    json: bool,
}

impl Shared {
    fn judge(&self, uri: &http::Uri, headers: &HeaderMap) -> Result<Judged, Refusal> {
        let limits = &self.limits;
        let uri_bytes = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
        if uri_bytes > limits.uri_bytes.as_usize() {
            let detail =
                format!("the path and query have more than {} bytes; use a body", limits.uri_bytes.bytes());
            return Err(Refusal::new(StatusCode::URI_TOO_LONG, Code::TooLong, detail));
        }
        let large =
            |code, detail| Err(Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, code, detail));
        if headers.len() > limits.headers {
            return large(
                Code::TooMany,
                format!("there are more than {} headers; send fewer", limits.headers),
            );
        }
        let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if bytes > limits.header_bytes.as_usize() {
            let detail =
                format!("the headers have more than {} bytes; send less", limits.header_bytes.bytes());
            return large(Code::TooLong, detail);
        }
        let media_type = media_type(headers)?;
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let has_body = length.map_or(!media_type.is_empty(), |length| length > 0);
        if has_body && !limits.only_types.is_empty() && !limits.only_types.contains(&media_type) {
            let detail = format!(
                "the body is of a media type that is not taken; send {}",
                limits.only_types.join(" or ")
            );
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::Kind, detail));
        }
        let most = limits.body(&media_type).bytes();
        if length.is_some_and(|length| length > most) {
            return Err(too_large(most));
        }
        let json = is_json(&media_type);
        let encoded = headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
        if json && encoded {
            let detail = "the body is compressed; send it as it is";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::Kind, detail));
        }
        Ok(Judged { most, json })
    }

    fn refuse<R: From<String>>(&self, refusal: &Refusal) -> Response<R> {
        self.refusals.count(refusal.code);
        let event = Event::new(self.ctx.clock.wall(), "request.refuse", Outcome::Denied);
        self.ctx.events.emit(event.detail(format!("{} {}", refusal.status.as_u16(), refusal.code)));
        refusal.answer()
    }
}

/// The media type in lower case without parameters; `""` where there is none.
fn media_type(headers: &HeaderMap) -> Result<String, Refusal> {
    let wrong = |detail| Refusal::new(StatusCode::BAD_REQUEST, Code::Syntax, detail);
    let mut all = headers.get_all(CONTENT_TYPE).iter();
    let Some(first) = all.next() else { return Ok(String::new()) };
    if all.next().is_some() {
        return Err(wrong("there is more than one `Content-Type`; send one"));
    }
    let text =
        first.to_str().map_err(|_| wrong("`Content-Type` is not ASCII; write it like application/json"))?;
    Ok(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}
