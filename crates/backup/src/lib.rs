//! Snapshots that are proved to restore.

mod config;
mod drill;
mod error;
mod format;
mod id;
pub mod keeper;
pub mod log;
pub mod metrics;
pub mod mirror;
mod program;
mod repository;
mod retention;
mod schedule;
pub mod source;
pub mod store;
pub mod verify;
mod zone;

pub use config::{BackupConfig, JobConfig, PasswordConfig};
pub use drill::{DrillReport, DrilledSnapshot};
pub use error::{Error, Failure};
#[cfg(feature = "test-util")]
pub use format::any;
pub use format::snapshot::{Snapshot, Summary};
pub use format::tree::{ExtendedAttribute, Name, Node, NodeKind, Tree};
pub use id::{Id, Object, ObjectKind};
pub use keeper::Keeper;
pub use repository::{
    BackupJob, BackupReport, Change, Changed, CheckDepth, CheckReport, CopiedSnapshot, CopyReport,
    Difference, Entry, FoundEntry, KeyInfo, Progress, PruneReport, RepairIndexReport, RepairSnapshotsReport,
    RepairedSnapshot, Repository, RestoreJob, RestoreReport, Root, Stats,
};
pub use retention::{Keep, Period, Plan, Reason, Retention, SKEW, SnapshotInfo};
pub use schedule::{Cron, NoSchedule, Schedule};
pub use zone::{NoZone, Zone};
