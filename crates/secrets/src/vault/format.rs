//! The bytes of a vault, as `docs/formats/vault.md` describes them. Pure; every length is checked before it is believed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::digest::{SHA256, digest};

use buttress_core::Validate;

use super::crypto::{KEY, SALT, TAG};
use super::key::{Derivation, PassphraseCost};
use crate::Name;
use crate::lifecycle::Standing;
use crate::slots::{Slot, Slots};

const MAGIC: &[u8; 8] = b"BTRVAULT";
const FORMAT: u16 = 1;
/// What the wrapped root key is bound to: all of the header before it.
pub(super) const WRAPPED_AT: usize = 104;
/// What the body is bound to: all of the header before its digest.
pub(super) const DIGEST_AT: usize = 208;
pub(super) const HEADER: usize = 240;

/// The longest vault, in bytes.
pub(crate) const MAX_FILE: usize = 64 << 20;
/// The most secrets.
pub(crate) const MAX_SECRETS: usize = 4096;

/// What stays from one write to the next, unless the vault gets a new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) derivation: Derivation,
    pub(super) salt: [u8; SALT],
    pub(super) id: [u8; 16],
    pub(super) commitment: [u8; KEY],
    pub(super) wrapped: [u8; KEY + TAG],
}

/// The unencrypted beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) lock: Lock,
    pub(super) generation: u64,
    pub(super) written: SystemTime,
    pub(super) salt: [u8; SALT],
}

/// An encrypted value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) salt: [u8; SALT],
    pub(super) bytes: Arc<[u8]>,
}

pub(super) type Secrets = BTreeMap<Name, Slots<Sealed>>;

/// How the bytes are no vault.
pub(super) type Problem = &'static str;

/// The parts of a lock before the wrapped key, which are bound to it.
pub(super) fn write_lock(lock: &Lock) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&FORMAT.to_be_bytes());
    let (kind, numbers) = match lock.derivation {
        Derivation::Passphrase(cost) => (1, [cost.memory_kib, cost.passes, cost.lanes]),
        Derivation::KeyFile => (2, [0; 3]),
    };
    out.extend_from_slice(&[kind, 0]);
    out.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    out.extend_from_slice(&lock.salt);
    out.extend_from_slice(&lock.id);
    out.extend_from_slice(&lock.commitment);
    out
}

/// The header before its digest, of a vault whose encrypted body has so many bytes.
pub(super) fn write_header(header: &Header, body: usize) -> Vec<u8> {
    let mut out = write_lock(&header.lock);
    out.extend_from_slice(&header.lock.wrapped);
    out.extend_from_slice(&header.generation.to_be_bytes());
    out.extend_from_slice(&millis(header.written).to_be_bytes());
    out.extend_from_slice(&header.salt);
    out.extend_from_slice(&(body as u64).to_be_bytes());
    out
}

/// The whole file.
pub(super) fn write_file(mut header: Vec<u8>, body: &[u8]) -> Vec<u8> {
    let sum = digest(&SHA256, &header);
    header.reserve_exact(sum.as_ref().len() + body.len());
    header.extend_from_slice(sum.as_ref());
    header.extend_from_slice(body);
    header
}

/// The header, and the encrypted body.
pub(super) fn read_file(file: &[u8]) -> Result<(Header, &[u8]), Problem> {
    if file.len() > MAX_FILE {
        return Err("it is longer than a vault can be");
    }
    let mut rest = Bytes(file);
    let short = "it is shorter than a vault's header";
    if rest.array().ok_or(short)? != *MAGIC {
        return Err("it does not begin as a vault does");
    }
    let head = file.get(..DIGEST_AT).ok_or(short)?;
    let sum = file.get(DIGEST_AT..HEADER).ok_or(short)?;
    if u16::from_be_bytes(rest.array().ok_or(short)?) != FORMAT {
        return Err("its format is another than 1, the only one that this program reads");
    }
    if digest(&SHA256, head).as_ref() != sum {
        return Err("its header does not have the digest that it says");
    }
    let read = header(&mut rest).ok_or("its header names what does not exist")?;
    let body = file.get(HEADER..).unwrap_or_default();
    let length = u64::from_be_bytes(rest.array().ok_or(short)?);
    if body.len() as u64 != length {
        return Err("it is shorter or longer than its header says");
    }
    Ok((read, body))
}

