//! What is logged, and the bytes that stand for it.
//!
//! The bytes are canonical: one entry has one encoding, and a decoder takes no other. `docs/formats/audit.md` describes them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use buttress_core::{Event, Outcome};

use crate::Error;
use crate::wire::{Reader, Writer};

/// No entry is longer, whatever the configuration says: 1 MiB of canonical bytes.
pub const LONGEST_ENTRY: usize = 1 << 20;
/// How deep [`Value`]s may be nested.
pub const DEEPEST_VALUE: usize = 16;
/// The bytes before the body of an entry: format, sequence, both clocks.
pub(crate) const PREFIX: usize = 25;

const FORMAT: u8 = 1;

/// Who did what to what, how it ended, and when; as it is given to the log.
///
/// ```
/// use buttress_audit::Entry;
/// use buttress_core::Outcome;
/// use std::time::SystemTime;
///
/// let entry = Entry::new(SystemTime::UNIX_EPOCH, "invoice.delete", Outcome::Denied)
///     .actor("user-7")
///     .target("invoice-42")
///     .tenant("acme")
///     .with("role", "viewer")
///     .with("attempt", 3);
/// assert_eq!(entry.data.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// When it happened, by the clock of the one who tells. The log adds its own clocks, see [`Record`].
    pub at: SystemTime,
    /// What was done, as `noun.verb` in lower case: `"secret.read"`.
    pub action: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Who did it, where known.
    pub actor: Option<String>,
    /// What it was done to.
    pub target: Option<String>,
    /// Whose data it was.
    pub tenant: Option<String>,
    /// The request it belongs to.
    pub request_id: Option<String>,
    /// One line for people. Never a secret.
    pub detail: Option<String>,
    /// What else there is to say. Never a secret.
    pub data: BTreeMap<String, Value>,
}

/// A value of [`Entry::data`]: what JSON has, and bytes.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Value {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any finite number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes, such as an encrypted value.
    Bytes(Vec<u8>),
    /// Values in their order.
    List(Vec<Value>),
    /// Values by name.
    Map(BTreeMap<String, Value>),
}

/// An entry in its place in the log.
///
/// Order is by [`sequence`](Record::sequence) and nothing else: both clocks are kept so that a step of the wall clock can be seen,
/// as a difference between what they say has passed.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Record {
    /// Its number, from 0 without a gap; also its place among the leaves of the Merkle tree.
    pub sequence: u64,
    /// The log's wall clock when it was written.
    pub recorded: SystemTime,
    /// The log's monotonic clock when it was written, since the log was opened.
    pub ticks: Duration,
    /// What was logged.
    pub entry: Entry,
}

impl Entry {
    /// An entry with nothing but the essentials.
    #[must_use]
    pub fn new(at: SystemTime, action: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            at,
            action: action.into(),
            outcome,
            actor: None,
            target: None,
            tenant: None,
            request_id: None,
            detail: None,
            data: BTreeMap::new(),
        }
    }

    /// Says who did it.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Says what it was done to.
    #[must_use]
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Says whose data it was.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Says which request it belongs to.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// Adds one line for people.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a value to [`data`](Entry::data).
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.data.insert(name.into(), value.into());
        self
    }

    /// The body: everything but what the log adds. Callers do this work, not the one writer.
    pub(crate) fn encode_body(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let mut out = Writer::new(out);
        out.i64(nanos_of(self.at)?);
        out.u8(match self.outcome {
            Outcome::Success => 0,
            Outcome::Failure => 1,
            Outcome::Denied => 2,
        });
        out.text(&self.action)?;
        for optional in [&self.actor, &self.target, &self.tenant, &self.request_id, &self.detail] {
            match optional {
                None => out.u8(0),
                Some(text) => {
                    out.u8(1);
                    out.text(text)?;
                }
            }
        }
        encode_map(&self.data, &mut out, 0)
    }

    fn decode_body(from: &mut Reader<'_>) -> Result<Self, Error> {
        let at = time_of(from.i64()?)?;
        let outcome = match from.u8()? {
            0 => Outcome::Success,
            1 => Outcome::Failure,
            2 => Outcome::Denied,
            _ => return Err(Error::malformed("an outcome is none of 0, 1, 2")),
        };
        let action = from.text()?;
        let mut optional = || match from.u8()? {
            0 => Ok(None),
            1 => from.text().map(Some),
            _ => Err(Error::malformed("whether a text is there is neither 0 nor 1")),
        };
        let (actor, target, tenant) = (optional()?, optional()?, optional()?);
        let (request_id, detail) = (optional()?, optional()?);
        let data = decode_map(from, 0)?;
        Ok(Self { at, action, outcome, actor, target, tenant, request_id, detail, data })
    }
}

impl From<Event> for Entry {
    fn from(event: Event) -> Self {
        Self {
            actor: event.actor,
            target: event.target,
            request_id: event.request_id,
            detail: event.detail,
            ..Self::new(event.at, event.action, event.outcome)
        }
    }
}

