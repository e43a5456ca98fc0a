//! Snapshots that are proved to restore.

mod error;
mod id;
pub mod store;

pub use error::{Error, Failure};
pub use id::{Id, Object, ObjectKind};
