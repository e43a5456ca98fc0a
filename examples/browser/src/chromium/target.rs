//! Which element is meant, what is waited for, and what is read.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::error::Error;

/// The longest target, in bytes.
const LONGEST: usize = 2000;

/// Which element is meant.
///
/// A CSS selector (`#name`, `form button[type=submit]`), or `text=` and what a person reads on it: on a button, a
/// link, a label or any other element, without regard to case. `text="…"` in quotes means the whole text and not a
/// part of it. Several elements may match; the first one that can be seen is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    source: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Css,
    Text { text: String, whole: bool },
}

impl Target {
    /// Reads a target. Whether a CSS selector is valid only the browser knows.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when it is empty, is longer than 2,000 bytes or holds control characters.
    pub fn parse(source: &str) -> Result<Self, Error> {
        let source = source.trim();
        let refuse = |problem: &str| Error::Argument {
            what: "target",
            value: source.chars().take(80).collect(),
            problem: problem.to_owned(),
        };
        if source.is_empty() {
            return Err(refuse("write a CSS selector, or `text=` and what stands on the element"));
        }
        if source.len() > LONGEST {
            return Err(refuse("it is longer than 2000 bytes"));
        }
        if source.chars().any(char::is_control) {
            return Err(refuse("it holds control characters"));
        }
        let kind = match source.strip_prefix("text=") {
            None => Kind::Css,
            Some(text) => {
                let text = text.trim();
                let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
                let words: Vec<&str> = quoted.unwrap_or(text).split_whitespace().collect();
                if words.is_empty() {
                    return Err(refuse("`text=` wants what stands on the element"));
                }
                Kind::Text { text: words.join(" ").to_lowercase(), whole: quoted.is_some() }
            }
        };
        Ok(Self { source: source.to_owned(), kind })
    }

    /// As the page's script takes it.
    pub(super) fn argument(&self) -> Value {
        match &self.kind {
            Kind::Css => json!({ "css": self.source }),
            Kind::Text { text, whole } => json!({ "text": text, "whole": whole }),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(source: &str) -> Result<Self, Error> {
        Self::parse(source)
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// What an element is waited to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// In the document.
    Attached,
    /// In the document, with a size, and not hidden by its style.
    Visible,
    /// Not visible, or not there.
    Hidden,
    /// Not in the document.
    Detached,
}

impl State {
    /// The state as a word: `"visible"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Visible => "visible",
            Self::Hidden => "hidden",
            Self::Detached => "detached",
        }
    }
}

/// What is read of the elements that match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extract {
    /// The text of the first one, as it is shown: a string.
    Text,
    /// The markup of the first one, itself included: a string.
    Html,
    /// What the first one, a form's field, holds: a string; of a checkbox or radio button, whether it is checked.
    Value,
    /// An attribute of the first one: a string, or null where it has none.
    Attribute(String),
    /// The texts of all: a list of strings.
    Texts,
    /// An attribute of all: a list of strings and nulls.
    Attributes(String),
    /// How many there are: a number. No element is no error here.
    Count,
    /// The cells of the first one, a table: a list of rows, each a list of strings.
    Table,
}

impl Extract {
    /// As the page's script takes it: what, and of which attribute.
    pub(super) fn arguments(&self) -> (&'static str, &str) {
        match self {
            Self::Text => ("text", ""),
            Self::Html => ("html", ""),
            Self::Value => ("value", ""),
            Self::Attribute(name) => ("attribute", name),
            Self::Texts => ("texts", ""),
            Self::Attributes(name) => ("attributes", name),
            Self::Count => ("count", ""),
            Self::Table => ("table", ""),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_targets_ignore_case_and_spaces() {
        let target = Target::parse(" text=  Sign   IN ").unwrap();
        assert_eq!(target.argument(), json!({ "text": "sign in", "whole": false }));
        let target = Target::parse("text=\"Sign in\"").unwrap();
        assert_eq!(target.argument(), json!({ "text": "sign in", "whole": true }));
        assert_eq!(Target::parse("#a > b").unwrap().argument(), json!({ "css": "#a > b" }));
    }

    #[test]
    fn what_names_no_element_is_refused() {
        for source in ["", "  ", "text=", "text=\"\"", "text=\" \"", "a\nb", &"a".repeat(2001)] {
            assert!(Target::parse(source).is_err(), "{source:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_target_reads_back_as_it_shows(source in ".{0,60}") {
            if let Ok(target) = Target::parse(&source) {
                prop_assert_eq!(Target::parse(&target.to_string()).unwrap(), target);
            }
        }
    }
}
