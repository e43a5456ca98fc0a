//! Snapshots that are proved to restore: de-duplicated, compressed, encrypted, in a folder or in S3, in the format of restic.
//!
//! ```
//! use buttress_backup::store::{DynStore, Folder};
//! use buttress_backup::{BackupJob, CheckDepth, Repository, RestoreJob};
//! use buttress_core::Ctx;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), buttress_backup::Error> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let folder = folder.path();
//! # std::fs::create_dir(folder.join("blobs")).expect("a folder");
//! let store = DynStore::new(Folder::new(folder.join("repository")));
//! let repository = Repository::init(store, &"correct horse".into(), &Ctx::default()).await?;
//!
//! let report = repository.backup(BackupJob::new().root(folder.join("blobs"), "/blobs").tag("daily")).await?;
//! // When it returns, the snapshot is in the store, with all it needs.
//!
//! let target = folder.join("restored");
//! repository.restore(&report.snapshot, RestoreJob::new(&target)).await?;
//! assert!(target.join("blobs").is_dir());
//! repository.check(CheckDepth::Data).await?; // Anything wrong is an error that names it.
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! - A snapshot that was reported done restores, after kill -9 of anything at any moment: packs are in the store before the index that names
//!   them, and that before the snapshot. What a killed run has left is used by the next one.
//! - Nothing that is partly done is a success: [`Error::Incomplete`] names each part that is missing.
//! - Each object's name is its hash, each blob is authenticated, and proved again when it is restored. What is damaged is named, and costs only what
//!   it held.
//! - restic checks and restores what this writes, and this what restic writes. They keep each other's locks. That is the way out, and the oracle of
//!   the tests.
//! - Paths of a repository are not believed: no name leaves its folder, and nothing is written through a link.
//!
//! # The parts
//!
//! | | |
//! |---|---|
//! | [`Repository`] | backup, restore, check, diff, copy, forget, prune, repair, keys |
//! | [`store`] | where objects are: [`Folder`](store::Folder), S3, retries, append-only, one of your own |
//! | [`source`] | what is backed up: folders, SQLite, PostgreSQL, Redis, a service's own state, with hooks |
//! | [`verify`] | what a drill asks of what was restored |
//! | [`log`] | a sealed log of changes: PostgreSQL and SQLite back to a chosen second |
//! | [`Retention`], [`Schedule`] | what is kept and when it is made, as pure functions |
//! | [`Keeper`] | runs all of it in a service: schedules, retries, checks, drills, and alarms by the age of the newest snapshot |
//! | [`mirror`] | replicas in step, read back and healed, without any key |
//! | the program `backup` | all that can be done with a repository, by hand |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `cli` | no | the program `backup` |
//! | `postgres` | no | the log of PostgreSQL; its base backups and dumps need no feature |
//! | `s3` | no | repositories in `s3://…` |
//! | `sqlite` | no | SQLite as a source, in drills and as a log, compiled in |
//! | `test-util` | no | what every store keeps, as tests for one of your own; a store that fails by plan |

mod buffer;
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
mod sandbox;
mod schedule;
pub mod source;
pub mod store;
mod threads;
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
pub use keeper::{Keeper, Phase};
pub use repository::{
    BackupJob, BackupReport, Change, Changed, CheckDepth, CheckReport, CopiedSnapshot, CopyReport,
    Difference, Entry, FoundEntry, KeyInfo, Progress, PruneReport, RepairIndexReport, RepairSnapshotsReport,
    RepairedSnapshot, Repository, RestoreJob, RestoreReport, Root, Stats,
};
pub use retention::{Keep, Period, Plan, Reason, Retention, SKEW, SnapshotInfo};
pub use schedule::{Cron, NoSchedule, Schedule};
pub use zone::{NoZone, Zone};
