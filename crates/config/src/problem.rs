//! Failures put into words: where, which key, what was found, what would do.

use buttress_core::Violation;

use crate::de::{Fault, Reason, kind, names};
use crate::error::Problem;
use crate::mask::{self, MASK, redact};
use crate::path::KeyPath;
use crate::source::Source;
use crate::suggest::nearest;
use crate::tree::{DEFAULTS, Node, Value};

/// A value that did not read.
pub(crate) fn of_fault(tree: &Node, fault: &Fault) -> Problem {
    let path = innermost(tree, fault);
    let node = tree.nearest(&path);
    let secrets = mask::secret_texts(tree);
    let subject = if fault.is_secret() { with_value(&path, MASK) } else { subject(&path, node, &secrets) };
    let (source, key, message) = match fault.reason() {
        Reason::Expected { expected, found } => {
            let not = found.map(|found| format!(", not {found}")).unwrap_or_default();
            let hint = hint(expected, &node.value);
            (&node.source, path, format!("{subject}: must be {expected}{not}{hint}"))
        }
        Reason::UnknownChoice { known, name } => {
            let meant = nearest(name, known.iter().copied());
            let meant = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            (&node.source, path, format!("{subject}: must be one of {}{meant}", names(known)))
        }
        Reason::Custom(_) if fault.is_secret() => {
            let message =
                format!("{subject}: does not read; the reason is not shown, for it may tell the secret");
            (&node.source, path, message)
        }
        Reason::Custom(message) => {
            let message = redact(message, &secrets);
            (&node.source, path, format!("{subject}: {message}"))
        }
        Reason::UnknownKey { key, known } => {
            let path = path.child(key);
            let node = tree.nearest(&path);
            let message = unknown_key(tree, &path, key, known, node.key_source());
            (node.key_source(), path, message)
        }
        Reason::MissingKey(key) => {
            let path = path.child(key);
            (&node.source, path.clone(), format!("`{path}` is missing; it has no default, so write it"))
        }
        Reason::Twice(key) => {
            let path = path.child(key);
            let message = format!("`{path}` is given twice, by two of its names; keep one");
            (&node.source, path, message)
        }
        Reason::Mask => {
            let message =
                format!("{subject}: is what stands for a secret, not the secret; write the secret itself");
            (&node.source, path, message)
        }
    };
    Problem { source: source.clone(), key: key.to_string(), message }
}

/// A value that reads, and that the configuration's own rules refuse. `shown` is the configuration as it was read,
/// which knows what is masked.
pub(crate) fn of_violation(tree: &Node, shown: &Node, violation: &Violation) -> Problem {
    let path = KeyPath::parse(&violation.field);
    let node = tree.nearest(&path);
    let mut secrets = mask::secret_texts(tree);
    secrets.extend(mask::secret_texts(shown));
    let hidden =
        shown.get(&path).is_some_and(|node| mask::is_secret(&path, node)) || mask::is_secret(&path, node);
    let value = if hidden { MASK.to_owned() } else { shorten(&redact(&violation.value, &secrets)) };
    let remedy = redact(&violation.remedy, &secrets);
    let message = format!("{}: {remedy}", with_value(&path, &value));
    Problem { source: node.source.clone(), key: path.to_string(), message }
}

/// A change of what cannot change while the process runs.
pub(crate) fn of_change(path: &KeyPath, from: Option<&Node>, to: Option<&Node>, source: Source) -> Problem {
    let show =
        |node: Option<&Node>| node.map_or("nothing".to_owned(), |node| shorten(&mask::show(path, node)));
    let message = format!(
        "{path} = {}: cannot change while running, and is {}; restart the process, or put the old value back",
        show(to),
        show(from)
    );
    Problem { source, key: path.to_string(), message }
}

fn unknown_key(tree: &Node, path: &KeyPath, key: &str, known: &[&str], source: &Source) -> String {
    let meant = match nearest(key, known.iter().copied()) {
        Some(name) => {
            let mut meant = path.clone();
            meant.0.pop();
            Some(meant.child(name))
        }
        None => elsewhere(tree, key),
    };
    let meant = match (meant, source) {
        (Some(meant), Source::Env { variable }) => {
            format!("did you mean {}? ", renamed(variable, path, &meant))
        }
        (Some(meant), _) => format!("did you mean `{meant}`? "),
        (None, _) => String::new(),
    };
    let known = if known.is_empty() { "nothing".to_owned() } else { names(known) };
    format!("unknown key `{path}`; {meant}known here: {known}")
}

/// Where the failure is about. Serde reads the choices of a tagged enum from a copy that knows no places, so that
/// only the whole table is known; if just one value in it is of the kind that was found wrong, that one is meant.
fn innermost(tree: &Node, fault: &Fault) -> KeyPath {
    let path = fault.path();
    let node = tree.nearest(&path);
    if let Reason::Expected { found: Some(found), .. } = fault.reason()
        && node.table().is_some()
        && *found != "a table"
    {
        let mut candidates = Vec::new();
        node.leaves(&path, &mut |path, leaf| {
            if kind(&leaf.value) == Some(found) && leaf.layer != DEFAULTS {
                candidates.push(path.clone());
            }
        });
        if let [only] = candidates.as_slice() {
            return only.clone();
        }
    }
    path
}

/// The one other place that has a key of this name: somebody wrote it into the wrong table.
fn elsewhere(tree: &Node, key: &str) -> Option<KeyPath> {
    let mut found = Vec::new();
    tree.leaves(&KeyPath::default(), &mut |path, node| {
        if node.layer == DEFAULTS && path.keys().next_back() == Some(key) {
            found.push(path.clone());
        }
    });
    match found.as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    }
}

/// The variable for `meant`, given the one for `path`.
fn renamed(variable: &str, path: &KeyPath, meant: &KeyPath) -> String {
    let tail =
        |path: &KeyPath| path.keys().collect::<Vec<_>>().join("__").replace('-', "_").to_ascii_uppercase();
    let prefix = variable.get(..variable.len().saturating_sub(tail(path).len())).unwrap_or_default();
    format!("{prefix}{}", tail(meant))
}

/// `limits.pages = 0`, or only `limits` where the value has values of its own.
fn subject(path: &KeyPath, node: &Node, secrets: &[String]) -> String {
    match &node.value {
        Value::Table(_) => path.to_string(),
        Value::List(items)
            if items.iter().any(|item| matches!(item.value, Value::List(_) | Value::Table(_))) =>
        {
            path.to_string()
        }
        _ => with_value(path, &shorten(&redact(&mask::show(path, node), secrets))),
    }
}

fn with_value(path: &KeyPath, value: &str) -> String {
    if path.0.is_empty() { value.to_owned() } else { format!("{path} = {value}") }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// What to do about the commonest slips.
fn hint(expected: &str, found: &Value) -> &'static str {
    let numeric = expected.starts_with("a whole number") || expected == "a number";
    match found {
        Value::Text(text) if numeric && text.trim().parse::<f64>().is_ok() => "; write it without quotes",
        Value::Text(text) if expected == "true or false" && matches!(text.as_str(), "true" | "false") => {
            "; write it without quotes"
        }
        Value::Raw(_) if expected == "a table" => "; set its keys one by one, or write { key = value }",
        Value::Text(_) if expected == "a list" => "; put it in square brackets",
        Value::Bool(_) | Value::Integer(_) | Value::Float(_) if expected == "text" => "; put it in quotes",
        _ => "",
    }
}
