//! Whether a condition holds of a request, does not, or cannot be known.

use super::attributes::{Attribute, Value, Whose};
use super::condition::{Condition, Operand};
use super::request::Request;

/// Kleene's three values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Truth {
    Fails,
    /// Something is not known that it is about.
    Undecided,
    Holds,
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Fails }
    }
}

impl From<Option<bool>> for Truth {
    fn from(holds: Option<bool>) -> Self {
        holds.map_or(Self::Undecided, Self::from)
    }
}

impl Condition {
    pub(super) fn truth(&self, request: &Request<'_>) -> Truth {
        match self {
            Self::All(parts) => extreme(parts, request, Truth::Fails, std::cmp::min),
            Self::Any(parts) => extreme(parts, request, Truth::Holds, std::cmp::max),
            Self::Not(part) => match part.truth(request) {
                Truth::Fails => Truth::Holds,
                Truth::Undecided => Truth::Undecided,
                Truth::Holds => Truth::Fails,
            },
            Self::Owner => is_owner(request).into(),
            Self::SameTenant => is_same_tenant(request).into(),
            Self::Scope(scope) => request.principal.is_some_and(|who| who.scopes.contains(scope)).into(),
            Self::Equals { attribute, value } => with(request, attribute, |found| found.is(value)),
            Self::Same(left, right) => both(request, left, right, Found::equals),
            Self::OneOf { attribute, values } => with(request, attribute, |found| {
                let first = found.is(values.first()?)?;
                Some(first || values.iter().skip(1).any(|value| found.is(value) == Some(true)))
            }),
            Self::Includes { attribute, text } => {
                with(request, attribute, |found| found.includes(Found::Text(text)))
            }
            Self::MemberOf { attribute, set } => both(request, set, attribute, Found::includes),
            Self::Compare { left, is, right } => {
                let right = match right {
                    Operand::Number(number) => Some(*number),
                    Operand::Attribute(attribute) => find(request, attribute).and_then(Found::number),
                };
                let left = find(request, left).and_then(Found::number);
                left.zip(right).map(|(left, right)| is.holds(left, right)).into()
            }
            Self::Hours(hours) => hours.hold(request.now).into(),
            Self::Dates(dates) => dates.hold(request.now).into(),
            Self::Network(networks) => {
                let held = |address| networks.iter().any(|network| network.contains(address));
                request.address.map(held).into()
            }
        }
    }

    /// The innermost part that keeps it from holding. It does not hold.
    pub(super) fn culprit(&self, request: &Request<'_>) -> &Self {
        let Self::All(parts) = self else { return self };
        // One that fails explains more than one that is undecided.
        let not =
            parts.iter().map(|part| (part, part.truth(request))).filter(|(_, truth)| *truth != Truth::Holds);
        not.min_by_key(|(_, truth)| *truth).map_or(self, |(part, _)| part.culprit(request))
    }
}

/// The least, or the greatest; nothing more is looked at once it is `end`.
fn extreme(parts: &[Condition], request: &Request<'_>, end: Truth, of: fn(Truth, Truth) -> Truth) -> Truth {
    let mut all = if end == Truth::Fails { Truth::Holds } else { Truth::Fails };
    for part in parts {
        all = of(all, part.truth(request));
        if all == end {
            break;
        }
    }
    all
}

fn is_same_tenant(request: &Request<'_>) -> bool {
    let own = request.principal.and_then(|who| who.tenant.as_ref());
    request.resource.tenant.is_some() && request.resource.tenant == own
}

/// Who is the owner is a matter of the tenant too: names are unique only within one.
/// Undecided where nobody has said whose it is, so that `not owner` (somebody else approves) does not hold by omission.
fn is_owner(request: &Request<'_>) -> Option<bool> {
    let (who, owner) = (request.principal?, request.resource.owner?);
    Some(who.id.as_str() == owner && who.tenant.as_ref() == request.resource.tenant)
}

/// A value where it stands.
#[derive(Clone, Copy)]
enum Found<'a> {
    Text(&'a str),
    Value(&'a Value),
}

impl<'a> Found<'a> {
    fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Value(Value::Text(text)) => Some(text),
            Self::Value(_) => None,
        }
    }

    fn number(self) -> Option<i64> {
        match self {
            Self::Value(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// `None` where a request brings another type than the policy declares.
    fn equals(self, other: Self) -> Option<bool> {
        match (self, other) {
            (Self::Value(Value::Flag(one)), Self::Value(Value::Flag(other))) => Some(one == other),
            (Self::Value(Value::Number(one)), Self::Value(Value::Number(other))) => Some(one == other),
            _ => Some(self.text()? == other.text()?),
        }
    }

    fn is(self, value: &Value) -> Option<bool> {
        self.equals(Found::Value(value))
    }

    fn includes(self, member: Found<'_>) -> Option<bool> {
        let Self::Value(Value::Texts(texts)) = self else { return None };
        let member = member.text()?;
        Some(texts.iter().any(|text| **text == *member))
    }
}

fn find<'a>(request: &'a Request<'_>, attribute: &Attribute) -> Option<Found<'a>> {
    let (who, resource) = (request.principal, &request.resource);
    let found = match (attribute.of, attribute.name()) {
        (Whose::Principal, "id") => Found::Text(who?.id.as_str()),
        (Whose::Principal, "tenant") => Found::Text(who?.tenant.as_ref()?.as_str()),
        (Whose::Principal, "kind") => Found::Text(who?.kind.as_str()),
        (Whose::Resource, "id") => Found::Text(resource.id?),
        (Whose::Resource, "tenant") => Found::Text(resource.tenant?.as_str()),
        (Whose::Resource, "owner") => Found::Text(resource.owner?),
        (Whose::Principal, name) => Found::Value(request.principal_attributes.get(name)?),
        (Whose::Resource, name) => Found::Value(resource.attributes.get(name)?),
        (Whose::Context, name) => Found::Value(request.context.get(name)?),
    };
    Some(found)
}

fn with(request: &Request<'_>, attribute: &Attribute, holds: impl Fn(Found<'_>) -> Option<bool>) -> Truth {
    find(request, attribute).and_then(holds).into()
}

fn both<'a>(
    request: &'a Request<'_>,
    one: &Attribute,
    other: &Attribute,
    holds: fn(Found<'a>, Found<'a>) -> Option<bool>,
) -> Truth {
    find(request, one).zip(find(request, other)).and_then(|(one, other)| holds(one, other)).into()
}
