//! The beginning of a stream: what it says, and what is derived from it.

use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Key, KeyId, SealError, SegmentSize};

/// What the header of a stream takes.
pub(super) const LENGTH: usize = CLAIMED + 32;
/// Its part before the commitment.
const CLAIMED: usize = 42;
const MAGIC: [u8; 4] = *b"BTSL";
const VERSION: u8 = 1;
const KEY_LABEL: &[u8] = b"buttress sealed v1 key";
const COMMITMENT_LABEL: &[u8] = b"buttress sealed v1 commitment";

/// What a header says, before anything is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) key: KeyId,
    pub(super) segment: SegmentSize,
    pub(super) salt: [u8; 32],
    /// As found, or nothing yet.
    commitment: [u8; 32],
}

impl Header {
    /// The header of a new stream.
    pub(super) fn draw(key: KeyId, segment: SegmentSize) -> Result<Self, SealError> {
        let mut salt = [0; 32];
        SystemRandom::new().fill(&mut salt).map_err(|_| SealError::NoRandom)?;
        Ok(Self { key, segment, salt, commitment: [0; 32] })
    }

    /// Reads a header. It may claim anything: [`verified`](Header::verified) tells.
    pub(super) fn parse(bytes: &[u8; LENGTH]) -> Result<Self, SealError> {
        let rest: &[u8] = bytes;
        let (magic, rest) = rest.split_first_chunk().ok_or(SealError::NotSealed)?;
        let ([version, segment], rest) = rest.split_first_chunk().ok_or(SealError::NotSealed)?;
        let (key, rest) = rest.split_first_chunk().ok_or(SealError::NotSealed)?;
        let (salt, rest) = rest.split_first_chunk().ok_or(SealError::NotSealed)?;
        let commitment = rest.first_chunk().ok_or(SealError::NotSealed)?;
        if *magic != MAGIC {
            return Err(SealError::NotSealed);
        }
        if *version != VERSION {
            return Err(SealError::Version(*version));
        }
        Ok(Self {
            key: KeyId(u32::from_be_bytes(*key)),
            segment: SegmentSize::of_exponent(*segment)?,
            salt: *salt,
            commitment: *commitment,
        })
    }

    /// The header with its commitment, and the key of the stream.
    pub(super) fn begin(&self, key: &Key, aad: &[u8]) -> ([u8; LENGTH], LessSafeKey) {
        let (commitment, stream) = self.derive(key, &purpose(aad));
        let mut bytes = [0; LENGTH];
        let (claimed, committed) = bytes.split_at_mut(CLAIMED);
        claimed.copy_from_slice(&self.claimed());
        committed.copy_from_slice(&commitment);
        (bytes, stream)
    }

    /// The key of the stream, if this header was made with `key` and for this purpose.
    pub(super) fn verified(&self, key: &Key, purpose: &[u8; 32]) -> Result<LessSafeKey, SealError> {
        let (commitment, stream) = self.derive(key, purpose);
        if bool::from(commitment.ct_eq(&self.commitment)) { Ok(stream) } else { Err(SealError::Header) }
    }

    fn claimed(&self) -> [u8; CLAIMED] {
        let mut bytes = [0; CLAIMED];
        let fields: [&[u8]; 5] =
            [&MAGIC, &[VERSION], &[self.segment.exponent()], &self.key.0.to_be_bytes(), &self.salt];
        for (place, byte) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *place = *byte;
        }
        bytes
    }

    /// Commitment and key of the stream, both bound to all that the header claims and to the purpose.
    fn derive(&self, key: &Key, purpose: &[u8; 32]) -> ([u8; 32], LessSafeKey) {
        let prk = Salt::new(HKDF_SHA256, &self.salt).extract(key.expose());
        let claimed = self.claimed();
        let commitment = expand(&prk, &[COMMITMENT_LABEL, &claimed, purpose]);
        let stream = expand(&prk, &[KEY_LABEL, &claimed, purpose]);
        (*commitment, aes_256_gcm(&stream))
    }
}

/// The purpose in 32 bytes, so that it has one length for all.
pub(super) fn purpose(aad: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, aad).as_ref());
    hash
}

struct Length32;

impl KeyType for Length32 {
    fn len(&self) -> usize {
        32
    }
}

#[expect(clippy::expect_used, reason = "32 bytes are fewer than the 8160 at which HKDF-SHA-256 ends")]
fn expand(prk: &Prk, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    prk.expand(info, Length32).and_then(|okm| okm.fill(out.as_mut())).expect("HKDF gives 32 bytes");
    out
}

#[expect(clippy::expect_used, reason = "the key of AES-256 has 32 bytes, and so has this")]
fn aes_256_gcm(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are a key"))
}
