//! What secrets are called.

use std::fmt;
use std::sync::Arc;

use crate::Error;

/// The name of a secret: `"db/password"`. Cloning shares the text.
///
/// 1 to [`Name::MAX_BYTES`] ASCII letters, digits, `-`, `_` and `.`, in parts divided by `/`; no part is empty or begins with a dot.
/// So every name is a path below a folder, of which it cannot lead out, and can stand in a log line.
///
/// ```
/// use buttress_secrets::Name;
///
/// assert_eq!(Name::new("db/password")?.as_str(), "db/password");
/// assert!(Name::new("../shadow").is_err());
/// # Ok::<(), buttress_secrets::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// Takes `text` as a name.
    ///
    /// # Errors
    ///
    /// [`Error::Name`], which does not repeat the text: somebody may have written the secret where its name belongs.
    pub fn new(text: &str) -> Result<Self, Error> {
        let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(sign);
        if text.len() <= Self::MAX_BYTES && text.split('/').all(part) {
            Ok(Self(text.into()))
        } else {
            Err(Error::Name)
        }
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({})", self.0)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Name {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_name_and_what_is_not() {
        for good in ["a", "db/password", "tls/site.pem", "A-1_b/c.d/e", &"x".repeat(128)] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "a/.hidden",
            "a b",
            "a\nb",
            "ä",
            "a\\b",
            &"x".repeat(129),
        ] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
    }
}
