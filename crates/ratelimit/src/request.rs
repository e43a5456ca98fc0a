//! Who asks, for what, and how much.

use std::fmt;
use std::net::IpAddr;

/// Somebody or something with limits of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject<'a> {
    /// A user, by any text that stands for one.
    User(&'a str),
    /// An API key.
    ApiKey(&'a str),
    /// An address; IPv6 addresses of one network are one subject.
    Ip(IpAddr),
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user {name}"),
            // Enough to find it, not enough to use it.
            Self::ApiKey(key) => write!(f, "API key {}…", key.chars().take(4).collect::<String>()),
            Self::Ip(address) => write!(f, "address {address}"),
        }
    }
}

/// What a limiter is asked: who asks, over which route, for how much. One request may name several subjects; it is admitted if
/// all their limits admit it, and consumes nothing otherwise.
///
/// ```
/// use buttress_ratelimit::Request;
///
/// let request = Request::user("user-1").tier("pro").route("/v1/search").cost(3);
/// # let _ = request;
/// ```
///
/// | named | limited by |
/// |---|---|
/// | user, API key | the tier: each has all of its quota |
/// | address, alone | `anonymous` |
/// | address, beside a user or an API key | `known_address` |
/// | route | `routes`, if it is there |
/// | in any case | `global` |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    pub(crate) user: Option<&'a str>,
    pub(crate) api_key: Option<&'a str>,
    pub(crate) ip: Option<IpAddr>,
    pub(crate) route: Option<&'a str>,
    pub(crate) tier: Option<&'a str>,
    pub(crate) cost: u32,
}

impl<'a> Request<'a> {
    /// By nobody in particular: only routes and the global limit count.
    #[must_use]
    pub const fn new() -> Self {
        Self { user: None, api_key: None, ip: None, route: None, tier: None, cost: 1 }
    }

    /// By a user.
    #[must_use]
    pub const fn user(user: &'a str) -> Self {
        Self { user: Some(user), ..Self::new() }
    }

    /// By the owner of an API key.
    #[must_use]
    pub const fn api_key(key: &'a str) -> Self {
        Self { api_key: Some(key), ..Self::new() }
    }

    /// From an address: the client's, not that of a proxy that anybody can pretend to be behind.
    #[must_use]
    pub const fn ip(address: IpAddr) -> Self {
        Self { ip: Some(address), ..Self::new() }
    }

    /// And by this user.
    #[must_use]
    pub const fn by(self, user: &'a str) -> Self {
        Self { user: Some(user), ..self }
    }

    /// And with this API key.
    #[must_use]
    pub const fn with_key(self, key: &'a str) -> Self {
        Self { api_key: Some(key), ..self }
    }

    /// And from this address.
    #[must_use]
    pub const fn from_ip(self, address: IpAddr) -> Self {
        Self { ip: Some(address), ..self }
    }

    /// Over this route: a name from the configuration, not a path with parameters in it.
    #[must_use]
    pub const fn route(self, route: &'a str) -> Self {
        Self { route: Some(route), ..self }
    }

    /// Under the limits of this tier; the default one if there is none of that name.
    #[must_use]
    pub const fn tier(self, tier: &'a str) -> Self {
        Self { tier: Some(tier), ..self }
    }

    /// Consumes so much; 1 if nothing is said. Zero only looks whether anything is left over or forbidden.
    #[must_use]
    pub const fn cost(self, cost: u32) -> Self {
        Self { cost, ..self }
    }

    /// Whose penalties they are.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = Subject<'a>> {
        let user = self.user.map(Subject::User);
        let key = self.api_key.map(Subject::ApiKey);
        [user, key, self.ip.map(Subject::Ip)].into_iter().flatten()
    }
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> From<&'a str> for Subject<'a> {
    fn from(user: &'a str) -> Self {
        Self::User(user)
    }
}

impl From<IpAddr> for Subject<'_> {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address)
    }
}

impl<'a> From<&'a str> for Request<'a> {
    fn from(user: &'a str) -> Self {
        Self::user(user)
    }
}

impl<'a> From<&'a String> for Request<'a> {
    fn from(user: &'a String) -> Self {
        Self::user(user)
    }
}

impl From<IpAddr> for Request<'_> {
    fn from(address: IpAddr) -> Self {
        Self::ip(address)
    }
}

impl<'a> From<Subject<'a>> for Request<'a> {
    fn from(subject: Subject<'a>) -> Self {
        match subject {
            Subject::User(user) => Self::user(user),
            Subject::ApiKey(key) => Self::api_key(key),
            Subject::Ip(address) => Self::ip(address),
        }
    }
}

impl<'a> From<&Request<'a>> for Request<'a> {
    fn from(request: &Request<'a>) -> Self {
        *request
    }
}

/// A request that outlives what it was read from.
#[cfg(any(feature = "redis", feature = "tower"))]
#[derive(Debug, Clone)]
pub(crate) struct OwnedRequest {
    user: Option<Box<str>>,
    api_key: Option<Box<str>>,
    ip: Option<IpAddr>,
    route: Option<Box<str>>,
    tier: Option<Box<str>>,
    cost: u32,
}

#[cfg(any(feature = "redis", feature = "tower"))]
impl Request<'_> {
    pub(crate) fn detached(self) -> OwnedRequest {
        OwnedRequest {
            user: self.user.map(Box::from),
            api_key: self.api_key.map(Box::from),
            ip: self.ip,
            route: self.route.map(Box::from),
            tier: self.tier.map(Box::from),
            cost: self.cost,
        }
    }
}

#[cfg(any(feature = "redis", feature = "tower"))]
impl OwnedRequest {
    pub(crate) fn borrow(&self) -> Request<'_> {
        Request {
            user: self.user.as_deref(),
            api_key: self.api_key.as_deref(),
            ip: self.ip,
            route: self.route.as_deref(),
            tier: self.tier.as_deref(),
            cost: self.cost,
        }
    }
}

#[cfg(feature = "redis")]
impl Request<'_> {
    /// The same callers, without a route.
    pub(crate) fn only_subjects(self) -> Self {
        Self { route: None, ..self }
    }
}
