//! A stream in chunks of any size: for who reads and writes in ways of his own, such as async callers.

use std::fmt;

use zeroize::Zeroizing;

use super::header::{Header, LENGTH as HEADER, purpose};
use super::segments::{Segments, TAG};
use super::{Key, Keyring, SealError};

/// Seals one stream. It holds at most one segment.
///
/// ```
/// use buttress_secrets::seal::{Key, KeyId, Keyring};
///
/// let keys = Keyring::new(KeyId(1), Key::generate()?);
/// let mut sealed = Vec::new(); // or send and clear it after each push
/// let mut sealer = keys.sealer(b"exports/2024")?;
/// for chunk in [&b"first, "[..], b"second"] {
///     sealer.push(chunk, &mut sealed)?;
/// }
/// sealer.finish(&mut sealed)?;
/// assert_eq!(keys.open(&sealed, b"exports/2024")?, b"first, second");
/// # Ok::<(), buttress_secrets::seal::SealError>(())
/// ```
#[must_use = "a stream that is not finished does not open"]
pub struct Sealer {
    /// Until it is written.
    header: Option<[u8; HEADER]>,
    segments: Segments,
    size: usize,
    /// What may be the last segment: a full one waits for what comes after it.
    held: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("segment", &self.segments.next()).finish_non_exhaustive()
    }
}

impl Sealer {
    pub(super) fn new(header: &Header, key: &Key, aad: &[u8]) -> Self {
        let (bytes, stream) = header.begin(key, aad);
        let size = header.segment.bytes();
        Self { header: Some(bytes), segments: Segments::new(stream), size, held: Zeroizing::new(Vec::new()) }
    }

    /// Takes the next piece of the plain text, and appends what is ready to `sealed`.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLong`] above 2^32 segments.
    pub fn push(&mut self, mut plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), SealError> {
        self.write_header(sealed);
        while self.held.len() + plain.len() > self.size {
            if self.held.is_empty() {
                let (segment, rest) = plain.split_at(self.size);
                self.segments.seal(segment, false, sealed)?;
                plain = rest;
            } else {
                plain = self.hold(plain);
                self.segments.seal(&self.held, false, sealed)?;
                self.held.clear();
            }
        }
        self.hold(plain);
        Ok(())
    }

    /// Ends the stream, and appends the rest of it to `sealed`.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLong`] above 2^32 segments.
    pub fn finish(mut self, sealed: &mut Vec<u8>) -> Result<(), SealError> {
        self.write_header(sealed);
        self.segments.seal(&self.held, true, sealed)
    }

    fn write_header(&mut self, sealed: &mut Vec<u8>) {
        if let Some(header) = self.header.take() {
            sealed.extend_from_slice(&header);
        }
    }

    /// Keeps what fits of `plain`, and returns what does not.
    fn hold<'a>(&mut self, plain: &'a [u8]) -> &'a [u8] {
        if plain.is_empty() {
            return plain;
        }
        if self.held.capacity() == 0 {
            // At once, since a buffer that grows leaves copies of its content behind.
            self.held.reserve_exact(self.size);
        }
        let (fits, rest) = plain.split_at(plain.len().min(self.size - self.held.len()));
        self.held.extend_from_slice(fits);
        rest
    }
}

/// Opens one stream. It holds at most one sealed segment, and takes memory for it only after the header was verified.
///
/// What [`push`](Opener::push) appends is verified, piece by piece; that the stream is whole is known when
/// [`finish`](Opener::finish) returns.
pub struct Opener {
    keys: Keyring,
    purpose: [u8; 32],
    state: State,
    /// The beginning of a header, or what may be the last segment.
    held: Vec<u8>,
}

enum State {
    Header,
    Segments(Box<Segments>, usize),
    Failed(SealError),
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let segment = if let State::Segments(segments, _) = &self.state { segments.next() } else { 0 };
        f.debug_struct("Opener").field("segment", &segment).finish_non_exhaustive()
    }
}

impl Opener {
    pub(super) fn new(keys: Keyring, aad: &[u8]) -> Self {
        Self { keys, purpose: purpose(aad), state: State::Header, held: Vec::new() }
    }

    /// Takes the next piece of the stream, and appends what is verified to `plain`.
    ///
    /// # Errors
    ///
    /// [`SealError`] says what is not as it was sealed; every later call says it again.
    pub fn push(&mut self, sealed: &[u8], plain: &mut Vec<u8>) -> Result<(), SealError> {
        self.take(sealed, plain).inspect_err(|error| self.state = State::Failed(*error))
    }

    /// Says that nothing comes any more, and appends the last segment to `plain`.
    ///
    /// # Errors
    ///
    /// [`SealError::Truncated`] when the stream is not whole, [`SealError::NotSealed`] when not even its header is.
    pub fn finish(mut self, plain: &mut Vec<u8>) -> Result<(), SealError> {
        match &mut self.state {
            State::Header => Err(SealError::NotSealed),
            State::Segments(segments, _) => segments.open(&self.held, true, plain),
            State::Failed(error) => Err(*error),
        }
    }

    fn take(&mut self, mut sealed: &[u8], plain: &mut Vec<u8>) -> Result<(), SealError> {
        if matches!(self.state, State::Header) {
            sealed = hold(&mut self.held, sealed, HEADER);
            let Some(bytes) = self.held.first_chunk() else { return Ok(()) };
            let header = Header::parse(bytes)?;
            let stream = header.verified(self.keys.key(header.key)?, &self.purpose)?;
            self.state = State::Segments(Box::new(Segments::new(stream)), header.segment.bytes() + TAG);
            self.held.clear();
        }
        let (segments, size) = match &mut self.state {
            State::Segments(segments, size) => (segments, *size),
            State::Failed(error) => return Err(*error),
            State::Header => return Ok(()),
        };
        // A full segment may be the last until something comes after it.
        while self.held.len() + sealed.len() > size {
            if self.held.is_empty() {
                let (segment, rest) = sealed.split_at(size);
                segments.open(segment, false, plain)?;
                sealed = rest;
            } else {
                sealed = hold(&mut self.held, sealed, size);
                segments.open(&self.held, false, plain)?;
                self.held.clear();
            }
        }
        hold(&mut self.held, sealed, size);
        Ok(())
    }
}

/// Fills `held` up to `size`, and returns what does not fit.
fn hold<'a>(held: &mut Vec<u8>, bytes: &'a [u8], size: usize) -> &'a [u8] {
    let (fits, rest) = bytes.split_at(bytes.len().min(size.saturating_sub(held.len())));
    held.extend_from_slice(fits);
    rest
}
