//! Runs a production HTTP service: listener, layers, problem+json, probes, ordered start, drain and stop.
//!
//! A main reads as its architecture:
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use buttress_core::Ctx;
//! use buttress_service::{Component, Service, ServiceConfig};
//! use buttress_telemetry::{Telemetry, TelemetryConfig};
//!
//! struct Store;
//!
//! impl Component for Store {
//!     fn name(&self) -> &str { "store" }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let ctx = Ctx::default();
//!     let telemetry = Telemetry::init(&TelemetryConfig::default(), &ctx)?;
//!     Service::new("docproc", ServiceConfig::default(), ctx, telemetry)
//!         .with(Store)
//!         .routes(Router::new().route("/", get(|| async { "hello" })))
//!         .run()
//!         .await?;
//!     Ok(())
//! }
//! ```
//!
//! # What every request passes
//!
//! trace > catch-panic > client address > load shed > body limit > deadline > handler.
//!
//! - A request is known by its `x-request-id`, taken over if it is sane, in every log line and in the answer; its
//!   `traceparent` is continued. Handlers find `RequestId` and `TraceContext` of `buttress_telemetry` in the request's
//!   extensions, and [`ClientAddr`] as an extractor.
//! - A panic is answered 500 and the process goes on. Every error is answered as problem+json ([`Problem`]), those of
//!   the router and its extractors too.
//! - [`Service::routes`] are for what answers soon; uploads and event streams go to [`Service::long_routes`], which have
//!   no deadline and limits of their own.
//!
//! # Probes
//!
//! `/livez`, `/readyz`, `/startupz`, `/healthz` and `/metrics` answer on `admin_listen` if it is configured, on the
//! service's own port otherwise. They stand outside the limits.
//!
//! # Life
//!
//! 1. The ports are bound, so that an address in use is told at once. Components start in order. The port serves.
//! 2. On SIGTERM or SIGINT, readiness fails at once; after `drain.pre_stop_delay` the port closes and `ctx.shutdown`
//!    drains. Requests and components finish what they have in hand, at most for `drain.finish_within`.
//! 3. `ctx.shutdown` stops; components stop in reverse order and background tasks end, at most for
//!    `drain.stop_within`. The log is flushed, and [`Service::run`] returns `Ok`.
//! 4. A second signal ends it at once, with [`Error::Interrupted`].
//!
//! # Metrics
//!
//! | name | labels |
//! |---|---|
//! | `buttress_service_requests_total` | `method`, `route` (as in the router, never a path), `status` (`2xx`) |
//! | `buttress_service_request_duration_seconds` | the same |
//! | `buttress_service_in_flight_requests` | `routes` (`ordinary`, `long`) |
//! | `buttress_service_shed_requests_total` | `routes` |
//! | `buttress_service_panics_total` | |
//! | `buttress_service_connections` | `port` (`main`, `admin`) |

#[cfg(feature = "backup")]
mod backup;
mod client_addr;
mod component;
mod config;
mod error;
mod guard;
mod metrics;
mod probes;
mod problem;
#[cfg(feature = "ratelimit")]
mod rate_limit;
#[cfg(feature = "security")]
mod security;
mod server;
mod service;
mod stack;
mod stop;
mod trace;

pub use client_addr::{ClientAddr, ProxiesConfig};
pub use component::Component;
pub use config::{DrainConfig, LimitsConfig, ServiceConfig};
pub use error::{BoxError, Error};
pub use problem::{Problem, status_of};
#[cfg(feature = "ratelimit")]
pub use rate_limit::{RateLimit, address_limits};
#[cfg(feature = "security")]
pub use security::{Caller, Security, SecurityConfig, SetUp};
pub use service::Service;
pub use stop::{Bound, Handle, Signal, stop_signal};
