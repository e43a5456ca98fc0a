//! How a server is spoken to.

use std::path::PathBuf;
use std::time::Duration;

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Serialize};

/// How a server is spoken to, whichever it is.
///
/// | field | default | |
/// |---|---|---|
/// | `timeout` | `"10s"` | how long the server may take to be reached, and to answer |
/// | `ca_file` | – | certificates (PEM) trusted beside the system's |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConnectionConfig {
    /// How long the server may take to be reached, and to answer. A connection to Redis on which nothing was heard for longer after a command
    /// is given up, and another is made with the next command, also where callers had less patience.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
    /// Certificates (PEM) trusted beside the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), ca_file: None }
    }
}

impl Validate for ConnectionConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let shown = units::format_duration(self.timeout);
        let sensible = (Duration::from_millis(100)..=Duration::from_mins(5)).contains(&self.timeout);
        wrong.require(sensible, "timeout", shown, "must be \"100ms\" to \"5m\"; \"10s\" is usual");
        wrong.into_result()
    }
}
