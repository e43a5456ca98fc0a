//! Text with variables in it: `{{base}}/quotes`.

use std::borrow::Cow;
use std::fmt;

use buttress_core::{Classify, ErrorClass};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::scope::{Path, Scope, kind};

/// The longest text a template makes, in bytes.
pub const MAX_RENDERED: usize = 1 << 20;

/// Text with `{{variables}}` in it, taken apart once.
///
/// `{{name}}`, `{{name.field}}`, `{{name["a field"]}}` and `{{name[0]}}` stand for values; `{{name | trim}}` for a
/// value without the spaces around it. `{{"{{"}}` stands for two braces. There is nothing else: no code, no other
/// filters.
#[derive(Debug, Clone)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    Variable { path: Path, trim: bool },
}

/// A template cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The variable has no value, since the step that gives it one has not run or has found nothing.
    #[error("`{variable}` has no value here; the step that sets it was skipped, failed, or found nothing")]
    Unset {
        /// The variable's name.
        variable: String,
    },
    /// The value has no such field or item.
    #[error("`{path}` leads nowhere: on the way lies {found}")]
    NoPart {
        /// The path as written.
        path: String,
        /// What the path's last good part leads to.
        found: String,
    },
    /// A list or a map where text is needed.
    #[error("`{path}` is {found}, not text; name one part of it, such as `{path}[0]` or `{path}.name`")]
    NotText {
        /// The path as written.
        path: String,
        /// What is there.
        found: &'static str,
    },
    /// A value that is no list where one is needed.
    #[error("`{source_text}` gives {found}, not a list")]
    NotList {
        /// The template as written.
        source_text: String,
        /// What is there.
        found: &'static str,
    },
    /// A list with more items than a loop may have.
    #[error("the list has {found} items; a loop has at most {}", super::MAX_ITEMS)]
    TooMany {
        /// The number of items.
        found: usize,
    },
    /// The text would be longer than 1 MiB.
    #[error("the text would be longer than {} MiB; use smaller values", MAX_RENDERED >> 20)]
    TooLarge,
}

impl Classify for TemplateError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::TooLarge | Self::TooMany { .. } => ErrorClass::TooLarge,
            _ => ErrorClass::Invalid,
        }
    }
}

impl Template {
    /// Takes a template apart; the error is for people.
    pub fn parse(source: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((before, inside)) = rest.split_once("{{") {
            push_literal(&mut parts, before);
            rest = if let Some(quoted) = inside.trim_start().strip_prefix('"') {
                let (text, tail) =
                    quoted.split_once('"').ok_or("the quote after `{{` is not closed; add `\"}}`")?;
                push_literal(&mut parts, text);
                tail.trim_start().strip_prefix("}}").ok_or("`{{\"…\"` is not closed; add `}}`")?
            } else {
                let (inside, tail) = inside.split_once("}}").ok_or(
                    "`{{` is not closed; write `{{name}}`, or `{{\"{{\"}}` for two braces that are meant as such",
                )?;
                parts.push(variable(inside)?);
                tail
            };
        }
        push_literal(&mut parts, rest);
        Ok(Self { source: source.to_owned(), parts })
    }

    /// A template that stands for exactly this text, whatever braces are in it.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        let mut parts = Vec::new();
        push_literal(&mut parts, text);
        // Each brace is written apart: of three in a row, any two would open a variable.
        let plain = !text.contains("{{");
        let source = if plain { text.to_owned() } else { text.replace('{', "{{\"{\"}}") };
        Self { source, parts }
    }

    /// The template as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text, if no variable is in it.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The one variable that the template consists of, if it does.
    pub fn as_variable(&self) -> Option<&Path> {
        match self.parts.as_slice() {
            [Part::Variable { path, trim: false }] => Some(path),
            _ => None,
        }
    }

    /// The variables it mentions, in order.
    pub fn variables(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Variable { path, .. } => Some(path),
        })
    }

    /// The text before the first variable.
    pub(crate) fn prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            _ => "",
        }
    }

    /// The text with an `x` for each variable, to look at its form.
    pub(crate) fn sample(&self) -> Cow<'_, str> {
        match self.as_literal() {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(
                self.parts
                    .iter()
                    .map(|part| match part {
                        Part::Literal(text) => text.as_str(),
                        Part::Variable { .. } => "x",
                    })
                    .collect(),
            ),
        }
    }

    /// Fills in the values.
    ///
    /// # Errors
    ///
    /// A variable without a value, a path that leads nowhere, a list or a map within text, more than 1 MiB.
    pub fn render(&self, scope: &Scope) -> Result<String, TemplateError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Variable { path, trim } => {
                    let shown = shown(path, scope)?;
                    text.push_str(if *trim { shown.trim() } else { &shown });
                }
            }
            if text.len() > MAX_RENDERED {
                return Err(TemplateError::TooLarge);
            }
        }
        Ok(text)
    }

    /// The value itself where the template is exactly one variable, else the text.
    ///
    /// # Errors
    ///
    /// As [`render`](Self::render).
    pub fn value(&self, scope: &Scope) -> Result<Value, TemplateError> {
        match self.as_variable() {
            Some(path) => path.find(scope).cloned(),
            None => self.render(scope).map(Value::String),
        }
    }
}

fn push_literal(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Literal(before)) => before.push_str(text),
        _ => parts.push(Part::Literal(text.to_owned())),
    }
}

fn variable(inside: &str) -> Result<Part, String> {
    let (path, filter) = match inside.split_once('|') {
        Some((path, filter)) => (path.trim(), Some(filter.trim())),
        None => (inside.trim(), None),
    };
    if let Some(other) = filter.filter(|filter| *filter != "trim") {
        return Err(format!("{} is not known; `trim` is the only filter", super::error::quoted(other)));
    }
    if path.is_empty() {
        return Err("`{{}}` names no variable; write `{{name}}`".to_owned());
    }
    Ok(Part::Variable { path: Path::parse(path)?, trim: filter.is_some() })
}

fn shown<'s>(path: &Path, scope: &'s Scope) -> Result<Cow<'s, str>, TemplateError> {
    Ok(match path.find(scope)? {
        Value::String(text) => Cow::Borrowed(text),
        Value::Number(number) => Cow::Owned(number.to_string()),
        Value::Bool(is) => Cow::Borrowed(if *is { "true" } else { "false" }),
        Value::Null => return Err(TemplateError::Unset { variable: path.to_string() }),
        other => return Err(TemplateError::NotText { path: path.to_string(), found: kind(other) }),
    })
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Template {}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.source)
    }
}
