//! A policy as an operator writes it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::attributes::{Attribute, Kind};
use super::condition::Condition;

/// The role that everybody has, also who is not known. It is there when the policy has it.
pub const EVERYONE: &str = "everyone";

/// Who may do what.
///
/// | field | default | bound |
/// |---|---|---|
/// | `attributes` | none | the types of the attributes that conditions use (`flag`, `number`, `text`, `texts`); at most 256 |
/// | `roles` | none | by name; at most 1,024, and 10,000 rules in all. See [`RoleConfig`] |
///
/// The role `everyone` is held by everybody, also by who is not known. See [`Policy::new`](super::Policy::new) for what is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PolicyConfig {
    /// The types of the attributes that conditions use.
    pub attributes: BTreeMap<Attribute, Kind>,
    /// Roles, by name.
    pub roles: BTreeMap<String, RoleConfig>,
}

/// One role.
///
/// | field | default | |
/// |---|---|---|
/// | `description` | none | for people |
/// | `inherits` | none | roles whose rules are this one's too, those that deny as well; at most 16 deep, and never in a circle |
/// | `allow` | none | see [`RuleConfig`] |
/// | `deny` | none | the same; wins over all that allow |
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RoleConfig {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Roles whose rules are this one's too.
    pub inherits: Vec<String>,
    /// What it allows.
    pub allow: Vec<RuleConfig>,
    /// What it denies.
    pub deny: Vec<RuleConfig>,
}

/// One rule: a permission or a pattern of it as a plain text, or
///
/// | field | default | |
/// |---|---|---|
/// | `permission` | | a [`Pattern`](super::Pattern): `"document:read"`, `"document:*"`, `"billing:**"` |
/// | `name` | `role.allow.0` | what decisions call it; no two rules have the same |
/// | `when` | always | see [`Condition`] |
/// | `cross_tenant` | false | whether it also allows what other tenants have. A rule that denies always holds for all |
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RuleConfig {
    /// A pattern of permissions.
    pub permission: String,
    /// What decisions call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// Whether it also allows what other tenants have.
    pub cross_tenant: bool,
}

impl RuleConfig {
    /// Applies always, to what the principal's own tenant has.
    #[must_use]
    pub fn new(permission: impl Into<String>) -> Self {
        Self { permission: permission.into(), name: None, when: None, cross_tenant: false }
    }
}

impl<'de> Deserialize<'de> for RuleConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(RuleVisitor)
    }
}

struct RuleVisitor;

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = RuleConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a permission like \"document:read\", or a table with `permission`")
    }

    fn visit_str<E>(self, permission: &str) -> Result<RuleConfig, E> {
        Ok(RuleConfig::new(permission))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RuleConfig, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            permission: String,
            name: Option<String>,
            when: Option<Condition>,
            #[serde(default)]
            cross_tenant: bool,
        }
        let Table { permission, name, when, cross_tenant } =
            Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(RuleConfig { permission, name, when, cross_tenant })
    }
}
