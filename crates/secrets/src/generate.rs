//! Where new values come from.

use buttress_core::BoxFuture;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::{Error, Name, Secret};

/// Makes the next value of a secret.
///
/// For a value that another system has to know (the password of a database) it tells that system too, and answers when both the
/// current value and the new one work there: with two users that take turns, for one. It may be asked again for a value whose answer got
/// lost.
pub trait Generate: Send + Sync + 'static {
    /// A new value for `name`.
    fn generate<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Secret, Error>>;
}

/// Values of chance: so many bytes from the operating system, as hexadecimal text.
#[derive(Debug, Clone, Copy)]
pub struct RandomValue {
    bytes: usize,
}

impl RandomValue {
    /// Values of `bytes` bytes, at least 16 and at most 1024.
    #[must_use]
    pub fn of_bytes(bytes: usize) -> Self {
        Self { bytes: bytes.clamp(16, 1024) }
    }

    /// A value.
    ///
    /// # Errors
    ///
    /// [`Error::Random`].
    pub fn value(self) -> Result<Secret, Error> {
        let mut bytes = Zeroizing::new(vec![0; self.bytes]);
        SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random)?;
        let mut text = Vec::with_capacity(self.bytes * 2);
        text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
        Ok(Secret::new(text))
    }
}

impl Default for RandomValue {
    /// 32 bytes.
    fn default() -> Self {
        Self::of_bytes(32)
    }
}

impl Generate for RandomValue {
    fn generate<'a>(&'a self, _: &'a Name) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async { self.value() })
    }
}

/// Computed, since the time of a look-up tells where it looked.
fn digit(nibble: u8) -> u8 {
    let letter = (9_u8.wrapping_sub(nibble) >> 7) * (b'a' - b'9' - 1);
    b'0' + nibble + letter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_hexadecimal_and_differ() -> Result<(), Error> {
        let digits: String = (0..16).map(|nibble| char::from(digit(nibble))).collect();
        assert_eq!(digits, "0123456789abcdef");
        let (one, other) = (RandomValue::default().value()?, RandomValue::default().value()?);
        assert_eq!(one.expose().len(), 64);
        assert!(!one.matches(other.expose()));
        Ok(())
    }
}
