//! The merged tree to the application's type.
//!
//! Every failure knows the path of the value it is about, and what would have been right. Text from variables and
//! flags becomes whatever type is asked for; values from files keep the type they were written with.

mod access;
mod fault;

use serde::de::{Deserializer, Expected, Visitor};

use crate::file;
use crate::mask;
use crate::path::{KeyPath, Step};
use crate::tree::{Node, Raw, Value};
use access::{Entries, Items, Variant};
pub(crate) use fault::{Fault, Reason, kind, names};

/// Reads `T` out of a tree.
pub(crate) fn from_tree<T: serde::de::DeserializeOwned>(tree: &Node) -> Result<T, Fault> {
    T::deserialize(FromTree { node: tree, path: &Way::Root, secret: false, known: &[] })
        .map_err(|fault| fault.at(&Way::Root, false))
}

/// The way down to the value at hand, on the stack: it becomes a [`KeyPath`] only when something fails.
#[derive(Clone, Copy)]
pub(crate) enum Way<'a> {
    Root,
    Key(&'a Way<'a>, &'a str),
    Index(&'a Way<'a>, usize),
}

impl Way<'_> {
    fn to_path(self) -> KeyPath {
        let mut steps = Vec::new();
        let mut way = self;
        loop {
            match way {
                Way::Root => break,
                Way::Key(up, key) => {
                    steps.push(Step::Key(key.to_owned()));
                    way = *up;
                }
                Way::Index(up, index) => {
                    steps.push(Step::Index(index));
                    way = *up;
                }
            }
        }
        steps.reverse();
        KeyPath(steps)
    }
}

#[derive(Clone, Copy)]
struct FromTree<'a> {
    node: &'a Node,
    path: &'a Way<'a>,
    /// Inside of a `Masked`.
    secret: bool,
    /// The fields of the struct this is a member of, should this member turn out to be unknown.
    known: &'static [&'static str],
}

impl<'a> FromTree<'a> {
    fn mismatch<'de>(&self, visitor: &impl Visitor<'de>) -> Fault {
        self.expected(&(visitor as &dyn Expected).to_string())
    }

    fn expected(&self, expected: &str) -> Fault {
        let expected = fault::plain_words(expected);
        let found = fault::kind(&self.node.value).filter(|found| !expected.starts_with(found));
        Fault::new(Reason::Expected { expected, found })
    }

    /// Another node in the place of this one.
    fn with<'b>(self, node: &'b Node) -> FromTree<'b>
    where
        'a: 'b,
    {
        FromTree { node, path: self.path, secret: self.secret, known: self.known }
    }

    /// What a raw text is as a TOML value, if it starts like a table, a list or quoted text.
    fn literal(&self, raw: &Raw, starts: &[char]) -> Option<Node> {
        raw.text.trim_start().starts_with(starts).then_some(())?;
        file::literal(raw.text.trim(), &self.node.source, self.node.layer)
    }

    fn integer(&self, low: i128, high: i128) -> Result<i128, Fault> {
        let number = match &self.node.value {
            Value::Integer(number) => Some(*number),
            Value::Raw(raw) => raw.text.trim().replace('_', "").parse().ok(),
            _ => None,
        };
        number.filter(|number| (low..=high).contains(number)).ok_or_else(|| {
            let expected = if high == i128::from(i64::MAX) || high > i128::from(u64::MAX) {
                "a whole number".to_owned()
            } else if high == i128::from(u64::MAX) {
                "a whole number, not negative".to_owned()
            } else {
                format!("a whole number from {low} to {high}")
            };
            let found = match &self.node.value {
                // Right in kind, wrong in size.
                Value::Integer(_) => None,
                value => fault::kind(value),
            };
            Fault::new(Reason::Expected { expected, found })
        })
    }

    fn float(&self) -> Result<f64, Fault> {
        match &self.node.value {
            Value::Float(number) => Some(*number),
            Value::Integer(number) => Some(*number as f64),
            Value::Raw(raw) => raw.text.trim().replace('_', "").parse().ok(),
            _ => None,
        }
        .ok_or_else(|| self.expected("a number"))
    }

    fn bool(&self) -> Result<bool, Fault> {
        match &self.node.value {
            Value::Bool(value) => Some(*value),
            Value::Raw(raw) => match raw.text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Some(true),
                "false" | "0" | "no" | "off" => Some(false),
                _ => None,
            },
            _ => None,
        }
        .ok_or_else(|| self.expected("true or false"))
    }

    fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::Raw(raw) => Some(&raw.text),
            _ => None,
        }
    }
}

