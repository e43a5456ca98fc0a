//! The answer of a service with limits in front of it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode};
use pin_project_lite::pin_project;

use super::answer::Headers;
use crate::Limiter;
use crate::request::OwnedRequest;

/// What is done with the answer when it comes.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) headers: Headers,
    pub(super) failure: Option<Box<Suspicion>>,
}

/// Which answers are failures, and of whom.
pub(super) struct Suspicion {
    pub(super) is_failure: fn(StatusCode) -> bool,
    pub(super) limiter: Limiter,
    pub(super) request: OwnedRequest,
}

pin_project! {
    /// The answer: that of the service, with headers, or a refusal.
    pub struct ResponseFuture<F, R> {
        #[pin]
        inner: Option<F>,
        refusal: Option<Response<R>>,
        waiting: Waiting,
    }
}

impl<F, R> ResponseFuture<F, R> {
    pub(super) fn passed(inner: F, waiting: Waiting) -> Self {
        Self { inner: Some(inner), refusal: None, waiting }
    }

    pub(super) fn refused(refusal: Response<R>) -> Self {
        Self { inner: None, refusal: Some(refusal), waiting: Waiting::default() }
    }
}

impl<F, R> std::fmt::Debug for ResponseFuture<F, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResponseFuture")
    }
}

impl<F, R, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(refusal) = this.refusal.take() {
            return Poll::Ready(Ok(refusal));
        }
        // Polled again after a refusal: as a future that has ended, it never ends again.
        let Some(inner) = this.inner.as_pin_mut() else { return Poll::Pending };
        let mut response = ready!(inner.poll(cx))?;
        let waiting = std::mem::take(this.waiting);
        if let Some(suspicion) = waiting.failure.filter(|suspicion| (suspicion.is_failure)(response.status()))
        {
            suspicion.limiter.report_failure(suspicion.request.borrow());
        }
        for (name, value) in waiting.headers {
            // What a handler says of limits of its own stays.
            response.headers_mut().entry(name).or_insert(value);
        }
        Poll::Ready(Ok(response))
    }
}
