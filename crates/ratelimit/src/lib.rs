//! Rate limits with many windows, tiers, penalties and bans, in memory or shared.

pub mod algorithm;
mod cidr;
mod config;
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
mod status;
mod store;
mod timeline;

pub use algorithm::Algorithm;
pub use cidr::Cidr;
pub use config::{LimiterConfig, RouteConfig};
pub use decision::{Decision, Quota};
pub use error::Error;
pub use limit::{Limit, Policy};
pub use limiter::{Limiter, Reservation};
pub use penalty::PenaltyConfig;
pub use request::{Request, Subject};
pub use status::{Status, Totals, WindowStatus};
