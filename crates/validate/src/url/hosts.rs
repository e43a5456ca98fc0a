//! The decisions: which hosts, ports and addresses may be reached.

use std::net::IpAddr;

use super::address::{Reach, carried, classify};
use super::ports;
use super::reason::Reason;
use super::rule::{Rule, is_below};

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

/// Which hosts may be reached. Pure decisions: it asks nobody. The default takes what is public.
///
/// An allowed network or address may be reached under any name that resolves to it, as long as the name is not a local one. An allowed name
/// may resolve to loopback and to private addresses, but link-local addresses and those where a cloud hands out credentials need an
/// entry of their own. An entry with a port allows that port also if it is one of another service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostRules {
    /// The only hosts, if any.
    pub only: Vec<Rule>,
    /// What is taken though it is private.
    pub allow: Vec<Rule>,
    /// What is never taken.
    pub deny: Vec<Rule>,
    /// The only ports, if any.
    pub ports: Vec<u16>,
}

impl HostRules {
    /// Judges a host and a port before a name is resolved. A host that is an address is judged whole.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn check_host(&self, host: Host<'_>, port: u16) -> Result<(), Reason> {
        match host {
            Host::Name(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                if name.len() > 253 || name.split('.').any(str::is_empty) {
                    return Err(Reason::LocalName);
                }
                if self.deny.iter().any(|rule| rule.has_name_or_domain(name, port)) {
                    return Err(Reason::Denied);
                }
                if is_local(name) && !self.allows_name(name, port) {
                    return Err(Reason::LocalName);
                }
            }
            Host::Address(address) => self.check_address(host, address, port)?,
        }
        if !self.only.is_empty() && !self.only.iter().any(|rule| has(rule, host, port)) {
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
        let plain = address.to_canonical();
        let denied = [plain, carried(address)];
        if self.deny.iter().any(|rule| denied.iter().any(|address| rule.has_address(*address, port))) {
            return Err(Reason::Denied);
        }
        match classify(address) {
            Reach::Public => Ok(()),
            Reach::Refused(_) if self.allow.iter().any(|rule| rule.has_address(plain, port)) => Ok(()),
            Reach::Refused(reason) => match host {
                Host::Name(name) if reason.is_open_to_allowed_names() && self.allows_name(name, port) => {
                    Ok(())
                }
                _ => Err(reason),
            },
        }
    }

    fn check_port(&self, host: Host<'_>, port: u16) -> Result<(), Reason> {
        let named = self.allow.iter().any(|rule| rule.names_port() && has(rule, host, port));
        let usual = match self.ports.as_slice() {
            [] => !ports::is_refused(port),
            only => only.contains(&port),
        };
        if named || usual { Ok(()) } else { Err(Reason::Port) }
    }

    fn allows_name(&self, name: &str, port: u16) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        self.allow.iter().any(|rule| rule.has_name(name, port))
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
