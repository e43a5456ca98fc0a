//! The members of tables, the items of lists, the content of choices.

use std::collections::{BTreeMap, btree_map};

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::fault::{Fault, Reason};
use super::{FromTree, Way};
use crate::tree::{Node, Value};

pub(super) struct Items<'a> {
    list: FromTree<'a>,
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'a> Items<'a> {
    pub(super) fn new<'b>(list: FromTree<'b>, items: &'a [Node]) -> Self
    where
        'b: 'a,
    {
        Self { list, items: items.iter().enumerate() }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        let way = Way::Index(self.list.path, index);
        let item = FromTree { node, path: &way, secret: self.list.secret, known: &[] };
        seed.deserialize(item).map(Some).map_err(|fault| fault.at(&way, self.list.secret))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

pub(super) struct Entries<'a> {
    table: FromTree<'a>,
    known: &'static [&'static str],
    members: btree_map::Iter<'a, String, Node>,
    current: Option<(&'a str, &'a Node)>,
}

impl<'a> Entries<'a> {
    pub(super) fn new<'b>(
        table: FromTree<'b>,
        members: &'a BTreeMap<String, Node>,
        known: &'static [&'static str],
    ) -> Self
    where
        'b: 'a,
    {
        Self { table, known, members: members.iter(), current: None }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some((key, node)) = self.members.next() else { return Ok(None) };
        self.current = Some((key, node));
        let read = seed.deserialize(MapKey(key));
        read.map(Some).map_err(|fault| match fault.reason() {
            Reason::UnknownKey { .. } => fault.at(self.table.path, self.table.secret),
            _ => fault.at(&Way::Key(self.table.path, key), self.table.secret),
        })
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        // Serde asks for a value after each key; one asked for without is a bug of the type's own code.
        let Some((key, node)) = self.current.take() else {
            return Err(Fault::new(Reason::Custom("a value was read before its key".to_owned())));
        };
        let way = Way::Key(self.table.path, key);
        let member = FromTree { node, path: &way, secret: self.table.secret, known: self.known };
        seed.deserialize(member).map_err(|fault| fault.at(&way, self.table.secret))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.members.len())
    }
}

/// A key of a table, which is text in TOML and may be a number or a choice to the type.
struct MapKey<'a>(&'a str);

macro_rules! parsed_keys {
    ($($deserialize:ident $visit:ident $expected:literal),*) => {
        $(fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.0.parse() {
                Ok(key) => visitor.$visit(key),
                Err(_) => Err(Fault::new(Reason::Custom(concat!("the key must be ", $expected).to_owned()))),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for MapKey<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let key: StrDeserializer<'_, Fault> = self.0.into_deserializer();
        key.deserialize_enum(name, variants, visitor)
    }

    parsed_keys!(
        deserialize_u8 visit_u8 "a whole number from 0 to 255", deserialize_u16 visit_u16 "a whole number from 0 to 65535",
        deserialize_u32 visit_u32 "a whole number from 0 to 4294967295",
        deserialize_u64 visit_u64 "a whole number, not negative", deserialize_u128 visit_u128 "a whole number, not negative",
        deserialize_i8 visit_i8 "a whole number from -128 to 127", deserialize_i16 visit_i16 "a whole number from -32768 to 32767",
        deserialize_i32 visit_i32 "a whole number from -2147483648 to 2147483647",
        deserialize_i64 visit_i64 "a whole number", deserialize_i128 visit_i128 "a whole number",
        deserialize_bool visit_bool "`true` or `false`", deserialize_char visit_char "one character"
    );

    serde::forward_to_deserialize_any! {
        f32 f64 str string bytes byte_buf option unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

/// Which choice a table stands for. Layers merge tables key by key, so that a choice of a lower layer may still
/// be there beside the one that replaced it: the one that the highest layer wrote counts.
pub(super) fn chosen(members: &BTreeMap<String, Node>) -> Option<(&str, &Node)> {
    let highest = members.values().map(Node::highest_layer).max()?;
    let mut candidates = members.iter().filter(|(_, node)| node.highest_layer() == highest);
    match (candidates.next(), candidates.next()) {
        (Some((name, node)), None) => Some((name, node)),
        _ => None,
    }
}

/// One choice of an enum, with or without content.
pub(super) struct Variant<'a> {
    whole: FromTree<'a>,
    name: &'a str,
    content: Option<&'a Node>,
}

impl<'a> Variant<'a> {
    pub(super) fn named(whole: FromTree<'a>, name: &'a str) -> Self {
        Self { whole, name, content: None }
    }

    pub(super) fn with_content(whole: FromTree<'a>, name: &'a str, content: &'a Node) -> Self {
        Self { whole, name, content: Some(content) }
    }

    /// Reads the content, which must be there.
    fn read<R>(self, read: impl FnOnce(FromTree<'_>) -> Result<R, Fault>) -> Result<R, Fault> {
        let Self { whole, name, content } = self;
        let Some(node) = content else {
            let needs = format!("a table, because `{name}` has settings of its own: {{ {name} = … }}");
            return Err(whole.expected(&needs));
        };
        let way = Way::Key(whole.path, name);
        let content = FromTree { node, path: &way, secret: whole.secret, known: &[] };
        read(content).map_err(|fault| fault.at(&way, whole.secret))
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let name: StrDeserializer<'_, Fault> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.content.map(|node| &node.value) {
            None | Some(Value::Unset) => Ok(()),
            Some(Value::Table(members)) if members.is_empty() => Ok(()),
            Some(_) => {
                let needs = format!("just \"{}\", which has no settings of its own", self.name);
                Err(self.whole.expected(&needs))
            }
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        self.read(|content| seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.read(|content| content.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.read(|content| content.deserialize_struct("", known, visitor))
    }
}
