//! What a service is made of.

use std::future::Future;
use std::sync::Arc;

use buttress_core::{BoxFuture, Ctx};
use buttress_health::Check;

use crate::error::BoxError;

/// A part of the service that is started before it listens and stopped after it has.
///
/// Components start in the order in which they are added and stop in reverse. [`drain`](Component::drain) and
/// [`stop`](Component::stop) are called for every component whose start was begun, also when that start failed or was
/// cut short.
///
/// ```
/// use buttress_core::Ctx;
/// use buttress_service::{BoxError, Component};
///
/// struct Cleaner;
///
/// impl Component for Cleaner {
///     fn name(&self) -> &str { "cleaner" }
///
///     async fn start(&self, ctx: &Ctx) -> Result<(), BoxError> {
///         let ctx2 = ctx.clone();
///         ctx.shutdown.spawn(async move { ctx2.shutdown.stopped().await });
///         Ok(())
///     }
/// }
/// ```
pub trait Component: Send + Sync + 'static {
    /// A short stable name, for logs and errors.
    fn name(&self) -> &str;

    /// Gets ready to work; background tasks go through `ctx.shutdown.spawn`.
    fn start(&self, _ctx: &Ctx) -> impl Future<Output = Result<(), BoxError>> + Send {
        async { Ok(()) }
    }

    /// Completes when the work in hand is finished. Called once `ctx.shutdown` drains, and cut short when
    /// `drain.finish_within` is over.
    fn drain(&self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Puts everything down. Called once `ctx.shutdown` stops.
    fn stop(&self) -> impl Future<Output = Result<(), BoxError>> + Send {
        async { Ok(()) }
    }

    /// How to tell whether it is well.
    fn checks(&self) -> Vec<Check> {
        Vec::new()
    }
}

/// A component that the application keeps a hold of.
impl<C: Component> Component for Arc<C> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn start(&self, ctx: &Ctx) -> impl Future<Output = Result<(), BoxError>> + Send {
        (**self).start(ctx)
    }

    fn drain(&self) -> impl Future<Output = ()> + Send {
        (**self).drain()
    }

    fn stop(&self) -> impl Future<Output = Result<(), BoxError>> + Send {
        (**self).stop()
    }

    fn checks(&self) -> Vec<Check> {
        (**self).checks()
    }
}

/// Any component, behind a pointer.
pub(crate) trait AnyComponent: Send + Sync {
    fn name(&self) -> &str;
    fn start<'a>(&'a self, ctx: &'a Ctx) -> BoxFuture<'a, Result<(), BoxError>>;
    fn drain(&self) -> BoxFuture<'_, ()>;
    fn stop(&self) -> BoxFuture<'_, Result<(), BoxError>>;
}

impl<C: Component> AnyComponent for C {
    fn name(&self) -> &str {
        Component::name(self)
    }

    fn start<'a>(&'a self, ctx: &'a Ctx) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(Component::start(self, ctx))
    }

    fn drain(&self) -> BoxFuture<'_, ()> {
        Box::pin(Component::drain(self))
    }

    fn stop(&self) -> BoxFuture<'_, Result<(), BoxError>> {
        Box::pin(Component::stop(self))
    }
}
