//! Values with templates in their texts: what `set` sets and what `for_each` goes through.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Number, Value};

use super::scope::{Path, Scope, kind};
use super::template::{Template, TemplateError};

/// A value whose texts are templates. A text that is exactly one variable stands for the variable's whole value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum ValueTemplate {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(Template),
    /// A list.
    List(Vec<ValueTemplate>),
    /// A map.
    Map(BTreeMap<String, ValueTemplate>),
}

impl ValueTemplate {
    /// Fills in the values.
    ///
    /// # Errors
    ///
    /// As [`Template::render`].
    pub fn render(&self, scope: &Scope) -> Result<Value, TemplateError> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(is) => Value::Bool(*is),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(template) => template.value(scope)?,
            Self::List(items) => {
                Value::Array(items.iter().map(|item| item.render(scope)).collect::<Result<_, _>>()?)
            }
            Self::Map(members) => {
                let mut map = Map::new();
                for (name, member) in members {
                    map.insert(name.clone(), member.render(scope)?);
                }
                Value::Object(map)
            }
        })
    }

    /// The items a loop goes through.
    ///
    /// # Errors
    ///
    /// As [`Template::render`]; also when the value is no list, or has more than 1,000 items.
    pub fn items(&self, scope: &Scope) -> Result<Vec<Value>, TemplateError> {
        match self.render(scope)? {
            Value::Array(items) if items.len() > super::MAX_ITEMS => {
                Err(TemplateError::TooMany { found: items.len() })
            }
            Value::Array(items) => Ok(items),
            other => {
                let source_text = match self {
                    Self::Text(template) => template.source().to_owned(),
                    _ => "in".to_owned(),
                };
                Err(TemplateError::NotList { source_text, found: kind(&other) })
            }
        }
    }

    /// Visits the variables it mentions, in order.
    pub(crate) fn variables(&self, visit: &mut dyn FnMut(&Path)) {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => {}
            Self::Text(template) => template.variables().for_each(visit),
            Self::List(items) => items.iter().for_each(|item| item.variables(visit)),
            Self::Map(members) => members.values().for_each(|member| member.variables(visit)),
        }
    }
}
