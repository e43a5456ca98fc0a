//! Asking again after what may pass.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Classify, Ctx, Random, Validate, Violations, units};
use bytes::Bytes;
use metrics::Counter;
use serde::{Deserialize, Serialize};

use super::{Existing, Listed, Store};
use crate::id::{Object, ObjectKind};
use crate::{Error, metrics as names};

/// How often, and after how long, a store is asked again.
///
/// The n-th wait is anything up to `first * 2^n`, and up to `most` ("full jitter": writers that failed together do not come back together; Brooker,
/// Exponential Backoff And Jitter, 2015).
///
/// | field | default | |
/// |---|---|---|
/// | `attempts` | 6 | how often one thing is tried, the first time among them |
/// | `first` | `"500ms"` | the longest first wait |
/// | `most` | `"20s"` | the longest wait |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryConfig {
    /// How often one thing is tried.
    pub attempts: u32,
    /// The longest first wait.
    #[serde(with = "units::duration")]
    pub first: Duration,
    /// The longest wait.
    #[serde(with = "units::duration")]
    pub most: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { attempts: 6, first: Duration::from_millis(500), most: Duration::from_secs(20) }
    }
}

impl Validate for RetryConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let sensible = (1..=20).contains(&self.attempts);
        wrong.require(sensible, "attempts", self.attempts, "must be 1 to 20; 6 is usual");
        let ordered = self.first <= self.most && self.most <= Duration::from_mins(10);
        let shown = units::format_duration(self.most);
        wrong.require(
            ordered,
            "most",
            shown,
            "must be at least `first` and at most \"10m\"; \"20s\" is usual",
        );
        wrong.into_result()
    }
}

/// A store that is asked again when it fails in a way that may pass, a bounded number of times, until a shutdown stops it.
#[derive(Clone)]
pub struct Retrying<S> {
    inner: S,
    config: RetryConfig,
    ctx: Ctx,
    jitter: Arc<Random>,
    retries: Counter,
}

impl<S: Store> Retrying<S> {
    /// Asks `inner` as often as `config` says.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new(inner: S, config: &RetryConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let jitter = Arc::new(Random::seeded());
        Ok(Self { inner, config: config.clone(), ctx: ctx.clone(), jitter, retries: names::store_retries() })
    }

    /// Tries until it is done, or has failed for good. `attempt` is told how many attempts failed before.
    async fn persist<T, F: Future<Output = Result<T, Error>> + Send>(
        &self,
        attempt: impl Fn(u32) -> F + Send + Sync,
    ) -> Result<T, Error> {
        let mut failed = 0;
        loop {
            let error = match attempt(failed).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            failed += 1;
            let may_pass = error.class().is_transient() && !matches!(error, Error::Stopped);
            if !may_pass || failed >= self.config.attempts {
                return Err(error);
            }
            self.retries.increment(1);
            tracing::debug!(target: "buttress::backup", %error, failed, "the store is asked again");
            let wait = self.wait_after(failed).max(error.retry_after().unwrap_or_default());
            tokio::select! {
                biased;
                () = self.ctx.shutdown.stopped() => return Err(Error::Stopped),
                () = self.ctx.clock.sleep(wait) => {}
            }
        }
    }

    fn wait_after(&self, failed: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX);
        self.config.first.saturating_mul(doubled).min(self.config.most).mul_f64(self.jitter.fraction())
    }

    /// One attempt to make an object. An attempt that failed may have been done all the same, and then this one finds the object there: if it holds
    /// what we write, it is ours. (Two writers of the same bytes, one of which failed, may both be told that they wrote them.)
    async fn make(&self, object: Object, bytes: Bytes, failed_before: bool) -> Result<bool, Error> {
        let written = self.inner.put(object, bytes.clone(), Existing::Kept).await?;
        if written || !failed_before {
            return Ok(written);
        }
        match self.inner.get(object, None).await {
            Ok(there) => Ok(there == bytes),
            // Removed since by somebody who saw it.
            Err(Error::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl<S: Store> Store for Retrying<S> {
    async fn put(&self, object: Object, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        match existing {
            Existing::Kept => self.persist(|failed| self.make(object, bytes.clone(), failed > 0)).await,
            Existing::Replaced => self.persist(|_| self.inner.put(object, bytes.clone(), existing)).await,
        }
    }

    async fn get(&self, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        self.persist(|_| self.inner.get(object, range.clone())).await
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<Listed>, Error> {
        self.persist(|_| self.inner.list(kind)).await
    }

    async fn delete(&self, object: Object) -> Result<(), Error> {
        self.persist(|_| self.inner.delete(object)).await
    }

    fn place(&self) -> String {
        self.inner.place()
    }
}
