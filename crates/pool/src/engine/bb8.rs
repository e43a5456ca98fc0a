//! bb8 with our managers.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use bb8::{ManageConnection, Pool, PooledConnection, RunError};
use buttress_core::Validate;

use super::Engine;
use crate::config::{CheckPolicy, PoolConfig};
use crate::error::{BoxedError, Error};
use crate::manager::{Condition, Manager};
use crate::status::Status;

/// bb8 as an engine. Of the configuration it takes `max`, `min_idle`, `wait`, `idle`, `max_age` and `check`, which is
/// always or never.
pub struct Bb8<M: Manager> {
    pool: Pool<Adapter<M>>,
    name: Arc<str>,
    within: Duration,
    max: usize,
}

/// An object in use.
pub struct Bb8Guard<M: Manager>(PooledConnection<'static, Adapter<M>>);

struct Adapter<M> {
    manager: M,
    check: bool,
}

impl<M: Manager> Bb8<M> {
    /// A pool without objects, inside of a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new(manager: M, config: &PoolConfig) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        // A configuration that holds has no more than fit.
        let [max, min_idle] = [config.max, config.min_idle].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        let pool = Pool::builder()
            .max_size(max)
            .min_idle(min_idle)
            .connection_timeout(config.wait)
            .idle_timeout(config.idle)
            .max_lifetime(config.max_age)
            .test_on_check_out(true)
            .retry_connection(false)
            .build_unchecked(Adapter { manager, check: config.check != CheckPolicy::Never });
        Ok(Self { pool, name: config.name.as_str().into(), within: config.wait, max: config.max })
    }
}

impl<M: Manager> ManageConnection for Adapter<M> {
    type Connection = M::Object;
    type Error = M::Error;

    async fn connect(&self) -> Result<M::Object, M::Error> {
        self.manager.create().await
    }

    async fn is_valid(&self, object: &mut M::Object) -> Result<(), M::Error> {
        if self.manager.condition(object) == Condition::Dirty {
            self.manager.reset(object).await?;
        }
        if self.check { self.manager.check(object).await } else { Ok(()) }
    }

    fn has_broken(&self, object: &mut M::Object) -> bool {
        matches!(self.manager.condition(object), Condition::Worn | Condition::Broken)
    }
}

impl<M: Manager> Engine<M> for Bb8<M> {
    type Guard = Bb8Guard<M>;

    async fn get(&self) -> Result<Bb8Guard<M>, Error> {
        match self.pool.get_owned().await {
            Ok(object) => Ok(Bb8Guard(object)),
            Err(RunError::TimedOut) => {
                let Status { in_use, max, waiting, .. } = self.status();
                Err(Error::TimedOut {
                    pool: Arc::clone(&self.name),
                    within: self.within,
                    in_use,
                    max,
                    waiting,
                })
            }
            Err(RunError::User(error)) => Err(Error::create(&self.name, BoxedError::of(error))),
        }
    }

    fn status(&self) -> Status {
        let state = self.pool.state();
        let (size, idle) = (state.connections as usize, state.idle_connections as usize);
        Status::basic(self.max, size, size.saturating_sub(idle), 0)
    }
}

impl<M: Manager> Deref for Bb8Guard<M> {
    type Target = M::Object;

    fn deref(&self) -> &M::Object {
        &self.0
    }
}

impl<M: Manager> DerefMut for Bb8Guard<M> {
    fn deref_mut(&mut self) -> &mut M::Object {
        &mut self.0
    }
}
