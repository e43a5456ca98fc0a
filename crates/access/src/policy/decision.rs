//! What was decided, and why.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::compiled::{Policy, Rule};
use super::condition::Condition;

/// What was decided, and why: for people by `Display`, for records by serde, for callers no more than [`reason`](Self::reason).
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Decision<'p> {
    because: Because<'p>,
}

/// Why it is allowed or denied.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Because<'p> {
    /// The rule allows it, and none denies it.
    Allowed {
        /// Which one.
        rule: Ground<'p>,
    },
    /// The rule denies it.
    Forbidden {
        /// Which one.
        rule: Ground<'p>,
        /// Whether the rule denies because something that its condition asks for is not known.
        undecided: bool,
    },
    /// The rule would allow it, but for its condition; the first of such rules.
    Unmet {
        /// Which one.
        rule: Ground<'p>,
        /// What does not hold: of several that must hold, the one.
        condition: &'p Condition,
        /// Whether that is because something is not known.
        undecided: bool,
    },
    /// The resource is another tenant's.
    OtherTenant,
    /// No rule of the principal's roles is about it.
    NoRule,
}

/// A rule, and how the principal comes by it.
#[derive(Clone, Copy)]
pub struct Ground<'p> {
    pub(super) policy: &'p Policy,
    pub(super) rule: &'p Rule,
    /// The role of the principal that brought it.
    pub(super) through: u16,
}

impl<'p> Ground<'p> {
    /// The rule's name.
    #[must_use]
    pub fn rule(&self) -> &'p str {
        &self.rule.name
    }

    /// The pattern of permissions that the rule is about.
    #[must_use]
    pub fn pattern(&self) -> &'p str {
        self.rule.pattern.as_str()
    }

    /// From a role of the principal, over those it inherits from, to the role that has the rule.
    #[must_use]
    pub fn role_path(&self) -> Vec<&'p str> {
        let path = self.policy.inheritance.path(self.through, self.rule.role);
        path.into_iter().map(|role| self.policy.role_name(role)).collect()
    }
}

impl fmt::Debug for Ground<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ground({self})")
    }
}

impl fmt::Display for Ground<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule `{}` ({}) of role {}", self.rule(), self.pattern(), self.role_path().join(" > "))
    }
}

impl<'p> Decision<'p> {
    pub(super) fn new(because: Because<'p>) -> Self {
        Self { because }
    }

    /// Whether it may be done.
    #[must_use]
    pub fn allowed(&self) -> bool {
        matches!(self.because, Because::Allowed { .. })
    }

    /// Why.
    #[must_use]
    pub fn because(&self) -> &Because<'p> {
        &self.because
    }

    /// Why, in one word of a closed set, which tells nothing of the policy: `allowed`, `forbidden`, `condition_unmet`, `other_tenant`,
    /// `no_rule`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.because {
            Because::Allowed { .. } => "allowed",
            Because::Forbidden { .. } => "forbidden",
            Because::Unmet { .. } => "condition_unmet",
            Because::OtherTenant => "other_tenant",
            Because::NoRule => "no_rule",
        }
    }

    /// The rule that it rests on, where it is one.
    #[must_use]
    pub fn ground(&self) -> Option<&Ground<'p>> {
        match &self.because {
            Because::Allowed { rule } | Because::Forbidden { rule, .. } | Because::Unmet { rule, .. } => {
                Some(rule)
            }
            Because::OtherTenant | Because::NoRule => None,
        }
    }
}

/// One line for people who may know the policy. Holds no value of the request.
impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.because {
            Because::Allowed { rule } => write!(f, "allowed by {rule}"),
            Because::Forbidden { rule, undecided: false } => write!(f, "denied by {rule}"),
            Because::Forbidden { rule, undecided: true } => {
                write!(f, "denied by {rule}, whose condition cannot be decided")
            }
            Because::Unmet { rule, condition, undecided } => {
                let how = if *undecided { "cannot be decided" } else { "does not hold" };
                write!(f, "denied: {rule} would allow it, but {condition} {how}")
            }
            Because::OtherTenant => f.write_str("denied: the resource belongs to another tenant"),
            Because::NoRule => f.write_str("denied: no rule allows it"),
        }
    }
}

impl Serialize for Decision<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let ground = self.ground();
        let condition = match &self.because {
            Because::Unmet { condition, undecided, .. } => Some((*condition, *undecided)),
            _ => None,
        };
        let mut out = to.serialize_struct("Decision", 6)?;
        out.serialize_field("allowed", &self.allowed())?;
        out.serialize_field("reason", self.reason())?;
        out.serialize_field("rule", &ground.map(Ground::rule))?;
        out.serialize_field("pattern", &ground.map(Ground::pattern))?;
        out.serialize_field("roles", &ground.map(Ground::role_path))?;
        out.serialize_field("condition", &condition.map(|(condition, _)| condition.to_string()))?;
        out.end()
    }
}
