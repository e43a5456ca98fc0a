//! What seals a log: a key of its own, which a password opens.

use argon2::{Algorithm, Argon2, Params, Version};
use bytes::Bytes;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::segment::{Fields, HEADER, Header, Kind, MAX_PAYLOAD, Piece, Segment, to_nanos};
use crate::Error;
use crate::id::Id;

const MAGIC: [u8; 16] = *b"buttress-logkey1";
/// Everything of a key file that is not sealed.
const CLEAR: usize = 76;
const PURPOSE: &[u8] = b"buttress-log 1 segment";
const ESCROW: &[u8] = b"buttress-log 1 key";
/// The second that RFC 9106 recommends (section 4): KiB of memory, passes over it, lanes.
const COST: [u32; 3] = [64 << 10, 3, 4];
/// The most of each that a key file may ask for: 1 GiB, and minutes.
const COST_MOST: [u32; 3] = [1 << 20, 64, 16];

type Key = Zeroizing<[u8; 32]>;

/// The key of a log. Overwritten when dropped.
///
/// Each segment has a key of its own, by HKDF of this one and 32 random bytes, and so a nonce of zeros.
pub struct LogKey {
    id: [u8; 16],
    key: Key,
}

impl std::fmt::Debug for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogKey")
    }
}

impl LogKey {
    /// A new key.
    pub fn generate() -> Result<Self, Error> {
        Ok(Self { id: random()?, key: Zeroizing::new(random()?) })
    }

    /// The key sealed with a password, for the store and for a place in which it is kept for bad days. Takes a tenth of a second and
    /// 64 MiB.
    pub fn escrow(&self, name: &str, password: &SecretString) -> Result<Bytes, Error> {
        let salt = random::<32>()?;
        let mut bytes = Vec::with_capacity(CLEAR + 48);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.id);
        for number in COST {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&salt);
        let bound = [bytes.as_slice(), name.as_bytes()].concat();
        let mut sealed = Vec::with_capacity(48);
        sealed.extend_from_slice(&*self.key);
        let key = derive(&*stretched(password, &salt, COST)?, &salt, ESCROW)?;
        cipher(&key)?
            .seal_in_place_append_tag(nonce(), Aad::from(bound), &mut sealed)
            .map_err(|_| crypto())?;
        bytes.append(&mut sealed);
        Ok(bytes.into())
    }

    /// The key that [`escrow`](LogKey::escrow) sealed for the log `name`; `place` is where the bytes come from, for the error.
    pub fn unseal(bytes: &[u8], name: &str, password: &SecretString, place: &str) -> Result<Self, Error> {
        let damaged = |problem: &str| Error::Damaged {
            object: key_name(name),
            place: place.to_owned(),
            problem: problem.to_owned(),
        };
        let shape = "it is not the key of a log of version 1, or cut short";
        let (clear, sealed) = bytes.split_first_chunk::<CLEAR>().ok_or_else(|| damaged(shape))?;
        let mut fields = Fields(clear);
        let parsed = (|| {
            let (magic, id) = (fields.take::<16>()?, fields.take::<16>()?);
            let cost = [fields.take()?, fields.take()?, fields.take()?].map(u32::from_be_bytes);
            Some((magic, id, cost, fields.take::<32>()?))
        })();
        let (magic, id, cost, salt) = parsed.ok_or_else(|| damaged(shape))?;
        if magic != MAGIC || sealed.len() != 48 {
            return Err(damaged(shape));
        }
        if cost.iter().zip(COST_MOST).any(|(asked, most)| *asked == 0 || *asked > most) {
            return Err(damaged("its password's derivation asks for more than 1 GiB, 64 passes or 16 lanes"));
        }
        let bound = [clear.as_slice(), name.as_bytes()].concat();
        let mut opened = Zeroizing::new(sealed.to_vec());
        let key = derive(&*stretched(password, &salt, cost)?, &salt, ESCROW)?;
        let opened = cipher(&key)?.open_in_place(nonce(), Aad::from(bound), &mut opened).ok();
        let key = opened.and_then(|bytes| bytes.first_chunk::<32>().copied());
        let key = key
            .ok_or_else(|| Error::WrongPassword { place: format!("{place}, {}", key_name(name)), keys: 1 })?;
        Ok(Self { id, key: Zeroizing::new(key) })
    }

    /// Seals a piece as the segment `sequence` of the log `name`, after the object with the hash `previous`.
    pub fn seal(
        &self,
        name: &str,
        sequence: u64,
        previous: Id,
        kind: Kind,
        piece: &Piece,
    ) -> Result<Bytes, Error> {
        let too_long = || Error::Internal {
            problem: format!("a piece of a log has {} bytes, more than {MAX_PAYLOAD}", piece.payload.len()),
        };
        let length = u32::try_from(piece.payload.len()).map_err(|_| too_long())?;
        if piece.payload.len() > MAX_PAYLOAD {
            return Err(too_long());
        }
        let header = Header {
            log: self.id,
            salt: random()?,
            sequence,
            epoch: piece.epoch,
            first: piece.first,
            last: piece.last,
            time: to_nanos(piece.time),
            previous,
            kind,
            length,
        };
        let mut bytes = header.encode();
        let bound = [bytes.as_slice(), name.as_bytes()].concat();
        let packed = zstd::bulk::compress(&piece.payload, 3);
        let mut sealed =
            packed.map_err(|error| Error::Internal { problem: format!("zstd cannot compress: {error}") })?;
        cipher(&derive(&*self.key, &header.salt, PURPOSE)?)?
            .seal_in_place_append_tag(nonce(), Aad::from(bound), &mut sealed)
            .map_err(|_| crypto())?;
        bytes.append(&mut sealed);
        Ok(bytes.into())
    }

    /// Opens an object of the log `name`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn open(&self, name: &str, object: &[u8]) -> Result<Segment, String> {
        self.open_linked(name, object).map(|(segment, _)| segment)
    }

    /// The same, with the hash of the object before it.
    pub(super) fn open_linked(&self, name: &str, object: &[u8]) -> Result<(Segment, Id), String> {
        let (header, sealed) = Header::decode(object)?;
        if header.log != self.id {
            return Err("it belongs to another log".to_owned());
        }
        let clear = object.get(..HEADER).unwrap_or_default();
        let bound = [clear, name.as_bytes()].concat();
        let mut opened = sealed.to_vec();
        let key = derive(&*self.key, &header.salt, PURPOSE).map_err(|error| error.to_string())?;
        let packed = cipher(&key)
            .map_err(|error| error.to_string())?
            .open_in_place(nonce(), Aad::from(bound), &mut opened)
            .map_err(
                |_| "it does not open: it was changed, cut short, or comes from a log of another name",
            )?;
        // The length is what the writer sealed, at most MAX_PAYLOAD.
        let payload = zstd::bulk::decompress(packed, header.length as usize)
            .map_err(|error| format!("its payload does not decompress: {error}"))?;
        if payload.len() != header.length as usize {
            return Err("its payload is shorter than it says".to_owned());
        }
        Ok((header.into_segment(payload.into(), Id::of(object)), header.previous))
    }
}

