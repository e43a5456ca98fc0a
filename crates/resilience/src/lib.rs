//! Calls to what may fail, be slow, or be overloaded: deadlines, retries with a budget, circuit breakers, bulkheads, hedging,
//! load shedding, coalescing and batching.
//!
//! ```
//! use buttress_core::{Ctx, Elapsed};
//! use buttress_resilience::{Failure, Policy, ResilienceConfig};
//!
//! async fn search(words: &str) -> Result<usize, Elapsed> {
//!     Ok(words.len()) // asks another service
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = ResilienceConfig::default();
//! config.name = "search".to_owned();
//! // One policy for each callee. To search twice does no harm, and only the caller knows.
//! let policy = Policy::new(&config, &Ctx::default())?.idempotent();
//!
//! let found: Result<usize, Failure<Elapsed>> = policy.run(|_attempt| search("three blind mice")).await;
//! assert_eq!(found?, 16);
//!
//! let found = policy
//!     .run_or_else(|_| search("mice"), |_failure| async { Ok::<_, Elapsed>(0) }) // or what is at hand
//!     .await?;
//! assert_eq!(found, 4);
//! # Ok(())
//! # }
//! ```
//!
//! # Parts
//!
//! A [`Policy`] puts them in one order, from the outside to the inside; each is useful alone.
//!
//! | part | what it does |
//! |---|---|
//! | [`Policy::run_or_else`] | asks somewhere else for what failed |
//! | [`Retry`] | tries again: after growing random waits, within the deadline, out of a [`RetryBudget`] |
//! | [`Hedge`] | asks a second time when an answer takes longer than most |
//! | [`Breaker`] | leaves a callee alone that keeps failing or is slow |
//! | [`Bulkhead`] | so many calls at once; others wait in a bounded line by [`Priority`]; the limit may [adapt](Adapt) |
//! | [`Deadline`] | a time limit that is handed down to every call below, and over the wire |
//! | [`Coalesce`] | one call for all who ask for the same at the same time |
//! | [`Batch`] | one call for items of many callers |
//!
//! # What it promises
//!
//! - What is tried again is transient by its [class](buttress_core::ErrorClass), and either the caller says that it may be
//!   done twice or the callee says that it did not begin. Retries never exceed their budget, and never wait past the
//!   deadline.
//! - A callee that asks for a wait (`Retry-After`) gets it, or is not asked again.
//! - What the policy itself refuses is a [`Failure::Rejected`], which says when to come back where that is known. It is not
//!   tried again, and does not count against the callee.
//! - A future may be dropped at any await: places, probes and items go to the next.
//! - Everything that waits or is keyed is bounded. All time is the [`Clock`](buttress_core::Clock)'s.
//! - While nothing is wrong a call allocates nothing and sets no timer before it has to wait, and takes no lock but where
//!   times are learnt from: in hedges, and in limits that adapt.
//!
//! # What failures mean
//!
//! | failure | retry | breaker | limit that adapts |
//! |---|---|---|---|
//! | unavailable, timeout | if idempotent | counts | falls |
//! | overloaded | yes | counts | falls |
//! | throttled | yes | a sign of life | falls |
//! | internal | no | counts | as it was |
//! | cancelled | if idempotent | says nothing | as it was |
//! | all others | no | a sign of life | as it was |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `redis` | no | `Breaker::share`: replicas tell each other, through Redis, when a circuit opens |
//! | `tower` | no | [`layer`]: policies and deadlines as tower layers |

mod batch;
mod breaker;
mod bulkhead;
mod coalesce;
mod config;
pub mod deadline;
mod error;
mod hedge;
#[cfg(feature = "tower")]
pub mod layer;
pub mod metrics;
mod policy;
mod retry;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)] // Failing is what a test is for.
mod simulation;
mod sync;
mod time;

pub use batch::{Batch, BatchConfig};
#[cfg(feature = "redis")]
pub use breaker::SharingConfig;
pub use breaker::{Breaker, BreakerConfig, BreakerState, Permit, WindowConfig};
pub use bulkhead::{Adapt, Bulkhead, BulkheadConfig, Priority, Slot};
pub use coalesce::{Coalesce, CoalesceConfig};
pub use deadline::Deadline;
pub use error::{Error, Failure, Verdict};
pub use hedge::{Hedge, HedgeConfig};
pub use policy::{Part, Policy, PolicyBuilder, ResilienceConfig};
pub use retry::{Attempt, BudgetConfig, Retry, RetryBudget, RetryConfig};
