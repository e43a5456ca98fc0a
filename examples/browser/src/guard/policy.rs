//! The decisions: which URLs, names, ports and addresses go through.

use std::net::IpAddr;
use std::sync::Arc;

use buttress_core::Validate;
use buttress_validate::url::{self as hosts, HostRules};
use url::{Host, Url};

use super::Reason;
use super::config::GuardConfig;
use super::error::{Error, Result};

/// The longest URL, in bytes.
const LONGEST_URL: usize = 32 << 10;

/// Decides by its configuration; asks nobody. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Guard {
    config: Arc<GuardConfig>,
    rules: Arc<HostRules>,
}

impl Guard {
    /// A guard that decides by `config`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when a field is out of its range.
    pub fn new(config: GuardConfig) -> Result<Self> {
        config.validate().map_err(Error::Config)?;
        let rules = HostRules {
            only: Vec::new(),
            allow: config.allow.clone(),
            deny: config.deny.clone(),
            ports: config.ports.clone(),
        };
        Ok(Self { config: Arc::new(config), rules: Arc::new(rules) })
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
        if self.config.enabled { self.rules.check_host(as_host(host), port) } else { Ok(()) }
    }

    /// Judges one address that `host` resolved to.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn check_address(&self, host: &Host, address: IpAddr, port: u16) -> Result<(), Reason> {
        if self.config.enabled { self.rules.check_address(as_host(host), address, port) } else { Ok(()) }
    }
}

fn as_host(host: &Host) -> hosts::Host<'_> {
    match host {
        Host::Domain(name) => hosts::Host::Name(name),
        Host::Ipv4(address) => hosts::Host::Address((*address).into()),
        Host::Ipv6(address) => hosts::Host::Address((*address).into()),
    }
}

/// A host as it is compared: a name loses its final dot. `None` when a label is empty.
pub(crate) fn normal(host: Host) -> Option<Host> {
    let Host::Domain(name) = host else { return Some(host) };
    let name = name.strip_suffix('.').unwrap_or(&name);
    let sound = name.len() <= 253 && name.split('.').all(|label| !label.is_empty());
    sound.then(|| Host::Domain(name.to_owned()))
}

/// `host:port`, for people.
pub(crate) fn target(host: &Host, port: u16) -> String {
    format!("{host}:{port}")
}
