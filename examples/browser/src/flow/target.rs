//! What a step acts on: an element named by a CSS selector, or by text it shows.

use std::fmt;

use serde::{Serialize, Serializer};

use super::error::quoted;
use super::scope::{Path, Scope};
use super::template::{Template, TemplateError};

/// The longest selector or text in characters.
pub const MAX_TARGET: usize = 1_000;

/// An element of a page, by a CSS selector or by the text it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The first element that a CSS selector matches.
    Css(String),
    /// The smallest element that shows the text.
    Text(String),
}

impl Target {
    /// Reads `text=Next` as text and anything else as a CSS selector, whose brackets and quotes must be balanced.
    ///
    /// # Errors
    ///
    /// A text for people that says what is wrong and what would do.
    pub fn parse(text: &str) -> Result<Self, String> {
        let target = Self::kind(text);
        target.check()?;
        Ok(target)
    }

    fn kind(text: &str) -> Self {
        match text.trim().strip_prefix("text=") {
            Some(shown) => Self::Text(shown.trim().to_owned()),
            None => Self::Css(text.trim().to_owned()),
        }
    }

    /// Checks what was put together by hand as [`parse`](Self::parse) does.
    ///
    /// # Errors
    ///
    /// A text for people that says what is wrong and what would do.
    pub fn check(&self) -> Result<(), String> {
        let (Self::Css(text) | Self::Text(text)) = self;
        if text.is_empty() {
            return Err(match self {
                Self::Css(_) => {
                    "is empty; name an element, as a CSS selector (\"#go\") or text (\"text=Next\")"
                }
                Self::Text(_) => "names no text; write it after the sign of equality: \"text=Next\"",
            }
            .to_owned());
        }
        if text.chars().count() > MAX_TARGET {
            return Err(format!("is too long; a target has at most {MAX_TARGET} characters"));
        }
        match self {
            Self::Css(selector) => check_selector(selector),
            Self::Text(_) => Ok(()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Css(selector) => f.write_str(selector),
            Self::Text(text) => write!(f, "text={text}"),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// What can be said of a selector without a browser: only the browser knows all of CSS.
fn check_selector(selector: &str) -> Result<(), String> {
    if selector.starts_with("//") || selector.starts_with("xpath=") {
        return Err(format!(
            "{} is XPath, which is not known here; use a CSS selector or \"text=…\"",
            quoted(selector)
        ));
    }
    let mut open = Vec::new();
    let mut quote = None;
    let mut signs = selector.chars();
    while let Some(c) = signs.next() {
        if c == '\\' {
            signs.next();
            continue;
        }
        match (quote, c) {
            (Some(begun), c) if begun == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '(') => open.push(')'),
            (None, '[') => open.push(']'),
            (None, ')' | ']') if open.pop() != Some(c) => {
                return Err(format!("{} closes a bracket that was not opened: `{c}`", quoted(selector)));
            }
            (None, '{' | '}' | ';') => {
                return Err(format!("{} has a `{c}`, which no CSS selector has", quoted(selector)));
            }
            _ => {}
        }
    }
    if let Some(quote) = quote {
        return Err(format!("{} does not close the quote {quote}", quoted(selector)));
    }
    if let Some(bracket) = open.pop() {
        return Err(format!("{} does not close a bracket: `{bracket}` is missing", quoted(selector)));
    }
    if selector.starts_with([',', ')', '=']) || selector.ends_with([',', '>', '+', '~', '#', '.', ':', '\\'])
    {
        return Err(format!(
            "{} is not a whole CSS selector; something is missing at its end",
            quoted(selector)
        ));
    }
    if reads_as_prose(selector) {
        return Err(format!(
            "{} is a CSS selector for elements of that name; for text on the page write \"text={selector}\"",
            quoted(selector)
        ));
    }
    Ok(())
}

/// `Next page` is a selector to CSS, and never what was meant: no element's name begins with a capital only.
fn reads_as_prose(selector: &str) -> bool {
    let first = selector.split(' ').next().unwrap_or_default();
    let mut signs = first.chars();
    signs.next().is_some_and(char::is_uppercase)
        && signs.next().is_some_and(char::is_lowercase)
        && selector.chars().all(|c| c.is_alphanumeric() || c == ' ')
}

/// A target with variables in it: `#row-{{number}}`, `text={{word}}`, `{{selector}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetTemplate {
    template: Template,
}

impl TargetTemplate {
    /// Reads a target, and checks its form as far as it is known before the variables are.
    ///
    /// # Errors
    ///
    /// A text for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::new(Template::parse(text.trim())?)
    }

    /// The target itself; no part of it is a variable.
    #[must_use]
    pub fn literal(target: &Target) -> Self {
        Self { template: Template::literal(&target.to_string()) }
    }

    fn new(template: Template) -> Result<Self, String> {
        match (Target::parse(&template.sample()), template.as_literal()) {
            (Err(problem), None) => Err(format!("with `x` for its variables, {problem}")),
            (Err(problem), Some(_)) => Err(problem),
            (Ok(_), _) => Ok(Self { template }),
        }
    }

    /// The target as written.
    pub fn source(&self) -> &str {
        self.template.source()
    }

    /// The target, if no variable is in it.
    pub fn as_literal(&self) -> Option<Target> {
        self.template.as_literal().map(Target::kind)
    }

    /// Fills in the values.
    ///
    /// # Errors
    ///
    /// As [`Template::render`], and when the outcome is no target.
    pub fn render(&self, scope: &Scope) -> Result<Target, TargetError> {
        let text = self.template.render(scope)?;
        Target::parse(&text).map_err(|problem| TargetError::Form { target: quoted(self.source()), problem })
    }

    /// The variables it mentions, in order.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &Path> {
        self.template.variables()
    }
}

impl Serialize for TargetTemplate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.template.serialize(to)
    }
}

/// A target whose variables make it none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A value is missing or unfit.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// With the values filled in, it is no target.
    #[error("the target {target}, filled in, {problem}")]
    Form {
        /// The target as written.
        target: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl buttress_core::Classify for TargetError {
    fn class(&self) -> buttress_core::ErrorClass {
        match self {
            Self::Template(error) => error.class(),
            Self::Form { .. } => buttress_core::ErrorClass::Invalid,
        }
    }
}
