//! TOML text to a tree that knows lines and columns.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeArray, DeTable, DeValue};

use crate::error::Problem;
use crate::source::Source;
use crate::tree::{Node, Value};

/// The bytes of one configuration file.
pub(crate) const MAX_FILE_BYTES: usize = 1 << 20;
/// Tables and lists inside one another.
pub(crate) const MAX_DEPTH: usize = 32;
/// Keys and list items of one file.
pub(crate) const MAX_VALUES: usize = 10_000;

/// Reads a whole file, or tells all that is wrong with its form.
pub(crate) fn parse(path: &Arc<Path>, bytes: &[u8], layer: u8) -> Result<Node, Vec<Problem>> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let lines = Lines::new(std::str::from_utf8(good).unwrap_or_default());
        let source = lines.source(path, good.len());
        vec![Problem::of_source(source, "not UTF-8 from here on; save the file as UTF-8")]
    })?;
    let lines = Lines::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let problem = |error: &toml::de::Error| {
            let source = lines.source(path, error.span().map_or(text.len(), |span| span.start));
            Problem::of_source(source, &format!("not TOML: {}", error.message().replace('\n', "; ")))
        };
        return Err(errors.iter().take(16).map(problem).collect());
    }
    let mut reader = Reader { place: &|span| lines.source(path, span.start), layer, values: 0 };
    reader
        .table(table.get_ref(), 0)
        .map_err(|problem| vec![problem])
        .map(|value| Node::new(value, Source::File { path: path.clone(), line: 1, column: 1 }, layer))
}

/// Reads one TOML value out of a variable or a flag; `None` when it is none.
pub(crate) fn literal(text: &str, source: &Source, layer: u8) -> Option<Node> {
    if text.len() > MAX_FILE_BYTES {
        return None;
    }
    let value = DeValue::parse(text).ok()?;
    let mut reader = Reader { place: &|_| source.clone(), layer, values: 0 };
    reader.value(value.get_ref(), value.span(), 0).ok()
}

struct Reader<'a> {
    place: &'a dyn Fn(Range<usize>) -> Source,
    layer: u8,
    values: usize,
}

impl Reader<'_> {
    fn value(&mut self, value: &DeValue<'_>, span: Range<usize>, depth: usize) -> Result<Node, Problem> {
        self.values += 1;
        let refuse = |message: &str| Problem::of_source((self.place)(span.clone()), message);
        if self.values > MAX_VALUES {
            return Err(refuse("more than 10000 keys and list items; move data into a file of its own"));
        }
        if depth > MAX_DEPTH {
            return Err(refuse("more than 32 tables and lists inside one another; make it flatter"));
        }
        let read = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => {
                let number = i128::from_str_radix(number.as_str(), number.radix());
                Value::Integer(number.map_err(|_| refuse("a whole number of more than 38 digits"))?)
            }
            DeValue::Float(number) => {
                let number = number.as_str().parse().map_err(|_| refuse("a number that does not read"))?;
                Value::Float(number)
            }
            DeValue::Boolean(value) => Value::Bool(*value),
            // Types that take a time read it from text.
            DeValue::Datetime(time) => Value::Text(time.to_string()),
            DeValue::Array(items) => self.list(items, depth)?,
            DeValue::Table(members) => self.table(members, depth)?,
        };
        Ok(Node::new(read, (self.place)(span), self.layer))
    }

    fn list(&mut self, items: &DeArray<'_>, depth: usize) -> Result<Value, Problem> {
        let items = items.iter().map(|item| self.value(item.get_ref(), item.span(), depth + 1));
        items.collect::<Result<_, _>>().map(Value::List)
    }

    fn table(&mut self, members: &DeTable<'_>, depth: usize) -> Result<Value, Problem> {
        let members = members.iter().map(|(key, value)| {
            let mut node = self.value(value.get_ref(), value.span(), depth + 1)?;
            let key_source = (self.place)(key.span());
            if node.table().is_some() {
                // A table's own span depends on how it is written; its name is where people look.
                node.source = key_source.clone();
            }
            node.key_source = Some(key_source);
            Ok((key.get_ref().to_string(), node))
        });
        members.collect::<Result<_, _>>().map(Value::Table)
    }
}

/// Line starts, so that an offset becomes a line and a column.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    fn source(&self, path: &Arc<Path>, offset: usize) -> Source {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(start..offset.min(self.text.len())).unwrap_or_default();
        Source::File { path: path.clone(), line, column: before.chars().count() + 1 }
    }
}
