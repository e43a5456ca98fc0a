//! What is wrong with a body, and where.

use std::fmt;

use buttress_core::{Classify, ErrorClass};

use crate::error::{Code, Invalid};

/// What one list holds at most.
const MOST: usize = 100;

/// One thing wrong with a JSON text. Written by serde as it is told to clients.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Where: a JSON pointer (RFC 6901), `""` for the whole.
    pub pointer: String,
    /// What is wrong, for programs.
    pub code: Code,
    /// What is wrong, for people; never the value.
    pub message: String,
    /// What would do.
    pub remedy: String,
    /// At which byte of the text, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<usize>,
}

impl Problem {
    /// `message` says what is wrong at `pointer`, `remedy` what would do.
    #[must_use]
    pub fn new(
        pointer: impl Into<String>,
        code: Code,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { pointer: pointer.into(), code, message: message.into(), remedy: remedy.into(), at: None }
    }

    /// What a type said of the value at `pointer`.
    #[must_use]
    pub fn of(pointer: impl Into<String>, invalid: &Invalid) -> Self {
        let message = format!("the {} {}", invalid.what(), invalid.problem());
        Self::new(pointer, invalid.code(), message, invalid.remedy())
    }

    /// The same, saying at which byte of the text.
    #[must_use]
    pub fn at_byte(self, at: usize) -> Self {
        Self { at: Some(at), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The names on the way come from outside.
        let place =
            if self.pointer.is_empty() { "the text".into() } else { self.pointer.escape_debug().to_string() };
        write!(f, "{place}: {}", self.message)?;
        if let Some(at) = self.at {
            write!(f, " at byte {at}")?;
        }
        write!(f, "; {}", self.remedy)
    }
}

impl std::error::Error for Problem {}

impl Classify for Problem {
    fn class(&self) -> ErrorClass {
        match self.code {
            Code::TooLong | Code::TooDeep | Code::TooMany | Code::Ratio => ErrorClass::TooLarge,
            _ => ErrorClass::Invalid,
        }
    }
}

/// All that is known to be wrong: one problem at least, a hundred at most. In JSON a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The first hundred of `problems`; `None` where there is none.
    #[must_use]
    pub fn collect(problems: impl IntoIterator<Item = Problem>) -> Option<Self> {
        let list: Vec<_> = problems.into_iter().take(MOST).collect();
        (!list.is_empty()).then_some(Self(list))
    }

    /// The problems, in the order in which they were found.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(". ")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl Classify for Problems {
    fn class(&self) -> ErrorClass {
        self.0.first().map_or(ErrorClass::Invalid, Classify::class)
    }
}
