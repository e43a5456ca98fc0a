//! JSON and JSON Lines: one line for each leaf, with the path to it.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;

use crate::charset::decode;
use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::format::Format;

/// JSON, as `order.items[2].name: Walnut` lines, which is how people and search find a value again.
///
/// The document is streamed, never held as a tree. Broken JSON is read as far as it goes.
pub(crate) struct Json;

impl Extractor for Json {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let (text, encoding) = decode(&source.bytes, None, draft.budget())?;
        draft.metadata().encoding = Some(encoding.to_owned());
        let writer = RefCell::new(Writer { draft, path: String::new(), refusal: None });
        let mut values = 0_usize;
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let mut deserializer = Deserializer::from_str(rest);
            // Depth is the budget's to bound.
            deserializer.disable_recursion_limit();
            let read = Leaf { writer: &writer, depth: 0 }.deserialize(&mut deserializer);
            if let Err(error) = read {
                let mut writer = writer.borrow_mut();
                if let Some(refusal) = writer.refusal.take() {
                    return Err(refusal);
                }
                if values == 0 && writer.draft.text().is_empty() {
                    return Err(Error::malformed(Format::Json, error));
                }
                writer.draft.warn(format!("the JSON breaks off: value {}, {error}", values + 1));
                return Ok(());
            }
            values += 1;
            writer.borrow_mut().end_value()?;
            let read = deserializer.into_iter::<serde::de::IgnoredAny>().byte_offset();
            rest = rest.get(read.max(1)..).unwrap_or_default().trim_start();
        }
        Ok(())
    }
}

struct Writer<'d, 'b> {
    draft: &'d mut Draft<'b>,
    path: String,
    /// Serde carries only its own errors, so ours waits here.
    refusal: Option<Error>,
}

impl Writer<'_, '_> {
    fn leaf(&mut self, value: &str) -> Result<()> {
        if !self.path.is_empty() {
            let path = std::mem::take(&mut self.path);
            self.draft.push(&path)?;
            self.path = path;
            self.draft.push(": ")?;
        }
        self.draft.push(value)?;
        self.draft.push("\n")
    }

    /// Values of JSON Lines are set apart like paragraphs.
    fn end_value(&mut self) -> Result<()> {
        self.draft.end_block()
    }
}

#[derive(Clone, Copy)]
struct Leaf<'w, 'd, 'b> {
    writer: &'w RefCell<Writer<'d, 'b>>,
    depth: usize,
}

impl Leaf<'_, '_, '_> {
    fn write<E: serde::de::Error>(&self, value: &str) -> Result<(), E> {
        self.keep(|writer| writer.leaf(value))
    }

    fn keep<E: serde::de::Error>(
        &self,
        work: impl FnOnce(&mut Writer<'_, '_>) -> Result<()>,
    ) -> Result<(), E> {
        let mut writer = self.writer.borrow_mut();
        work(&mut writer).map_err(|refusal| {
            let error = E::custom(&refusal);
            writer.refusal = Some(refusal);
            error
        })
    }

    /// Runs `work` with `step` at the end of the path.
    fn below<E: serde::de::Error, T>(
        &self,
        step: fmt::Arguments<'_>,
        work: impl FnOnce(Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let length = self.writer.borrow().path.len();
        self.keep(|writer| {
            writer.draft.budget().tick()?;
            writer.draft.budget().nesting(self.depth + 1)?;
            // Writing to a string does not fail.
            let _ = writer.path.write_fmt(step);
            Ok(())
        })?;
        let value = work(Self { depth: self.depth + 1, ..*self })?;
        self.writer.borrow_mut().path.truncate(length);
        Ok(value)
    }
}

impl<'de> DeserializeSeed<'de> for Leaf<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Leaf<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.write(if value { "true" } else { "false" })
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.write(&value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.write(&value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.write(&value.to_string())
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.write(value)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0_usize;
        while self.below(format_args!("[{index}]"), |leaf| items.next_element_seed(leaf))?.is_some() {
            index += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<String>()? {
            let dot = if self.writer.borrow().path.is_empty() { "" } else { "." };
            self.below(format_args!("{dot}{key}"), |leaf| entries.next_value_seed(leaf))?;
        }
        Ok(())
    }
}
