//! What is wrong with a workflow, said so that its author can put it right.

use std::collections::HashMap;
use std::fmt;

use buttress_core::{Classify, ErrorClass};
use serde::Serialize;

/// Errors that are listed one by one; the rest are counted.
const MOST: usize = 100;

/// One thing wrong with a workflow: where, what, and what would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlowError {
    /// The field: `steps[3].type.into`. Empty when the text as a whole is wrong.
    pub path: String,
    /// The line of the text, counted from 1, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What is wrong, and what would do.
    pub problem: String,
}

impl FlowError {
    fn write(&self, f: &mut fmt::Formatter<'_>, file: Option<&str>) -> fmt::Result {
        match (file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: ")?,
            (Some(file), None) => write!(f, "{file}: ")?,
            (None, Some(line)) => write!(f, "line {line}: ")?,
            (None, None) => {}
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.problem)
    }
}

impl fmt::Display for FlowError {
    /// `line 12: steps[3].type.into: is missing; …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, None)
    }
}

/// Everything wrong with a workflow, in the order of the text; at least one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlowErrors {
    errors: Vec<FlowError>,
    /// Errors found past the 100 that are listed.
    #[serde(skip_serializing_if = "is_zero")]
    more: usize,
    #[serde(skip)]
    too_large: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl FlowErrors {
    /// The errors, at most 100.
    pub fn as_slice(&self) -> &[FlowError] {
        &self.errors
    }

    /// Shows one error a line, each beginning with `file`: `flow.yaml:12: steps[3].type.into: is missing; …`.
    pub fn of_file<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        InFile { errors: self, file: Some(file) }
    }

    /// A single fault of the text as a whole.
    pub(crate) fn whole(line: Option<u64>, problem: impl Into<String>) -> Self {
        let error = FlowError { path: String::new(), line, problem: problem.into() };
        Self { errors: vec![error], more: 0, too_large: false }
    }

    /// The text, or what is in it, is larger than it may be.
    pub(crate) fn too_large(line: Option<u64>, problem: impl Into<String>) -> Self {
        Self { too_large: true, ..Self::whole(line, problem) }
    }
}

struct InFile<'a> {
    errors: &'a FlowErrors,
    file: Option<&'a str>,
}

impl fmt::Display for InFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.errors.errors.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            error.write(f, self.file)?;
        }
        match self.errors.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl fmt::Display for FlowErrors {
    /// One error a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        InFile { errors: self, file: None }.fmt(f)
    }
}

impl std::error::Error for FlowErrors {}

impl Classify for FlowErrors {
    fn class(&self) -> ErrorClass {
        if self.too_large { ErrorClass::TooLarge } else { ErrorClass::Invalid }
    }
}

/// A field's path and the line it stands on; line 0 is unknown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub(crate) path: String,
    pub(crate) line: u64,
}

impl Place {
    /// The place of a member, which has a line of its own if that is known.
    pub(crate) fn member(&self, name: &str, line: u64) -> Self {
        // A name of any length would make the paths of all below it as long.
        let name = match name.char_indices().nth(64) {
            Some((end, _)) => name.get(..end).unwrap_or_default(),
            None => name,
        };
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { path, line: if line == 0 { self.line } else { line } }
    }

    /// The place of a list's item.
    pub(crate) fn item(&self, index: usize, line: u64) -> Self {
        Self { path: format!("{}[{index}]", self.path), line: if line == 0 { self.line } else { line } }
    }
}

/// The errors found so far, and where fields stand.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    errors: Vec<FlowError>,
    more: usize,
    lines: HashMap<String, u64>,
}

impl Problems {
    pub(crate) fn add(&mut self, at: &Place, problem: impl Into<String>) {
        if self.errors.len() == MOST {
            self.more += 1;
            return;
        }
        let line = Some(self.lines.get(&at.path).copied().unwrap_or(at.line)).filter(|line| *line > 0);
        self.errors.push(FlowError { path: at.path.clone(), line, problem: problem.into() });
    }

    /// Whether something is wrong at exactly this place.
    pub(crate) fn has(&self, at: &Place) -> bool {
        self.errors.iter().any(|error| error.path == at.path)
    }

    /// Whether further errors are only counted, so that nothing need be said of them.
    pub(crate) fn is_full(&self) -> bool {
        self.errors.len() == MOST
    }

    /// How many errors were found.
    pub(crate) fn count(&self) -> usize {
        self.errors.len() + self.more
    }

    /// Remembers a field's line, for errors that are found when the text is gone.
    pub(crate) fn line_of(&mut self, field: &Place) {
        if field.line > 0 {
            self.lines.insert(field.path.clone(), field.line);
        }
    }

    /// `value`, if nothing was wrong; the errors in the order of their lines otherwise.
    pub(crate) fn into_result<T>(mut self, value: T) -> Result<T, FlowErrors> {
        if self.errors.is_empty() {
            return Ok(value);
        }
        self.errors.sort_by_key(|error| error.line);
        Err(FlowErrors { errors: self.errors, more: self.more, too_large: false })
    }
}

/// At most 60 characters of what somebody wrote, on one line, in backticks.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}
