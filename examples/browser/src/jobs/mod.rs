//! Jobs: accepted once, run until they end, kept with what they left behind.
//!
//! A [`Store`] keeps jobs in one SQLite file. A job is acknowledged when its row is on the disk, and from then on it
//! ends once, whatever happens to the process:
//!
//! ```text
//! submit ──▶ waiting ──claim──▶ running ──finish──▶ done, failed, cancelled ──prune──▶ forgotten
//!               ▲                  │
//!               └──────────────────┘ a transient failure, given back, dropped, the process killed
//! ```
//!
//! Each claim counts as an attempt unless it is given back, so that a workflow that kills the whole service comes to
//! an end too. Who runs a job may do a step of it twice: a job ends once, but may be begun several times.
//!
//! [`Artifacts`] keeps what jobs leave behind, in files named by the hash of their content.

mod artifacts;
mod claim;
mod config;
mod database;
mod error;
mod finish;
mod id;
mod job;
mod live;
mod prune;
mod query;
mod records;
mod retry;
mod store;
mod submit;
mod time;

pub use artifacts::{Artifacts, Usage};
pub use claim::Claimed;
pub use config::{JobsConfig, TenantLimits};
pub use error::{Error, Result};
pub use finish::Recovered;
pub use id::{JobId, JobIdError};
pub use job::{Change, Job, NewJob, State, Summary};
pub use prune::Pruned;
pub use query::{Counts, Filter, TenantCounts};
pub use store::Store;
