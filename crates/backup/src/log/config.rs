//! Where a log is, and how often it is written.

use std::time::Duration;

use buttress_connect::ConnectionConfig;
use buttress_connect::blobs::BlobsConfig;
use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Serialize};

use super::segment::MAX_PAYLOAD;

/// Where a log is, and how often it is written.
///
/// | field | default | |
/// |---|---|---|
/// | `name` | `"main"` | the log's name; a store holds many |
/// | `blobs` | | where its objects are, see [`BlobsConfig`]; the repository's folder or bucket will do |
/// | `connection` | | how S3 is reached, see [`ConnectionConfig`] |
/// | `interval` | `"1s"` | how often what is new is shipped: what a crash may cost, and a little more |
/// | `retry_most` | `"30s"` | the longest wait after failures; it doubles from a quarter of a second |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LogConfig {
    /// The log's name; a store holds many.
    pub name: String,
    /// Where its objects are.
    pub blobs: BlobsConfig,
    /// How S3 is reached.
    pub connection: ConnectionConfig,
    /// How often what is new is shipped.
    #[serde(with = "units::duration")]
    pub interval: Duration,
    /// The longest wait after failures.
    #[serde(with = "units::duration")]
    pub retry_most: Duration,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            name: "main".to_owned(),
            blobs: BlobsConfig::default(),
            connection: ConnectionConfig::default(),
            interval: Duration::from_secs(1),
            retry_most: Duration::from_secs(30),
        }
    }
}

impl Validate for LogConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let name = (1..=64).contains(&self.name.len()) && self.name.chars().all(sign);
        wrong.require(
            name,
            "name",
            format!("\"{}\"", self.name),
            "must be 1 to 64 letters, digits, `-` and `_`",
        );
        wrong.nest("blobs", &self.blobs);
        let least = (MAX_PAYLOAD as u64).saturating_mul(2);
        wrong.require(
            self.blobs.max.bytes() >= least,
            "blobs.max",
            self.blobs.max,
            "must be at least \"64MiB\", so that every segment fits; \"256MiB\" is usual",
        );
        wrong.nest("connection", &self.connection);
        let shown = units::format_duration;
        let interval = (Duration::from_millis(10)..=Duration::from_hours(1)).contains(&self.interval);
        wrong.require(
            interval,
            "interval",
            shown(self.interval),
            "must be \"10ms\" to \"1h\"; \"1s\" is usual",
        );
        let retry = (Duration::from_secs(1)..=Duration::from_mins(10)).contains(&self.retry_most);
        wrong.require(
            retry,
            "retry_most",
            shown(self.retry_most),
            "must be \"1s\" to \"10m\"; \"30s\" is usual",
        );
        wrong.into_result()
    }
}
