//! One stream's segments under the stream's key: STREAM over AES-256-GCM.

use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce, Tag};
use zeroize::Zeroize;

use super::SealError;

/// What AES-GCM adds to each segment.
pub(super) const TAG: usize = 16;
/// The most segments of a stream. With the largest of them that is 2^48 blocks under one key, at which the chance to tell AES from a
/// random function is below 2^-32.
const MAX_SEGMENTS: u64 = 1 << 32;

/// How much plain text a segment holds: a power of two from 1 KiB to 1 MiB, 64 KiB unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSize(u8);

impl Default for SegmentSize {
    fn default() -> Self {
        Self(16)
    }
}

impl SegmentSize {
    /// A size in bytes.
    ///
    /// # Errors
    ///
    /// [`SealError::SegmentSize`].
    pub fn new(bytes: usize) -> Result<Self, SealError> {
        if !bytes.is_power_of_two() {
            return Err(SealError::SegmentSize);
        }
        u8::try_from(bytes.trailing_zeros()).map_err(|_| SealError::SegmentSize).and_then(Self::of_exponent)
    }

    /// The size in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        1 << self.0
    }

    pub(super) fn of_exponent(exponent: u8) -> Result<Self, SealError> {
        if (10..=20).contains(&exponent) { Ok(Self(exponent)) } else { Err(SealError::SegmentSize) }
    }

    pub(super) fn exponent(self) -> u8 {
        self.0
    }

    /// What all segments of a plain text of this length take, tags included.
    pub(super) fn sealed_length(self, plain: usize) -> usize {
        let segments = plain.div_ceil(self.bytes()).max(1);
        plain.saturating_add(segments.saturating_mul(TAG))
    }
}

/// Counts the segments of a stream, and makes each one's nonce.
pub(super) struct Segments {
    key: LessSafeKey,
    next: u64,
}

impl Segments {
    pub(super) fn new(key: LessSafeKey) -> Self {
        Self { key, next: 0 }
    }

    /// The number of the next one.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Appends the next segment to `sealed`.
    pub(super) fn seal(&mut self, plain: &[u8], last: bool, sealed: &mut Vec<u8>) -> Result<(), SealError> {
        let nonce = self.nonce(last)?;
        let start = sealed.len();
        sealed.reserve(plain.len() + TAG);
        sealed.extend_from_slice(plain);
        let body = sealed.get_mut(start..).unwrap_or_default();
        let Ok(tag) = self.key.seal_in_place_separate_tag(nonce, Aad::empty(), body) else {
            // Never for a segment of 1 MiB; a plain text must not be left where a sealed one is expected.
            wipe_from(start, sealed);
            return Err(SealError::TooLong);
        };
        sealed.extend_from_slice(tag.as_ref());
        self.next += 1;
        Ok(())
    }

    /// Appends the plain text of the next segment to `plain`; nothing if it is not authentic.
    pub(super) fn open(&mut self, sealed: &[u8], last: bool, plain: &mut Vec<u8>) -> Result<(), SealError> {
        let wrong = if last { SealError::Truncated(self.next) } else { SealError::Segment(self.next) };
        let nonce = self.nonce(last)?;
        let (body, tag) = sealed.split_last_chunk::<TAG>().ok_or(wrong)?;
        // Only a stream without any text has a segment without any: otherwise there would be two forms of one text.
        if body.is_empty() && self.next > 0 {
            return Err(wrong);
        }
        let start = plain.len();
        plain.extend_from_slice(body);
        let text = plain.get_mut(start..).unwrap_or_default();
        let opened = self.key.open_in_place_separate_tag(nonce, Aad::empty(), Tag::from(*tag), text, 0..);
        if opened.is_err() {
            wipe_from(start, plain);
            return Err(wrong);
        }
        self.next += 1;
        Ok(())
    }

    /// Eleven bytes that count, and one that marks the last.
    fn nonce(&self, last: bool) -> Result<Nonce, SealError> {
        if self.next >= MAX_SEGMENTS {
            return Err(SealError::TooLong);
        }
        let mut nonce = [0; NONCE_LEN];
        // Below 2^32, so the count fits into the lower of its eleven bytes.
        let numbered = (u128::from(self.next) << 8 | u128::from(last)).to_be_bytes();
        for (place, byte) in nonce.iter_mut().rev().zip(numbered.iter().rev()) {
            *place = *byte;
        }
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}

/// Cuts `text` at `start`, and leaves nothing of what came after it.
fn wipe_from(start: usize, text: &mut Vec<u8>) {
    text.get_mut(start..).unwrap_or_default().zeroize();
    text.truncate(start);
}
