//! Why something is not let through.

use std::io;
use std::time::Duration;

use buttress_core::{Classify, ErrorClass, Violations, units};
use buttress_validate::url::Reason;

/// A result whose error is the guard's.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the guard refuses, in its own words where it has any.
fn told(reason: Reason) -> String {
    match reason {
        Reason::Scheme => {
            "only http:, https: and about:blank can be opened; serve the page by http or https".into()
        }
        Reason::Credentials => {
            "it has a user name or a password; leave them out, and sign in by a step of the workflow".into()
        }
        other => other.to_string(),
    }
}

/// Why the guard does not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The guard is there to refuse this.
    #[error("{target} is refused: {}", told(*.reason))]
    Refused {
        /// The host with its port, or the URL's scheme.
        target: String,
        /// Why.
        reason: Reason,
    },
    /// The text is no URL.
    #[error("`{text}` is not a URL; write one like https://example.org/page")]
    NotAUrl {
        /// Its beginning.
        text: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
    /// The URL is too long.
    #[error("the URL has {length} bytes; the most is {most}")]
    TooLong {
        /// Its bytes.
        length: usize,
        /// The limit.
        most: usize,
    },
    /// The name has no address.
    #[error("the name {host} does not resolve to an address")]
    Unresolved {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// None of the host's addresses takes the connection.
    #[error("{target} takes no connection")]
    Unreachable {
        /// The host and its port.
        target: String,
        /// What the last address said.
        source: io::Error,
    },
    /// Resolving and connecting together took too long.
    #[error("{target} was not reached within {}", units::format_duration(*.limit))]
    Timeout {
        /// The host and its port.
        target: String,
        /// The limit.
        limit: Duration,
    },
    /// The configuration contradicts itself.
    #[error("the guard's configuration is wrong")]
    Config(#[source] Violations),
    /// No port on loopback for the proxy.
    #[error("the guard's proxy cannot listen on 127.0.0.1")]
    Listen(#[source] io::Error),
}

impl Error {
    /// Why it was refused, if it was.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused { reason, .. } => Some(*reason),
            _ => None,
        }
    }
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Refused { .. } => ErrorClass::Forbidden,
            Self::NotAUrl { .. } => ErrorClass::Invalid,
            Self::TooLong { .. } => ErrorClass::TooLarge,
            Self::Unresolved { .. } | Self::Unreachable { .. } => ErrorClass::Unavailable,
            Self::Timeout { .. } => ErrorClass::Timeout,
            Self::Config(_) | Self::Listen(_) => ErrorClass::Internal,
        }
    }
}
