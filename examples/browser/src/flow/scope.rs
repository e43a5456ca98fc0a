//! The values that a run's variables have.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::template::TemplateError;

/// The values of a run's variables. There are no more names than the workflow mentions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scope {
    values: BTreeMap<String, Value>,
}

impl Scope {
    /// No variable has a value.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a variable a value.
    pub fn set(&mut self, name: impl Into<String>, value: Value) {
        self.values.insert(name.into(), value);
    }

    /// Takes a variable's value away, as at the end of a loop.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.values.remove(name)
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// All names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// A variable, or a part of its value: `user`, `user.name`, `row["First name"]`, `rows[0].price`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    root: String,
    parts: Vec<PathPart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PathPart {
    Field(String),
    Item(usize),
}

/// How many fields and items a path may have after the variable.
const MAX_PARTS: usize = 16;

impl Path {
    /// The variable's name.
    pub fn variable(&self) -> &str {
        &self.root
    }

    /// Whether the whole variable is meant, not a part.
    pub fn is_whole(&self) -> bool {
        self.parts.is_empty()
    }

    /// Reads a path; the error is for people.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{} does not name a variable; write {{{{name}}}}, {{{{name.field}}}}, {{{{name[0]}}}} or \
                 {{{{name[\"a field\"]}}}}",
                super::error::quoted(&format!("{{{{{text}}}}}"))
            )
        };
        let (root, mut rest) = name_at(text).ok_or_else(wrong)?;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (part, tail) = part_at(rest).ok_or_else(wrong)?;
            parts.push(part);
            if parts.len() > MAX_PARTS {
                return Err(format!("a path has at most {MAX_PARTS} parts"));
            }
            rest = tail;
        }
        Ok(Self { root: root.to_owned(), parts })
    }

    /// The value that the path leads to.
    pub(crate) fn find<'s>(&self, scope: &'s Scope) -> Result<&'s Value, TemplateError> {
        let mut value =
            scope.get(&self.root).ok_or_else(|| TemplateError::Unset { variable: self.root.clone() })?;
        for part in &self.parts {
            let next = match part {
                PathPart::Field(name) => value.get(name.as_str()),
                PathPart::Item(index) => value.get(*index),
            };
            value = next.ok_or_else(|| TemplateError::NoPart {
                path: self.to_string(),
                found: match value {
                    Value::Array(items) => format!("a list of {} items", items.len()),
                    Value::Object(_) => "a map without such a field".to_owned(),
                    other => kind(other).to_owned(),
                },
            })?;
        }
        Ok(value)
    }
}

/// What a value is, for a message.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn name_at(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !super::names::is_sign(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    super::names::is_name(name).then_some((name, rest))
}

fn part_at(text: &str) -> Option<(PathPart, &str)> {
    if let Some(rest) = text.strip_prefix('.') {
        let (name, rest) = name_at(rest)?;
        return Some((PathPart::Field(name.to_owned()), rest));
    }
    let inside = text.strip_prefix('[')?;
    if let Some(quoted) = inside.strip_prefix('"') {
        let (name, rest) = quoted.split_once("\"]")?;
        return Some((PathPart::Field(name.to_owned()), rest));
    }
    let (index, rest) = inside.split_once(']')?;
    let digits = !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| index.parse().ok()).flatten().map(|index| (PathPart::Item(index), rest))
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root)?;
        for part in &self.parts {
            match part {
                PathPart::Field(name) if super::names::is_name(name) => write!(f, ".{name}")?,
                PathPart::Field(name) => write!(f, "[\"{name}\"]")?,
                PathPart::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
