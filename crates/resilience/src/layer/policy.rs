//! A policy around a service.

use std::future::poll_fn;
use std::sync::Mutex;
use std::task::{Context, Poll};

use buttress_core::{BoxFuture, Classify};
use tower_layer::Layer;
use tower_service::Service;

use crate::error::{Failure, Verdict};
use crate::policy::Policy;
use crate::sync::lock;

/// Says whether a result is a failure: nothing for one that is none.
///
/// Closures do, for services that answer failures as responses, as HTTP does: `|result: &Result<Response<_>, _>| …`.
pub trait Judge<Res, E> {
    /// What the result means.
    fn judge(&self, result: &Result<Res, E>) -> Option<Verdict>;
}

/// Every response is a success, and errors know their class.
#[derive(Debug, Clone, Copy, Default)]
pub struct ByClass;

impl<Res, E: Classify> Judge<Res, E> for ByClass {
    fn judge(&self, result: &Result<Res, E>) -> Option<Verdict> {
        result.as_ref().err().map(Verdict::of)
    }
}

impl<Res, E, F: Fn(&Result<Res, E>) -> Option<Verdict>> Judge<Res, E> for F {
    fn judge(&self, result: &Result<Res, E>) -> Option<Verdict> {
        self(result)
    }
}

/// Makes a request for another attempt; nothing for one that can be sent once only, such as a stream.
pub trait Repeat<Req> {
    /// The same request again.
    fn repeat(&self, request: &Req) -> Option<Req>;
}

/// Clones requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cloning;

impl<Req: Clone> Repeat<Req> for Cloning {
    fn repeat(&self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }
}

/// Sends each request once, of whatever type.
#[derive(Debug, Clone, Copy, Default)]
pub struct Once;

impl<Req> Repeat<Req> for Once {
    fn repeat(&self, _: &Req) -> Option<Req> {
        None
    }
}

impl<Req, F: Fn(&Req) -> Option<Req>> Repeat<Req> for F {
    fn repeat(&self, request: &Req) -> Option<Req> {
        self(request)
    }
}

/// A [`Policy`] around a service. Retries and hedges go to clones of it, which are made ready first.
///
/// A response that counts as a failure and is not tried again is handed out as the response that it is.
#[derive(Debug, Clone)]
pub struct PolicyLayer<R = Cloning, J = ByClass> {
    policy: Policy,
    repeat: R,
    judge: J,
}

impl PolicyLayer {
    /// For requests that can be cloned, and errors that know their class.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy, repeat: Cloning, judge: ByClass }
    }
}

impl<R, J> PolicyLayer<R, J> {
    /// Makes requests for other attempts in this way: [`Once`], or a closure.
    pub fn repeated_by<R2>(self, repeat: R2) -> PolicyLayer<R2, J> {
        PolicyLayer { policy: self.policy, repeat, judge: self.judge }
    }

    /// Judges results in this way.
    pub fn judged_by<J2>(self, judge: J2) -> PolicyLayer<R, J2> {
        PolicyLayer { policy: self.policy, repeat: self.repeat, judge }
    }
}

impl<S, R: Clone, J: Clone> Layer<S> for PolicyLayer<R, J> {
    type Service = PolicyService<S, R, J>;

    fn layer(&self, inner: S) -> Self::Service {
        PolicyService { inner, layer: self.clone() }
    }
}

/// A service in a [`PolicyLayer`].
#[derive(Debug, Clone)]
pub struct PolicyService<S, R = Cloning, J = ByClass> {
    inner: S,
    layer: PolicyLayer<R, J>,
}

/// A result that counts as a failure, and what it means.
struct Bad<Res, E>(Result<Res, E>, Verdict);

/// What attempts at one request share.
struct Material<S, Req> {
    /// The service that was ready, for the first attempt.
    ready: Option<(S, Req)>,
    /// For others, if the request can be sent again.
    spare: Option<(S, Req)>,
}

impl<S: Clone, Req> Material<S, Req> {
    /// A service and a request, and whether the service is ready.
    fn next(&mut self, repeat: &impl Repeat<Req>) -> Option<(S, Req, bool)> {
        if let Some((service, request)) = self.ready.take() {
            return Some((service, request, true));
        }
        let (service, request) = self.spare.as_ref()?;
        Some((service.clone(), repeat.repeat(request)?, false))
    }
}

impl<S, Req, R, J> Service<Req> for PolicyService<S, R, J>
where
    S: Service<Req> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
    Req: Send + 'static,
    R: Repeat<Req> + Clone + Send + Sync + 'static,
    J: Judge<S::Response, S::Error> + Clone + Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = Failure<S::Error>;
    type Future = BoxFuture<'static, Result<S::Response, Failure<S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Failure::Call)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        // The one that is ready makes the call; the clone has to become so.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        let PolicyLayer { policy, repeat, judge } = self.layer.clone();
        let spare = repeat.repeat(&request).map(|request| (self.inner.clone(), request));
        let policy = if spare.is_some() { policy } else { policy.once_only() };
        let material = Mutex::new(Material { ready: Some((ready, request)), spare });
        Box::pin(async move {
            let attempt = |_| async {
                let next = lock(&material).next(&repeat);
                let Some((mut service, request, is_ready)) = next else { return Err(None) };
                let result = async {
                    if !is_ready {
                        poll_fn(|cx| service.poll_ready(cx)).await?;
                    }
                    service.call(request).await
                };
                let result = result.await;
                match judge.judge(&result) {
                    None => Ok(result),
                    Some(verdict) => Err(Some(Bad(result, verdict))),
                }
            };
            let meaning = |bad: &Option<Bad<_, _>>| match bad {
                Some(Bad(_, verdict)) => *verdict,
                None => Verdict::class(buttress_core::ErrorClass::Internal),
            };
            match policy.run_judged(meaning, attempt).await {
                Ok(result) | Err(Failure::Call(Some(Bad(result, _)))) => result.map_err(Failure::Call),
                Err(Failure::Call(None) | Failure::Lost) => Err(Failure::Lost),
                Err(Failure::Rejected(rejection)) => Err(Failure::Rejected(rejection)),
                Err(Failure::TimedOut(elapsed)) => Err(Failure::TimedOut(elapsed)),
            }
        })
    }
}
