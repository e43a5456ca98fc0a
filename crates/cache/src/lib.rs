//! A cache.

mod builder;
mod cache;
#[cfg(feature = "codec")]
pub mod codec;
mod config;
#[cfg(feature = "test-util")]
pub mod contract;
pub mod engine;
mod entry;
mod error;
mod flights;
mod found;
mod freshness;
#[cfg(feature = "hashed-keys")]
mod hashed_key;
mod lifetime;
mod load;
pub mod metrics;
#[cfg(feature = "codec")]
mod snapshot;
mod stats;
mod tags;
mod tally;
mod terms;
mod tick;
#[cfg(feature = "codec")]
pub mod tier;
#[cfg(feature = "codec")]
mod tiered;
mod upkeep;
mod warm;

pub use builder::Builder;
pub use cache::{Cache, CacheValue};
pub use config::CacheConfig;
pub use engine::{CacheKey, EngineKind};
pub use error::{Cause, Error};
pub use found::Found;
#[cfg(feature = "hashed-keys")]
pub use hashed_key::HashedKey;
pub use lifetime::Lifetime;
#[cfg(feature = "codec")]
pub use snapshot::Restored;
pub use stats::Stats;
pub use terms::Terms;
#[cfg(feature = "codec")]
pub use tiered::{TierConfig, Tiered};
pub use warm::Warmed;
