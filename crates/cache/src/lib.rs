//! A cache.

mod builder;
mod cache;
mod config;
#[cfg(feature = "test-util")]
pub mod contract;
pub mod engine;
mod entry;
mod error;
mod flights;
mod freshness;
mod lifetime;
mod load;
pub mod metrics;
mod random;
mod stats;
mod tags;
mod tally;
mod terms;
mod tick;
mod upkeep;

pub use builder::Builder;
pub use cache::{Cache, CacheValue};
pub use config::CacheConfig;
pub use engine::{CacheKey, EngineKind};
pub use error::{Cause, Error};
pub use lifetime::Lifetime;
pub use stats::Stats;
pub use terms::Terms;
