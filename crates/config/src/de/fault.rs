//! Why the tree does not fit the type.

use std::fmt::{self, Display};

use serde::de;

use super::Way;
use crate::path::KeyPath;
use crate::tree::Value;

/// One failure, boxed because it is as large as it is rare.
#[derive(Debug)]
pub(crate) struct Fault(Box<Details>);

#[derive(Debug)]
struct Details {
    reason: Reason,
    /// Where; set by the innermost value that the failure passes on its way out.
    path: Option<KeyPath>,
    secret: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Reason {
    /// A value of another kind or size; `found` names the kind where that is what is wrong.
    Expected { expected: String, found: Option<&'static str> },
    /// What the type itself said.
    Custom(String),
    /// A key that the struct at the path does not have.
    UnknownKey { key: String, known: &'static [&'static str] },
    /// A name that is none of the choices.
    UnknownChoice { name: String, known: &'static [&'static str] },
    /// A key without which the table at the path is not complete.
    MissingKey(&'static str),
    /// One field given by two names.
    Twice(&'static str),
    /// The mask was written where the secret belongs.
    Mask,
}

impl Fault {
    pub(crate) fn new(reason: Reason) -> Self {
        Self(Box::new(Details { reason, path: None, secret: false }))
    }

    /// Says where, unless something further in has said so already.
    pub(super) fn at(mut self, way: &Way<'_>, secret: bool) -> Self {
        self.0.path.get_or_insert_with(|| way.to_path());
        self.0.secret |= secret;
        self
    }

    /// Says that it is about the table that the value at `way` is a member of.
    pub(super) fn above(self, way: &Way<'_>) -> Self {
        match way {
            Way::Root => self.at(way, false),
            Way::Key(up, _) | Way::Index(up, _) => self.at(up, false),
        }
    }

    pub(crate) fn reason(&self) -> &Reason {
        &self.0.reason
    }

    pub(crate) fn path(&self) -> KeyPath {
        self.0.path.clone().unwrap_or_default()
    }

    /// Whether it happened inside of a [`Masked`](crate::Masked).
    pub(crate) fn is_secret(&self) -> bool {
        self.0.secret
    }
}

// What serde asks of an error; people read the `Problem` that is made of it.
impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.path(), self.0.reason)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(Reason::Custom(message.to_string()))
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = Some(match found {
            de::Unexpected::Bool(_) => "a boolean",
            de::Unexpected::Unsigned(_) | de::Unexpected::Signed(_) => "a whole number",
            de::Unexpected::Float(_) => "a number with a fraction",
            de::Unexpected::Str(_) | de::Unexpected::Char(_) => "text",
            de::Unexpected::Seq | de::Unexpected::Bytes(_) => "a list",
            de::Unexpected::Unit | de::Unexpected::Option => "nothing",
            de::Unexpected::Other(_) => "something else",
            _ => "a table",
        });
        Self::new(Reason::Expected { expected: plain_words(&expected.to_string()), found })
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(Reason::Expected { expected: plain_words(&expected.to_string()), found: None })
    }

    fn invalid_length(_: usize, expected: &dyn de::Expected) -> Self {
        Self::new(Reason::Expected { expected: plain_words(&expected.to_string()), found: None })
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Self::new(Reason::UnknownChoice { name: name.to_owned(), known })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::new(Reason::UnknownKey { key: key.to_owned(), known })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(Reason::MissingKey(key))
    }

    fn duplicate_field(key: &'static str) -> Self {
        Self::new(Reason::Twice(key))
    }
}

/// What a value is, in the words of somebody who writes configuration; `None` for text whose kind is open.
pub(crate) fn kind(value: &Value) -> Option<&'static str> {
    match value {
        Value::Unset => Some("nothing"),
        Value::Bool(_) => Some("a boolean"),
        Value::Integer(_) => Some("a whole number"),
        Value::Float(_) => Some("a number with a fraction"),
        Value::Text(_) => Some("text"),
        Value::Raw(_) => None,
        Value::List(_) => Some("a list"),
        Value::Table(_) => Some("a table"),
    }
}

/// What serde's derived code says it expects, in the same words.
pub(super) fn plain_words(expected: &str) -> String {
    match expected {
        "a string" | "path string" | "string" | "str" => "text",
        "a character" => "one character",
        "a boolean" | "bool" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        "unit" => "nothing",
        "f32" | "f64" => "a number",
        _ if expected.starts_with("struct ") => "a table",
        _ if expected.starts_with("a nonzero ") => "a whole number, not 0",
        _ if matches!(
            expected,
            "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize"
        ) =>
        {
            "a whole number"
        }
        _ => return expected.to_owned(),
    }
    .to_owned()
}

/// `` `a`, `b` `` out of `a` and `b`.
pub(crate) fn names(known: &[&str]) -> String {
    known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
