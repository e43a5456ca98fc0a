//! Deadlines, retries with a budget, circuit breakers, bulkheads, hedging and load shedding.

mod batch;
mod breaker;
mod bulkhead;
mod coalesce;
mod config;
pub mod deadline;
mod error;
mod hedge;
pub mod metrics;
mod policy;
mod random;
mod retry;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)] // Failing is what a test is for.
mod simulation;
mod sync;
mod time;

pub use batch::{Batch, BatchConfig};
pub use breaker::{Breaker, BreakerConfig, BreakerState, Permit, WindowConfig};
pub use bulkhead::{Adapt, Bulkhead, BulkheadConfig, Priority, Slot};
pub use coalesce::{Coalesce, CoalesceConfig};
pub use deadline::Deadline;
pub use error::{Error, Failure, Verdict};
pub use hedge::{Hedge, HedgeConfig};
pub use policy::{Part, Policy, PolicyBuilder, ResilienceConfig};
pub use retry::{Attempt, BudgetConfig, Retry, RetryBudget, RetryConfig};
