//! Snapshots that are proved to restore.

mod error;
mod format;
mod id;
pub mod log;
pub mod metrics;
pub mod mirror;
mod repository;
pub mod store;

pub use error::{Error, Failure};
pub use format::snapshot::{Snapshot, Summary};
pub use format::tree::{ExtendedAttribute, Name, Node, NodeKind, Tree};
pub use id::{Id, Object, ObjectKind};
pub use repository::{
    BackupJob, BackupReport, CheckDepth, CheckReport, Entry, KeyInfo, Progress, PruneReport, Repository,
    RestoreJob, RestoreReport, Root,
};
