//! Networks in front of an HTTP service: a [`tower_layer::Layer`].

use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::{BoxFuture, Ctx, Event, Outcome};
use http::Response;
use metrics::{counter, describe_counter};
use tower_service::Service;

use super::{ClientIp, Networks};
use crate::metrics::REFUSED;
use crate::problem::forbidden;

/// Lets requests of some addresses in. The address is the [`ClientIp`] in the extensions of a request, put there by the application,
/// which knows its proxies; without one a request is refused. Emits `request.network` where it refuses.
#[derive(Debug, Clone)]
pub struct NetworkLayer {
    shared: Arc<(Networks, Ctx)>,
}

impl NetworkLayer {
    /// By these networks.
    #[must_use]
    pub fn new(networks: Networks, ctx: &Ctx) -> Self {
        describe_counter!(
            REFUSED,
            "Requests that were refused before a policy was asked, by check and reason"
        );
        Self { shared: Arc::new((networks, ctx.clone())) }
    }
}

impl<S> tower_layer::Layer<S> for NetworkLayer {
    type Service = FromNetworks<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FromNetworks { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service that only some addresses may call.
#[derive(Debug, Clone)]
pub struct FromNetworks<S> {
    inner: S,
    shared: Arc<(Networks, Ctx)>,
}

impl<S, B, R> Service<http::Request<B>> for FromNetworks<S>
where
    S: Service<http::Request<B>, Response = Response<R>, Future: Send + 'static>,
    R: From<String> + Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let (networks, ctx) = &*self.shared;
        let address = request.extensions().get::<ClientIp>().map(|client| client.0);
        let reason = match address {
            None => "no_address",
            Some(address) => match networks.admits(request.uri().path(), address) {
                Ok(()) => return Box::pin(self.inner.call(request)),
                Err(why) => why.as_str(),
            },
        };
        counter!(REFUSED, "check" => "network", "reason" => reason).increment(1);
        let event = Event::new(ctx.clock.wall(), "request.network", Outcome::Denied).detail(reason);
        ctx.events.emit(match address {
            Some(address) => event.actor(address.to_canonical().to_string()),
            None => event,
        });
        Box::pin(std::future::ready(Ok(forbidden(reason))))
    }
}
