//! Which addresses may call, by groups of routes.
//!
//! ```
//! use buttress_access::network::{NetworkConfig, Networks};
//!
//! let config: NetworkConfig = toml::from_str(
//!     r#"
//!     deny = ["203.0.113.0/24"]
//!
//!     [groups.admin]
//!     paths = ["/admin"]
//!     allow = ["10.0.0.0/8", "fd00::/8"]
//!     "#,
//! )?;
//! let networks = Networks::new(&config)?;
//! assert!(networks.admits("/orders", "198.51.100.7".parse()?).is_ok());
//! assert!(networks.admits("/admin/users", "198.51.100.7".parse()?).is_err());
//! assert!(networks.admits("/admin/users", "::ffff:10.1.2.3".parse()?).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "tower")]
pub mod layer;

use std::collections::BTreeMap;
use std::net::IpAddr;

use buttress_core::{Cidr, Classify, ErrorClass, Validate, Violations};
use serde::{Deserialize, Serialize};

use crate::Error;

const MOST_GROUPS: usize = 64;
const MOST_NETWORKS: usize = 4096;
const MOST_PATHS: usize = 64;

/// Which addresses may call.
///
/// | field | default | |
/// |---|---|---|
/// | `allow` | none: all | networks that may call at all |
/// | `deny` | none | networks that may not; wins over `allow` |
/// | `groups` | none | by name, see [`GroupConfig`] |
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct NetworkConfig {
    /// Networks that may call at all.
    pub allow: Vec<Cidr>,
    /// Networks that may not.
    pub deny: Vec<Cidr>,
    /// Groups of routes, by name.
    pub groups: BTreeMap<String, GroupConfig>,
}

/// Routes that only some may call. A request has to be admitted by every group that its path is in.
///
/// | field | default | |
/// |---|---|---|
/// | `paths` | none | whole segments from the beginning: `/admin` is also `/admin/users`, and not `/administration` |
/// | `allow` | none: all | networks that may call these |
/// | `deny` | none | networks that may not; wins over `allow` |
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GroupConfig {
    /// Which routes.
    pub paths: Vec<String>,
    /// Networks that may call these.
    pub allow: Vec<Cidr>,
    /// Networks that may not.
    pub deny: Vec<Cidr>,
}

impl Validate for NetworkConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let groups = self.groups.values();
        let networks: usize = groups.map(|group| group.allow.len() + group.deny.len()).sum();
        let networks = networks + self.allow.len() + self.deny.len();
        wrong.require(
            networks <= MOST_NETWORKS,
            "allow",
            networks,
            format!("must be at most {MOST_NETWORKS} in all"),
        );
        let few = self.groups.len() <= MOST_GROUPS;
        wrong.require(few, "groups", self.groups.len(), format!("must be at most {MOST_GROUPS}"));
        for (name, group) in &self.groups {
            let field = format!("groups.{name}.paths");
            let some = (1..=MOST_PATHS).contains(&group.paths.len());
            wrong.require(some, &field, group.paths.len(), format!("must be 1 to {MOST_PATHS}"));
            for path in &group.paths {
                let plain = segments(path).is_some() && !path.contains(['?', '#']);
                let remedy = "must begin with `/`, without `.`, `..`, `%` and `\\`; `/` is all";
                wrong.require(path.starts_with('/') && plain, &field, format!("{path:?}"), remedy);
            }
        }
        wrong.into_result()
    }
}

/// Why an address may not call. A closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkRefusal {
    /// It is in a network that may not.
    #[error("the address is in a network that may not call")]
    Denied,
    /// It is in none of those that may.
    #[error("the address is in none of the networks that may call")]
    NotAllowed,
    /// The path can be read in more than one way, so nobody knows its group.
    #[error("the path is not plain")]
    Path,
}

impl NetworkRefusal {
    /// As a label and for callers: `"network_denied"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "network_denied",
            Self::NotAllowed => "network_not_allowed",
            Self::Path => "path_not_plain",
        }
    }
}

impl Classify for NetworkRefusal {
    fn class(&self) -> ErrorClass {
        ErrorClass::Forbidden
    }
}

/// The address of the client, as the application knows it, which knows its proxies: in the extensions of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientIp(pub IpAddr);

/// Which addresses may call, checked. IPv4 in the form of IPv6 is IPv4.
#[derive(Debug, Clone)]
pub struct Networks {
    all: List,
    groups: Vec<(Vec<Vec<Box<str>>>, List)>,
}

#[derive(Debug, Clone)]
struct List {
    allow: Box<[Cidr]>,
    deny: Box<[Cidr]>,
}

impl List {
    fn new(allow: &[Cidr], deny: &[Cidr]) -> Self {
        Self { allow: allow.into(), deny: deny.into() }
    }

    fn admits(&self, address: IpAddr) -> Result<(), NetworkRefusal> {
        let holds = |networks: &[Cidr]| networks.iter().any(|network| network.contains(address));
        if holds(&self.deny) {
            return Err(NetworkRefusal::Denied);
        }
        if self.allow.is_empty() || holds(&self.allow) { Ok(()) } else { Err(NetworkRefusal::NotAllowed) }
    }
}

/// The segments of a path; `None` where servers differ in what they are: with `.` or `..`, an escape, a backslash, an empty one inside.
fn segments(path: &str) -> Option<Vec<&str>> {
    let inner = path.strip_prefix('/')?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return Some(Vec::new());
    }
    let plain = |segment: &str| !matches!(segment, "" | "." | "..") && !segment.contains(['%', '\\', ';']);
    inner.split('/').map(|segment| plain(segment).then_some(segment)).collect()
}

impl Networks {
    /// By this configuration.
    pub fn new(config: &NetworkConfig) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let group = |group: &GroupConfig| {
            let own = |path: &String| segments(path).unwrap_or_default().into_iter().map(Box::from).collect();
            (group.paths.iter().map(own).collect(), List::new(&group.allow, &group.deny))
        };
        let all = List::new(&config.allow, &config.deny);
        Ok(Self { all, groups: config.groups.values().map(group).collect() })
    }

    /// Whether `address` may call `path` (without its query). Where groups are configured, a path that servers read differently
    /// (`//admin`, `/x/../admin`, `/%61dmin`) is judged as if it were in all of them. Case does not count.
    pub fn admits(&self, path: &str, address: IpAddr) -> Result<(), NetworkRefusal> {
        self.all.admits(address)?;
        let segments = segments(path);
        for (paths, list) in &self.groups {
            let within = |group: &Vec<Box<str>>| match &segments {
                None => true,
                Some(path) => {
                    group.len() <= path.len()
                        && group.iter().zip(path).all(|(own, segment)| own.eq_ignore_ascii_case(segment))
                }
            };
            if paths.iter().any(within) {
                list.admits(address)
                    .map_err(|why| if segments.is_none() { NetworkRefusal::Path } else { why })?;
            }
        }
        Ok(())
    }
}
