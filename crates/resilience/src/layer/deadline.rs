//! A deadline around a service.

use std::task::{Context, Poll};
use std::time::Duration;

use buttress_core::{BoxFuture, SharedClock};
use tower_layer::Layer;
use tower_service::Service;

use crate::deadline::{Deadline, enforce, within};
use crate::error::Failure;

/// Gives each request a deadline, hands it down, and gives up what is not done by then.
///
/// ```
/// use buttress_core::SystemClock;
/// use buttress_resilience::deadline::header::Form;
/// use buttress_resilience::layer::DeadlineLayer;
/// use std::collections::HashMap;
/// use std::time::Duration;
///
/// type Request = HashMap<&'static str, String>; // stands for an HTTP request
/// let most = Duration::from_secs(30);
/// let layer = DeadlineLayer::new(SystemClock::shared(), most, move |request: &Request| {
///     let header = request.get(Form::Millis.header())?;
///     Form::Millis.parse(header.as_bytes(), most).ok()
/// });
/// # let _: DeadlineLayer<_> = layer;
/// ```
#[derive(Debug, Clone)]
pub struct DeadlineLayer<F> {
    clock: SharedClock,
    most: Duration,
    asked: F,
}

impl<F> DeadlineLayer<F> {
    /// The time that `asked` finds in a request, and `most` where it finds none or more.
    #[must_use]
    pub fn new(clock: SharedClock, most: Duration, asked: F) -> Self {
        Self { clock, most, asked }
    }
}

impl<S, F: Clone> Layer<S> for DeadlineLayer<F> {
    type Service = DeadlineService<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService { inner, layer: self.clone() }
    }
}

/// A service in a [`DeadlineLayer`].
#[derive(Debug, Clone)]
pub struct DeadlineService<S, F> {
    inner: S,
    layer: DeadlineLayer<F>,
}

impl<S, Req, F> Service<Req> for DeadlineService<S, F>
where
    S: Service<Req>,
    S::Future: Send + 'static,
    F: Fn(&Req) -> Option<Duration>,
{
    type Response = S::Response;
    type Error = Failure<S::Error>;
    type Future = BoxFuture<'static, Result<S::Response, Failure<S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Failure::Call)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let DeadlineLayer { clock, most, asked } = &self.layer;
        let limit = asked(&request).unwrap_or(*most).min(*most);
        let deadline = Deadline::within(&**clock, limit);
        let clock = clock.clone();
        let call = within(deadline, || self.inner.call(request));
        Box::pin(async move { enforce(&*clock, deadline, call).await?.map_err(Failure::Call) })
    }
}