impl Record {
    /// The canonical bytes: what is hashed and stored.
    ///
    /// # Errors
    ///
    /// [`Error::Entry`]: longer than [`LONGEST_ENTRY`], deeper than [`DEEPEST_VALUE`], a number that is not finite, or a time
    /// outside of the years 1678 to 2262.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; PREFIX];
        let recorded = nanos_of(self.recorded)?;
        let ticks = u64::try_from(self.ticks.as_nanos()).unwrap_or(u64::MAX);
        write_prefix(&mut bytes, self.sequence, recorded, ticks);
        self.entry.encode_body(&mut bytes)?;
        if bytes.len() > LONGEST_ENTRY {
            return Err(Error::TooLong { bytes: bytes.len(), limit: LONGEST_ENTRY });
        }
        Ok(bytes)
    }

    /// Reads canonical bytes. Never panics, and allocates no more than a small multiple of what it is given.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`], which includes any encoding but the canonical one.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > LONGEST_ENTRY {
            return Err(Error::malformed("an entry is longer than 1 MiB"));
        }
        let mut from = Reader::new(bytes);
        if from.u8()? != FORMAT {
            return Err(Error::malformed("an entry is of a format that is not known"));
        }
        let sequence = from.u64()?;
        let recorded = time_of(from.i64()?)?;
        let ticks = Duration::from_nanos(from.u64()?);
        let entry = Entry::decode_body(&mut from)?;
        from.end()?;
        Ok(Self { sequence, recorded, ticks, entry })
    }
}

/// Fills the first [`PREFIX`] bytes; the writer does so once it knows the sequence.
pub(crate) fn write_prefix(bytes: &mut [u8], sequence: u64, recorded: i64, ticks: u64) {
    let parts: [&[u8]; 4] =
        [&[FORMAT], &sequence.to_be_bytes(), &recorded.to_be_bytes(), &ticks.to_be_bytes()];
    for (to, from) in bytes.iter_mut().zip(parts.concat()) {
        *to = from;
    }
}

/// Nanoseconds since 1970, before it negative.
pub(crate) fn nanos_of(time: SystemTime) -> Result<i64, Error> {
    let nanos = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|nanos| -nanos),
    };
    nanos.ok_or_else(|| Error::entry("a time is outside of the years 1678 to 2262"))
}

pub(crate) fn time_of(nanos: i64) -> Result<SystemTime, Error> {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    let time = if nanos < 0 { epoch.checked_sub(distance) } else { epoch.checked_add(distance) };
    // -2^63 has no encoding of its own on the way back.
    time.filter(|_| nanos != i64::MIN).ok_or_else(|| Error::malformed("a time does not fit this system"))
}

fn encode_map(map: &BTreeMap<String, Value>, out: &mut Writer<'_>, depth: usize) -> Result<(), Error> {
    out.count(map.len())?;
    for (name, value) in map {
        out.text(name)?;
        encode_value(value, out, depth + 1)?;
    }
    Ok(())
}

fn encode_value(value: &Value, out: &mut Writer<'_>, depth: usize) -> Result<(), Error> {
    if depth > DEEPEST_VALUE {
        return Err(Error::entry("its data is nested deeper than 16"));
    }
    match value {
        Value::Null => out.u8(0),
        Value::Bool(false) => out.u8(1),
        Value::Bool(true) => out.u8(2),
        Value::Int(number) => {
            out.u8(3);
            out.i64(*number);
        }
        Value::Float(number) if number.is_finite() => {
            out.u8(4);
            out.u64(number.to_bits());
        }
        Value::Float(_) => return Err(Error::entry("a number in its data is not finite")),
        Value::Text(text) => {
            out.u8(5);
            out.text(text)?;
        }
        Value::Bytes(bytes) => {
            out.u8(6);
            out.bytes(bytes)?;
        }
        Value::List(values) => {
            out.u8(7);
            out.count(values.len())?;
            for value in values {
                encode_value(value, out, depth + 1)?;
            }
        }
        Value::Map(map) => {
            out.u8(8);
            encode_map(map, out, depth)?;
        }
    }
    Ok(())
}

fn decode_map(from: &mut Reader<'_>, depth: usize) -> Result<BTreeMap<String, Value>, Error> {
    let mut map = BTreeMap::new();
    for _ in 0..from.count()? {
        let name = from.text()?;
        if map.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return Err(Error::malformed("names in a map are not in order, or repeated"));
        }
        let value = decode_value(from, depth + 1)?;
        map.insert(name, value);
    }
    Ok(map)
}

fn decode_value(from: &mut Reader<'_>, depth: usize) -> Result<Value, Error> {
    if depth > DEEPEST_VALUE {
        return Err(Error::malformed("values are nested deeper than 16"));
    }
    Ok(match from.u8()? {
        0 => Value::Null,
        1 => Value::Bool(false),
        2 => Value::Bool(true),
        3 => Value::Int(from.i64()?),
        4 => {
            let number = f64::from_bits(from.u64()?);
            if !number.is_finite() {
                return Err(Error::malformed("a number is not finite"));
            }
            Value::Float(number)
        }
        5 => Value::Text(from.text()?),
        6 => Value::Bytes(from.bytes()?.to_vec()),
        7 => {
            let mut values = Vec::new();
            for _ in 0..from.count()? {
                values.push(decode_value(from, depth + 1)?);
            }
            Value::List(values)
        }
        8 => Value::Map(decode_map(from, depth)?),
        _ => return Err(Error::malformed("a value is of no known kind")),
    })
}

macro_rules! value_from {
    ($($from:ty => $to:expr),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                $to(value.into())
            }
        })*
    };
}

value_from!(bool => Value::Bool, i64 => Value::Int, i32 => Value::Int, u32 => Value::Int, f64 => Value::Float,
    String => Value::Text, &str => Value::Text, Vec<u8> => Value::Bytes, Vec<Value> => Value::List,
    BTreeMap<String, Value> => Value::Map);
