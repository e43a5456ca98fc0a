//! What the desk is locked with. A test puts loom's in its place.

pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
