//! A value that nobody prints.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretSlice};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::Error;

/// The value of a secret. Its memory is overwritten when the last clone goes, and it has no form in `Debug`, logs or JSON.
///
/// ```
/// use buttress_secrets::Secret;
///
/// let secret = Secret::from("correct horse".to_owned());
/// assert_eq!(format!("{secret:?}"), "Secret(…)");
/// assert!(secret.matches(b"correct horse"));
/// assert_eq!(secret.text()?, "correct horse");
/// # Ok::<(), buttress_secrets::Error>(())
/// ```
#[derive(Clone)]
pub struct Secret(Arc<SecretSlice<u8>>);

impl Secret {
    /// The largest value that stores take, in bytes.
    pub const MAX_BYTES: usize = 64 << 10;

    /// Takes `bytes` as a value. Room that the vector has to spare is overwritten too.
    #[must_use]
    pub fn new(mut bytes: Vec<u8>) -> Self {
        if bytes.capacity() == bytes.len() {
            return Self(Arc::new(bytes.into()));
        }
        // Shrinking may move the bytes and leave a copy behind.
        let exact = bytes.as_slice().into();
        bytes.zeroize();
        Self(Arc::new(SecretSlice::new(exact)))
    }

    /// The bytes. What the caller copies of them is the caller's to erase.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The bytes as text.
    ///
    /// # Errors
    ///
    /// [`Error::NotText`] for anything but UTF-8.
    pub fn text(&self) -> Result<&str, Error> {
        // The source would say where the value goes wrong, which is a little of the value.
        std::str::from_utf8(self.expose()).map_err(|_| Error::NotText)
    }

    /// Whether `candidate` is the value. Takes a time that depends on the lengths only.
    #[must_use]
    pub fn matches(&self, candidate: &[u8]) -> bool {
        self.expose().ct_eq(candidate).into()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
