//! Who is asking: what authentication gives, and what authorisation takes.

use std::fmt;
use std::sync::Arc;

use buttress_core::{Classify, ErrorClass, Key, KeyError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Somebody whose identity is proved. Cheap to clone.
///
/// ```
/// use buttress_access::{Names, Principal, PrincipalKind, TenantId};
///
/// let principal = Principal::new(PrincipalKind::ApiKey, "crawler".try_into()?)
///     .tenant(TenantId::new("acme")?)
///     .scopes(Names::new(["documents:read"])?);
/// assert!(principal.scopes.contains("documents:read"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Principal {
    /// Its name: a user, a service; the owner of an API key, the subject of a token. Unique within the tenant.
    pub id: Key,
    /// Whose data it may see. Without one it belongs to no tenant, which is not the same as to all.
    pub tenant: Option<TenantId>,
    /// The roles it has.
    pub roles: Names,
    /// What this proof of identity may be used for, at most. Empty: nothing that asks for a scope.
    pub scopes: Names,
    /// How it proved who it is.
    pub kind: PrincipalKind,
}

/// How somebody proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PrincipalKind {
    /// By an API key.
    ApiKey,
    /// By a signed token.
    Token,
    /// By a session, which began with a password or with another proof.
    Session,
    /// It is a part of the application itself: a schedule, a migration.
    Internal,
}

impl PrincipalKind {
    /// As a label and in JSON: `"api_key"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Token => "token",
            Self::Session => "session",
            Self::Internal => "internal",
        }
    }
}

impl Principal {
    /// Without tenant, roles and scopes.
    #[must_use]
    pub fn new(kind: PrincipalKind, id: Key) -> Self {
        Self { id, tenant: None, roles: Names::default(), scopes: Names::default(), kind }
    }

    /// Belongs to this tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<Option<TenantId>>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Has these roles.
    #[must_use]
    pub fn roles(mut self, roles: Names) -> Self {
        self.roles = roles;
        self
    }

    /// May use this proof for these scopes.
    #[must_use]
    pub fn scopes(mut self, scopes: Names) -> Self {
        self.scopes = scopes;
        self
    }
}

/// Whose data it is. A store that takes one with every call cannot forget to look at it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Key);

impl TenantId {
    /// Takes `text` as the name of a tenant: 1 to 256 bytes without control characters.
    pub fn new(text: impl AsRef<str>) -> Result<Self, KeyError> {
        Key::new(text).map(Self)
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantId({:?})", self.as_str())
    }
}

impl Serialize for TenantId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TenantId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        Self::new(text).map_err(serde::de::Error::custom)
    }
}

/// A set of names of roles or scopes: sorted, each once, at most [`Names::MOST`]. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Names(Arc<[Box<str>]>);

impl Names {
    /// The most names in a set.
    pub const MOST: usize = 128;
    /// The longest name, in bytes.
    pub const LONGEST: usize = 128;

    /// Takes these names: 1 to 128 printable ASCII characters each, without spaces, quotes and backslashes, as RFC 6749 has scopes.
    pub fn new<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Result<Self, NamesError> {
        let mut taken: Vec<Box<str>> = Vec::new();
        for name in names {
            let name = name.as_ref();
            let sign = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
            if name.is_empty() || name.len() > Self::LONGEST || !name.bytes().all(sign) {
                return Err(NamesError::Name);
            }
            if taken.len() == Self::MOST {
                return Err(NamesError::Many);
            }
            taken.push(name.into());
        }
        taken.sort_unstable();
        taken.dedup();
        Ok(Self(taken.into()))
    }

    /// Whether the name is one of them.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.binary_search_by(|known| (**known).cmp(name)).is_ok()
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, separated by spaces, as a token holds scopes.
    #[must_use]
    pub fn joined(&self) -> String {
        self.0.join(" ")
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(from)?;
        Self::new(names).map_err(serde::de::Error::custom)
    }
}

/// Why names are no [`Names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NamesError {
    /// One of them is none.
    #[error(
        "a name must be 1 to {} printable ASCII characters without spaces, quotes and backslashes",
        Names::LONGEST
    )]
    Name,
    /// There are too many.
    #[error("there can be at most {} names in a set", Names::MOST)]
    Many,
}

impl Classify for NamesError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Name => ErrorClass::Invalid,
            Self::Many => ErrorClass::TooLarge,
        }
    }
}
