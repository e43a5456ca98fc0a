//! What a pool has to know about the things it holds.

use std::future::Future;

use buttress_core::Classify;

use crate::status::Closed;

/// Whether an object can be used, as far as it can be told without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// By the next caller, as it is.
    Good,
    /// By the next caller, once it has been [`reset`](Manager::reset).
    Dirty,
    /// By nobody any more, though it works: it has grown too large, say. Closed as soon as it is free.
    Worn,
    /// By nobody any more, and others may have met the same fate: they are checked before their next use.
    Broken,
}

impl Condition {
    /// Why an object in this condition is closed, if it is.
    pub(crate) fn closes(self) -> Option<Closed> {
        match self {
            Self::Good | Self::Dirty => None,
            Self::Worn => Some(Closed::Worn),
            Self::Broken => Some(Closed::Broken),
        }
    }
}

/// Makes, checks and puts away the objects of a pool.
///
/// Every call has a limit of time set by the pool's configuration, and is cancelled by dropping its future. An object
/// whose check or reset was cancelled is closed.
///
/// ```
/// use buttress_core::{Ctx, Elapsed};
/// use buttress_pool::{Manager, Pool, PoolConfig};
///
/// struct Buffers;
///
/// impl Manager for Buffers {
///     type Object = Vec<u8>;
///     type Error = Elapsed; // any error that knows its class
///
///     async fn create(&self) -> Result<Vec<u8>, Elapsed> {
///         Ok(Vec::with_capacity(1 << 20))
///     }
///
///     async fn check(&self, _: &mut Vec<u8>) -> Result<(), Elapsed> {
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), buttress_pool::Error> {
/// let pool = Pool::new(Buffers, PoolConfig::default(), &Ctx::default())?;
/// pool.get().await?.extend_from_slice(b"hello");
/// assert_eq!(pool.status().idle, 1); // it came back when the guard was dropped
/// # Ok(())
/// # }
/// ```
pub trait Manager: Send + Sync + 'static {
    /// What is pooled. Dropped without [`close`](Manager::close) it must leave nothing behind either.
    type Object: Send + 'static;
    /// Why one could not be made, or does not work.
    type Error: Classify + std::error::Error + Send + Sync + 'static;

    /// Makes one.
    fn create(&self) -> impl Future<Output = Result<Self::Object, Self::Error>> + Send;

    /// Asks an object whether it works: one cheap round trip.
    fn check(&self, object: &mut Self::Object) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// What is known of an object without asking: at each checkout and each return, so it should take nanoseconds.
    fn condition(&self, _object: &Self::Object) -> Condition {
        Condition::Good
    }

    /// Makes a [`Dirty`](Condition::Dirty) object fit for the next caller, in the background after its return.
    fn reset(&self, _object: &mut Self::Object) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async { Ok(()) }
    }

    /// Puts an object away in good order, in the background.
    fn close(&self, object: Self::Object) -> impl Future<Output = ()> + Send {
        async { drop(object) }
    }
}
