//! Values as bytes, for a second tier and for snapshots: framed, checked, and read back only as what was written.
//!
//! ```
//! use buttress_cache::codec::{Codec, Record};
//! use std::time::{Duration, SystemTime};
//!
//! let codec = Codec::<Vec<String>>::json("names", 1);
//! let names = Record::new(vec!["Ada".to_owned()], SystemTime::UNIX_EPOCH, Duration::from_secs(60));
//! let bytes = codec.encode(b"key", &names)?;
//! assert_eq!(codec.decode(b"key", &bytes)?, names);
//!
//! // Another struct under the same name, another key, a bit that fell over: an error, and so a miss.
//! assert!(Codec::<Vec<String>>::json("names", 2).decode(b"key", &bytes).is_err());
//! assert!(codec.decode(b"other key", &bytes).is_err());
//! # Ok::<(), buttress_cache::Error>(())
//! ```
//!
//! # The frame
//!
//! | bytes | |
//! |---|---|
//! | 0 | magic: `BTRC` |
//! | 4 | version of the frame: 1 |
//! | 5 | flags: 1 there is nothing, 2 compressed, 4 sealed, 8 with tags |
//! | 6 | version of the schema |
//! | 10 | hash of the schema's name |
//! | 18 | when it was written: milliseconds since 1970 |
//! | 26 | for how many milliseconds it is fresh; all ones: for ever |
//! | 34 | for how many more it may be served |
//! | 42 | what loading it took, in milliseconds |
//! | 46 | length of the body, before compression |
//! | 50 | checksum (XXH3) of all before it, the key and all after it |
//! | 58 | the body, its tags before it; sealed, the key's number and the nonce come first and the seal's tag last |
//!
//! Numbers are little-endian. A program that does not know a flag reads nothing of the frame.
//!
//! Tags are their number (2 bytes), and of each the mark that it had (8), its length (2) and its text. They are compressed and
//! sealed with the body.

mod body;
mod frame;
#[cfg(feature = "encrypt")]
mod seal;
mod tags;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use buttress_core::{ByteSize, Key};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::body::{Body, BodyError, Json};
use self::frame::{COMPRESSED, FOREVER, Header, NOTHING, SEALED, TAGGED};
#[cfg(feature = "encrypt")]
pub use self::seal::Keyring;
use crate::Error;

/// Why bytes are not a value; each of them is a miss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unreadable {
    /// It is no frame of ours, or cut short.
    Foreign,
    /// A frame of a version that this program does not know.
    Version,
    /// Another schema, or another version of it.
    Schema,
    /// The checksum does not fit: damaged, or of another key.
    Checksum,
    /// It is larger than may be.
    Size,
    /// It does not decompress, or this program was built without the feature that it takes.
    Compression,
    /// It is sealed with a key that is not in the ring, or not sealed at all where it should be.
    Key,
    /// It was not sealed by us for this key of the cache.
    Seal,
    /// The body does not read.
    Body,
}

impl Unreadable {
    /// As a metric label: `"schema"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Version => "version",
            Self::Schema => "schema",
            Self::Checksum => "checksum",
            Self::Size => "size",
            Self::Compression => "compression",
            Self::Key => "key",
            Self::Seal => "seal",
            Self::Body => "body",
        }
    }
}

/// A value, or the knowledge that there is none, with its times.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record<V> {
    /// `None`: there is none.
    pub value: Option<V>,
    /// When it was written, to the millisecond.
    pub written: SystemTime,
    /// For how long it is fresh; `None`: for ever.
    pub fresh: Option<Duration>,
    /// For how long after that it may be served.
    pub kept: Duration,
    /// What loading it took.
    pub cost: Duration,
    /// Its tags, each with the mark that it had in the [tier](crate::tier::Tier::mark).
    pub tags: Vec<(Key, u64)>,
}

impl<V> Record<V> {
    /// A value that is fresh for a time, and not served after it.
    pub fn new(value: V, written: SystemTime, fresh: Duration) -> Self {
        Self {
            value: Some(value),
            written,
            fresh: Some(fresh),
            kept: Duration::ZERO,
            cost: Duration::ZERO,
            tags: Vec::new(),
        }
    }
}

/// Makes values bytes and back.
pub struct Codec<V> {
    body: Arc<dyn Body<V>>,
    schema: (u32, u64),
    limit: usize,
    /// Bodies of this length and more are compressed.
    #[cfg_attr(not(feature = "lz4"), allow(dead_code, reason = "nothing compresses"))]
    compress: usize,
    #[cfg(feature = "encrypt")]
    keys: Option<Keyring>,
}

