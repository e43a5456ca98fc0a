//! Why telemetry could not be set up.

use buttress_core::{Classify, ErrorClass, Violations};

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error("the telemetry configuration is wrong: {0}")]
    Config(Violations),
    /// [`Telemetry::init`](crate::Telemetry::init) was called before in this process, or somebody else has installed
    /// what it installs.
    #[error(
        "the {what} of this process is already installed; call `Telemetry::init` once, in main, and pass it on"
    )]
    AlreadyInstalled {
        /// What stands in the way: `"telemetry"`, `"metrics recorder"` or `"tracing subscriber"`.
        what: &'static str,
    },
    /// The metrics recorder refused its buckets.
    #[error("the metrics recorder could not be made")]
    Metrics(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is no tokio runtime to run the upkeep of the metrics on.
    #[error("telemetry needs a tokio runtime; call `Telemetry::init` inside `#[tokio::main]` or `block_on`")]
    NoRuntime,
    /// The thread that writes the log could not be started.
    #[error("the log writer's thread could not be started")]
    Thread(#[source] std::io::Error),
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Config(_) => ErrorClass::Invalid,
            Self::AlreadyInstalled { .. } => ErrorClass::Conflict,
            Self::Metrics(_) | Self::NoRuntime | Self::Thread(_) => ErrorClass::Internal,
        }
    }
}