/// The name of the object that keeps a log's key.
pub(super) fn key_name(log: &str) -> String {
    format!("log/{log}/key")
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

/// HKDF-SHA-256 (RFC 5869).
fn derive(material: &[u8], salt: &[u8], purpose: &[u8]) -> Result<Key, Error> {
    let mut key = Key::default();
    let extracted = Salt::new(HKDF_SHA256, salt).extract(material);
    let filled = extracted.expand(&[purpose], Length).and_then(|derived| derived.fill(&mut *key));
    filled.map(|()| key).map_err(|_| crypto())
}

fn stretched(password: &SecretString, salt: &[u8], [memory, passes, lanes]: [u32; 3]) -> Result<Key, Error> {
    let failed = |error: argon2::Error| Error::Internal { problem: format!("Argon2id fails: {error}") };
    let params = Params::new(memory, passes, lanes, Some(32)).map_err(failed)?;
    let mut key = Key::default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.expose_secret().as_bytes(), salt, &mut *key)
        .map_err(failed)?;
    Ok(key)
}

fn cipher(key: &Key) -> Result<LessSafeKey, Error> {
    UnboundKey::new(&AES_256_GCM, &**key).map(LessSafeKey::new).map_err(|_| crypto())
}

/// A key encrypts one message.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| Error::Internal { problem: "the system has no random bytes".to_owned() })?;
    Ok(bytes)
}

fn crypto() -> Error {
    Error::Internal { problem: "AES-256-GCM or HKDF refuses what always fits".to_owned() }
}
