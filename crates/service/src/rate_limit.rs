//! Rate limits in front of routes, by the client's address.

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use buttress_core::{Ctx, Probe, Vitality};
use buttress_health::Check;
use buttress_ratelimit::layer::RateLimitLayer;
use buttress_ratelimit::penalty::PenaltyConfig;
use buttress_ratelimit::{AnyLimiter, Error, Limit, LimiterConfig};

use crate::client_addr::ClientAddr;
use crate::component::Component;

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

/// The limits of a service: a layer for its routes, and a part of it that tells how they stand.
///
/// ```no_run
/// # async fn run(config: buttress_service::ServiceConfig, ctx: buttress_core::Ctx, telemetry: buttress_telemetry::Telemetry,
/// #     api: axum::Router) -> Result<(), Box<dyn std::error::Error>> {
/// use buttress_service::{RateLimit, Service, address_limits};
///
/// let limits = RateLimit::open(&address_limits(), &ctx).await?;
/// let api = api.layer(limits.layer());
/// Service::new("shop", config, ctx, telemetry).with(limits).routes(api).run().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RateLimit(AnyLimiter);

impl RateLimit {
    /// Limits as configured.
    ///
    /// # Errors
    ///
    /// When the configuration is wrong, or the state is shared and where it is cannot be reached.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn open(config: &LimiterConfig, ctx: &Ctx) -> Result<Self, Error> {
        let limiter = AnyLimiter::open(config, ctx).await?;
        limiter.maintain(ctx);
        Ok(Self(limiter))
    }

    /// A layer that limits the routes it is put on.
    ///
    /// A client is limited by its address, as [`ProxiesConfig`](crate::ProxiesConfig) finds it. A route has the name that
    /// it has in the router, `/v1/jobs/{id}`, so that `routes."/v1/jobs/{id}"` of the limiter's configuration is about it.
    /// Where users are known, build a [`RateLimitLayer`] that names them.
    #[must_use]
    pub fn layer(&self) -> RateLimitLayer<Body> {
        RateLimitLayer::new(self.0.clone(), caller)
    }
}

impl Component for RateLimit {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn checks(&self) -> Vec<Check> {
        vec![Check::ready(self.clone())]
    }
}

impl Probe for RateLimit {
    fn name(&self) -> &'static str {
        "limits"
    }

    async fn check(&self) -> Vitality {
        Probe::check(&self.0).await
    }
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
