//! Rate limits in front of routes, by the client's address.

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use buttress_ratelimit::AnyLimiter;
use buttress_ratelimit::layer::RateLimitLayer;

use crate::client_addr::ClientAddr;

/// A layer that limits the routes it is put on: `Service::routes(api.layer(rate_limit(limiter)))`.
///
/// A client is limited by its address, as [`ProxiesConfig`](crate::ProxiesConfig) finds it. A route has the name that
/// it has in the router, `/v1/jobs/{id}`, so that `routes."/v1/jobs/{id}"` of the limiter's configuration is about it.
/// Where users are known, build a [`RateLimitLayer`] that names them.
#[must_use]
pub fn rate_limit(limiter: impl Into<AnyLimiter>) -> RateLimitLayer<Body> {
    RateLimitLayer::new(limiter, caller)
}

fn caller(request: &Request) -> buttress_ratelimit::Request<'_> {
    let extensions = request.extensions();
    let by = match extensions.get::<ClientAddr>() {
        Some(client) => buttress_ratelimit::Request::ip(client.0),
        None => buttress_ratelimit::Request::new(),
    };
    match extensions.get::<MatchedPath>() {
        Some(path) => by.route(path.as_str()),
        None => by,
    }
}