impl<V> std::fmt::Debug for Codec<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec")
            .field("schema", &self.schema)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<V> Clone for Codec<V> {
    fn clone(&self) -> Self {
        Self {
            body: Arc::clone(&self.body),
            #[cfg(feature = "encrypt")]
            keys: self.keys.clone(),
            ..*self
        }
    }
}

impl<V: Serialize + DeserializeOwned + 'static> Codec<V> {
    /// Bodies in JSON. `name` and `version` are the schema's: when the type changes so that old bytes would read as something
    /// else, raise the version, and they are misses.
    ///
    /// JSON names its fields, so a field that was added, removed or moved is never taken for another.
    #[must_use]
    pub fn json(name: &str, version: u32) -> Self {
        Self::of(Json, name, version)
    }
}

impl<V> Codec<V> {
    /// Bodies of a kind of your own.
    #[must_use]
    pub fn of(body: impl Body<V> + 'static, name: &str, version: u32) -> Self {
        Self {
            body: Arc::new(body),
            schema: (version, xxhash_rust::xxh3::xxh3_64(name.as_bytes())),
            limit: 16 << 20,
            compress: usize::MAX,
            #[cfg(feature = "encrypt")]
            keys: None,
        }
    }

    /// Bodies are no larger than this, before compression; 16 MiB unless it is said.
    #[must_use]
    pub fn at_most(mut self, limit: ByteSize) -> Self {
        // The length has four bytes in the frame.
        self.limit = limit.as_usize().min(u32::MAX as usize);
        self
    }

    /// Bodies of so many bytes and more are compressed (LZ4), unless that makes them longer.
    #[cfg(feature = "lz4")]
    #[must_use]
    pub fn compressed(mut self, from: ByteSize) -> Self {
        self.compress = from.as_usize();
        self
    }

    /// Bodies are sealed: encrypted, and bound to their key of the cache, so that none can be changed, or moved to another key.
    /// What is not sealed is not read any more.
    #[cfg(feature = "encrypt")]
    #[must_use]
    pub fn sealed(mut self, keys: Keyring) -> Self {
        self.keys = Some(keys);
        self
    }

    /// The longest frame of a body within the limit, seal and all.
    pub(crate) fn longest(&self) -> usize {
        self.limit + 256
    }

