//! Rate limits with many windows, tiers, penalties and bans, in memory or shared.

pub mod algorithm;
mod any;
mod cidr;
mod config;
#[cfg(feature = "test-util")]
pub mod contract;
mod decision;
mod error;
mod fingerprint;
pub mod headers;
#[cfg(feature = "tower")]
pub mod layer;
mod limit;
mod limiter;
pub mod metrics;
pub mod penalty;
mod plan;
mod request;
#[cfg(feature = "redis")]
mod shared;
mod status;
mod store;
mod timeline;
mod view;

pub use algorithm::Algorithm;
pub use any::AnyLimiter;
pub use cidr::Cidr;
pub use config::{LimiterConfig, OnUnavailable, RouteConfig, SharedConfig};
pub use decision::{Decision, Quota};
pub use error::Error;
pub use limit::{Limit, Policy};
pub use limiter::{Limiter, Reservation};
pub use penalty::PenaltyConfig;
pub use request::{Request, Subject};
#[cfg(feature = "redis")]
pub use shared::SharedLimiter;
pub use status::{Status, Totals, WindowStatus};