macro_rules! integers {
    ($($deserialize:ident $visit:ident $type:ty),*) => {
        $(fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            // A `Wide` number is checked against its own type below, once it is known to be a number.
            let (low, high) = (i128::try_from(<$type>::MIN), i128::try_from(<$type>::MAX));
            let number = self.integer(low.unwrap_or(i128::MIN), high.unwrap_or(i128::MAX))?;
            match <$type>::try_from(number) {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(self.mismatch(&visitor)),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for FromTree<'_> {
    type Error = Fault;

    integers!(
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_i128 visit_i128 i128, deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
        deserialize_u128 visit_u128 u128
    );

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        // Narrowed on purpose: the nearest f32 is what a TOML number means to a field of that type.
        #[allow(clippy::cast_possible_truncation)]
        visitor.visit_f32(self.float()? as f32)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_f64(self.float()?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_bool(self.bool()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.text() {
            Some(mask::MASK) if self.secret => Err(Fault::new(Reason::Mask)),
            Some(text) => visitor.visit_str(text),
            None => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Unset => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(number) => {
                if let Ok(number) = u64::try_from(*number) {
                    visitor.visit_u64(number)
                } else if let Ok(number) = i64::try_from(*number) {
                    visitor.visit_i64(number)
                } else {
                    visitor.visit_i128(*number)
                }
            }
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Text(_) => self.deserialize_str(visitor),
            Value::Raw(raw) if raw.over_text => self.deserialize_str(visitor),
            // The type asked for leaves it open, so the text decides, as it would in a file.
            Value::Raw(raw) => match file::literal(raw.text.trim(), &self.node.source, self.node.layer) {
                Some(node) => self.with(&node).deserialize_any(visitor),
                None => self.deserialize_str(visitor),
            },
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Table(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::List(_) => self.deserialize_seq(visitor),
            _ => self.deserialize_str(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Unset => visitor.visit_none(),
            // The only way in which a variable can take a value away.
            Value::Raw(raw) if raw.text.is_empty() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Unset => visitor.visit_unit(),
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name != mask::MARK {
            return visitor.visit_newtype_struct(self);
        }
        let hidden = Self { secret: true, ..self };
        visitor.visit_newtype_struct(hidden).map_err(|fault| fault.at(self.path, true))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items::new(self, items)),
            Value::Raw(raw) => match self.literal(raw, &['[']) {
                Some(list) => self.with(&list).deserialize_seq(visitor),
                None => visitor.visit_seq(Items::new(self, &split_list(self.node, raw))),
            },
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_struct("", &[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Table(members) => visitor.visit_map(Entries::new(self, members, known)),
            Value::Raw(raw) => match self.literal(raw, &['{']) {
                Some(table) => self.with(&table).deserialize_struct("", known, visitor),
                None => Err(self.mismatch(&visitor)),
            },
            _ => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Text(name) => visitor.visit_enum(Variant::named(self, name)),
            Value::Raw(raw) => match self.literal(raw, &['{']) {
                Some(table) => self.with(&table).deserialize_enum("", variants, visitor),
                None => visitor.visit_enum(Variant::named(self, raw.text.trim())),
            },
            Value::Table(members) => match access::chosen(members) {
                Some((name, content)) => visitor.visit_enum(Variant::with_content(self, name, content)),
                None => {
                    Err(self.expected(&format!("a table with exactly one of {}", fault::names(variants))))
                }
            },
            _ => Err(self.expected(&format!("one of {}", fault::names(variants)))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        // A struct that forgot `deny_unknown_fields` asks for this with the value of a key it does not know.
        let key = match self.path {
            Way::Key(_, key) => (*key).to_owned(),
            _ => String::new(),
        };
        Err(Fault::new(Reason::UnknownKey { key, known: self.known }).above(self.path))
    }
}

/// `a, b` as the list of `a` and `b`; nothing as the empty list.
fn split_list(node: &Node, raw: &Raw) -> Vec<Node> {
    let item = |text: &str| {
        let value = Value::Raw(Raw { text: text.trim().to_owned(), over_text: false });
        Node { secret: node.secret, ..Node::new(value, node.source.clone(), node.layer) }
    };
    match raw.text.trim() {
        "" => Vec::new(),
        text => text.split(',').map(item).collect(),
    }
}
