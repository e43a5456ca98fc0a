//! What is wrong with a configuration, said so that it can be put right.

use std::fmt;

/// One thing wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field's path below the validated value: `"limits.pages"`.
    pub field: String,
    /// The value found.
    pub value: String,
    /// What is wrong with it, and what would do: `"must be at least 1; 100 is usual"`.
    pub remedy: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}", self.field, self.value, self.remedy)
    }
}

/// Everything wrong with a configuration, collected so that one run shows all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Nothing wrong so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a violation of `field` unless `holds`.
    pub fn require(&mut self, holds: bool, field: &str, value: impl fmt::Display, remedy: impl Into<String>) {
        if !holds {
            self.0.push(Violation {
                field: field.to_owned(),
                value: value.to_string(),
                remedy: remedy.into(),
            });
        }
    }

    /// Takes over what is wrong with a part, putting `prefix` before its field names.
    pub fn nest(&mut self, prefix: &str, part: &impl Validate) {
        if let Err(Violations(inner)) = part.validate() {
            self.0
                .extend(inner.into_iter().map(|v| Violation { field: format!("{prefix}.{}", v.field), ..v }));
        }
    }

    /// `Ok` when nothing is wrong.
    ///
    /// # Errors
    ///
    /// Itself, when something is.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// The violations, in the order in which they were found.
    #[must_use]
    pub fn as_slice(&self) -> &[Violation] {
        &self.0
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, violation) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            violation.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

/// A configuration that can tell what is wrong with it.
///
/// ```
/// use buttress_core::{Validate, Violations};
///
/// struct QueueConfig { workers: usize }
///
/// impl Validate for QueueConfig {
///     fn validate(&self) -> Result<(), Violations> {
///         let mut wrong = Violations::new();
///         wrong.require(self.workers >= 1, "workers", self.workers, "must be at least 1");
///         wrong.into_result()
///     }
/// }
///
/// let error = QueueConfig { workers: 0 }.validate().unwrap_err();
/// assert_eq!(error.to_string(), "workers = 0: must be at least 1");
/// ```
pub trait Validate {
    /// Checks every field that its type alone does not keep right.
    ///
    /// # Errors
    ///
    /// All [`Violations`], not just the first.
    fn validate(&self) -> Result<(), Violations>;
}
