//! Records as JSON: what exports write, sinks keep, and the command line shows.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde_json::{Map, Value as Json, json};

use crate::{Record, Value, time};

/// A record as one flat object; what is not known is left out.
#[must_use]
pub fn record(record: &Record) -> Map<String, Json> {
    let entry = &record.entry;
    let mut fields = Map::new();
    let mut put = |name: &str, value: Json| fields.insert(name.to_owned(), value);
    put("sequence", json!(record.sequence));
    put("recorded", json!(time::format(record.recorded)));
    put("ticks_ns", json!(u64::try_from(record.ticks.as_nanos()).unwrap_or(u64::MAX)));
    put("at", json!(time::format(entry.at)));
    put("action", json!(entry.action));
    put("outcome", json!(entry.outcome));
    for (name, text) in [
        ("actor", &entry.actor),
        ("target", &entry.target),
        ("tenant", &entry.tenant),
        ("request_id", &entry.request_id),
        ("detail", &entry.detail),
    ] {
        if let Some(text) = text {
            put(name, json!(text));
        }
    }
    if !entry.data.is_empty() {
        put("data", map(&entry.data));
    }
    fields
}

/// A value of an entry's data. Bytes become the text `base64:…`.
#[must_use]
pub fn value(from: &Value) -> Json {
    match from {
        Value::Null => Json::Null,
        Value::Bool(yes) => json!(yes),
        Value::Int(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Bytes(bytes) => json!(format!("base64:{}", BASE64.encode(bytes))),
        Value::List(values) => values.iter().map(value).collect(),
        Value::Map(values) => map(values),
    }
}

/// A map of values.
#[must_use]
pub fn map(from: &BTreeMap<String, Value>) -> Json {
    Json::Object(from.iter().map(|(name, from)| (name.clone(), value(from))).collect())
}

/// What a JSON value is as a value of an entry. A number that is none of 64 bits is a fraction.
#[must_use]
pub fn parse(from: Json) -> Value {
    match from {
        Json::Null => Value::Null,
        Json::Bool(yes) => Value::Bool(yes),
        Json::Number(number) => {
            let float = || number.as_f64().map_or(Value::Text(number.to_string()), Value::Float);
            number.as_i64().map_or_else(float, Value::Int)
        }
        Json::String(text) => Value::Text(text),
        Json::Array(values) => Value::List(values.into_iter().map(parse).collect()),
        Json::Object(fields) => {
            Value::Map(fields.into_iter().map(|(name, from)| (name, parse(from))).collect())
        }
    }
}