fn header(rest: &mut Bytes<'_>) -> Option<Header> {
    let [kind, zero] = rest.array()?;
    let mut number = || Some(u32::from_be_bytes(rest.array()?));
    let cost = PassphraseCost { memory_kib: number()?, passes: number()?, lanes: number()? };
    let derivation = match kind {
        // The limits hold before any memory is taken.
        1 if cost.validate().is_ok() => Derivation::Passphrase(cost),
        2 if (cost.memory_kib, cost.passes, cost.lanes) == (0, 0, 0) => Derivation::KeyFile,
        _ => return None,
    };
    if zero != 0 {
        return None;
    }
    let lock = Lock {
        derivation,
        salt: rest.array()?,
        id: rest.array()?,
        commitment: rest.array()?,
        wrapped: rest.array()?,
    };
    let generation = u64::from_be_bytes(rest.array()?);
    let written = time(u64::from_be_bytes(rest.array()?))?;
    Some(Header { lock, generation, written, salt: rest.array()? })
}

/// The body before it is encrypted.
pub(super) fn write_body(secrets: &Secrets) -> Vec<u8> {
    let mut out = Vec::new();
    length(&mut out, secrets.len());
    for (name, slots) in secrets {
        out.push(u8::try_from(name.as_str().len()).unwrap_or(u8::MAX));
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(&slots.last.to_be_bytes());
        let present = u8::from(slots.previous.is_some()) | u8::from(slots.next.is_some()) << 1;
        out.push(present);
        for slot in [Some(&slots.current), slots.previous.as_ref(), slots.next.as_ref()].into_iter().flatten()
        {
            out.extend_from_slice(&slot.standing.version.to_be_bytes());
            out.extend_from_slice(&millis(slot.standing.since.unwrap_or(UNIX_EPOCH)).to_be_bytes());
            out.extend_from_slice(&slot.value.salt);
            length(&mut out, slot.value.bytes.len());
            out.extend_from_slice(&slot.value.bytes);
        }
    }
    out
}

fn length(out: &mut Vec<u8>, length: usize) {
    // Nothing in a vault is as long as 4 GiB.
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

/// The body, decrypted.
pub(super) fn read_body(body: &[u8]) -> Result<Secrets, Problem> {
    let mut rest = Bytes(body);
    let secrets = entries(&mut rest).ok_or("its list of secrets ends early, or names what does not exist")?;
    if rest.0.is_empty() { Ok(secrets) } else { Err("it goes on behind its list of secrets") }
}

fn entries(rest: &mut Bytes<'_>) -> Option<Secrets> {
    let count = rest.length().filter(|count| *count <= MAX_SECRETS)?;
    let mut secrets = Secrets::new();
    for _ in 0..count {
        let [length] = rest.array()?;
        let name = Name::new(std::str::from_utf8(rest.take(length.into())?).ok()?).ok()?;
        let last = u64::from_be_bytes(rest.array()?);
        let [present] = rest.array()?;
        if present > 3 {
            return None;
        }
        let current = slot(rest)?;
        let previous = if present & 1 == 0 { None } else { Some(slot(rest)?) };
        let next = if present & 2 == 0 { None } else { Some(slot(rest)?) };
        // One way to write each vault: names in order, and none twice.
        if secrets.last_key_value().is_some_and(|(before, _)| *before >= name) {
            return None;
        }
        secrets.insert(name, Slots { current, previous, next, last });
    }
    Some(secrets)
}

fn slot(rest: &mut Bytes<'_>) -> Option<Slot<Sealed>> {
    let version = u64::from_be_bytes(rest.array()?);
    let since = Some(time(u64::from_be_bytes(rest.array()?))?);
    let salt = rest.array()?;
    let length = rest.length()?;
    let bytes = rest.take(length)?.into();
    Some(Slot { standing: Standing { version, since }, value: Sealed { salt, bytes } })
}

/// What is not read yet.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_be_bytes(self.array()?)).ok()
    }
}

/// Milliseconds since 1970; 0 for what was before.
fn millis(time: SystemTime) -> u64 {
    let passed = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}

fn time(millis: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

/// A time as it reads back.
pub(super) fn rounded(now: SystemTime) -> SystemTime {
    time(millis(now)).unwrap_or(UNIX_EPOCH)
}
