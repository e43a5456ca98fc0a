//! The answer of a service with limits in front of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use buttress_core::BoxFuture;
use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::answer::Headers;
use super::{Shared, answer};
use crate::request::OwnedRequest;
use crate::{AnyLimiter, Decision, WindowStatus};

/// What is done with the answer when it comes.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) headers: Headers,
    pub(super) failure: Option<Box<Suspicion>>,
}

/// Which answers are failures, and of whom.
pub(super) struct Suspicion {
    pub(super) is_failure: fn(StatusCode) -> bool,
    pub(super) limiter: AnyLimiter,
    pub(super) request: OwnedRequest,
}

/// What a limiter said that had to be waited for, with the request.
pub(super) struct Checked<B> {
    pub(super) request: Request<B>,
    pub(super) asked: OwnedRequest,
    pub(super) decision: Decision,
    pub(super) windows: Vec<WindowStatus>,
}

/// A request that a limiter is asked about elsewhere, and the service that it is for.
pub(super) struct Checking<S, B> {
    pub(super) checked: BoxFuture<'static, Checked<B>>,
    pub(super) service: S,
    pub(super) shared: Arc<Shared<B>>,
}

pin_project! {
    /// The answer: that of the service, with headers, or a refusal.
    pub struct ResponseFuture<S, B, R>
    where
        S: Service<Request<B>>,
    {
        checking: Option<Checking<S, B>>,
        #[pin]
        inner: Option<S::Future>,
        waiting: Waiting,
        reporting: Option<BoxFuture<'static, ()>>,
        answer: Option<Response<R>>,
    }
}

impl<S: Service<Request<B>>, B, R> ResponseFuture<S, B, R> {
    fn new(
        checking: Option<Checking<S, B>>,
        inner: Option<S::Future>,
        waiting: Waiting,
        answer: Option<Response<R>>,
    ) -> Self {
        Self { checking, inner, waiting, reporting: None, answer }
    }

    pub(super) fn passed(inner: S::Future, waiting: Waiting) -> Self {
        Self::new(None, Some(inner), waiting, None)
    }

    pub(super) fn refused(refusal: Response<R>) -> Self {
        Self::new(None, None, Waiting::default(), Some(refusal))
    }

    pub(super) fn checking(checking: Checking<S, B>) -> Self {
        Self::new(Some(checking), None, Waiting::default(), None)
    }
}

impl<S: Service<Request<B>>, B, R> std::fmt::Debug for ResponseFuture<S, B, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResponseFuture")
    }
}

impl<S, B, R> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: 'static,
    R: From<String>,
{
    type Output = Result<Response<R>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(checking) = this.checking.as_mut() {
            let checked = ready!(checking.checked.as_mut().poll(cx));
            if let Some(Checking { mut service, shared, .. }) = this.checking.take() {
                if checked.decision.is_admitted() {
                    *this.waiting = shared.waiting(&checked.decision, &checked.windows, checked.asked);
                    this.inner.set(Some(service.call(checked.request)));
                } else {
                    *this.answer = Some(shared.refusal(&checked.decision, &checked.windows));
                }
            }
        }
        if let Some(inner) = this.inner.as_mut().as_pin_mut() {
            let mut response = ready!(inner.poll(cx))?;
            this.inner.set(None);
            let waiting = std::mem::take(this.waiting);
            answer::complete(&mut response, waiting.headers);
            if let Some(suspicion) = waiting.failure.filter(|of| (of.is_failure)(response.status())) {
                *this.reporting = Some(Box::pin(async move {
                    suspicion.limiter.report_failure(suspicion.request.borrow()).await;
                }));
            }
            *this.answer = Some(response);
        }
        if let Some(reporting) = this.reporting.as_mut() {
            ready!(reporting.as_mut().poll(cx));
            *this.reporting = None;
        }
        // Polled again after its end, it never ends again.
        this.answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer)))
    }
}
