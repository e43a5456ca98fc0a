//! Which fields of an entry are personal, sealed on the way in and opened on the way out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Opened, SubjectId, Subjects};
use crate::{Entry, Error, Value, json};

/// A field of an entry that can be sealed: `"actor"`, `"target"`, `"detail"`, `"data.email"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Field {
    /// Who did it.
    Actor,
    /// What it was done to.
    Target,
    /// The line for people.
    Detail,
    /// One value of the data, with all that it holds.
    Data(String),
}

/// Not the name of a field that can be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no field that can be sealed: `actor`, `target`, `detail` and `data.NAME` are")]
pub struct FieldError(
    /// What was given.
    pub String,
);

impl FromStr for Field {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        match (text, text.strip_prefix("data.")) {
            ("actor", _) => Ok(Self::Actor),
            ("target", _) => Ok(Self::Target),
            ("detail", _) => Ok(Self::Detail),
            (_, Some(name)) if !name.is_empty() => Ok(Self::Data(name.to_owned())),
            _ => Err(FieldError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Field {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        text.parse()
    }
}

impl From<Field> for String {
    fn from(field: Field) -> Self {
        field.to_string()
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Actor => f.write_str("actor"),
            Self::Target => f.write_str("target"),
            Self::Detail => f.write_str("detail"),
            Self::Data(name) => write!(f, "data.{name}"),
        }
    }
}

/// Which fields are personal.
///
/// | field | default | |
/// |---|---|---|
/// | `fields` | none | fields that are sealed under the key of the entry's subject: `["actor", "detail", "data.email"]` |
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Policy {
    /// The fields that are sealed.
    pub fields: Vec<Field>,
}

impl Policy {
    /// A policy that seals these fields.
    #[must_use]
    pub fn new(fields: impl IntoIterator<Item = Field>) -> Self {
        Self { fields: fields.into_iter().collect() }
    }
}

impl Subjects {
    /// Seals the fields of `entry` that the policy names for the subject of this name, who is made known if need be. What
    /// is sealed already stays as it is, so that an entry about two people takes two calls with a policy each.
    ///
    /// # Errors
    ///
    /// As [`make`](Subjects::make) and [`seal`](Subjects::seal).
    pub fn protect(&self, policy: &Policy, entry: &mut Entry, name: &str) -> Result<SubjectId, Error> {
        let subject = self.make(name)?;
        for field in &policy.fields {
            let label = field.to_string();
            if let Field::Data(name) = field {
                if let Some(value) = entry.data.get_mut(name)
                    && !is_sealed(value)
                {
                    let text = json::value(value).to_string();
                    *value = Value::Text(self.seal(subject, &label, &text)?);
                }
            } else if let Some(text) = text_of(entry, field)
                && SubjectId::of(text).is_none()
            {
                *text = self.seal(subject, &label, text)?;
            }
        }
        Ok(subject)
    }

    /// Puts in the place of each sealed value what was sealed, or `[erased]`, or `[sealed]` where the key is not known.
    pub fn reveal(&self, entry: &mut Entry) {
        for field in [Field::Actor, Field::Target, Field::Detail] {
            if let Some(text) = text_of(entry, &field)
                && let Some(shown) = self.shown(&field.to_string(), text)
            {
                *text = shown.unwrap_or_else(str::to_owned);
            }
        }
        for (name, value) in &mut entry.data {
            let Value::Text(text) = value else { continue };
            match self.shown(&format!("data.{name}"), text) {
                None => {}
                Some(Err(word)) => *value = Value::Text(word.to_owned()),
                Some(Ok(text)) => *value = serde_json::from_str(&text).map_or(Value::Text(text), json::parse),
            }
        }
    }

    /// What to show for a value; `None` when it is not sealed.
    fn shown(&self, field: &str, text: &str) -> Option<Result<String, &'static str>> {
        match self.read(field, text) {
            Opened::Plain => None,
            Opened::Text(text) => Some(Ok(text)),
            Opened::Erased(_) => Some(Err(ERASED)),
            Opened::Unknown(_) => Some(Err(SEALED)),
        }
    }
}

/// Shown for what nobody reads any more.
pub const ERASED: &str = "[erased]";
/// Shown for what cannot be read with these keys.
pub const SEALED: &str = "[sealed]";

fn text_of<'a>(entry: &'a mut Entry, field: &Field) -> Option<&'a mut String> {
    match field {
        Field::Actor => entry.actor.as_mut(),
        Field::Target => entry.target.as_mut(),
        Field::Detail => entry.detail.as_mut(),
        Field::Data(_) => None,
    }
}

fn is_sealed(value: &Value) -> bool {
    matches!(value, Value::Text(text) if SubjectId::of(text).is_some())
}
