//! The merged tree: every value with the place it came from, and what it hides.

use std::collections::BTreeMap;

use crate::path::{KeyPath, Step};
use crate::source::Source;

/// A value, its source, and the lower layers' value that it replaced.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) source: Source,
    /// Where its key stands, when that is another place than the value.
    pub(crate) key_source: Option<Source>,
    /// Which layer wrote it; 0 is the default.
    pub(crate) layer: u8,
    /// Marked by [`Masked`](crate::Masked).
    pub(crate) secret: bool,
    /// What a lower layer said.
    pub(crate) below: Option<Box<Node>>,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Unset,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    /// From a variable or a flag: its type is whatever is asked for.
    Raw(Raw),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

#[derive(Debug, Clone)]
pub(crate) struct Raw {
    pub(crate) text: String,
    /// The value it replaced was text, so it is text where the type asked for leaves that open.
    pub(crate) over_text: bool,
}

/// The layer of a type's own defaults.
pub(crate) const DEFAULTS: u8 = 0;

impl Node {
    pub(crate) fn new(value: Value, source: Source, layer: u8) -> Self {
        Self { value, source, key_source: None, layer, secret: false, below: None }
    }

    /// A value of the type's own defaults.
    pub(crate) fn default_of(value: Value) -> Self {
        Self::new(value, Source::Default, DEFAULTS)
    }

    pub(crate) fn table(&self) -> Option<&BTreeMap<String, Node>> {
        match &self.value {
            Value::Table(members) => Some(members),
            _ => None,
        }
    }

    /// Where its key stands, or itself.
    pub(crate) fn key_source(&self) -> &Source {
        self.key_source.as_ref().unwrap_or(&self.source)
    }

    pub(crate) fn step(&self, step: &Step) -> Option<&Self> {
        match (&self.value, step) {
            (Value::Table(members), Step::Key(key)) => members.get(key),
            (Value::Table(members), Step::Index(index)) => members.get(&index.to_string()),
            (Value::List(items), Step::Index(index)) => items.get(*index),
            _ => None,
        }
    }

    fn step_mut(&mut self, step: &Step) -> Option<&mut Self> {
        match (&mut self.value, step) {
            (Value::Table(members), Step::Key(key)) => members.get_mut(key),
            (Value::List(items), Step::Index(index)) => items.get_mut(*index),
            _ => None,
        }
    }

    pub(crate) fn get(&self, path: &KeyPath) -> Option<&Self> {
        path.0.iter().try_fold(self, Self::step)
    }

    /// The node at `path`, or the closest one above it.
    pub(crate) fn nearest(&self, path: &KeyPath) -> &Self {
        let mut node = self;
        for step in &path.0 {
            match node.step(step) {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// Lays `upper` over this: tables key by key, anything else as a whole.
    pub(crate) fn merge(&mut self, mut upper: Self) {
        upper.become_table_over(self);
        upper.secret |= self.secret;
        match (&mut self.value, upper.value) {
            (Value::Table(members), Value::Table(over)) => {
                for (key, node) in over {
                    match members.get_mut(&key) {
                        Some(below) => below.merge(node),
                        None => {
                            members.insert(key, node);
                        }
                    }
                }
                // A table stays where it was first written; its members have sources of their own.
                if self.layer == DEFAULTS {
                    (self.source, self.key_source, self.layer) =
                        (upper.source, upper.key_source, upper.layer);
                }
            }
            (_, mut value) => {
                if let Value::Raw(raw) = &mut value {
                    raw.over_text = self.is_text();
                }
                let below = std::mem::replace(self, Self { value, below: None, ..upper });
                self.below = Some(Box::new(below));
            }
        }
    }

    /// A variable's `{ pages = 3 }` over a table adds to it, as it does in a file.
    fn become_table_over(&mut self, lower: &Self) {
        if let (Value::Raw(raw), Value::Table(_)) = (&self.value, &lower.value)
            && let Some(table) = crate::file::literal(&raw.text, &self.source, self.layer)
            && table.table().is_some()
        {
            self.value = table.value;
        }
    }

    fn is_text(&self) -> bool {
        match &self.value {
            Value::Text(_) => true,
            Value::Raw(raw) => raw.over_text,
            _ => false,
        }
    }

    /// The highest layer that wrote this or anything below it.
    pub(crate) fn highest_layer(&self) -> u8 {
        match &self.value {
            Value::Table(members) => {
                members.values().map(Self::highest_layer).fold(self.layer, std::cmp::Ord::max)
            }
            _ => self.layer,
        }
    }

    /// Takes a faulty value away, so that the one it replaced counts again, or none. False when there is nothing
    /// that could be taken away.
    pub(crate) fn repair(&mut self, path: &KeyPath) -> bool {
        let Some((last, above)) = path.0.split_last() else { return false };
        let above = KeyPath(above.to_vec());
        let Some(parent) = above.0.iter().try_fold(&mut *self, Self::step_mut) else {
            return self.repair(&above);
        };
        if let Some(node) = parent.step_mut(last)
            && let Some(below) = node.below.take()
        {
            *node = *below;
            return true;
        }
        match (&mut parent.value, last) {
            // A table that holds nothing any more goes with its last member: to a choice, an empty one is a fault.
            (Value::Table(members), Step::Key(key)) => {
                let removed = members.remove(key).is_some();
                if !removed || members.is_empty() { self.repair(&above) || removed } else { true }
            }
            _ => self.repair(&above),
        }
    }

    /// Every value that is no table, and every empty table, with its path, in the order of the keys.
    pub(crate) fn leaves<'a>(&'a self, path: &KeyPath, visit: &mut impl FnMut(&KeyPath, &'a Self)) {
        match &self.value {
            Value::Table(members) if !members.is_empty() => {
                for (key, node) in members {
                    node.leaves(&path.child(key), visit);
                }
            }
            _ => visit(path, self),
        }
    }

    /// Whether the values are equal, wherever they came from.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Unset, Value::Unset) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Integer(a), Value::Integer(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Raw(a), Value::Raw(b)) => a.text == b.text,
            (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b)),
            (Value::Table(a), Value::Table(b)) => {
                a.len() == b.len()
                    && a.iter().zip(b).all(|((key_a, a), (key_b, b))| key_a == key_b && a.same(b))
            }
            _ => false,
        }
    }
}
