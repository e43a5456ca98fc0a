//! Where a page comes from (RFC 6454), and which of them are trusted.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use buttress_core::{Classify, ErrorClass};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const LONGEST: usize = 300;

/// An origin as browsers write it: `https://example.org`, `http://localhost:8080`. In lower case, without a path, and without the
/// port that the scheme has anyway. Never `null`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    text: Box<str>,
    /// Where the host begins in it.
    host: usize,
}

/// A text that is no [`Origin`], or no [`OriginPattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// Not an origin.
    #[error(
        "an origin is written like \"https://example.org\" or \"http://localhost:8080\", in lower case, without a path and without the scheme's own port"
    )]
    Origin,
    /// A pattern that takes too much.
    #[error("a pattern is written like \"https://*.example.org\", with two names at least after the `*`")]
    Pattern,
}

impl Classify for OriginError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl Origin {
    /// Its scheme: `https`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.text.get(..self.host).unwrap_or_default().trim_end_matches("://")
    }

    /// Its host, and the port after a colon if it is not the scheme's own: what a `Host` header says.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.text.get(self.host..).unwrap_or_default()
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn split(text: &str) -> Option<(&str, &str)> {
    if text.len() > LONGEST {
        return None;
    }
    let (scheme, authority) = text.split_once("://")?;
    let letter =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.');
    let good = scheme.starts_with(|c: char| c.is_ascii_lowercase()) && scheme.bytes().all(letter);
    (good && is_port(scheme, authority)?).then_some((scheme, authority))
}

/// Whether host and port are well formed.
fn is_port(scheme: &str, authority: &str) -> Option<bool> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            // As browsers write it: one text for one address.
            if address.parse::<std::net::Ipv6Addr>().ok()?.to_string() != address {
                return None;
            }
            (None, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(authority), None),
        },
    };
    let sign = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(sign);
    let own = match scheme {
        "http" => Some("80"),
        "https" => Some("443"),
        _ => None,
    };
    let number = |port: &str| {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
        digits && port.parse::<u16>().is_ok() && Some(port) != own
    };
    Some(host.is_none_or(|host| host.split('.').all(label)) && port.is_none_or(number))
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (scheme, _) = split(text).ok_or(OriginError::Origin)?;
        Ok(Self { text: text.into(), host: scheme.len() + 3 })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Origins that are trusted: one, or those of all subdomains of a domain: `https://*.example.org`, which is not `https://example.org`
/// itself. There is no pattern for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern {
    scheme: Box<str>,
    /// With the dot before it, where it stands for subdomains.
    authority: Box<str>,
    subdomains: bool,
}

impl OriginPattern {
    /// Whether `origin` is one of them.
    ///
    /// ```
    /// use buttress_access::origin::OriginPattern;
    ///
    /// let ours: OriginPattern = "https://*.example.org".parse()?;
    /// assert!(ours.matches(&"https://app.example.org".parse()?));
    /// assert!(!ours.matches(&"https://example.org.evil.test".parse()?));
    /// assert!(!ours.matches(&"https://evilexample.org".parse()?));
    /// assert!(!ours.matches(&"http://app.example.org".parse()?));
    /// # Ok::<(), buttress_access::origin::OriginError>(())
    /// ```
    #[must_use]
    pub fn matches(&self, origin: &Origin) -> bool {
        let authority = origin.authority();
        // What is before the suffix is never empty: a host has no empty labels.
        let fits = if self.subdomains {
            authority.ends_with(&*self.authority)
        } else {
            *authority == *self.authority
        };
        fits && *origin.scheme() == *self.scheme
    }
}

impl FromStr for OriginPattern {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let subdomains = text.contains("://*.");
        let plain =
            if subdomains { Cow::Owned(text.replacen("://*.", "://", 1)) } else { Cow::Borrowed(text) };
        let error = if subdomains { OriginError::Pattern } else { OriginError::Origin };
        let (scheme, authority) = split(&plain).ok_or(error)?;
        let named = !authority.starts_with('[') && authority.contains('.');
        let number =
            authority.split(':').next().is_some_and(|host| host.parse::<std::net::Ipv4Addr>().is_ok());
        if subdomains && (!named || number) {
            return Err(OriginError::Pattern);
        }
        let authority = if subdomains { format!(".{authority}").into() } else { authority.into() };
        Ok(Self { scheme: scheme.into(), authority, subdomains })
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, if self.subdomains { "*" } else { "" }, self.authority)
    }
}

impl Serialize for OriginPattern {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OriginPattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}
