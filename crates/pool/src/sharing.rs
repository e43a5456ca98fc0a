//! One object for several users at once.

use std::future::Future;
use std::ops::Deref;
use std::panic::Location;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};

use tokio::sync::{Mutex, Notify};

use crate::desk::Shell;
use crate::error::Error;
use crate::guard::Guard;
use crate::manager::Manager;
use crate::pool::{Checkout, Pool};

/// A pool whose objects serve several users each: a browser, a multiplexed connection.
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
    /// Whose turn it is to take a further object, where that is done one after the other.
    turn: Option<Mutex<()>>,
    /// Those in use, and some that were.
    shared: StdMutex<Vec<Weak<Guard<M>>>>,
    /// Told when an object is shared that was not, or has one user less.
    room: Arc<Notify>,
}

impl<M: Manager<Object: Sync>> Sharing<M> {
    /// Shares each object of `pool` among at most `users`, once there is no further object: work is spread over as many
    /// as there may be. Objects that the pool hands out itself are not shared.
    #[must_use]
    pub fn new(pool: Pool<M>, users: usize) -> Self {
        let (shared, room) = (StdMutex::default(), Arc::default());
        Self { pool, users: users.max(1), turn: None, shared, room }
    }

    /// The same, but a further object is taken only when those in use have no room, and one after the other: for what
    /// is dear to keep.
    #[must_use]
    pub fn packed(pool: Pool<M>, users: usize) -> Self {
        Self { turn: Some(Mutex::default()), ..Self::new(pool, users) }
    }

    /// An object of one's own or one that others use too, the one with the fewest users; when there is neither, the
    /// caller waits as with [`Pool::get`].
    ///
    /// # Errors
    ///
    /// As [`Pool::get`].
    #[track_caller]
    pub fn get(&self) -> impl Future<Output = Result<Shared<M>, Error>> + Send + '_ {
        let by = Location::caller();
        async move {
            let inner = &self.pool.0;
            let deadline = inner.now().after(inner.config.wait);
            loop {
                let room = self.room.notified();
                tokio::pin!(room);
                room.as_mut().enable();
                let mut turn = None;
                if let Some(turns) = &self.turn {
                    if let Some(shared) = self.join() {
                        return Ok(shared);
                    }
                    // Whoever has the turn may be about to bring an object with room.
                    tokio::select! {
                        own_turn = turns.lock() => turn = Some(own_turn),
                        () = room.as_mut() => continue,
                    }
                    if let Some(shared) = self.join() {
                        return Ok(shared);
                    }
                }
                let refused = match self.pool.take(Checkout::default().no_wait(), by).await {
                    Ok(own) => return Ok(self.offer(own)),
                    Err(refused) => refused,
                };
                if let Some(shared) = self.join() {
                    return Ok(shared);
                }
                if !matches!(refused, Error::Rejected { .. }) {
                    return Err(refused);
                }
                drop(turn);
                let left = deadline.since(inner.now());
                tokio::select! {
                    own = self.pool.take(Checkout::default().within(left), by) => return Ok(self.offer(own?)),
                    () = room => {}
                }
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
        {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.retain(|guard| guard.strong_count() > 0);
            shared.push(Arc::downgrade(&own));
        }
        self.room.notify_waiters();
        self.of(own)
    }

    /// The shared object with the fewest users, if one has room for another.
    fn join(&self) -> Option<Shared<M>> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let with_room = shared.iter().filter(|guard| (1..self.users).contains(&guard.strong_count()));
        let mut guards: Vec<_> = with_room.filter_map(Weak::upgrade).collect();
        // One of no more use is left alone, so that it comes back and is closed.
        guards.retain(|guard| guard.inner.condition(guard).closes().is_none());
        guards.into_iter().min_by_key(Arc::strong_count).map(|guard| self.of(guard))
    }

    fn of(&self, guard: Arc<Guard<M>>) -> Shared<M> {
        Shared { guard: Some(guard), room: Arc::clone(&self.room) }
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
pub struct Shared<M: Manager> {
    /// There until this is dropped.
    guard: Option<Arc<Guard<M>>>,
    room: Arc<Notify>,
}

impl<M: Manager> Deref for Shared<M> {
    type Target = M::Object;

    fn deref(&self) -> &M::Object {
        match &self.guard {
            Some(guard) => guard,
            None => unreachable!("it is there until this is dropped"),
        }
    }
}

impl<M: Manager> Drop for Shared<M> {
    fn drop(&mut self) {
        self.guard = None;
        self.room.notify_waiters();
    }
}

impl<M: Manager<Object: std::fmt::Debug>> std::fmt::Debug for Shared<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Shared").field(&**self).finish()
    }
}
