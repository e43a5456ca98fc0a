//! What is logged and measured.

use std::time::Duration;

use buttress_core::{ByteSize, Validate, Violations};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// How logs and metrics are set up.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `log` | see [`LogConfig`] | format, filter and buffer of the log |
/// | `metrics` | see [`MetricsConfig`] | buckets and upkeep of the metrics |
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TelemetryConfig {
    /// The log.
    pub log: LogConfig,
    /// The metrics.
    pub metrics: MetricsConfig,
}

/// How the log is written.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `format` | `"auto"` | `"human"`, `"json"`, or human on a terminal and JSON elsewhere |
/// | `filter` | `"info"` | levels by target, as in `"info,buttress::service=debug"` |
/// | `buffer` | `"1MiB"` | lines that wait for a slow terminal or pipe; what does not fit is dropped and counted |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LogConfig {
    /// The shape of a line.
    pub format: LogFormat,
    /// Which spans and events are kept, in the syntax of `tracing_subscriber::EnvFilter`.
    pub filter: String,
    /// How many bytes of lines may wait for a slow reader. Twice as much memory may be in use.
    pub buffer: ByteSize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Auto, filter: "info".to_owned(), buffer: ByteSize::mib(1) }
    }
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogFormat {
    /// [`Human`](Self::Human) on a terminal, [`Json`](Self::Json) elsewhere.
    #[default]
    Auto,
    /// For people: one line of text, coloured on a terminal unless `NO_COLOR` is set.
    Human,
    /// For machines: one JSON object a line.
    Json,
}

/// How metrics are kept.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `upkeep_interval` | `"5s"` | how often recorded histogram samples are folded into their buckets |
/// | `seconds_buckets` | 1 ms to 60 s | upper bounds for histograms of durations |
/// | `bytes_buckets` | 256 B to 1 GiB | upper bounds for histograms named `…_bytes` |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MetricsConfig {
    /// How often samples are folded, so that memory stays flat when nobody scrapes.
    #[serde(with = "buttress_core::units::duration")]
    pub upkeep_interval: Duration,
    /// Upper bounds in seconds, rising. Used for every histogram that is not named `…_bytes`.
    pub seconds_buckets: Vec<f64>,
    /// Upper bounds in bytes, rising. Used for histograms named `…_bytes`.
    pub bytes_buckets: Vec<f64>,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            upkeep_interval: Duration::from_secs(5),
            seconds_buckets: vec![
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
            ],
            // Steps of four keep the series few over seven decades.
            bytes_buckets: (8..=30).step_by(2).map(|power| 2_f64.powi(power)).collect(),
        }
    }
}

impl Validate for TelemetryConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.nest("log", &self.log);
        wrong.nest("metrics", &self.metrics);
        wrong.into_result()
    }
}

impl Validate for LogConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        if let Err(error) = EnvFilter::try_new(&self.filter) {
            wrong.require(
                false,
                "filter",
                &self.filter,
                format!("{error}; write levels by target, like \"info,buttress::service=debug\""),
            );
        }
        wrong.require(
            self.buffer >= ByteSize::kib(16),
            "buffer",
            self.buffer,
            "must be at least 16KiB, so that the longest line fits; 1MiB is usual",
        );
        wrong.into_result()
    }
}

impl Validate for MetricsConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.require(
            self.upkeep_interval >= Duration::from_millis(100),
            "upkeep_interval",
            buttress_core::units::format_duration(self.upkeep_interval),
            "must be at least 100ms; 5s is usual",
        );
        for (field, buckets) in
            [("seconds_buckets", &self.seconds_buckets), ("bytes_buckets", &self.bytes_buckets)]
        {
            let rising = buckets.is_sorted_by(|a, b| a < b) && buckets.iter().all(|bound| bound.is_finite());
            wrong.require(
                rising && !buckets.is_empty() && buckets.len() <= 64,
                field,
                format!("{buckets:?}"),
                "must be 1 to 64 finite numbers, each larger than the one before",
            );
        }
        wrong.into_result()
    }
}
