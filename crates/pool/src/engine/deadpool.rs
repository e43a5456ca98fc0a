//! deadpool with our managers.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use buttress_core::Validate;
use deadpool::Runtime;
use deadpool::managed::{Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult};

use super::Engine;
use crate::config::{CheckPolicy, PoolConfig};
use crate::error::{BoxedError, Error};
use crate::manager::{Condition, Manager};
use crate::status::Status;

/// deadpool as an engine. Of the configuration it takes `max`, `wait`, `check`, `check_within` and `create_within`.
pub struct Deadpool<M: Manager> {
    pool: Pool<Adapter<M>>,
    name: Arc<str>,
    within: Duration,
}

/// An object in use.
pub struct DeadpoolGuard<M: Manager>(Object<Adapter<M>>);

struct Adapter<M> {
    manager: M,
    check: CheckPolicy,
}

impl<M: Manager> Deadpool<M> {
    /// A pool without objects.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new(manager: M, config: &PoolConfig) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let name: Arc<str> = config.name.as_str().into();
        let pool = Pool::builder(Adapter { manager, check: config.check })
            .max_size(config.max)
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(config.wait))
            .create_timeout(Some(config.create_within))
            .recycle_timeout(Some(config.check_within))
            .build()
            .map_err(|error| Error::create(&name, BoxedError::internal(error)))?;
        Ok(Self { pool, name, within: config.wait })
    }
}

impl<M: Manager> deadpool::managed::Manager for Adapter<M> {
    type Type = M::Object;
    type Error = M::Error;

    async fn create(&self) -> Result<M::Object, M::Error> {
        self.manager.create().await
    }

    async fn recycle(&self, object: &mut M::Object, metrics: &Metrics) -> RecycleResult<M::Error> {
        match self.manager.condition(object) {
            Condition::Worn | Condition::Broken => return Err(RecycleError::message("of no more use")),
            Condition::Dirty => self.manager.reset(object).await?,
            Condition::Good => {}
        }
        let due = match self.check {
            CheckPolicy::Always => true,
            CheckPolicy::AfterIdle(time) => metrics.last_used() >= time,
            CheckPolicy::Never => false,
        };
        if due {
            self.manager.check(object).await?;
        }
        Ok(())
    }
}

impl<M: Manager> Engine<M> for Deadpool<M> {
    type Guard = DeadpoolGuard<M>;

    async fn get(&self) -> Result<DeadpoolGuard<M>, Error> {
        match self.pool.get().await {
            Ok(object) => Ok(DeadpoolGuard(object)),
            Err(PoolError::Timeout(_)) => {
                let Status { in_use, max, waiting, .. } = self.status();
                Err(Error::TimedOut {
                    pool: Arc::clone(&self.name),
                    within: self.within,
                    in_use,
                    max,
                    waiting,
                })
            }
            Err(PoolError::Backend(error)) => Err(Error::create(&self.name, BoxedError::of(error))),
            Err(other) => Err(Error::create(&self.name, BoxedError::internal(other))),
        }
    }

    fn status(&self) -> Status {
        let status = self.pool.status();
        let in_use = status.size.saturating_sub(status.available);
        Status::basic(status.max_size, status.size, in_use, status.waiting)
    }
}

impl<M: Manager> Deref for DeadpoolGuard<M> {
    type Target = M::Object;

    fn deref(&self) -> &M::Object {
        &self.0
    }
}

impl<M: Manager> DerefMut for DeadpoolGuard<M> {
    fn deref_mut(&mut self) -> &mut M::Object {
        &mut self.0
    }
}
