//! Rules of the crate [`validator`], told as [`Problems`]; and the types of this crate as its rules.
//!
//! A field that has to stay a `String` takes one of the functions below as a rule; [`from_json`] reads the body, asks the rules, and
//! lists all that they refuse.
//!
//! ```
//! use buttress_validate::json::{JsonLimits, rules};
//! use validator::Validate;
//!
//! #[derive(Debug, serde::Deserialize, Validate)]
//! struct Order {
//!     #[validate(range(min = 1, max = 10))]
//!     count: u32,
//!     #[validate(custom(function = "rules::file_name"))]
//!     file: String,
//! }
//!
//! let body = br#"{"count": 11, "file": "../x"}"#;
//! let problems = rules::from_json::<Order>(body, &JsonLimits::default()).unwrap_err();
//! let told: Vec<_> = problems.as_slice().iter().map(|problem| (&*problem.pointer, problem.code.as_str())).collect();
//! assert_eq!(told, [("/count", "rule"), ("/file", "traversal")]);
//! ```

use serde::de::DeserializeOwned;
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

use super::limits::JsonLimits;
use super::problem::{Problem, Problems};
use crate::error::{Code, Invalid};
use crate::{CommandArg, Handle, Identifier, PlainText, SafeFileName};

/// How deep errors are followed: as deep as JSON may be.
const DEEPEST: usize = 127;

/// As [`super::from_json`], and then all rules of the type.
///
/// # Errors
///
/// What is wrong with the text or its types, or all that the rules refuse. A pointer has the names of the type's fields: where serde
/// reads a field by another name, rename the field, or give both the same name.
pub fn from_json<T: DeserializeOwned + Validate>(text: &[u8], limits: &JsonLimits) -> Result<T, Problems> {
    let value: T = super::from_json(text, limits)?;
    match value.validate() {
        Ok(()) => Ok(value),
        Err(errors) => Err(problems(&errors)),
    }
}

/// What `errors` say, in the order of the pointers.
#[must_use]
pub fn problems(errors: &ValidationErrors) -> Problems {
    let mut found = Vec::new();
    gather(errors, "", 0, &mut found);
    found.sort_by(|a, b| a.pointer.cmp(&b.pointer).then_with(|| a.message.cmp(&b.message)));
    // An error without anything in it is an error still.
    Problems::collect(found).unwrap_or_else(|| refused("", "a rule of the application").into())
}

fn gather(errors: &ValidationErrors, at: &str, depth: usize, found: &mut Vec<Problem>) {
    if depth > DEEPEST {
        return;
    }
    for (field, kind) in errors.errors() {
        // Rules over a whole struct stand at `__all__`.
        let pointer = match field.as_ref() {
            "__all__" => at.to_owned(),
            field => format!("{at}/{}", field.replace('~', "~0").replace('/', "~1")),
        };
        match kind {
            ValidationErrorsKind::Struct(inner) => gather(inner, &pointer, depth + 1, found),
            ValidationErrorsKind::List(items) => {
                for (i, inner) in items {
                    gather(inner, &format!("{pointer}/{i}"), depth + 1, found);
                }
            }
            ValidationErrorsKind::Field(list) => {
                found.extend(list.iter().map(|error| problem(&pointer, error)));
            }
        }
    }
}

fn refused(pointer: &str, rule: &str) -> Problem {
    Problem::new(pointer, Code::Rule, format!("is refused by {rule}"), "write a value that the rule takes")
}

/// One error: a rule's name, its bounds, and the message that the application gave it. Never the value.
fn problem(pointer: &str, error: &ValidationError) -> Problem {
    let ours = Code::ALL.iter().find(|code| error.code.strip_prefix(OURS) == Some(code.as_str()));
    let mut problem = refused(pointer, &format!("the rule `{}`", error.code));
    if let Some(message) = &error.message {
        problem.message = message.to_string();
    }
    let text = |name: &str| error.params.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    if let Some(code) = ours {
        problem.code = *code;
        problem.remedy = text("remedy").unwrap_or(problem.remedy);
        return problem;
    }
    let mut bounds: Vec<_> = error
        .params
        .iter()
        .filter(|(name, _)| *name != "value")
        .map(|(name, bound)| format!("{name} {bound}"))
        .collect();
    bounds.sort_unstable();
    if !bounds.is_empty() {
        problem.remedy = format!("write a value within {}", bounds.join(", "));
    }
    problem
}

/// What the codes of this crate begin with among those of all rules.
const OURS: &str = "buttress_";

fn rule<T>(checked: Result<T, Invalid>) -> Result<(), ValidationError> {
    let Err(invalid) = checked else { return Ok(()) };
    let problem = Problem::of("", &invalid);
    let mut error = ValidationError::new("").with_message(problem.message.into());
    error.code = format!("{OURS}{}", problem.code).into();
    error.add_param("remedy".into(), &problem.remedy);
    Err(error)
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident = $type:ident;)+) => {
        $($(#[doc = $doc])+
        ///
        /// # Errors
        ///
        /// What is wrong with it.
        pub fn $name(text: &str) -> Result<(), ValidationError> {
            rule($type::parse(text))
        })+
    };
}

rules! {
    /// The text has to be a [`PlainText`] in NFC or not; it stays as it is.
    plain_text = PlainText;
    /// The text has to be a [`SafeFileName`].
    file_name = SafeFileName;
    /// The text has to be an [`Identifier`].
    identifier = Identifier;
    /// The text has to be a [`Handle`].
    handle = Handle;
    /// The text has to be a [`CommandArg`].
    command_arg = CommandArg;
}
