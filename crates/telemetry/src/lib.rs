//! One call sets up logs, metrics and spans.
//!
//! [`Telemetry::init`] installs a log (text for people on a terminal, one JSON object a line elsewhere) and a metrics
//! recorder whose content [`Telemetry::metrics_text`] renders for Prometheus. Application and library code speak to
//! the [`tracing`](https://docs.rs/tracing) and [`metrics`](https://docs.rs/metrics) facades and need not know this crate.
//!
//! - The log never holds the application up: lines go through a bounded buffer to a thread of its own, and what a
//!   stalled reader leaves no room for is dropped and counted.
//! - Each line carries the `request_id` of the span around it, wherever in the call tree it is logged.
//! - Values that look like secrets are masked before any sink sees them, and control characters cannot forge a line.
//! - Histograms have buckets, and memory stays flat when nobody scrapes.
//! - `/metrics` tells CPU, memory, threads and file descriptors of the process too.
//!
//! [`RequestId`] and [`TraceContext`] are what a request is known by, here and in the services before and after.
//!
//! ```
//! use buttress_core::Ctx;
//! use buttress_telemetry::{Telemetry, TelemetryConfig};
//!
//! # fn main() -> Result<(), buttress_telemetry::Error> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
//! # runtime.block_on(async {
//! let ctx = Ctx::default();
//! let telemetry = Telemetry::init(&TelemetryConfig::default(), &ctx)?;
//! telemetry.build_info("docproc", "1.2.0");
//!
//! let documents = metrics::counter!("documents_total"); // resolve once, keep
//! documents.increment(1);
//! tracing::info!(documents = 1, "ready");
//!
//! assert!(telemetry.metrics_text().contains("documents_total 1"));
//! # Ok(())
//! # })
//! # }
//! ```

mod config;
mod error;
mod log;
mod process;
mod request_id;
mod telemetry;
mod trace_context;

pub use config::{LogConfig, LogFormat, MetricsConfig, TelemetryConfig};
pub use error::Error;
pub use request_id::RequestId;
pub use telemetry::Telemetry;
pub use trace_context::TraceContext;
