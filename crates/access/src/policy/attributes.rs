//! What is known of a principal, a resource and the surroundings of a request.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use buttress_core::{Classify, ErrorClass};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::permission::is_name;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a text, a whole number, true or false, or a list of texts")]
#[non_exhaustive]
pub enum Value {
    /// True or false.
    Flag(bool),
    /// A whole number: cents, bytes, seconds. Fractions do not compare exactly.
    Number(i64),
    /// A text. It is compared byte by byte.
    Text(Box<str>),
    /// A set of texts; their order does not count.
    Texts(Vec<Box<str>>),
}

/// The type of a [`Value`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// [`Value::Flag`].
    Flag,
    /// [`Value::Number`].
    Number,
    /// [`Value::Text`].
    Text,
    /// [`Value::Texts`].
    Texts,
}

impl Kind {
    /// As a policy has it: `"number"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Number => "number",
            Self::Text => "text",
            Self::Texts => "texts",
        }
    }
}

impl Value {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Flag(_) => Kind::Flag,
            Self::Number(_) => Kind::Number,
            Self::Text(_) => Kind::Text,
            Self::Texts(_) => Kind::Texts,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Texts(texts) => f.debug_list().entries(texts).finish(),
        }
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<T: Into<Box<str>>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        Self::Texts(texts.into_iter().map(Into::into).collect())
    }
}

/// Attributes of one principal, one resource, or the surroundings, by name.
///
/// ```
/// use buttress_access::policy::Attributes;
///
/// let attributes = Attributes::new().with("state", "draft").with("pages", 12);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes(Vec<(Box<str>, Value)>);

impl Attributes {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// None, for as long as one likes.
    pub(super) const NONE: &'static Self = &Self::new();

    /// With one more, or instead of one of this name.
    #[must_use]
    pub fn with(mut self, name: impl Into<Box<str>>, value: impl Into<Value>) -> Self {
        let (name, value) = (name.into(), value.into());
        match self.0.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(place) => {
                if let Some(known) = self.0.get_mut(place) {
                    known.1 = value;
                }
            }
            Err(place) => self.0.insert(place, (name, value)),
        }
        self
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let place = self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }
}

/// Whose an attribute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Whose {
    /// Of who is asking.
    Principal,
    /// Of what it is done to.
    Resource,
    /// Of the request itself.
    Context,
}

/// The name of an attribute: `principal.department`, `resource.state`, `context.channel`.
///
/// These are always there, as texts: `principal.id`, `principal.tenant`, `principal.kind`, `resource.id`, `resource.tenant`,
/// `resource.owner`. All others are declared in the policy, with their types.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attribute {
    /// Whose it is.
    pub of: Whose,
    name: Box<str>,
}

/// A text that is no [`Attribute`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an attribute is `principal.`, `resource.` or `context.` and a name of at most 64 letters, digits, `_`, `.` and `-`"
)]
pub struct AttributeError;

impl Classify for AttributeError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl Attribute {
    /// Its name, without whose it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is one that is always there.
    pub(super) fn is_built_in(&self) -> bool {
        match self.of {
            Whose::Principal => matches!(self.name(), "id" | "tenant" | "kind"),
            Whose::Resource => matches!(self.name(), "id" | "tenant" | "owner"),
            Whose::Context => false,
        }
    }
}

impl FromStr for Attribute {
    type Err = AttributeError;

    fn from_str(text: &str) -> Result<Self, AttributeError> {
        let (of, name) = text.split_once('.').ok_or(AttributeError)?;
        let of = match of {
            "principal" => Whose::Principal,
            "resource" => Whose::Resource,
            "context" => Whose::Context,
            _ => return Err(AttributeError),
        };
        if !is_name(name) {
            return Err(AttributeError);
        }
        Ok(Self { of, name: name.into() })
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match self.of {
            Whose::Principal => "principal",
            Whose::Resource => "resource",
            Whose::Context => "context",
        };
        write!(f, "{of}.{}", self.name)
    }
}

impl Serialize for Attribute {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}
