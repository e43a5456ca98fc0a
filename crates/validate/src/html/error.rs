//! Why markup is refused.

use buttress_core::{Classify, ErrorClass, Violations};

/// Why markup is refused before it is cleaned. Markup within the limits is always cleaned, however broken it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HtmlError {
    /// The policy's configuration is wrong.
    #[error("the HTML policy's configuration is wrong: {0}")]
    Config(Violations),
    /// The text is longer than `max_bytes`.
    #[error("the HTML has {found} bytes, more than `max_bytes` = {limit}; send less")]
    TooLong {
        /// Bytes of the text.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Elements are nested deeper than `max_depth`.
    #[error("the HTML nests deeper than `max_depth` = {limit}; send flatter HTML")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// A tag has more attributes than `max_attributes`.
    #[error("a tag of the HTML has more attributes than `max_attributes` = {limit}; send fewer")]
    TooManyAttributes {
        /// The limit.
        limit: usize,
    },
    /// A parser makes more elements of it than `max_elements`.
    #[error("the HTML has more elements than `max_elements` = {limit}; send fewer")]
    TooManyElements {
        /// The limit.
        limit: usize,
    },
}

impl Classify for HtmlError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Config(_) => ErrorClass::Invalid,
            _ => ErrorClass::TooLarge,
        }
    }
}