    /// The bytes of a record, for this key of the cache.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] when the value does not serialise, or is over the limit.
    pub fn encode(&self, key: &[u8], record: &Record<V>) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        if let Some(value) = &record.value {
            self.body.write(value, &mut body).map_err(Error::encode)?;
        }
        let mut flags = if record.value.is_some() { 0 } else { NOTHING };
        if !record.tags.is_empty() {
            let mut tagged = Vec::with_capacity(body.len() + 32 * record.tags.len());
            tags::write(&record.tags, &mut tagged);
            tagged.append(&mut body);
            (body, flags) = (tagged, flags | TAGGED);
        }
        if body.len() > self.limit {
            let told = format!("a value of {} bytes is over the limit of {}", body.len(), self.limit);
            return Err(Error::encode(told.into()));
        }
        #[cfg_attr(
            not(any(feature = "lz4", feature = "encrypt")),
            allow(unused_mut, reason = "nothing changes the header")
        )]
        let mut header = Header {
            flags,
            schema: self.schema,
            written: frame::millis_of(record.written),
            fresh: record.fresh.map_or(FOREVER, frame::millis),
            kept: frame::millis(record.kept),
            cost: u32::try_from(record.cost.as_millis()).unwrap_or(u32::MAX),
            length: u32::try_from(body.len()).unwrap_or(u32::MAX),
        };
        #[cfg(feature = "lz4")]
        if body.len() >= self.compress {
            let packed = lz4_flex::block::compress(&body);
            if packed.len() < body.len() {
                body = packed;
                header.flags |= COMPRESSED;
            }
        }
        #[cfg(feature = "encrypt")]
        if let Some(keys) = &self.keys {
            header.flags |= SEALED;
            body = keys.seal(&header.bound(key), body)?;
        }
        Ok(header.frame(key, &body))
    }

    /// The record of these bytes, which were made for this key of the cache. Whatever the bytes are, it neither panics nor
    /// takes more memory than the limit of a body allows.
    ///
    /// # Errors
    ///
    /// [`Error::Unreadable`].
    pub fn decode(&self, key: &[u8], bytes: &[u8]) -> Result<Record<V>, Error> {
        self.read(key, bytes).map_err(Error::Unreadable)
    }

    fn read(&self, key: &[u8], bytes: &[u8]) -> Result<Record<V>, Unreadable> {
        let (header, payload) = Header::parse(key, bytes)?;
        if header.schema != self.schema {
            return Err(Unreadable::Schema);
        }
        let length = header.length as usize;
        if length > self.limit {
            return Err(Unreadable::Size);
        }
        let payload = self.unseal(key, &header, payload)?;
        let body = unpack(&header, &payload, length)?;
        let (tags, body) = if header.flags & TAGGED == 0 { (Vec::new(), &*body) } else { tags::read(&body)? };
        let value = if header.flags & NOTHING == 0 {
            Some(self.body.read(body).map_err(|_| Unreadable::Body)?)
        } else {
            None
        };
        Ok(Record {
            value,
            written: frame::time_of(header.written),
            fresh: (header.fresh != FOREVER).then(|| Duration::from_millis(header.fresh)),
            kept: Duration::from_millis(header.kept),
            cost: Duration::from_millis(u64::from(header.cost)),
            tags,
        })
    }

    #[cfg(feature = "encrypt")]
    fn unseal<'a>(
        &self,
        key: &[u8],
        header: &Header,
        payload: &'a [u8],
    ) -> Result<std::borrow::Cow<'a, [u8]>, Unreadable> {
        match (&self.keys, header.flags & SEALED != 0) {
            (None, false) => Ok(payload.into()),
            (Some(keys), true) => Ok(keys.open(&header.bound(key), payload)?.into()),
            // What should be sealed and is not was put there by somebody else.
            _ => Err(Unreadable::Key),
        }
    }

    #[cfg(not(feature = "encrypt"))]
    #[allow(clippy::unused_self, reason = "with the feature it has keys")]
    fn unseal<'a>(
        &self,
        _: &[u8],
        header: &Header,
        payload: &'a [u8],
    ) -> Result<std::borrow::Cow<'a, [u8]>, Unreadable> {
        if header.flags & SEALED == 0 { Ok(payload.into()) } else { Err(Unreadable::Key) }
    }
}

/// The body as it was before compression: `length` bytes.
fn unpack<'a>(
    header: &Header,
    payload: &'a [u8],
    length: usize,
) -> Result<std::borrow::Cow<'a, [u8]>, Unreadable> {
    if header.flags & COMPRESSED == 0 {
        return if payload.len() == length { Ok(payload.into()) } else { Err(Unreadable::Foreign) };
    }
    #[cfg(feature = "lz4")]
    {
        // LZ4 makes at most 255 bytes of one; who claims more lies.
        if length / 255 > payload.len() {
            return Err(Unreadable::Size);
        }
        let mut body = vec![0; length];
        let unpacked = lz4_flex::block::decompress_into(payload, &mut body);
        if unpacked.is_ok_and(|unpacked| unpacked == length) {
            Ok(body.into())
        } else {
            Err(Unreadable::Compression)
        }
    }
    #[cfg(not(feature = "lz4"))]
    Err(Unreadable::Compression)
}

/// What a fuzzer calls with any bytes: they are decoded as they are, and again behind a frame that is in order, so that what lies
/// inside is reached.
#[cfg(feature = "test-util")]
pub fn decode_any(bytes: &[u8]) {
    let plain = Codec::<serde_json::Value>::json("fuzz", 1).at_most(ByteSize::kib(64));
    let _ = plain.decode(b"key", bytes);
    if let Some((flags, body)) = bytes.split_first() {
        let header = Header {
            flags: flags & (NOTHING | COMPRESSED | SEALED | TAGGED),
            schema: plain.schema,
            written: u64::from(*flags) << 56,
            fresh: u64::MAX - u64::from(*flags),
            kept: u64::MAX,
            cost: u32::MAX,
            length: u32::try_from(body.len()).unwrap_or(u32::MAX) << (flags >> 5),
        };
        let _ = plain.decode(b"key", &header.frame(b"key", body));
        #[cfg(feature = "encrypt")]
        {
            let sealed = plain.sealed(Keyring::new(1, &[7; 32]));
            let _ = sealed.decode(b"key", &header.frame(b"key", body));
        }
    }
}
