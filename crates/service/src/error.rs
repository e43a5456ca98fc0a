//! Why a service did not run, or did not stop in order.

use std::net::SocketAddr;
use std::path::PathBuf;

use buttress_core::{Classify, ErrorClass, Violations};

/// Any error, as a component reports it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a service did not run, or did not stop in order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error("the service configuration is wrong: {0}")]
    Config(Violations),
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}; choose another address in `listen` or `admin_listen`, or port 0 for any"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The signals that stop the service cannot be received.
    #[error("cannot listen for the signals that stop the service")]
    Signals(#[source] std::io::Error),
    /// The health checks cannot be started.
    #[error("the health checks cannot be started")]
    Health(#[source] buttress_health::Error),
    /// What protects the service is not there, or cannot be used.
    #[error("cannot {doing} {what} of `security`")]
    Security {
        /// The verb.
        doing: &'static str,
        /// Which part of it.
        what: &'static str,
        /// Why.
        source: BoxError,
    },
    /// A service runs on what is to be set up, and has its audit log to itself.
    #[error("a service is running on {}; stop it, or have it issue API keys, by POST /v1/keys", folder.display())]
    InUse {
        /// The folder of `security`.
        folder: PathBuf,
    },
    /// A component did not start. Those started before it have been stopped.
    #[error("`{component}` did not start")]
    Start {
        /// The component's name.
        component: String,
        /// Why.
        source: BoxError,
    },
    /// A component reported an error while stopping. The others have been stopped all the same.
    #[error("`{component}` did not stop in order")]
    Stop {
        /// The component's name.
        component: String,
        /// Why.
        source: BoxError,
    },
    /// Background tasks were still running when the time to stop was over.
    #[error("{tasks} background tasks were still running at the end of `drain.stop_within`")]
    Unfinished {
        /// How many.
        tasks: usize,
    },
    /// A second request to stop came while the service was stopping, so it stopped at once.
    #[error("stopped at once, by a second request to stop")]
    Interrupted,
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Config(_) => ErrorClass::Invalid,
            Self::Bind { .. } | Self::InUse { .. } => ErrorClass::Conflict,
            Self::Interrupted => ErrorClass::Cancelled,
            Self::Unfinished { .. } => ErrorClass::Timeout,
            Self::Signals(_)
            | Self::Health(_)
            | Self::Security { .. }
            | Self::Start { .. }
            | Self::Stop { .. } => ErrorClass::Internal,
        }
    }
}
