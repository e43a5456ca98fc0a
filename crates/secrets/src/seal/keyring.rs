//! Keys by number.

use std::fmt;
use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::chunks::{Opener, Sealer};
use super::header::{Header, LENGTH as HEADER};
use super::{Resealed, SealError, SegmentSize, key_of};

/// The most keys that a [`Keyring`] holds.
pub const MAX_KEYS: usize = 64;

/// The number of a key. It stands in the header of all that the key seals, readable by everyone; a number is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(
    /// The number.
    pub u32,
);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A key of 32 bytes. It is never shown, and wiped when it is dropped.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// A new key from the system's random numbers.
    ///
    /// # Errors
    ///
    /// [`SealError::NoRandom`].
    pub fn generate() -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0; 32]);
        SystemRandom::new().fill(bytes.as_mut()).map_err(|_| SealError::NoRandom)?;
        Ok(Self(bytes))
    }

    /// A key that is kept somewhere: 32 bytes that nobody can guess, no passphrase.
    ///
    /// # Errors
    ///
    /// [`SealError::KeyLength`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealError> {
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() != key.len() {
            return Err(SealError::KeyLength(bytes.len()));
        }
        key.copy_from_slice(bytes);
        Ok(Self(key))
    }

    /// The bytes, to be kept somewhere.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// Keys by number, of which one seals and all open. Cheap to clone.
///
/// To rotate without losing anything: give every node a ring that [opens the new key too](Keyring::and); when all have it, let it
/// [seal](Keyring::rotated); [reseal](Keyring::reseal) what is kept; then leave the old key out.
#[derive(Clone)]
pub struct Keyring {
    keys: Arc<Vec<(KeyId, Key)>>,
    /// Index of the one that seals.
    current: usize,
    segment: SegmentSize,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("current", &self.current().0)
            .field("keys", &self.ids().map(|id| id.0).collect::<Vec<_>>())
            .finish()
    }
}

impl Keyring {
    /// A ring of one key, which seals and opens.
    #[must_use]
    pub fn new(id: KeyId, key: Key) -> Self {
        Self { keys: Arc::new(vec![(id, key)]), current: 0, segment: SegmentSize::default() }
    }

    /// Opens with this key too.
    ///
    /// # Errors
    ///
    /// [`SealError::DuplicateKey`], [`SealError::TooManyKeys`].
    pub fn and(mut self, id: KeyId, key: Key) -> Result<Self, SealError> {
        if self.keys.len() >= MAX_KEYS {
            return Err(SealError::TooManyKeys);
        }
        if self.key(id).is_ok() {
            return Err(SealError::DuplicateKey(id));
        }
        Arc::make_mut(&mut self.keys).push((id, key));
        Ok(self)
    }

    /// Seals with this new key, and opens with it too.
    ///
    /// # Errors
    ///
    /// As [`and`](Keyring::and).
    pub fn rotated(self, id: KeyId, key: Key) -> Result<Self, SealError> {
        self.and(id, key)?.sealing_with(id)
    }

    /// Seals with another key of the ring.
    ///
    /// # Errors
    ///
    /// [`SealError::UnknownKey`].
    pub fn sealing_with(mut self, id: KeyId) -> Result<Self, SealError> {
        self.current =
            self.keys.iter().position(|(known, _)| *known == id).ok_or(SealError::UnknownKey(id))?;
        Ok(self)
    }

    /// Seals in segments of this size: larger ones cost memory where they are opened, smaller ones 16 bytes each.
    #[must_use]
    pub fn segments_of(mut self, size: SegmentSize) -> Self {
        self.segment = size;
        self
    }

    /// The key that seals.
    #[must_use]
    pub fn current(&self) -> KeyId {
        self.keys.get(self.current).map_or(KeyId(0), |(id, _)| *id)
    }

    /// All keys, in the order in which they were added.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.keys.iter().map(|(id, _)| *id)
    }

    /// Seals `plain` for the purpose `aad`. The result is longer than `plain` by 74 bytes and 16 for each segment, at least one.
    ///
    /// # Errors
    ///
    /// [`SealError::NoRandom`]; [`SealError::TooLong`] above 2^32 segments.
    pub fn seal(&self, plain: &[u8], aad: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut sealed = Vec::with_capacity(self.segment.sealed_length(plain.len()).saturating_add(HEADER));
        let mut sealer = self.sealer(aad)?;
        sealer.push(plain, &mut sealed)?;
        sealer.finish(&mut sealed)?;
        Ok(sealed)
    }

    /// Opens what was sealed for the purpose `aad`: all of it, or nothing.
    ///
    /// # Errors
    ///
    /// [`SealError`] says what is not as it was sealed.
    pub fn open(&self, sealed: &[u8], aad: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
        let mut opener = self.opener(aad);
        opener.push(sealed, &mut plain)?;
        opener.finish(&mut plain)?;
        Ok(std::mem::take(&mut *plain))
    }

    /// Seals with the current key what an older one has sealed. Of what the current one has sealed only the header is verified.
    ///
    /// # Errors
    ///
    /// As [`open`](Keyring::open) and [`seal`](Keyring::seal).
    pub fn reseal(&self, sealed: &[u8], aad: &[u8]) -> Result<Resealed, SealError> {
        if key_of(sealed)? == self.current() {
            self.opener(aad).push(sealed.get(..HEADER).unwrap_or(sealed), &mut Vec::new())?;
            return Ok(Resealed::Current);
        }
        let plain = Zeroizing::new(self.open(sealed, aad)?);
        self.seal(&plain, aad).map(Resealed::Renewed)
    }

    /// Begins a stream whose plain text comes in chunks of any size.
    ///
    /// # Errors
    ///
    /// [`SealError::NoRandom`].
    pub fn sealer(&self, aad: &[u8]) -> Result<Sealer, SealError> {
        let header = Header::draw(self.current(), self.segment)?;
        Ok(Sealer::new(&header, self.key(header.key)?, aad))
    }

    /// Begins to open a stream that comes in chunks of any size.
    #[must_use]
    pub fn opener(&self, aad: &[u8]) -> Opener {
        Opener::new(self.clone(), aad)
    }

    pub(super) fn key(&self, id: KeyId) -> Result<&Key, SealError> {
        self.keys
            .iter()
            .find_map(|(known, key)| (*known == id).then_some(key))
            .ok_or(SealError::UnknownKey(id))
    }
}
