//! Limits in front of an HTTP service: a [`tower_layer::Layer`].
//!
//! ```
//! use buttress_ratelimit::layer::RateLimitLayer;
//! use buttress_ratelimit::{Limit, Limiter, Request};
//!
//! /// Who is asking: here by the header that a gateway has set.
//! fn caller<B>(request: &http::Request<B>) -> Request<'_> {
//!     let user = request.headers().get("x-user").and_then(|user| user.to_str().ok());
//!     user.map_or(Request::new(), Request::user)
//! }
//!
//! let layer = RateLimitLayer::new(Limiter::new(Limit::per_minute(10)), caller::<String>);
//! # let _ = layer;
//! ```

mod answer;

use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::BoxFuture;
use http::{Response, StatusCode};
use tower_service::Service;

use crate::{AnyLimiter, Decision, Request};

/// Tells of a request who is asking: whose limits count, of which tier, over which route.
///
/// Any function from a request to a [`Request`] does. What it names may be borrowed from the request: a header, an extension that
/// authentication has put there. The address of the client comes from the application, which knows its proxies.
pub trait Identify<B>: Send + Sync + 'static {
    /// Who is asking, and for how much.
    fn identify<'r>(&self, request: &'r http::Request<B>) -> Request<'r>;
}

impl<B, F> Identify<B> for F
where
    F: for<'r> Fn(&'r http::Request<B>) -> Request<'r> + Send + Sync + 'static,
{
    fn identify<'r>(&self, request: &'r http::Request<B>) -> Request<'r> {
        self(request)
    }
}

/// Something that a machine does not do, for callers that were refused too often: a CAPTCHA, a proof of work. The application
/// implements it.
pub trait Challenge<B>: Send + Sync + 'static {
    /// Whether the request shows that the challenge was met. The caller is pardoned then.
    fn is_met(&self, request: &http::Request<B>) -> bool;

    /// Where the challenge is found: told to the caller as `challenge` in the answer.
    fn location(&self) -> Option<String> {
        None
    }
}

/// Puts limits in front of a service.
///
/// What is refused is answered here, with 429 or, where coming back does not help, 403; 503 where the shared state is gone. Other answers
/// carry the headers too.
///
/// | header | where | |
/// |---|---|---|
/// | `RateLimit-Policy`, `RateLimit` | wherever limits were looked at | draft-ietf-httpapi-ratelimit-headers-11 |
/// | `X-RateLimit-Limit`, `-Remaining`, `-Reset` | the same | of the limit that allows least; `Reset` in seconds from now |
/// | `Retry-After` | where coming back helps | in seconds |
///
/// The body is JSON: `error`, `retry_after`, `limit`, `remaining`.
pub struct RateLimitLayer<B> {
    shared: Arc<Shared<B>>,
}

// Bodies need not be `Clone`.
impl<B> Clone for RateLimitLayer<B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<B> {
    limiter: AnyLimiter,
    identify: Box<dyn Identify<B>>,
    challenge: Option<Box<dyn Challenge<B>>>,
    unlimited: Vec<Box<str>>,
    is_failure: Option<fn(StatusCode) -> bool>,
}

impl<B: 'static> RateLimitLayer<B> {
    /// Limits of `limiter` for whom `identify` names. The probes and the metrics of a service (`/livez`, `/readyz`, `/startupz`,
    /// `/healthz`, `/metrics`) are never limited.
    pub fn new(limiter: impl Into<AnyLimiter>, identify: impl Identify<B>) -> Self {
        let limiter = limiter.into();
        let unlimited = ["/livez", "/readyz", "/startupz", "/healthz", "/metrics"].map(Box::from).to_vec();
        let identify = Box::new(identify);
        Self { shared: Arc::new(Shared { limiter, identify, challenge: None, unlimited, is_failure: None }) }
    }

    fn change(mut self, change: impl FnOnce(&mut Shared<B>)) -> Self {
        // Nobody else has it yet, unless the layer was cloned half-way; that clone stays as it is then.
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            change(shared);
        }
        self
    }

    /// These paths, exactly, are never limited; instead of the probes and metrics.
    #[must_use]
    pub fn never_limit<P: Into<Box<str>>>(self, paths: impl IntoIterator<Item = P>) -> Self {
        self.change(|shared| shared.unlimited = paths.into_iter().map(Into::into).collect())
    }

    /// Callers who were refused too often may show that they are no machine. Without it they have to wait until that is forgotten.
    #[must_use]
    pub fn challenge(self, challenge: impl Challenge<B>) -> Self {
        self.change(|shared| shared.challenge = Some(Box::new(challenge)))
    }

    /// Answers whose status is one of these count as failures of the caller: `|status| status == StatusCode::UNAUTHORIZED`.
    #[must_use]
    pub fn failures(self, is_failure: fn(StatusCode) -> bool) -> Self {
        self.change(|shared| shared.is_failure = Some(is_failure))
    }
}

impl<B> std::fmt::Debug for RateLimitLayer<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RateLimitLayer({:?})", self.shared.limiter)
    }
}

impl<S, B> tower_layer::Layer<S> for RateLimitLayer<B> {
    type Service = RateLimited<S, B>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimited { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service with limits in front of it.
pub struct RateLimited<S, B> {
    inner: S,
    shared: Arc<Shared<B>>,
}

impl<S: Clone, B> Clone for RateLimited<S, B> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S: std::fmt::Debug, B> std::fmt::Debug for RateLimited<S, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RateLimited({:?}, {:?})", self.shared.limiter, self.inner)
    }
}

impl<S, B, R> Service<http::Request<B>> for RateLimited<S, B>
where
    S: Service<http::Request<B>, Response = Response<R>, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
    R: From<String> + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        // The one that is ready goes with the request.
        let next = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, next);
        Box::pin(Arc::clone(&self.shared).serve(ready, request))
    }
}

impl<B: 'static> Shared<B> {
    async fn serve<S, R>(
        self: Arc<Self>,
        mut service: S,
        request: http::Request<B>,
    ) -> Result<Response<R>, S::Error>
    where
        S: Service<http::Request<B>, Response = Response<R>>,
        R: From<String>,
    {
        if self.unlimited.iter().any(|path| **path == *request.uri().path()) {
            return service.call(request).await;
        }
        // A body need not be `Sync`, so nothing is borrowed from the request while a server is asked.
        let asked = self.identify.identify(&request).detached();
        let (mut decision, mut windows) = self.limiter.check_in_full(asked.borrow()).await;
        if let (Decision::Challenge { .. }, Some(challenge)) = (&decision, &self.challenge)
            && challenge.is_met(&request)
        {
            self.limiter.pardon(asked.borrow()).await;
            (decision, windows) = self.limiter.check_in_full(asked.borrow()).await;
        }
        if !decision.is_admitted() {
            let place = self.challenge.as_ref().and_then(|challenge| challenge.location());
            return Ok(answer::refusal(&decision, &windows, place));
        }
        let mut response = service.call(request).await?;
        answer::complete(&mut response, answer::headers(&decision, &windows));
        if self.is_failure.is_some_and(|is_failure| is_failure(response.status())) {
            self.limiter.report_failure(asked.borrow()).await;
        }
        Ok(response)
    }
}
