//! What one request is called in every log line, answer and downstream call.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use buttress_core::unique_number;

/// The identifier of one request. Cloning shares the text.
///
/// [`generate`](RequestId::generate) makes a ULID: 26 characters that sort by time. An identifier that came with the
/// request is taken only if it is harmless in a log line and a header.
///
/// ```
/// use buttress_telemetry::RequestId;
/// use std::time::SystemTime;
///
/// let id = RequestId::generate(SystemTime::UNIX_EPOCH);
/// assert_eq!(id.as_str().len(), 26);
/// assert_eq!(RequestId::parse("5f2c-77").unwrap().as_str(), "5f2c-77");
/// assert!(RequestId::parse("forged\nline").is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The longest identifier that is taken over, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// A new identifier that sorts after those made in earlier milliseconds.
    #[must_use]
    pub fn generate(now: SystemTime) -> Self {
        const ALPHABET: [char; 32] = [
            '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'J',
            'K', 'M', 'N', 'P', 'Q', 'R', 'S', 'T', 'V', 'W', 'X', 'Y', 'Z',
        ];
        let millis = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
        // 48 bits of time, then 80 of chance.
        let bits =
            (millis << 80) | (u128::from(unique_number() & 0xFFFF) << 64) | u128::from(unique_number());
        let text: String = (0..26)
            .rev()
            .filter_map(|digit| {
                let index = usize::try_from((bits >> (5 * digit)) & 31).ok()?;
                ALPHABET.get(index)
            })
            .collect();
        Self(text.into())
    }

    /// Takes over an identifier of 1 to [`MAX_BYTES`](Self::MAX_BYTES) letters, digits and `- _ . : =`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let harmless =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'=');
        ((1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(harmless)).then(|| Self(text.into()))
    }

    /// The identifier's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
