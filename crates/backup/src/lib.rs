//! Snapshots that are proved to restore.

mod error;
mod format;
mod id;
pub mod store;

pub use error::{Error, Failure};
pub use id::{Id, Object, ObjectKind};
