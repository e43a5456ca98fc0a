//! The key above all subjects' keys.

use std::fmt;
use std::path::Path;

use data_encoding::HEXLOWER_PERMISSIVE;
use zeroize::{Zeroize, Zeroizing};

use super::cipher;
use crate::Error;

/// 256 secret bits that wrap the keys of all subjects. Never shown; overwritten when dropped.
///
/// It comes from wherever the application keeps secrets. Losing it erases every subject.
#[derive(Clone)]
pub struct MasterKey(cipher::Secret);

impl MasterKey {
    /// The key of these bytes, which are overwritten where they were.
    #[must_use]
    pub fn new(mut bytes: [u8; 32]) -> Self {
        let key = Self(Zeroizing::new(bytes));
        bytes.zeroize();
        key
    }

    /// A new key.
    ///
    /// # Errors
    ///
    /// [`Error::Cipher`] when the system has no random bytes.
    pub fn random() -> Result<Self, Error> {
        cipher::random().map(Self::new).map_err(|_| Error::Cipher)
    }

    /// The key of 64 hexadecimal digits; white space around them does not count.
    ///
    /// # Errors
    ///
    /// [`Error::MasterKey`], which does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = || Error::MasterKey { problem: "64 hexadecimal digits are needed".to_owned() };
        let bytes = Zeroizing::new(HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).map_err(|_| wrong())?);
        Ok(Self::new(bytes.as_slice().try_into().map_err(|_| wrong())?))
    }

    /// The key in a file of 64 hexadecimal digits, such as a mounted secret.
    ///
    /// # Errors
    ///
    /// [`Error::MasterKey`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text =
            text.map_err(|error| Error::MasterKey { problem: format!("{}: {error}", path.display()) })?;
        Self::parse(&text)
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(***)")
    }
}
