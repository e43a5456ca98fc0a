//! From a body to a type.

use serde::de::DeserializeOwned;

use super::limiter::{JsonLimiter, check_json};
use super::limits::JsonLimits;
use super::problem::{Problem, Problems};
use crate::error::Code;

/// The longest part of a type's own message that is handed on, in bytes.
const LONGEST_MESSAGE: usize = 300;

/// Makes a `T` of a JSON text, after the text was found to be within `limits`.
///
/// # Errors
///
/// What is wrong, where, and what would do. Values are not repeated; a name that is not known is, since its pointer names it.
///
/// ```
/// use buttress_validate::SafeFileName;
/// use buttress_validate::json::{JsonLimits, from_json};
///
/// #[derive(Debug, serde::Deserialize)]
/// struct Upload { files: Vec<SafeFileName> }
///
/// let problems = from_json::<Upload>(br#"{"files": ["a.txt", "../b"]}"#, &JsonLimits::default()).unwrap_err();
/// let problem = &problems.as_slice()[0];
/// assert_eq!(problem.pointer, "/files/1");
/// ```
pub fn from_json<T: DeserializeOwned>(text: &[u8], limits: &JsonLimits) -> Result<T, Problems> {
    check_json(text, limits)?;
    serde_json::from_slice(text).map_err(|error| told(&error, text, limits).into())
}

/// What a type holds against a text that is JSON.
fn told(error: &serde_json::Error, text: &[u8], limits: &JsonLimits) -> Problem {
    let at = offset(error, text);
    // The text came through before, so its beginning does; where that ends is where the type was not content.
    let mut limiter = JsonLimiter::new(limits.clone());
    let pointer = match limiter.push(text.get(..at).unwrap_or(text)) {
        Ok(()) => limiter.pointer(),
        Err(problem) => problem.pointer,
    };
    let message = error.to_string();
    // serde_json adds the place to what the type says.
    let message = message.rsplit_once(" at line ").map_or(&*message, |(said, _)| said);
    let known = [
        ("missing field ", Code::Missing),
        ("unknown field ", Code::Unknown),
        ("duplicate field ", Code::Duplicate),
        ("unknown variant ", Code::Type),
        ("invalid type: ", Code::Type),
        ("invalid value: ", Code::Type),
        ("invalid length ", Code::Type),
        ("number out of range", Code::Type),
    ];
    let found = known.iter().find(|(start, _)| message.starts_with(start));
    let code = found.map_or(Code::Rule, |(_, code)| *code);
    let (message, remedy) = match code {
        Code::Missing => (message.replacen("missing field", "lacks the member", 1), "add it".to_owned()),
        Code::Duplicate => ("is there twice, by another name".to_owned(), "send it once".to_owned()),
        Code::Type | Code::Unknown => {
            // The value stands before what was expected.
            let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
            let what =
                if code == Code::Unknown { "is not a known member" } else { "is of another type or value" };
            let remedy =
                expected.map_or("write another value".to_owned(), |expected| format!("write {expected}"));
            (what.to_owned(), remedy)
        }
        _ => (message.to_owned(), "write another value".to_owned()),
    };
    let cut =
        |text: String| text.get(..text.floor_char_boundary(LONGEST_MESSAGE)).unwrap_or_default().to_owned();
    Problem::new(pointer, code, cut(message), cut(remedy)).at_byte(at)
}

/// The byte up to which `serde_json` had read.
fn offset(error: &serde_json::Error, text: &[u8]) -> usize {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    (before + error.column()).min(text.len())
}
