//! What must hold for a rule to apply: a tree of typed expressions, as data.

use std::fmt;

use buttress_core::Cidr;
use serde::{Deserialize, Serialize};

use super::attributes::{Attribute, Value};
use super::window::{Dates, Hours};

/// What must hold for a rule to apply.
///
/// | in a policy | holds where |
/// |---|---|
/// | `{ all = [..] }`, `{ any = [..] }`, `{ not = .. }` | all of them, one of them, the other does not |
/// | `"owner"` | the resource's owner is the principal, of the same tenant |
/// | `"same_tenant"` | the resource is of the principal's tenant |
/// | `{ scope = "documents:read" }` | the proof of identity is good for this scope |
/// | `{ equals = { attribute = "resource.state", value = "draft" } }` | the attribute has this value |
/// | `{ same = ["principal.department", "resource.department"] }` | both attributes have the same value |
/// | `{ one_of = { attribute = "resource.state", values = ["draft", "review"] } }` | the attribute has one of these values |
/// | `{ includes = { attribute = "principal.groups", text = "legal" } }` | the set holds this text |
/// | `{ member_of = { attribute = "principal.id", set = "resource.readers" } }` | the set holds the attribute's text |
/// | `{ compare = { left = "resource.amount", is = "at_most", right = "principal.limit" } }` | so the numbers compare; `right` may be a number |
/// | `{ hours = { from = "08:00", until = "18:00", days = ["monday"] } }` | it is that time, see [`Hours`] |
/// | `{ dates = { until = "2027-01-01T00:00:00Z" } }` | it is in this stretch of time, see [`Dates`] |
/// | `{ network = ["10.0.0.0/8"] }` | the client's address is in one of these networks |
///
/// Over something that is not known it is undecided, and so is what contains it, unless the rest decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Condition {
    /// All of them hold.
    All(Vec<Self>),
    /// One of them holds.
    Any(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// The resource's owner is the principal, of the same tenant.
    Owner,
    /// The resource is of the principal's tenant.
    SameTenant,
    /// The proof of identity is good for this scope.
    Scope(Box<str>),
    /// The attribute has this value.
    Equals {
        /// Which one.
        attribute: Attribute,
        /// The value. Sets are not compared.
        value: Value,
    },
    /// Both attributes have the same value.
    Same(Attribute, Attribute),
    /// The attribute has one of these values.
    OneOf {
        /// Which one.
        attribute: Attribute,
        /// The values.
        values: Vec<Value>,
    },
    /// The set holds this text.
    Includes {
        /// The set.
        attribute: Attribute,
        /// The text.
        text: Box<str>,
    },
    /// The set holds the attribute's text.
    MemberOf {
        /// The text.
        attribute: Attribute,
        /// The set.
        set: Attribute,
    },
    /// So the numbers compare.
    Compare {
        /// The one.
        left: Attribute,
        /// How it must be.
        is: Comparison,
        /// The other.
        right: Operand,
    },
    /// It is that time of day.
    Hours(Hours),
    /// It is in this stretch of time.
    Dates(Dates),
    /// The client's address is in one of these networks.
    Network(Vec<Cidr>),
}

/// How a number must be, beside another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Comparison {
    Below,
    AtMost,
    AtLeast,
    Above,
}

/// A number, or the attribute that has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a whole number, or the name of an attribute")]
pub enum Operand {
    /// The number itself.
    Number(i64),
    /// Where it stands.
    Attribute(Attribute),
}

impl Comparison {
    pub(super) fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Self::Below => left < right,
            Self::AtMost => left <= right,
            Self::AtLeast => left >= right,
            Self::Above => left > right,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::AtLeast => ">=",
            Self::Above => ">",
        })
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Attribute(attribute) => attribute.fmt(f),
        }
    }
}

/// As the policy says it; never with the values of a request.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => joined(f, "all of", parts),
            Self::Any(parts) => joined(f, "one of", parts),
            Self::Not(part) => write!(f, "not ({part})"),
            Self::Owner => f.write_str("resource.owner is the principal"),
            Self::SameTenant => f.write_str("resource.tenant = principal.tenant"),
            Self::Scope(scope) => write!(f, "the scope {scope:?}"),
            Self::Equals { attribute, value } => write!(f, "{attribute} = {value}"),
            Self::Same(left, right) => write!(f, "{left} = {right}"),
            Self::OneOf { attribute, values } => {
                write!(f, "{attribute} is one of ")?;
                joined(f, "", values)
            }
            Self::Includes { attribute, text } => write!(f, "{attribute} includes {text:?}"),
            Self::MemberOf { attribute, set } => write!(f, "{set} includes {attribute}"),
            Self::Compare { left, is, right } => write!(f, "{left} {is} {right}"),
            Self::Hours(hours) => hours.fmt(f),
            Self::Dates(dates) => dates.fmt(f),
            Self::Network(networks) => joined(f, "the address is in one of", networks),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, word: &str, parts: &[impl fmt::Display]) -> fmt::Result {
    f.write_str(word)?;
    f.write_str(if word.is_empty() { "(" } else { " (" })?;
    for (number, part) in parts.iter().enumerate() {
        write!(f, "{}{part}", if number == 0 { "" } else { ", " })?;
    }
    f.write_str(")")
}
