//! Live, ready and startup probes answered from background checks.
//!
//! Each check runs on its own schedule, with a time limit, and leaves its answer where reports are read from. A flood
//! of probes therefore costs the dependencies nothing, and a dependency that hangs never hangs a probe.
//!
//! - One failure does not make a service unready: a check turns after several in a row
//!   ([`HealthConfig::failure_threshold`]). The first answer after the start counts at once.
//! - A panic or a time-out of a probe is a failure of its check and of nothing else.
//! - An [optional](Check::optional) check that fails is a warning, which is still a success to an HTTP probe.
//! - An answer that is over three rounds old is a warning, over six a failure.
//! - Liveness looks at the process alone: whether its runtime still runs tasks.
//! - Readiness fails until [`Health::mark_started`] and from [`Health::drain`] on.
//!
//! ```
//! use buttress_core::{Ctx, Probe, Vitality};
//! use buttress_health::{Check, Group, Health};
//!
//! struct Queue;
//!
//! impl Probe for Queue {
//!     fn name(&self) -> &str { "queue" }
//!     async fn check(&self) -> Vitality { Vitality::Pass }
//! }
//!
//! # fn main() -> Result<(), buttress_health::Error> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
//! # runtime.block_on(async {
//! let ctx = Ctx::default();
//! let health = Health::builder(&ctx).check(Check::ready(Queue).optional()).start()?;
//! health.mark_started();
//!
//! assert!(health.report(Group::Live).is_ok());
//! # Ok(())
//! # })
//! # }
//! ```

mod check;
mod config;
mod error;
mod health;
mod metrics;
mod report;
mod runner;
mod verdict;

pub use check::{Check, Group};
pub use config::HealthConfig;
pub use error::Error;
pub use health::{Builder, Health};
pub use report::{CheckReport, Report, Status};
