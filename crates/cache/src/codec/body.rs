//! What stands in a frame.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// An error of a [`Body`].
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Makes values bytes and back. What it reads may be anything; it must not panic, and take no more memory than a small multiple
/// of the bytes.
pub trait Body<V>: Send + Sync {
    /// Writes a value.
    ///
    /// # Errors
    ///
    /// When the value cannot be written.
    fn write(&self, value: &V, to: &mut Vec<u8>) -> Result<(), BodyError>;

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// When the bytes are none.
    fn read(&self, bytes: &[u8]) -> Result<V, BodyError>;
}

/// JSON, by serde. It names what it holds, so that no field is taken for another; at most 128 levels deep.
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl<V: Serialize + DeserializeOwned> Body<V> for Json {
    fn write(&self, value: &V, to: &mut Vec<u8>) -> Result<(), BodyError> {
        Ok(serde_json::to_writer(to, value)?)
    }

    fn read(&self, bytes: &[u8]) -> Result<V, BodyError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
