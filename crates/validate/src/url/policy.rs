//! The decisions: which hosts, ports and addresses are taken.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use buttress_core::{SharedClock, SystemClock, Validate};

use super::address::{Reach, carried, classify};
use super::config::UrlConfig;
use super::ports;
use super::reason::Reason;
use super::resolve::{Resolve, SystemResolver};
use super::rule::{Rule, is_below};
use super::safe::SafeUrl;
use crate::error::{Error, Invalid, Result};

/// Names, with all below them, that belong to networks and not to the internet: special-use names (RFC 6761, 6762,
/// 8375), ICANN's `internal`, and what RFC 6762, appendix G, lists as in use.
const LOCAL_NAMES: [&str; 10] = [
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "home.arpa",
];

/// A host as it stands in a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    /// A name in lower case and punycode. A final dot does not matter.
    Name(&'a str),
    /// An address.
    Address(IpAddr),
}

/// Which URLs are taken, and how names are resolved. Cheap to clone; the default takes what is public.
#[derive(Clone)]
pub struct UrlPolicy {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) config: UrlConfig,
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) clock: SharedClock,
}

/// Shared, so that its resolver's limit of lookups holds for the process.
static PUBLIC: LazyLock<UrlPolicy> = LazyLock::new(|| UrlPolicy {
    inner: Arc::new(Inner {
        config: UrlConfig::default(),
        resolver: Arc::new(SystemResolver::default()),
        clock: SystemClock::shared(),
    }),
});

impl Default for UrlPolicy {
    fn default() -> Self {
        PUBLIC.clone()
    }
}

impl fmt::Debug for UrlPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UrlPolicy").field(&self.inner.config).finish()
    }
}

impl UrlPolicy {
    /// A policy by `config`, with the system's resolver.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when a field is out of its range.
    pub fn new(config: UrlConfig) -> Result<Self> {
        Self::with(config, Arc::new(SystemResolver::default()), SystemClock::shared())
    }

    /// A policy by `config` with a resolver and a clock of the application.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when a field is out of its range.
    pub fn with(config: UrlConfig, resolver: Arc<dyn Resolve>, clock: SharedClock) -> Result<Self> {
        config.validate().map_err(Error::Config)?;
        Ok(Self { inner: Arc::new(Inner { config, resolver, clock }) })
    }

    /// What it decides by.
    #[must_use]
    pub fn config(&self) -> &UrlConfig {
        &self.inner.config
    }

    /// Reads and judges a URL. Its name is not resolved yet: [`SafeUrl::resolve`] does that for each connection.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn parse(&self, text: &str) -> Result<SafeUrl, Invalid> {
        SafeUrl::read(text, self)
    }

    /// Judges a host and a port before a name is resolved. A host that is an address is judged whole.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn check_host(&self, host: Host<'_>, port: u16) -> Result<(), Reason> {
        let config = self.config();
        match host {
            Host::Name(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                if name.len() > 253 || name.split('.').any(str::is_empty) {
                    return Err(Reason::LocalName);
                }
                if config.deny.iter().any(|rule| rule.has_name_or_domain(name, port)) {
                    return Err(Reason::Denied);
                }
                if is_local(name) && !self.allows_name(name, port) {
                    return Err(Reason::LocalName);
                }
            }
            Host::Address(address) => self.check_address(host, address, port)?,
        }
        if !config.only.is_empty() && !config.only.iter().any(|rule| has(rule, host, port)) {
            return Err(Reason::NotListed);
        }
        self.check_port(host, port)
    }

    /// Judges one address that `host` resolved to.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn check_address(&self, host: Host<'_>, address: IpAddr, port: u16) -> Result<(), Reason> {
        let config = self.config();
        let plain = address.to_canonical();
        let denied = [plain, carried(address)];
        if config.deny.iter().any(|rule| denied.iter().any(|address| rule.has_address(*address, port))) {
            return Err(Reason::Denied);
        }
        match classify(address) {
            Reach::Public => Ok(()),
            Reach::Refused(_) if config.allow.iter().any(|rule| rule.has_address(plain, port)) => Ok(()),
            Reach::Refused(reason) => match host {
                Host::Name(name) if reason.is_open_to_allowed_names() && self.allows_name(name, port) => {
                    Ok(())
                }
                _ => Err(reason),
            },
        }
    }

    fn check_port(&self, host: Host<'_>, port: u16) -> Result<(), Reason> {
        let config = self.config();
        let named = config.allow.iter().any(|rule| rule.names_port() && has(rule, host, port));
        let usual = match config.ports.as_slice() {
            [] => !ports::is_refused(port),
            only => only.contains(&port),
        };
        if named || usual { Ok(()) } else { Err(Reason::Port) }
    }

    fn allows_name(&self, name: &str, port: u16) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        self.config().allow.iter().any(|rule| rule.has_name(name, port))
    }
}

fn has(rule: &Rule, host: Host<'_>, port: u16) -> bool {
    match host {
        Host::Name(name) => rule.has_name(name.strip_suffix('.').unwrap_or(name), port),
        Host::Address(address) => rule.has_address(address.to_canonical(), port),
    }
}

/// Whether a name means something only inside of a network. A name of one label is looked up in the network's own
/// domains first.
fn is_local(name: &str) -> bool {
    !name.contains('.') || LOCAL_NAMES.iter().any(|local| name == *local || is_below(local, name))
}
