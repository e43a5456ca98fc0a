//! How a component answers whether it is well.

use std::future::Future;
use std::sync::Arc;

use crate::clock::BoxFuture;

/// How a component is, as it finds itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "status", content = "detail", rename_all = "snake_case")]
pub enum Vitality {
    /// It works.
    Pass,
    /// It works, but somebody should look; the text says at what.
    Warn(String),
    /// It does not work; the text says why, without addresses or credentials.
    Fail(String),
}

/// A component that can be asked how it is.
///
/// The one who asks (the `health` registry) owns the schedule, the time limit, the thresholds and the cache, so a
/// probe is just the question: one cheap round trip, safe to drop at any await.
pub trait Probe: Send + Sync + 'static {
    /// A short stable name: `"sqlite"`, `"queue"`.
    fn name(&self) -> &str;

    /// Looks, and answers.
    fn check(&self) -> impl Future<Output = Vitality> + Send;
}

/// Any [`Probe`] behind a pointer, for registries that hold many kinds.
#[derive(Clone)]
pub struct DynProbe(Arc<dyn ErasedProbe>);

impl DynProbe {
    /// Wraps a probe.
    pub fn new(probe: impl Probe) -> Self {
        Self(Arc::new(probe))
    }

    /// The probe's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Looks, and answers.
    pub async fn check(&self) -> Vitality {
        self.0.check().await
    }
}

impl std::fmt::Debug for DynProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DynProbe({:?})", self.name())
    }
}

trait ErasedProbe: Send + Sync {
    fn name(&self) -> &str;
    fn check(&self) -> BoxFuture<'_, Vitality>;
}

impl<P: Probe> ErasedProbe for P {
    fn name(&self) -> &str {
        Probe::name(self)
    }

    fn check(&self) -> BoxFuture<'_, Vitality> {
        Box::pin(Probe::check(self))
    }
}
