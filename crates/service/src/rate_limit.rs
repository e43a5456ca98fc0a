//! Rate limits in front of routes, by the client's address.

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use buttress_core::Ctx;
use buttress_ratelimit::layer::RateLimitLayer;
use buttress_ratelimit::penalty::PenaltyConfig;
use buttress_ratelimit::{AnyLimiter, Error, Limit, LimiterConfig};

use crate::client_addr::ClientAddr;

/// What a service may begin with: 6,000 requests a minute for each address, and no penalties. The limiter's name is
/// `api`.
#[must_use]
pub fn address_limits() -> LimiterConfig {
    let mut limits = LimiterConfig::default();
    "api".clone_into(&mut limits.name);
    limits.anonymous = Limit::per_minute(6_000).into();
    limits.penalties = PenaltyConfig::none();
    limits
}

/// A layer that limits the routes it is put on: `Service::routes(api.layer(rate_limit(&config.limits, &ctx).await?))`.
///
/// A client is limited by its address, as [`ProxiesConfig`](crate::ProxiesConfig) finds it. A route has the name that
/// it has in the router, `/v1/jobs/{id}`, so that `routes."/v1/jobs/{id}"` of the limiter's configuration is about it.
/// Where users are known, build a [`RateLimitLayer`] that names them.
///
/// # Errors
///
/// When the configuration is wrong, or the state is shared and where it is cannot be reached.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub async fn rate_limit(config: &LimiterConfig, ctx: &Ctx) -> Result<RateLimitLayer<Body>, Error> {
    let limiter = AnyLimiter::open(config, ctx).await?;
    limiter.maintain(ctx);
    Ok(RateLimitLayer::new(limiter, caller))
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
