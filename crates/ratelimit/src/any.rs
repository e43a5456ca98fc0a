//! A limiter as configuration chooses it.

use std::time::Duration;

use buttress_core::{Ctx, Probe, Vitality};

use crate::status::WindowStatus;
use crate::{Decision, Error, Limiter, LimiterConfig, Request};

/// A limiter of this process, or one that is shared, as configuration says. Cheap to clone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AnyLimiter {
    /// Of this process.
    Local(Limiter),
    /// Shared through Redis.
    #[cfg(feature = "redis")]
    Shared(crate::SharedLimiter),
}

impl From<Limiter> for AnyLimiter {
    fn from(limiter: Limiter) -> Self {
        Self::Local(limiter)
    }
}

#[cfg(feature = "redis")]
impl From<crate::SharedLimiter> for AnyLimiter {
    fn from(limiter: crate::SharedLimiter) -> Self {
        Self::Shared(limiter)
    }
}

/// Calls the same on either.
macro_rules! on_either {
    ($limiter:expr, $method:ident($($argument:expr),*)) => {
        match $limiter {
            AnyLimiter::Local(limiter) => limiter.$method($($argument),*),
            #[cfg(feature = "redis")]
            AnyLimiter::Shared(limiter) => limiter.$method($($argument),*).await,
        }
    };
}

#[cfg_attr(
    not(feature = "redis"),
    allow(clippy::unused_async, reason = "nothing is waited for where nothing is compiled in")
)]
impl AnyLimiter {
    /// The limiter that `config` describes: shared, if `shared.url` says where.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], and [`Error::Backend`] where the back end is not compiled in, or cannot be reached.
    pub async fn open(config: &LimiterConfig, ctx: &Ctx) -> Result<Self, Error> {
        match &config.shared.url {
            None => Limiter::with(config, ctx).map(Self::Local),
            #[cfg(feature = "redis")]
            Some(_) => crate::SharedLimiter::open(config, ctx).await.map(Self::Shared),
            #[cfg(not(feature = "redis"))]
            Some(url) => Err(url.backend().not_compiled().into()),
        }
    }

    /// As [`Limiter::check`].
    pub async fn check<'a>(&self, request: impl Into<Request<'a>>) -> Decision {
        on_either!(self, check(request))
    }

    /// As [`Limiter::peek`].
    pub async fn peek<'a>(&self, request: impl Into<Request<'a>>) -> Decision {
        on_either!(self, peek(request))
    }

    /// As [`Limiter::check_in_full`].
    pub async fn check_in_full<'a>(&self, request: impl Into<Request<'a>>) -> (Decision, Vec<WindowStatus>) {
        on_either!(self, check_in_full(request))
    }

    /// As [`Limiter::wait`].
    pub async fn wait<'a>(&self, request: impl Into<Request<'a>>, within: Duration) -> Decision {
        match self {
            Self::Local(limiter) => limiter.wait(request, within).await,
            #[cfg(feature = "redis")]
            Self::Shared(limiter) => limiter.wait(request, within).await,
        }
    }

    /// As [`Limiter::refund`].
    pub async fn refund<'a>(&self, request: impl Into<Request<'a>>) {
        on_either!(self, refund(request));
    }

    /// As [`Limiter::report_failure`].
    pub async fn report_failure<'a>(&self, request: impl Into<Request<'a>>) -> Option<Duration> {
        on_either!(self, report_failure(request))
    }

    /// As [`Limiter::maintain`]; where limits are leased, it also gives back what is not used.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn maintain(&self, ctx: &Ctx) {
        match self {
            Self::Local(limiter) => limiter.maintain(ctx),
            #[cfg(feature = "redis")]
            Self::Shared(limiter) => limiter.maintain(ctx),
        }
    }

    /// As [`Limiter::pardon`].
    pub async fn pardon<'a>(&self, request: impl Into<Request<'a>>) {
        on_either!(self, pardon(request));
    }
}

impl Probe for AnyLimiter {
    fn name(&self) -> &str {
        match self {
            Self::Local(limiter) => limiter.name(),
            #[cfg(feature = "redis")]
            Self::Shared(limiter) => Probe::name(limiter),
        }
    }

    /// As that of [`SharedLimiter`](crate::AnyLimiter::Shared); what is in memory always works.
    async fn check(&self) -> Vitality {
        match self {
            Self::Local(_) => Vitality::Pass,
            #[cfg(feature = "redis")]
            Self::Shared(limiter) => Probe::check(limiter).await,
        }
    }
}
