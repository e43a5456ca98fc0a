//! Sessions in front of an HTTP service: a [`tower_layer::Layer`].
//!
//! Behind it, a request of a valid session has a [`Session`] and a [`Principal`](crate::Principal) in its extensions.
//! Others go on without, and what they may do is for a policy to say. Requests that change something and come from elsewhere are
//! answered here, with 403; 503 where the store does not answer.

use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::{BoxFuture, Classify, Ctx, Event, Outcome, chain};
use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN, SET_COOKIE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use metrics::{counter, describe_counter};
use tower_service::Service;

use super::cookie;
use super::csrf::{Arrival, Csrf, CsrfRefusal, TokenCheck};
use super::sessions::{Session, Sessions};
use crate::Error;
use crate::metrics::REFUSED;
use crate::problem::{forbidden, problem};

/// Puts sessions in front of a service. Emits `request.csrf` where a request is refused for where it comes from.
///
/// Requests with a bearer token and without a session are not asked where they come from: no page of another can make a browser send one.
#[derive(Debug, Clone)]
pub struct SessionLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sessions: Sessions,
    csrf: Csrf,
    ctx: Ctx,
}

impl SessionLayer {
    /// Of these sessions, with this check.
    #[must_use]
    pub fn new(sessions: &Sessions, csrf: &Csrf, ctx: &Ctx) -> Self {
        describe_counter!(
            REFUSED,
            "Requests that were refused before a policy was asked, by check and reason"
        );
        let shared = Shared { sessions: sessions.clone(), csrf: csrf.clone(), ctx: ctx.clone() };
        Self { shared: Arc::new(shared) }
    }
}

impl<S> tower_layer::Layer<S> for SessionLayer {
    type Service = WithSession<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithSession { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service with sessions in front of it.
#[derive(Debug, Clone)]
pub struct WithSession<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, B, R> Service<http::Request<B>> for WithSession<S>
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

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        // The one that is ready goes with the request.
        let next = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, next);
        let shared = Arc::clone(&self.shared);
        let id = shared.id(&request).map(str::to_owned);
        Box::pin(async move {
            let session = match id.as_deref() {
                None => None,
                Some(id) => match shared.sessions.find(id).await {
                    Ok(session) => Some(session),
                    Err(Error::Refused { .. }) => None,
                    Err(error) => return Ok(unavailable(&error)),
                },
            };
            if let Err(why) = shared.check(&request, session.as_ref()) {
                shared.tell(why, session.as_ref());
                return Ok(forbidden(why.as_str()));
            }
            let stale = id.is_some() && session.is_none();
            if let Some(session) = session {
                request.extensions_mut().insert(session.principal.clone());
                request.extensions_mut().insert(session);
            }
            let mut response = ready.call(request).await?;
            if stale {
                shared.forget(&mut response);
            }
            Ok(response)
        })
    }
}

impl Shared {
    /// What stands in the cookie. One that is there twice, or holds what it must not, is no session.
    fn id<'r, B>(&self, request: &'r http::Request<B>) -> Option<&'r str> {
        let headers = request.headers().get_all(COOKIE).iter();
        // What is not ASCII may be another's cookie; it must not hide one that is there twice.
        let headers: Option<Vec<&str>> =
            headers.map(|header| std::str::from_utf8(header.as_bytes()).ok()).collect();
        let found = cookie::find(headers?, self.sessions.cookie_name()).ok()?;
        found.filter(|id| !id.is_empty())
    }

    fn check<B>(&self, request: &http::Request<B>, session: Option<&Session>) -> Result<(), CsrfRefusal> {
        let arrival = Arrival {
            method: request.method().as_str(),
            fetch_site: one(request, &HeaderName::from_static("sec-fetch-site")),
            origin: one(request, &ORIGIN),
            // HTTP/2 has it in the address.
            host: request.uri().authority().map(http::uri::Authority::as_str).or_else(|| one(request, &HOST)),
        };
        let Some(session) = session else {
            let bearer = |header: &HeaderValue| {
                header.as_bytes().get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
            };
            let exempt = request.headers().get(AUTHORIZATION).is_some_and(bearer);
            return if exempt { Ok(()) } else { self.csrf.check_anonymous(&arrival) };
        };
        let config = self.csrf.config();
        let token = match config.token {
            TokenCheck::Header => {
                HeaderName::try_from(&config.header).ok().and_then(|name| one(request, &name))
            }
            _ => None,
        };
        self.csrf.check(&arrival, session.hash.as_bytes(), token)
    }

    fn tell(&self, why: CsrfRefusal, session: Option<&Session>) {
        counter!(REFUSED, "check" => "csrf", "reason" => why.as_str()).increment(1);
        let event =
            Event::new(self.ctx.clock.wall(), "request.csrf", Outcome::Denied).detail(why.to_string());
        let event = match session {
            Some(session) => event.actor(session.principal.id.as_str()).target(session.hash.short()),
            None => event,
        };
        self.ctx.events.emit(event);
    }

    /// Takes an id that is good for nothing from the browser, unless the handler has given it another.
    fn forget<R>(&self, response: &mut Response<R>) {
        let name = self.sessions.cookie_name().as_bytes();
        let own = |header: &HeaderValue| {
            header.as_bytes().strip_prefix(name).is_some_and(|rest| rest.starts_with(b"="))
        };
        if !response.headers().get_all(SET_COOKIE).iter().any(own)
            && let Ok(cookie) = HeaderValue::try_from(self.sessions.no_cookie())
        {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
}

/// The one header of this name. Two of them, or one that is no text, is a value that is never right.
fn one<'r, B>(request: &'r http::Request<B>, name: &HeaderName) -> Option<&'r str> {
    let mut all = request.headers().get_all(name).iter();
    let first = all.next()?;
    Some(if all.next().is_some() { "" } else { first.to_str().unwrap_or_default() })
}

fn unavailable<R: From<String>>(error: &Error) -> Response<R> {
    tracing::error!(target: "buttress::access", error = chain(error), class = error.class().as_str(), "no sessions");
    problem(StatusCode::SERVICE_UNAVAILABLE, buttress_core::ErrorClass::Unavailable, "sessions_unavailable")
}
