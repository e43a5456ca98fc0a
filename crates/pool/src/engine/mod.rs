//! The basics of a pool, so that one engine can be put in another's place: [`Pool`], and by feature deadpool and bb8.
//!
//! | promise | [`Pool`] | `Deadpool` | `Bb8` |
//! |---|---|---|---|
//! | at most `max` objects, one user each; a broken one is not handed out | yes | yes | yes |
//! | a dropped `get` leaks nothing; a deadline | yes | yes | yes |
//! | first come, first served | yes | yes | no |
//! | `idle`, `max_age` | yes | no | yes |
//! | all the others of the [crate documentation](crate) | yes | no | no |

use std::future::Future;
use std::ops::DerefMut;

use crate::error::Error;
use crate::guard::Guard;
use crate::manager::Manager;
use crate::pool::Pool;
use crate::status::Status;

#[cfg(feature = "bb8")]
mod bb8;
#[cfg(feature = "deadpool")]
mod deadpool;

#[cfg(feature = "bb8")]
pub use self::bb8::{Bb8, Bb8Guard};
#[cfg(feature = "deadpool")]
pub use self::deadpool::{Deadpool, DeadpoolGuard};

/// What every engine does. Its promises are tested by `contract`, behind the feature `test-util`.
pub trait Engine<M: Manager>: Send + Sync + 'static {
    /// An object in use, which goes back when this is dropped.
    type Guard: DerefMut<Target = M::Object> + Send;

    /// An object, after at most the configured `wait`.
    fn get(&self) -> impl Future<Output = Result<Self::Guard, Error>> + Send;

    /// The pool at this moment, as far as the engine tells.
    fn status(&self) -> Status;
}

impl<M: Manager> Engine<M> for Pool<M> {
    type Guard = Guard<M>;

    fn get(&self) -> impl Future<Output = Result<Guard<M>, Error>> + Send {
        Pool::get(self)
    }

    fn status(&self) -> Status {
        Pool::status(self)
    }
}
