//! Why something is not let through.

use std::fmt;
use std::io;
use std::time::Duration;

use buttress_core::{Classify, ErrorClass, Violations, units};

/// A result whose error is the guard's.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the guard holds against an address, a name, a port or a URL. A closed set: it labels a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// "This host on this network": `0.0.0.0/8`, `::`.
    ThisHost,
    /// The machine itself: `127.0.0.0/8`, `::1`.
    Loopback,
    /// A private network: `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`, `fc00::/7`, `fec0::/10`.
    Private,
    /// One link only: `169.254.0.0/16`, `fe80::/10`.
    LinkLocal,
    /// An address where a cloud hands out its machines' credentials.
    Metadata,
    /// A provider's own network behind its address translation: `100.64.0.0/10`.
    Shared,
    /// Documentation, benchmarks, protocols' own addresses, tunnels.
    Special,
    /// Many hosts at once.
    Multicast,
    /// Not given to anybody.
    Reserved,
    /// A name that means something only inside of a network: `localhost`, `printer`, `db.internal`.
    LocalName,
    /// A port of a service that is no web server.
    Port,
    /// `deny` of the configuration.
    Denied,
    /// The guard's own proxy.
    Itself,
    /// A URL that is neither `http:` nor `https:`.
    Scheme,
    /// A URL with a user name or a password.
    Credentials,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 15] = [
        Self::ThisHost,
        Self::Loopback,
        Self::Private,
        Self::LinkLocal,
        Self::Metadata,
        Self::Shared,
        Self::Special,
        Self::Multicast,
        Self::Reserved,
        Self::LocalName,
        Self::Port,
        Self::Denied,
        Self::Itself,
        Self::Scheme,
        Self::Credentials,
    ];

    /// The reason as a metric label, and as the value of the header `x-guard-refused`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ThisHost => "this_host",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link_local",
            Self::Metadata => "metadata",
            Self::Shared => "shared",
            Self::Special => "special",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
            Self::LocalName => "local_name",
            Self::Port => "port",
            Self::Denied => "denied",
            Self::Itself => "itself",
            Self::Scheme => "scheme",
            Self::Credentials => "credentials",
        }
    }

    /// Whether allowing a *name* also allows it to have such an address. The others need the address itself in
    /// `allow`: whoever controls the name's records must not be able to point it at the cloud's credentials.
    pub(crate) fn is_open_to_allowed_names(self) -> bool {
        matches!(self, Self::Loopback | Self::Private | Self::Shared)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThisHost => "it stands for this machine; name a public host",
            Self::Loopback => "it is this machine itself; an operator can allow it in `allow`",
            Self::Private => "it is in a private network; an operator can allow it in `allow`",
            Self::LinkLocal => "it is on the local link; an operator can allow the address itself in `allow`",
            Self::Metadata => "it is where a cloud hands out credentials of its machines",
            Self::Shared => "it is in a provider's internal network; an operator can allow it in `allow`",
            Self::Special => "it is set aside for documentation, tests or tunnels; name a public host",
            Self::Multicast => "it is a multicast address; name one host",
            Self::Reserved => "it is not assigned to anybody; name a public host",
            Self::LocalName => {
                "its name means something only inside of a network; write the full public name, or have an operator \
                 allow the name in `allow`"
            }
            Self::Port => {
                "its port is not one of web servers; an operator can allow `host:port` in `allow` or list the port \
                 in `ports`"
            }
            Self::Denied => "an operator denies it in `deny`",
            Self::Itself => "it is the guard's own proxy",
            Self::Scheme => "only http:, https: and about:blank can be opened; serve the page by http or https",
            Self::Credentials => {
                "it has a user name or a password; leave them out, and sign in by a step of the workflow"
            }
        })
    }
}

/// Why the guard does not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The guard is there to refuse this.
    #[error("{target} is refused: {reason}")]
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
