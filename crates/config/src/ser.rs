//! A value of the application's type to a tree: how defaults enter the merge, and how the result is printed.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::Serialize;
use serde::ser::{self, Impossible};

use crate::mask;
use crate::tree::{Node, Value};

/// Writes `value` as a tree in which [`Masked`](crate::Masked) values are present, and marked.
pub(crate) fn to_tree<T: Serialize>(value: &T) -> Result<Node, Refused> {
    mask::exposed(|| value.serialize(ToTree))
}

/// Why a value has no form as a tree.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(String);

impl ser::Error for Refused {
    fn custom<M: Display>(message: M) -> Self {
        Self(message.to_string())
    }
}

struct ToTree;

fn node(value: Value) -> Node {
    Node::default_of(value)
}

fn variant(name: &str, content: Node) -> Node {
    node(Value::Table(BTreeMap::from([(name.to_owned(), content)])))
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<Node, Refused> {
            Ok(node(Value::Integer(i128::from(value))))
        })*
    };
}

impl ser::Serializer for ToTree {
    type Ok = Node;
    type Error = Refused;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Table;
    type SerializeStruct = Table;
    type SerializeStructVariant = Table;

    integers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128);
    integers!(serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);

    fn serialize_bool(self, value: bool) -> Result<Node, Refused> {
        Ok(node(Value::Bool(value)))
    }

    fn serialize_u128(self, value: u128) -> Result<Node, Refused> {
        Ok(node(Value::Integer(
            i128::try_from(value).map_err(|_| ser::Error::custom("a number above 2^127"))?,
        )))
    }

    fn serialize_f32(self, value: f32) -> Result<Node, Refused> {
        // Through its shortest decimal form, so that 0.1 stays 0.1.
        Ok(node(Value::Float(value.to_string().parse().unwrap_or(f64::from(value)))))
    }

    fn serialize_f64(self, value: f64) -> Result<Node, Refused> {
        Ok(node(Value::Float(value)))
    }

    fn serialize_char(self, value: char) -> Result<Node, Refused> {
        Ok(node(Value::Text(value.to_string())))
    }

    fn serialize_str(self, value: &str) -> Result<Node, Refused> {
        Ok(node(Value::Text(value.to_owned())))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Node, Refused> {
        let items = value.iter().map(|byte| Node::default_of(Value::Integer(i128::from(*byte))));
        Ok(node(Value::List(items.collect())))
    }

    fn serialize_none(self) -> Result<Node, Refused> {
        Ok(node(Value::Unset))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Node, Refused> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Node, Refused> {
        Ok(node(Value::Unset))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Node, Refused> {
        Ok(node(Value::Unset))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<Node, Refused> {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Node, Refused> {
        let mut written = value.serialize(self)?;
        written.secret |= name == mask::MARK;
        Ok(written)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<Node, Refused> {
        Ok(variant(name, value.serialize(ToTree)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List, Refused> {
        Ok(List::default())
    }

    fn serialize_tuple(self, _: usize) -> Result<List, Refused> {
        Ok(List::default())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List, Refused> {
        Ok(List::default())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<List, Refused> {
        Ok(List { variant: Some(name), ..List::default() })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Table, Refused> {
        Ok(Table::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Table, Refused> {
        Ok(Table::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Table, Refused> {
        Ok(Table { variant: Some(name), ..Table::default() })
    }
}

#[derive(Default)]
struct List {
    variant: Option<&'static str>,
    items: Vec<Node>,
}

impl List {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.items.push(value.serialize(ToTree)?);
        Ok(())
    }

    fn finish(self) -> Node {
        let list = Value::List(self.items);
        match self.variant {
            Some(name) => variant(name, node(list)),
            None => node(list),
        }
    }
}

macro_rules! lists {
    ($($form:ident . $push:ident),*) => {
        $(impl ser::$form for List {
            type Ok = Node;
            type Error = Refused;

            fn $push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                self.push(value)
            }

            fn end(self) -> Result<Node, Refused> {
                Ok(self.finish())
            }
        })*
    };
}

lists!(
    SerializeSeq.serialize_element,
    SerializeTuple.serialize_element,
    SerializeTupleStruct.serialize_field,
    SerializeTupleVariant.serialize_field
);

#[derive(Default)]
struct Table {
    variant: Option<&'static str>,
    key: String,
    members: BTreeMap<String, Node>,
}

impl Table {
    fn put<T: Serialize + ?Sized>(&mut self, key: String, value: &T) -> Result<(), Refused> {
        self.members.insert(key, value.serialize(ToTree)?);
        Ok(())
    }

    fn finish(self) -> Node {
        let table = Value::Table(self.members);
        match self.variant {
            Some(name) => variant(name, node(table)),
            None => node(table),
        }
    }
}

macro_rules! tables {
    ($($form:ident),*) => {
        $(impl ser::$form for Table {
            type Ok = Node;
            type Error = Refused;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Refused> {
                self.put(key.to_owned(), value)
            }

            fn end(self) -> Result<Node, Refused> {
                Ok(self.finish())
            }
        })*
    };
}

tables!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Table {
    type Ok = Node;
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.key = key.serialize(AsKey)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let key = std::mem::take(&mut self.key);
        self.put(key, value)
    }

    fn end(self) -> Result<Node, Refused> {
        Ok(self.finish())
    }
}

/// The key of a map: anything that has a plain form as text.
struct AsKey;

fn no_key<T>() -> Result<T, Refused> {
    Err(ser::Error::custom("a map whose keys are neither text nor numbers"))
}

macro_rules! plain_keys {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, key: $type) -> Result<String, Refused> {
            Ok(key.to_string())
        })*
    };
}

macro_rules! no_keys {
    ($($method:ident($($argument:ty),*) -> $result:ty;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$result, Refused> {
            no_key()
        })*
    };
}

impl ser::Serializer for AsKey {
    type Ok = String;
    type Error = Refused;
    type SerializeSeq = Impossible<String, Refused>;
    type SerializeTuple = Impossible<String, Refused>;
    type SerializeTupleStruct = Impossible<String, Refused>;
    type SerializeTupleVariant = Impossible<String, Refused>;
    type SerializeMap = Impossible<String, Refused>;
    type SerializeStruct = Impossible<String, Refused>;
    type SerializeStructVariant = Impossible<String, Refused>;

    plain_keys!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128);
    plain_keys!(serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128);
    plain_keys!(serialize_bool: bool, serialize_char: char, serialize_str: &str);

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<String, Refused> {
        Ok(name.to_owned())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        key: &T,
    ) -> Result<String, Refused> {
        key.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<String, Refused> {
        no_key()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<String, Refused> {
        no_key()
    }

    no_keys! {
        serialize_f32(f32) -> String;
        serialize_f64(f64) -> String;
        serialize_bytes(&[u8]) -> String;
        serialize_none() -> String;
        serialize_unit() -> String;
        serialize_unit_struct(&'static str) -> String;
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}
