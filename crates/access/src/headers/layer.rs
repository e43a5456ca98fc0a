//! Security headers and CORS in front of an HTTP service: a [`tower_layer::Layer`].

use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::{BoxFuture, Validate};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CACHE_CONTROL, COOKIE,
    ORIGIN, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use metrics::{counter, describe_counter};
use tower_service::Service;

use super::config::HeadersConfig;
use super::cors::{Call, CorsConfig, Verdict};
use super::csp::{Csp, Nonce};
use crate::Error;
use crate::metrics::PREFLIGHTS;

/// Adds the headers of a [`HeadersConfig`] to every answer, and answers preflights. Belongs outside of the layers that refuse.
///
/// Where the policy for pages has `nonce`, a [`Nonce`] is in the extensions of each request.
#[derive(Debug, Clone)]
pub struct HeadersLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The same for all answers.
    fixed: Vec<(HeaderName, HeaderValue)>,
    csp: Option<(HeaderName, Csp)>,
    cors: Option<Cors>,
    no_store: bool,
    replace: bool,
}

impl HeadersLayer {
    /// Adds these headers.
    pub fn new(config: &HeadersConfig) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        describe_counter!(PREFLIGHTS, "Preflights, by outcome");
        let csp = Csp::new(&config.csp)?;
        let word = |name: &'static str, value: Option<&str>| {
            (HeaderName::from_static(name), value.map(str::to_owned))
        };
        let fixed = [
            (STRICT_TRANSPORT_SECURITY, config.hsts.value()),
            (X_CONTENT_TYPE_OPTIONS, config.nosniff.then(|| "nosniff".to_owned())),
            (X_FRAME_OPTIONS, csp.as_ref().and_then(Csp::frame_options).map(str::to_owned)),
            (REFERRER_POLICY, config.referrer.value().map(str::to_owned)),
            (HeaderName::from_static("permissions-policy"), config.permissions.value()),
            word("cross-origin-opener-policy", config.opener.value()),
            word("cross-origin-resource-policy", config.resource.value()),
            word("cross-origin-embedder-policy", config.embedder.value()),
        ];
        let value =
            |(name, value): (HeaderName, Option<String>)| Some((name, HeaderValue::try_from(value?).ok()?));
        let shared = Shared {
            fixed: fixed.into_iter().filter_map(value).collect(),
            csp: csp.map(|csp| (HeaderName::from_static(csp.header()), csp)),
            cors: config.cors.as_ref().map(Cors::new),
            no_store: config.no_store,
            replace: config.replace,
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl<S> tower_layer::Layer<S> for HeadersLayer {
    type Service = Headers<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Headers { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service whose answers have the headers.
#[derive(Debug, Clone)]
pub struct Headers<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, B, R> Service<http::Request<B>> for Headers<S>
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
        let nonce = match &shared.csp {
            Some((_, csp)) if csp.needs_nonce() => Nonce::generate().ok(),
            _ => None,
        };
        if let Some(nonce) = &nonce {
            request.extensions_mut().insert(nonce.clone());
        }
        let secret = shared.no_store
            && [AUTHORIZATION, COOKIE].iter().any(|name| request.headers().contains_key(name));
        let cors = shared.cors.as_ref().map(|cors| cors.judge(&request));
        Box::pin(async move {
            let mut response = match &cors {
                Some(CorsAnswer::Preflight(status, _)) => {
                    let mut response = Response::new(R::from(String::new()));
                    *response.status_mut() = *status;
                    response
                }
                _ => ready.call(request).await?,
            };
            let headers = response.headers_mut();
            if let (Some(CorsAnswer::Preflight(_, more) | CorsAnswer::Goes(more)), Some(known)) =
                (cors, &shared.cors)
            {
                known.complete(headers, more);
            }
            shared.complete(headers, nonce.as_ref(), secret);
            Ok(response)
        })
    }
}

impl Shared {
    fn complete(&self, headers: &mut HeaderMap, nonce: Option<&Nonce>, secret: bool) {
        for (name, value) in &self.fixed {
            self.put(headers, name, value.clone());
        }
        if let Some((name, csp)) = &self.csp
            && let Ok(value) = HeaderValue::try_from(csp.value(nonce))
        {
            self.put(headers, name, value);
        }
        if secret {
            self.put(headers, &CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }

    fn put(&self, headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
        if self.replace || !headers.contains_key(name) {
            headers.insert(name, value);
        }
    }
}

type Fields = Vec<(HeaderName, HeaderValue)>;

/// What CORS adds, and whether the request goes on.
enum CorsAnswer {
    Goes(Fields),
    Preflight(StatusCode, Fields),
}

#[derive(Debug)]
struct Cors {
    config: CorsConfig,
    /// Of every answer to a preflight that is allowed.
    preflight: Fields,
    /// Of every answer that a page may read.
    allowed: Fields,
}

impl Cors {
    fn new(config: &CorsConfig) -> Self {
        let list = |name, list: &[String]| {
            let value = (!list.is_empty()).then(|| HeaderValue::try_from(list.join(", ")).ok()).flatten();
            value.map(|value| (name, value))
        };
        let credentials = config
            .credentials
            .then_some((ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
        let age = (ACCESS_CONTROL_MAX_AGE, HeaderValue::from(config.max_age.as_secs()));
        let preflight = [
            list(ACCESS_CONTROL_ALLOW_METHODS, &config.methods),
            list(ACCESS_CONTROL_ALLOW_HEADERS, &config.headers),
            credentials.clone(),
            Some(age),
        ];
        let allowed = [list(ACCESS_CONTROL_EXPOSE_HEADERS, &config.expose), credentials];
        let (preflight, allowed) =
            (preflight.into_iter().flatten().collect(), allowed.into_iter().flatten().collect());
        Self { config: config.clone(), preflight, allowed }
    }

    fn judge<B>(&self, request: &http::Request<B>) -> CorsAnswer {
        let headers = request.headers();
        // Two of them, or one that is no text, is an origin that nobody has.
        let one = |name: &HeaderName| {
            let mut all = headers.get_all(name).iter();
            let first = all.next()?;
            Some(if all.next().is_some() { "" } else { first.to_str().unwrap_or_default() })
        };
        // Several lists of headers are one, and only the first would be looked at.
        let lists = headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter().count();
        let call = Call {
            method: request.method().as_str(),
            origin: one(&ORIGIN),
            asks_method: one(&ACCESS_CONTROL_REQUEST_METHOD),
            asks_headers: if lists > 1 { Some("*") } else { one(&ACCESS_CONTROL_REQUEST_HEADERS) },
            asks_private_network: headers.contains_key("access-control-request-private-network"),
        };
        let origin =
            |text: &str| HeaderValue::try_from(text).ok().map(|value| (ACCESS_CONTROL_ALLOW_ORIGIN, value));
        let with = |text, more: &Fields| origin(text).into_iter().chain(more.iter().cloned()).collect();
        let verdict = self.config.judge(&call);
        match verdict {
            Verdict::Preflight(_) => counter!(PREFLIGHTS, "outcome" => "allowed").increment(1),
            Verdict::Refused(why) => counter!(PREFLIGHTS, "outcome" => why.as_str()).increment(1),
            _ => {}
        }
        match verdict {
            Verdict::Preflight(text) => {
                CorsAnswer::Preflight(StatusCode::NO_CONTENT, with(text, &self.preflight))
            }
            Verdict::Refused(_) => CorsAnswer::Preflight(StatusCode::FORBIDDEN, Fields::new()),
            Verdict::Allowed(text) => CorsAnswer::Goes(with(text, &self.allowed)),
            Verdict::Plain | Verdict::NotAllowed => CorsAnswer::Goes(Fields::new()),
        }
    }

    /// What is allowed is said here, and by no handler.
    fn complete(&self, headers: &mut HeaderMap, more: Fields) {
        for name in [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_ALLOW_CREDENTIALS] {
            headers.remove(name);
        }
        for (name, value) in more {
            headers.insert(name, value);
        }
        let vary = if self.config.any_origin {
            "access-control-request-method, access-control-request-headers"
        } else {
            "origin, access-control-request-method, access-control-request-headers"
        };
        headers.append(VARY, HeaderValue::from_static(vary));
    }
}
