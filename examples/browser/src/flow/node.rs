//! A workflow's text as a tree of values that know their lines.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::error::FlowErrors;

/// The longest text of a workflow in bytes.
pub const MAX_TEXT: usize = 256 << 10;
/// How deep lists and maps may lie in one another.
pub(crate) const MAX_DEPTH: usize = 48;
/// How many values a workflow may be made of.
const MAX_NODES: usize = 50_000;

/// A value and the line it begins on; line 0 is unknown.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) line: u64,
}

#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Text(String),
    /// A truth value, with its spelling.
    Bool(bool, String),
    /// A number, with its spelling: `text: 007` types three digits.
    Number(serde_json::Number, String),
    List(Vec<Node>),
    Map(Vec<Member>),
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// The line of the name.
    pub(crate) line: u64,
    pub(crate) node: Node,
}

impl Value {
    /// What it is, for a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(_) => "text",
            Self::Bool(..) => "true or false",
            Self::Number(..) => "a number",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// Reads YAML, of which JSON is a part.
pub(crate) fn from_text(text: &str) -> Result<Node, FlowErrors> {
    if text.len() > MAX_TEXT {
        return Err(FlowErrors::too_large(
            None,
            format!("the text has {} bytes; a workflow has at most {} KiB", text.len(), MAX_TEXT >> 10),
        ));
    }
    // An alias may stand for a large value many times over, so there are none at all.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_merge_keys: 0,
            // A second one has an error of its own.
            max_documents: 2,
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: MAX_NODES * 3,
            flow_nesting_limit: MAX_DEPTH * 2,
            max_total_scalar_bytes: MAX_TEXT,
        },
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    };
    let tree: Spanned<Raw> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| syntax(&error))?;
    Ok(finish(tree, text))
}

/// Takes over a value that was parsed elsewhere; no line is known.
pub(crate) fn from_value(value: serde_json::Value) -> Result<Node, FlowErrors> {
    let mut left = MAX_NODES;
    convert(value, MAX_DEPTH, &mut left)
        .ok_or_else(|| FlowErrors::too_large(None, "has too many values, or values too deep in one another"))
}

fn convert(value: serde_json::Value, depth: usize, left: &mut usize) -> Option<Node> {
    *left = left.checked_sub(1)?;
    let deeper = depth.checked_sub(1);
    let value = match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(is) => Value::Bool(is, is.to_string()),
        serde_json::Value::Number(number) => Value::Number(number.clone(), number.to_string()),
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(items) => {
            let deeper = deeper?;
            Value::List(items.into_iter().map(|item| convert(item, deeper, left)).collect::<Option<_>>()?)
        }
        serde_json::Value::Object(members) => {
            let deeper = deeper?;
            let mut list = Vec::with_capacity(members.len());
            for (name, member) in members {
                list.push(Member { name, line: 0, node: convert(member, deeper, left)? });
            }
            Value::Map(list)
        }
    };
    Some(Node { value, line: 0 })
}

/// The parser's error with its line apart from its text.
fn syntax(error: &serde_saphyr::Error) -> FlowErrors {
    use serde_saphyr::Error;
    use serde_saphyr::budget::BudgetBreach;
    let error = error.without_snippet();
    let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
    let problem = match error {
        Error::Budget { breach, .. } => match breach {
            BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. } | BudgetBreach::MergeKeys { .. } => {
                "anchors (`&name`), aliases (`*name`) and merge keys (`<<`) may not be used; write the value out"
                    .to_owned()
            }
            BudgetBreach::Depth { .. } => {
                let problem = format!("lists and maps may lie at most {MAX_DEPTH} deep in one another");
                return FlowErrors::too_large(line, problem);
            }
            _ => return FlowErrors::too_large(line, format!("a workflow has at most {MAX_NODES} values")),
        },
        Error::UnknownAnchor { .. } => {
            "aliases (`*name`) may not be used; put quotes around text that begins with `*`".to_owned()
        }
        Error::MultipleDocuments { .. } => "a file holds one workflow; take away what follows `---`".to_owned(),
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("{} is given twice in one map; keep one", super::error::quoted(key))
        }
        Error::Unexpected { expected: "string scalar", .. } => {
            "a field's name must be text; put quotes around text that begins with a brace: \"{{name}}\"".to_owned()
        }
        other => format!("is not YAML: {}", plain(other)),
    };
    FlowErrors::whole(line, problem)
}

/// The message without the place, which the caller says in its own way.
fn plain(error: &serde_saphyr::Error) -> String {
    let shown = error.to_string();
    match shown.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => shown,
    }
}

/// What the deserializer hands over, before spellings are looked up.
enum Raw {
    Null,
    Text(String),
    Bool(bool),
    Number(serde_json::Number),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn finish(tree: Spanned<Raw>, text: &str) -> Node {
    let place = tree.referenced;
    let spelled = || {
        let span = place.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
        text.get(start..end).map(|spelling| spelling.trim().to_owned())
    };
    let value = match tree.value {
        Raw::Null => Value::Null,
        Raw::Text(text) => Value::Text(text),
        Raw::Bool(is) => Value::Bool(is, spelled().unwrap_or_else(|| is.to_string())),
        Raw::Number(number) => {
            let spelling = spelled().unwrap_or_else(|| number.to_string());
            Value::Number(number, spelling)
        }
        Raw::List(items) => Value::List(items.into_iter().map(|item| finish(item, text)).collect()),
        Raw::Map(members) => Value::Map(
            members
                .into_iter()
                .map(|(name, node)| Member {
                    line: name.referenced.line(),
                    name: name.value,
                    node: finish(node, text),
                })
                .collect(),
        ),
    };
    Node { value, line: place.line() }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true or false, a list or a map")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Raw, D::Error> {
        Raw::deserialize(from)
    }

    fn visit_bool<E>(self, is: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(is))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Number(number.into()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Raw, E> {
        Ok(Raw::Text(number.to_string()))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Raw, E> {
        Ok(Raw::Text(number.to_string()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Raw, E> {
        serde_json::Number::from_f64(number)
            .map(Raw::Number)
            .ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Raw::Map(members))
    }
}
