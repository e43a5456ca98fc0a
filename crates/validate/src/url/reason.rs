//! Why something may not be reached.

use std::fmt;

use crate::error::Code;

/// What is held against an address, a name, a port or a URL. A closed set: it labels a metric.
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
    /// `only` of the configuration has other hosts.
    NotListed,
    /// A listener of the program itself.
    Itself,
    /// A scheme that is not listed.
    Scheme,
    /// A URL with a user name or a password.
    Credentials,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 16] = [
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
        Self::NotListed,
        Self::Itself,
        Self::Scheme,
        Self::Credentials,
    ];

    /// The reason as a metric label: `"link_local"`.
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
            Self::NotListed => "not_listed",
            Self::Itself => "itself",
            Self::Scheme => "scheme",
            Self::Credentials => "credentials",
        }
    }

    /// Whether allowing a *name* also allows it to have such an address. The others need the address itself in
    /// `allow`: whoever controls the name's records must not be able to point it at the cloud's credentials.
    pub(super) fn is_open_to_allowed_names(self) -> bool {
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
            Self::NotListed => "it is not among the hosts in `only`; an operator can add it",
            Self::Itself => "it is this service itself",
            Self::Scheme => "its scheme is not taken; use http: or https:",
            Self::Credentials => "it has a user name or a password; leave them out",
        })
    }
}

impl Reason {
    /// The code that errors of values carry.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::LocalName | Self::Denied | Self::NotListed => Code::Host,
            Self::Port => Code::Port,
            Self::Scheme => Code::Scheme,
            Self::Credentials => Code::Credentials,
            _ => Code::Address,
        }
    }
}
