//! One entry of `allow` or `deny`: a network, an address or a name, and maybe a port.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Host;

use super::address::{holds_v4, holds_v6};

/// A network (`10.1.0.0/16`, `fd00::/8`), an address (`127.0.0.1`, `127.0.0.1:8000`, `[::1]:8000`) or a name
/// (`intranet.example`, `intranet.example:8080`, `*.intranet.example`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rule {
    what: What,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Network {
        base: IpAddr,
        bits: u32,
    },
    /// Lower case, in punycode, without a final dot.
    Name {
        name: String,
        /// `*.` stands before it.
        below: bool,
    },
}

/// An entry that does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is neither a network, an address nor a name; write it like \"10.1.0.0/16\" (bits past the prefix are 0), \
     \"127.0.0.1:8000\", \"[::1]:8000\", \"intranet.example\", \"intranet.example:8080\" or \"*.intranet.example\""
)]
pub struct RuleError(String);

impl Rule {
    /// Whether this is a network with `address` in it, at any port or at `port`.
    pub(crate) fn has_address(&self, address: IpAddr, port: u16) -> bool {
        let inside = match (&self.what, address) {
            (What::Network { base: IpAddr::V4(base), bits }, IpAddr::V4(address)) => {
                holds_v4(*base, *bits, address)
            }
            (What::Network { base: IpAddr::V6(base), bits }, IpAddr::V6(address)) => {
                holds_v6(*base, *bits, address)
            }
            _ => false,
        };
        inside && self.has_port(port)
    }

    /// Whether this is `name` itself, or a `*` that stands for its beginning.
    pub(crate) fn has_name(&self, name: &str, port: u16) -> bool {
        let same = match &self.what {
            What::Name { name: own, below: false } => own == name,
            What::Name { name: own, below: true } => is_below(own, name),
            What::Network { .. } => false,
        };
        same && self.has_port(port)
    }

    /// Whether this is `name` or a domain above it, with a `*` or without.
    pub(crate) fn has_name_or_domain(&self, name: &str, port: u16) -> bool {
        let same = matches!(&self.what, What::Name { name: own, .. } if own == name || is_below(own, name));
        same && self.has_port(port)
    }

    /// Whether the entry names its port.
    pub(crate) fn names_port(&self) -> bool {
        self.port.is_some()
    }

    fn has_port(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }
}

/// Whether `name` is a sub-domain of `domain`.
pub(crate) fn is_below(domain: &str, name: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// A host as it is compared: a name loses its final dot. `None` when a label is empty.
pub(crate) fn normal(host: Host) -> Option<Host> {
    let Host::Domain(name) = host else { return Some(host) };
    let name = name.strip_suffix('.').unwrap_or(&name);
    let sound = name.len() <= 253 && name.split('.').all(|label| !label.is_empty());
    sound.then(|| Host::Domain(name.to_owned()))
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let fail = || RuleError(text.chars().take(100).collect());
        let whole = |base: IpAddr| What::Network { base, bits: if base.is_ipv4() { 32 } else { 128 } };
        if let Some((base, bits)) = text.split_once('/') {
            let base: IpAddr = base.parse().map_err(|_| fail())?;
            let bits: u32 = bits.parse().map_err(|_| fail())?;
            let fits = match base {
                IpAddr::V4(base) => bits <= 32 && u32::from(base).checked_shl(bits).unwrap_or(0) == 0,
                IpAddr::V6(base) => bits <= 128 && u128::from(base).checked_shl(bits).unwrap_or(0) == 0,
            };
            return if fits {
                Ok(Self { what: What::Network { base, bits }, port: None })
            } else {
                Err(fail())
            };
        }
        if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Ok(Self { what: whole(address), port: None });
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { what: whole(address.ip()), port: Some(address.port()) });
        }
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port.parse().map_err(|_| fail())?)),
            None => (text, None),
        };
        let (name, below) = name.strip_prefix("*.").map_or((name, false), |name| (name, true));
        match Host::parse(name).ok().and_then(normal) {
            Some(Host::Domain(name)) if !name.contains('*') => {
                Ok(Self { what: What::Name { name, below }, port })
            }
            _ => Err(fail()),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.what, self.port) {
            (What::Network { base, .. }, Some(port)) => return write!(f, "{}", SocketAddr::new(*base, port)),
            (What::Network { base, bits }, None) if *bits == if base.is_ipv4() { 32 } else { 128 } => {
                write!(f, "{base}")?;
            }
            (What::Network { base, bits }, None) => write!(f, "{base}/{bits}")?,
            (What::Name { name, below }, _) => write!(f, "{}{name}", if *below { "*." } else { "" })?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl TryFrom<String> for Rule {
    type Error = RuleError;

    fn try_from(text: String) -> Result<Self, RuleError> {
        text.parse()
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn entries_read_back_as_they_are_written() {
        let texts =
            ["10.1.0.0/16", "0.0.0.0/0", "fd00::/8", "127.0.0.1", "127.0.0.1:8000", "::1", "[::1]:80"];
        let names =
            ["intranet.example", "intranet.example:8080", "*.intranet.example", "xn--bcher-kva.example"];
        for text in texts.iter().chain(&names) {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), **text);
        }
        assert_eq!("Bücher.Example.".parse::<Rule>().unwrap().to_string(), "xn--bcher-kva.example");
    }

    #[test]
    fn entries_that_could_be_misread_are_refused() {
        let wrong =
            ["", "10.1.2.3/16", "10.0.0.0/33", "10.0.0.0/8:80", "0x7f.1", "127.1", "a..b", "a:b", "*."];
        for text in wrong.iter().chain(&["a:70000", "fd00::1/8", "http://a.example", "a b", "*", "a@b"]) {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
    }
}
