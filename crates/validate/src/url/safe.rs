//! A URL that was judged, and the addresses to open it at.

use std::fmt;
use std::hash;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use buttress_core::timeout;
use url::Url;

use super::hosts::Host;
use super::policy::UrlPolicy;
use super::reason::Reason;
use crate::chars;
use crate::error::{Code, Error, Invalid, Result};

const WHAT: &str = "URL";

/// A name with more addresses than this is connected to the first of them. All of them are judged.
const MOST_ADDRESSES: usize = 32;

/// A URL by `http` or `https` whose host and port may be reached, as far as the text tells. See the [module](crate::url).
///
/// It is written as the WHATWG's URL standard has it, and every text that readers of URLs take for different things is refused:
/// blanks, controls, backslashes, user names, percent-encoded hosts, `https:example.org`. Reading from a string takes the default
/// [`UrlPolicy`]; two are equal when they are written alike.
#[derive(Clone)]
pub struct SafeUrl {
    url: Url,
    policy: UrlPolicy,
    redirects: u8,
}

/// Where to connect for a [`SafeUrl`]: addresses that were all judged. Connect to these and resolve no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    host: String,
    addresses: Vec<SocketAddr>,
}

impl Pinned {
    /// The host as it stands in the URL: for `Host`, and for the name in TLS.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// One address at least, with the port.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl SafeUrl {
    pub(super) fn read(text: &str, policy: &UrlPolicy) -> Result<Self, Invalid> {
        let most = policy.config().max_bytes;
        if text.len() > most.as_usize() {
            return Err(Invalid::new(
                WHAT,
                Code::TooLong,
                format!("is longer than {most}"),
                "use a shorter one",
            ));
        }
        check_text(text)?;
        let url = Url::parse(text).map_err(|_| syntax("is not one"))?;
        Self::judge(url, policy, 0)
    }

    fn judge(url: Url, policy: &UrlPolicy, redirects: u8) -> Result<Self, Invalid> {
        let refused = |reason| Err(refused(reason));
        if !policy.config().schemes.iter().any(|scheme| scheme == url.scheme()) {
            return refused(Reason::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused(Reason::Credentials);
        }
        let safe = Self { url, policy: policy.clone(), redirects };
        match policy.inner.rules.check_host(safe.host(), safe.port()) {
            Ok(()) => Ok(safe),
            Err(reason) => refused(reason),
        }
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.url.scheme()
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> Host<'_> {
        match self.url.host() {
            Some(url::Host::Domain(name)) => Host::Name(name),
            Some(url::Host::Ipv4(address)) => Host::Address(address.into()),
            Some(url::Host::Ipv6(address)) => Host::Address(address.into()),
            // Both schemes have one; an empty name is refused like any that is local.
            None => Host::Name(""),
        }
    }

    /// The port, written or usual.
    #[must_use]
    pub fn port(&self) -> u16 {
        // Both schemes have one; port 0 is refused.
        self.url.port_or_known_default().unwrap_or(0)
    }

    /// How many redirects led to it.
    #[must_use]
    pub fn redirects(&self) -> u8 {
        self.redirects
    }

    /// Resolves the name, once, and judges every address of it: one that is refused refuses all. To be done for each connection, which
    /// then goes to one of these addresses.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`]: an address may not be reached. [`Error::Unresolved`], [`Error::Timeout`].
    pub async fn resolve(&self) -> Result<Pinned> {
        let inner = &self.policy.inner;
        let host = self.host();
        let found: Vec<IpAddr> = match host {
            Host::Address(address) => vec![address],
            Host::Name(name) => {
                let lookup = inner.resolver.resolve(name);
                timeout(&*inner.clock, inner.config.resolve_within, lookup)
                    .await?
                    .map_err(Error::Unresolved)?
            }
        };
        if found.is_empty() {
            let none = std::io::Error::new(std::io::ErrorKind::NotFound, "it has no address");
            return Err(Error::Unresolved(none));
        }
        for address in &found {
            if let Err(reason) = inner.rules.check_address(host, *address, self.port()) {
                return Err(refused(reason).into());
            }
        }
        let port = self.port();
        let addresses =
            found.into_iter().take(MOST_ADDRESSES).map(|address| SocketAddr::new(address, port)).collect();
        Ok(Pinned { host: self.url.host_str().unwrap_or_default().to_owned(), addresses })
    }

    /// Where a redirect of this URL leads: `location` is absolute, or relative to it.
    ///
    /// # Errors
    ///
    /// It is refused like any URL, leads from `https` to `http`, or is one more than the policy takes.
    pub fn redirect(&self, location: &str) -> Result<Self, Invalid> {
        let what = "redirect";
        let config = self.policy.config();
        if self.redirects >= config.redirects {
            let problem = format!("is one more than the {} that are followed", config.redirects);
            return Err(Invalid::new(what, Code::Redirect, problem, "ask for the last URL itself"));
        }
        if location.len() > config.max_bytes.as_usize() {
            let problem = format!("is longer than {}", config.max_bytes);
            return Err(Invalid::new(what, Code::TooLong, problem, "use a shorter one"));
        }
        check_chars(location)?;
        let joined = self.url.join(location).map_err(|_| syntax("is not one").of(what))?;
        if self.scheme() == "https" && joined.scheme() != "https" {
            return Err(Invalid::new(what, Code::Redirect, "leads from https to less", "redirect to https"));
        }
        Self::judge(joined, &self.policy, self.redirects + 1).map_err(|invalid| invalid.of(what))
    }
}

fn syntax(problem: &'static str) -> Invalid {
    Invalid::new(WHAT, Code::Syntax, problem, "write one like https://example.org/page")
}

fn refused(reason: Reason) -> Invalid {
    Invalid::new(WHAT, reason.code(), "is refused", reason.to_string())
}

/// Characters that some readers of URLs drop or take for others.
fn check_chars(text: &str) -> Result<(), Invalid> {
    let odd = |c: char| c == '\\' || c.is_whitespace() || chars::fault(c).is_some();
    match text.char_indices().find(|(_, c)| odd(*c)) {
        Some((at, c)) => {
            let code = chars::fault(c).unwrap_or(Code::Character);
            Err(Invalid::new(
                WHAT,
                code,
                "has a character that readers take differently",
                "percent-encode it",
            )
            .at_byte(at))
        }
        None => Ok(()),
    }
}

/// What readers of URLs do not agree on.
fn check_text(text: &str) -> Result<(), Invalid> {
    if text.is_empty() {
        return Err(Invalid::new(WHAT, Code::Empty, "is empty", "write one like https://example.org/page"));
    }
    check_chars(text)?;
    let Some((scheme, rest)) = text.split_once(':') else { return Err(syntax("has no scheme")) };
    let Some(rest) = rest.strip_prefix("//") else {
        // One that has no host at all is better told by its scheme.
        let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        return Err(if known { syntax("has no `//` after its scheme") } else { refused(Reason::Scheme) });
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return Err(syntax("has no host"));
    }
    if authority.contains('@') {
        return Err(refused(Reason::Credentials));
    }
    if authority.contains('%') {
        return Err(syntax("has a percent-encoded host"));
    }
    Ok(())
}

impl FromStr for SafeUrl {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        UrlPolicy::default().parse(text)
    }
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SafeUrl").field(&self.as_str()).finish()
    }
}

impl PartialEq for SafeUrl {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url
    }
}

impl Eq for SafeUrl {}

impl hash::Hash for SafeUrl {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.url.hash(state);
    }
}

impl AsRef<str> for SafeUrl {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl TryFrom<String> for SafeUrl {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl serde::Serialize for SafeUrl {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for SafeUrl {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
