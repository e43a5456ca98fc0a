//! Text of tokens and key sets, read strictly: whoever reads it otherwise may read something else.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::Refusal;

/// The deepest nesting of a header, of claims and of a key set.
const DEEPEST: usize = 16;

/// Base64url without padding, at most so many bytes of text; bits beyond the last byte must be zero, so each value has one text.
pub(super) fn decode(text: &str, most: usize) -> Result<Vec<u8>, Refusal> {
    if text.len() > most {
        return Err(Refusal::TooLarge);
    }
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| Refusal::Malformed)
}

pub(super) fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// A JSON object in which no member stands twice, at any depth.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = Strict(DEEPEST).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    match read {
        Ok(Value::Object(members)) => Ok(members),
        Err(error) if error.to_string().starts_with(TWICE) => Err(Refusal::Duplicate),
        Ok(_) | Err(_) => Err(Refusal::Malformed),
    }
}

const TWICE: &str = "a member stands twice";

/// How deep it may still go.
#[derive(Clone, Copy)]
struct Strict(usize);

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            let value = from.next_value_seed(inner)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_text() {
        assert_eq!(decode("_-8", 8).unwrap(), [0xff, 0xef]);
        for other in ["_-9", "_-8=", "/+8", "_-8\n", " _-8", "_", "_-8A_"] {
            assert_eq!(decode(other, 8), Err(Refusal::Malformed), "{other:?}");
        }
        assert_eq!(decode("AAAAAAAAA", 8), Err(Refusal::TooLarge));
    }

    #[test]
    fn members_stand_once() {
        for twice in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"{"x":[{"b":1,"b":2}]}"#] {
            assert_eq!(object(twice.as_bytes()), Err(Refusal::Duplicate), "{twice}");
        }
        for other in ["[]", "1", "", "{", "{}x", r#"{"a":NaN}"#, "{'a':1}", "\u{feff}{}"] {
            assert_eq!(object(other.as_bytes()), Err(Refusal::Malformed), "{other}");
        }
        let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(object(deep(DEEPEST).as_bytes()).is_ok());
        assert_eq!(object(deep(DEEPEST + 1).as_bytes()), Err(Refusal::Malformed));
        assert_eq!(object(b"{\"a\": [null, -1, 1.5, \"x\", true]}").unwrap().len(), 1);
    }
}
