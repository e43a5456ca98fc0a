//! Why health checks could not be set up.

use buttress_core::{Classify, ErrorClass, Violations};

/// Why health checks could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error("the health configuration is wrong: {0}")]
    Config(Violations),
    /// Two checks of one group have the same name, so that their reports could not be told apart.
    #[error("two health checks of the {group} group are named `{name}`; give each a name of its own")]
    DuplicateName {
        /// The group.
        group: &'static str,
        /// The name.
        name: String,
    },
    /// There is no tokio runtime to run the checks on.
    #[error("health checks need a tokio runtime; start them inside `#[tokio::main]` or `block_on`")]
    NoRuntime,
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Config(_) => ErrorClass::Invalid,
            Self::DuplicateName { .. } => ErrorClass::Conflict,
            Self::NoRuntime => ErrorClass::Internal,
        }
    }
}
