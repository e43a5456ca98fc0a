//! The decisions: which URLs, names, ports and addresses go through.

use std::net::IpAddr;
use std::sync::Arc;

use buttress_core::Validate;
use url::{Host, Url};

use super::address::{Reach, carried, classify};
use super::config::GuardConfig;
use super::error::{Error, Reason, Result};
use super::ports;
use super::rule::{is_below, normal};

/// The longest URL, in bytes.
const LONGEST_URL: usize = 32 << 10;

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

/// Decides by its configuration; asks nobody. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Guard {
    config: Arc<GuardConfig>,
}

impl Guard {
    /// A guard that decides by `config`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when a field is out of its range.
    pub fn new(config: GuardConfig) -> Result<Self> {
        config.validate().map_err(Error::Config)?;
        Ok(Self { config: Arc::new(config) })
    }

    /// What it decides by.
    #[must_use]
    pub fn config(&self) -> &GuardConfig {
        &self.config
    }

    /// Reads and judges a URL before a browser opens it: `http:`, `https:` and `about:blank` pass, unless the host
    /// or the port is refused as it stands. Names are not resolved here: the proxy does that for each connection.
    ///
    /// Open the URL that is returned, not the text: only the former is sure to be read as it was judged.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], [`Error::NotAUrl`] or [`Error::TooLong`].
    pub fn check_url(&self, text: &str) -> Result<Url> {
        if text.len() > LONGEST_URL {
            return Err(Error::TooLong { length: text.len(), most: LONGEST_URL });
        }
        let url = Url::parse(text).map_err(|source| {
            let text = text.chars().take(100).collect();
            Error::NotAUrl { text, source }
        })?;
        if url.scheme() == "about" && url.path() == "blank" {
            return Ok(url);
        }
        let scheme = || Error::Refused { target: format!("{}:", url.scheme()), reason: Reason::Scheme };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(scheme());
        }
        // Both kinds of URL have a host and a usual port.
        let host = url.host().ok_or_else(scheme)?.to_owned();
        let port = url.port_or_known_default().ok_or_else(scheme)?;
        let refused = |reason| Error::Refused { target: target(&host, port), reason };
        if self.config.enabled && (!url.username().is_empty() || url.password().is_some()) {
            return Err(refused(Reason::Credentials));
        }
        self.check_target(&host, port).map_err(refused)?;
        Ok(url)
    }

    /// Judges a host and a port before the name is resolved. A host that is an address is judged whole.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn check_target(&self, host: &Host, port: u16) -> Result<(), Reason> {
        if !self.config.enabled {
            return Ok(());
        }
        let Some(host) = normal(host.clone()) else { return Err(Reason::LocalName) };
        match &host {
            Host::Domain(name) => {
                if self.config.deny.iter().any(|rule| rule.has_name_or_domain(name, port)) {
                    return Err(Reason::Denied);
                }
                if is_local(name) && !self.allows_name(name, port) {
                    return Err(Reason::LocalName);
                }
            }
            Host::Ipv4(address) => self.check_address(&host, IpAddr::V4(*address), port)?,
            Host::Ipv6(address) => self.check_address(&host, IpAddr::V6(*address), port)?,
        }
        self.check_port(&host, port)
    }

    /// Judges one address that `host` resolved to.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn check_address(&self, host: &Host, address: IpAddr, port: u16) -> Result<(), Reason> {
        if !self.config.enabled {
            return Ok(());
        }
        let plain = address.to_canonical();
        let denied = [plain, carried(address)];
        if self.config.deny.iter().any(|rule| denied.iter().any(|address| rule.has_address(*address, port))) {
            return Err(Reason::Denied);
        }
        match classify(address) {
            Reach::Public => Ok(()),
            Reach::Refused(_) if self.config.allow.iter().any(|rule| rule.has_address(plain, port)) => Ok(()),
            Reach::Refused(reason) => match host {
                Host::Domain(name) if reason.is_open_to_allowed_names() && self.allows_name(name, port) => {
                    Ok(())
                }
                _ => Err(reason),
            },
        }
    }

    fn check_port(&self, host: &Host, port: u16) -> Result<(), Reason> {
        let named = self.config.allow.iter().any(|rule| {
            rule.names_port()
                && match host {
                    Host::Domain(name) => rule.has_name(name, port),
                    Host::Ipv4(address) => rule.has_address(IpAddr::V4(*address), port),
                    Host::Ipv6(address) => rule.has_address(IpAddr::V6(*address).to_canonical(), port),
                }
        });
        let usual = match self.config.ports.as_slice() {
            [] => !ports::is_refused(port),
            only => only.contains(&port),
        };
        if named || usual { Ok(()) } else { Err(Reason::Port) }
    }

    fn allows_name(&self, name: &str, port: u16) -> bool {
        self.config.allow.iter().any(|rule| rule.has_name(name, port))
    }
}

/// Whether a name means something only inside of a network. A name of one label is looked up in the network's own
/// domains first.
fn is_local(name: &str) -> bool {
    !name.contains('.') || LOCAL_NAMES.iter().any(|local| name == *local || is_below(local, name))
}

/// `host:port`, for people.
pub(crate) fn target(host: &Host, port: u16) -> String {
    format!("{host}:{port}")
}
