//! One object for several users at once.

use std::future::Future;
use std::ops::Deref;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::error::Error;
use crate::guard::Guard;
use crate::manager::Manager;
use crate::pool::{Checkout, Pool};

/// A pool whose objects serve several users each, once there is no further object: a browser, a multiplexed
/// connection.
///
/// ```
/// # use buttress_core::{Ctx, Elapsed};
/// # use buttress_pool::{Manager, Pool, PoolConfig, Sharing};
/// # struct Browsers;
/// # impl Manager for Browsers {
/// #     type Object = u32;
/// #     type Error = Elapsed;
/// #     async fn create(&self) -> Result<u32, Elapsed> { Ok(7) }
/// #     async fn check(&self, _: &mut u32) -> Result<(), Elapsed> { Ok(()) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), buttress_pool::Error> {
/// let mut config = PoolConfig::default();
/// config.max = 1;
/// let browsers = Sharing::new(Pool::new(Browsers, config, &Ctx::default())?, 4);
/// let (one, other) = (browsers.get().await?, browsers.get().await?);
/// assert!(std::ptr::eq(&*one, &*other));
/// # Ok(())
/// # }
/// ```
pub struct Sharing<M: Manager<Object: Sync>> {
    pool: Pool<M>,
    users: usize,
    /// Those in use, and some that were.
    shared: Mutex<Vec<Weak<Guard<M>>>>,
}

impl<M: Manager<Object: Sync>> Sharing<M> {
    /// Shares each object of `pool` among at most `users`. Objects that the pool hands out itself are not shared.
    #[must_use]
    pub fn new(pool: Pool<M>, users: usize) -> Self {
        Self { pool, users: users.max(1), shared: Mutex::default() }
    }

    /// An object of one's own while there is one; then the one with the fewest users; past their number the caller waits
    /// as with [`Pool::get`].
    ///
    /// # Errors
    ///
    /// As [`Pool::get`].
    #[track_caller]
    pub fn get(&self) -> impl Future<Output = Result<Shared<M>, Error>> + Send + '_ {
        let by = Location::caller();
        async move {
            match self.pool.take(Checkout::default().no_wait(), by).await {
                Ok(own) => return Ok(self.offer(own)),
                Err(Error::Rejected { .. }) => {}
                Err(other) => return Err(other),
            }
            match self.join() {
                Some(shared) => Ok(shared),
                None => Ok(self.offer(self.pool.take(Checkout::default(), by).await?)),
            }
        }
    }

    /// The pool beneath.
    pub fn pool(&self) -> &Pool<M> {
        &self.pool
    }

    /// Makes an object one that others can join.
    fn offer(&self, own: Guard<M>) -> Shared<M> {
        let own = Arc::new(own);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|guard| guard.strong_count() > 0);
        shared.push(Arc::downgrade(&own));
        Shared(own)
    }

    /// The shared object with the fewest users, if one has room for another.
    fn join(&self) -> Option<Shared<M>> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let with_room = shared.iter().filter(|guard| (1..self.users).contains(&guard.strong_count()));
        let mut guards: Vec<_> = with_room.filter_map(Weak::upgrade).collect();
        // One of no more use is left alone, so that it comes back and is closed.
        guards.retain(|guard| guard.inner.condition(guard).closes().is_none());
        guards.into_iter().min_by_key(Arc::strong_count).map(Shared)
    }
}

impl<M: Manager<Object: Sync>> std::fmt::Debug for Sharing<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sharing")
            .field("pool", &self.pool)
            .field("users", &self.users)
            .finish_non_exhaustive()
    }
}

/// An object of a [`Sharing`] pool. It goes back when its last user drops it.
pub struct Shared<M: Manager>(Arc<Guard<M>>);

impl<M: Manager> Deref for Shared<M> {
    type Target = M::Object;

    fn deref(&self) -> &M::Object {
        &self.0
    }
}

impl<M: Manager<Object: std::fmt::Debug>> std::fmt::Debug for Shared<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Shared").field(&**self.0).finish()
    }
}
